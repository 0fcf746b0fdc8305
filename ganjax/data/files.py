"""A user's own data (a folder of images, an `.npz` file) and the digits that come with
scikit-learn.
"""

import math
import os
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ganjax.data import image_folder
from ganjax.data.dataset import Arrays, Set


def digits(split: str = "train") -> Set:
    """scikit-learn's 1797 handwritten digits (UCI optdigits' test set; Alpaydin and Kaynak 1998): x
    uint8 [1797, 8, 8, 1], label 0..9.

    Levels 0..16 become 0..255 by round-half-to-even of 255 v / 16.
    """
    whole("digits", split)

    def load() -> Arrays:
        from sklearn.datasets import load_digits

        found = load_digits()
        return {
            "x": np.rint(found.images[..., None] * (255 / 16)).astype(np.uint8),
            "label": found.target.astype(np.int32),
        }

    return Set("digits", (8, 8, 1), load, 10, 1797, 1797 * (64 + 4))


def at(
    path: Path,
    split: str = "train",
    size: int | None = None,
    channels: int | None = None,
    crop: bool = False,
) -> Set:
    """The set in a folder of images (see `images.folder`) or an `.npz` file. Raises ValueError
    where there is none, or something else.

    A folder with a subfolder "train" is taken by splits; any other folder or file has the one split
    "train".
    """
    if not os.path.exists(path):
        raise ValueError(f"there is no file or folder {path}")
    if path.suffix == ".npz" and path.is_file():
        return fit(npz(path, split), size, channels, crop)
    if not path.is_dir():
        raise ValueError(f"{path} is neither a folder of images nor an .npz file")
    try:
        if not (path / "train").is_dir():
            whole(str(path), split)
        elif (path / split).is_dir():
            path = path / split
        else:
            raise ValueError(
                f"{path} has no split {split!r}: there is no folder of this name in it"
            )
        return image_folder.folder(path, size, channels, crop)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error


def npz(path: Path, split: str = "train") -> Set:
    """The set in an `.npz` file: `x [N, H, W, C]` or `[N, H, W]` uint8, or `x [N, D]` float;
    optionally `label [N]`, integers from 0.

    Only headers and labels are read here. Raises ValueError, one line, for anything else; pickled
    objects are never loaded.
    """
    whole(str(path), split)
    shapes = headers(path)
    if "x" not in shapes:
        raise ValueError(
            f"{path} holds {', '.join(sorted(shapes)) or 'nothing'}: an array named x is wanted"
        )
    shape, dtype = shapes["x"]
    if not (
        (len(shape) in (3, 4) and dtype == np.uint8) or (len(shape) == 2 and dtype.kind == "f")
    ):
        raise ValueError(
            f"{path}: x is {dtype} {list(shape)}; wanted is uint8 [N, H, W, C] or [N, H, W], or float [N, D]"
        )
    if not shape[0] or 0 in shape:
        raise ValueError(f"{path}: x is empty, {list(shape)}")
    label = labels(path, shape[0]) if "label" in shapes else None

    def load() -> Arrays:
        x = read(path, "x")
        if x.dtype != np.uint8:
            x = x.astype(np.float32)
            if not np.isfinite(x).all():
                raise ValueError(f"{path}: x holds numbers that are not finite")
        x = x[..., None] if x.ndim == 3 else x
        return {"x": x} if label is None else {"x": x, "label": label}

    classes = None if label is None else int(label.max()) + 1
    size = math.prod(shape) * (1 if dtype == np.uint8 else 4) + (
        0 if label is None else label.nbytes
    )
    return Set(str(path), shape[1:] + (1,) * (len(shape) == 3), load, classes, shape[0], size)


def fit(
    found: Set, size: int | None = None, channels: int | None = None, crop: bool = False
) -> Set:
    """The same set with its images resized to size x size and as grey (1) or colour (3): only where
    it is asked for.

    Raises ValueError, one line, where there are no uint8 images, or they would be distorted.
    """
    if size is None and channels is None:
        return found
    if len(found.shape) != 3:
        raise ValueError(f"{found.name} has no images: size and channels do not apply")
    height, width, depth = found.shape
    shape = (size or height, size or width, channels or depth)
    if not crop and height * shape[1] != width * shape[0]:
        raise ValueError(
            f"{found.name}: {width} x {height} would be distorted to {shape[1]} x {shape[0]}: ask for a crop"
        )

    def load() -> Arrays:
        return resized(found.read())  # type: ignore[arg-type]

    def rows(chosen: np.ndarray) -> dict[str, np.ndarray]:
        return resized(found.rows(chosen))  # type: ignore[misc]

    def resized(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {
            name: fitted(values) if values.ndim == 4 else values for name, values in arrays.items()
        }

    def fitted(x: np.ndarray) -> np.ndarray:
        from PIL import Image

        return np.stack(
            [
                image_folder.fitted(
                    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image), shape, crop
                )
                for image in x
            ]
        )

    growth = math.prod(shape) / math.prod(found.shape)
    return replace(
        found, shape=shape, read=load, bytes=round(found.bytes * growth), rows=found.rows and rows
    )


def whole(name: str, split: str) -> None:
    """Raises ValueError where another split than "train" is asked of a set that has no others."""
    if split != "train":
        raise ValueError(f"{name} has one split, train: {split!r} is not there")


def headers(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Name -> (shape, dtype) of the arrays in an `.npz` file, from their headers alone."""
    found = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                with archive.open(member) as file:
                    version = np.lib.format.read_magic(file)
                    reader = (
                        np.lib.format.read_array_header_1_0
                        if version == (1, 0)
                        else np.lib.format.read_array_header_2_0
                    )
                    shape, _, dtype = reader(file)
                    found[member.removesuffix(".npy")] = (shape, dtype)
    except (zipfile.BadZipFile, ValueError, OSError, EOFError) as error:
        raise ValueError(
            f"{path} is not an .npz file that can be read: {first_line(error)}"
        ) from error
    return found


def read(path: Path, name: str) -> np.ndarray:
    """One array of an `.npz` file."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return np.asarray(arrays[name])
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, KeyError) as error:
        raise ValueError(f"{path}: {name} cannot be read: {first_line(error)}") from error


def labels(path: Path, n: int) -> np.ndarray:
    """The labels of an `.npz` file as int32 [n]."""
    label = read(path, "label")
    if label.shape != (n,) or label.dtype.kind not in "iu" or label.min() < 0:
        raise ValueError(
            f"{path}: label is {label.dtype} {list(label.shape)}; wanted is one integer from 0 for each of {n} examples"
        )
    return label.astype(np.int32)


def first_line(error: Any) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
