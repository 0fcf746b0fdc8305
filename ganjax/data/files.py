"""A user's own data: a folder of images, or an `.npz` file."""

from __future__ import annotations

import math
import os
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from ganjax.data import image_folder
from ganjax.data.dataset import Arrays, Dataset, require_train
from ganjax.data.resizing import resize_dataset
from ganjax.host import one_line

UNREADABLE = (zipfile.BadZipFile, ValueError, OSError, EOFError, KeyError)  # by NumPy, from a file


def at_path(
    path: Path,
    split: str = "train",
    size: int | None = None,
    channels: int | None = None,
    crop: bool = False,
) -> Dataset:
    """The dataset in a folder of images (`image_folder.dataset`) or an `.npz` file.

    The subfolders of a folder with a subfolder "train" are splits; any other folder or file has the
    one split "train". size, channels, crop: as in `registry.find`. Raises ValueError where there
    is no such file or folder, or something else.
    """
    if not os.path.exists(path):
        raise ValueError(f"there is no file or folder {path}")
    if path.suffix == ".npz" and path.is_file():
        return resize_dataset(npz_dataset(path, split), size, channels, crop)
    if not path.is_dir():
        raise ValueError(f"{path} is neither a folder of images nor an .npz file")
    try:
        if not (path / "train").is_dir():
            require_train(str(path), split)
            return image_folder.dataset(path, size, channels, crop)
        if not (path / split).is_dir():
            raise ValueError(
                f"{path} has no split {split!r}: there is no folder of this name in it"
            )
        found = image_folder.dataset(path / split, size, channels, crop)
        if split == "test" or not (path / "test").is_dir():
            return found
        return replace(found, test=partial(at_path, path, "test", size, channels, crop))
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error


def npz_dataset(path: Path, split: str = "train") -> Dataset:
    """The dataset in an `.npz` file.

    `x`: uint8 [N, H, W, C] or [N, H, W], or voxels [N, X, Y, Z, 1], or float [N, D]; optionally
    `label`: integers from 0, [N].
    Only headers and labels are read here. Raises ValueError, one line, for anything else; pickled
    objects are never loaded.
    """
    require_train(str(path), split)
    headers = read_headers(path)
    if "x" not in headers:
        raise ValueError(
            f"{path} holds {', '.join(sorted(headers)) or 'nothing'}: an array named x is wanted"
        )
    shape, dtype = headers["x"]
    images = len(shape) in (3, 4, 5) and dtype == np.uint8
    if not images and not (len(shape) == 2 and dtype.kind == "f"):
        raise ValueError(
            f"{path}: x is {dtype} {list(shape)}; wanted is uint8 [N, H, W, C], [N, H, W] or "
            "[N, X, Y, Z, 1], or float [N, D]"
        )
    if 0 in shape:
        raise ValueError(f"{path}: x is empty, {list(shape)}")
    label = read_labels(path, shape[0]) if "label" in headers else None

    def read() -> Arrays:
        x = read_array(path, "x")
        if x.dtype != np.uint8:
            x = x.astype(np.float32)
            if not np.isfinite(x).all():
                raise ValueError(f"{path}: x holds numbers that are not finite")
        x = x[..., None] if x.ndim == 3 else x
        return {"x": x} if label is None else {"x": x, "label": label}

    return Dataset(
        str(path),
        shape[1:] + (1,) * (len(shape) == 3),
        read,
        None if label is None else int(label.max()) + 1,
        shape[0],
        math.prod(shape) * (1 if images else 4) + (0 if label is None else label.nbytes),
    )


def read_headers(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
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
    except UNREADABLE as error:
        raise ValueError(
            f"{path} is not an .npz file that can be read: {one_line(error)}"
        ) from error
    return found


def read_array(path: Path, name: str) -> np.ndarray:
    """One array of an `.npz` file."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return np.asarray(arrays[name])
    except UNREADABLE as error:
        raise ValueError(f"{path}: {name} cannot be read: {one_line(error)}") from error


def read_labels(path: Path, n: int) -> np.ndarray:
    """The labels of an `.npz` file as int32 [n]."""
    label = read_array(path, "label")
    if label.shape != (n,) or label.dtype.kind not in "iu" or label.min() < 0:
        raise ValueError(
            f"{path}: label is {label.dtype} {list(label.shape)}; wanted is one integer from 0 for "
            f"each of {n} examples"
        )
    return label.astype(np.int32)
