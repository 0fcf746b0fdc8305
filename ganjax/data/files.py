"""A user's own data: a folder of images, or an `.npz` file."""

from __future__ import annotations

import logging
import math
import os
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from ganjax.data import image_folder
from ganjax.data.dataset import Arrays, Dataset, require_train
from ganjax.data.image_listing import (
    counted,
    first,
    is_empty,
    list_images,
    scan,
    split_folders,
    split_name,
)
from ganjax.data.resizing import resize_dataset
from ganjax.host import one_line

LABELS = ("label", "labels", "y")  # names that labels may have in an `.npz` file, best first
Headers = dict[str, tuple[tuple[int, ...], np.dtype]]

log = logging.getLogger(__name__)


def at_path(
    path: Path,
    split: str = "train",
    size: int | None = None,
    channels: int | None = None,
    crop: bool = False,
) -> Dataset:
    """The dataset in a folder of images (`image_folder.dataset`) or an `.npz` file.

    The subfolders of a folder with a subfolder "train" are splits (`image_listing.split_folders`),
    whose classes are numbered together; any other folder or file has the one split "train".
    size, channels, crop: as in `registry.find`. Raises ValueError where there is no such file or
    folder, or something else.
    """
    if not os.path.exists(path):
        raise ValueError(f"there is no file or folder {path}")
    if path.suffix.lower() == ".npz" and path.is_file():
        return resize_dataset(npz_dataset(path, split), size, channels, crop)
    if not path.is_dir():
        raise ValueError(f"{path} is neither a folder of images nor an .npz file")
    try:
        splits = split_folders(path)
        if not splits:
            require_train(str(path), split)
            return image_folder.dataset(path, size, channels, crop)
        asked = split_name(split)
        if asked not in splits:
            raise ValueError(
                f"{path} has no split {split!r}: there is no folder of this name in it"
            )
        full = {name: folder for name, folder in splits.items() if not is_empty(folder)}
        beside = [folder for name, folder in full.items() if name != asked]
        unused = unused_images(path, splits, full) if asked == "train" else []
        found = image_folder.dataset(splits[asked], size, channels, crop, beside, unused)
        if asked == "test" or "test" not in full:
            return found
        return replace(found, test=partial(at_path, path, "test", size, channels, crop))
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error


def unused_images(path: Path, splits: dict[str, Path], full: dict[str, Path]) -> list[str]:
    """What a folder of splits holds that neither training nor testing sees, in words.

    full: the splits that hold images.
    """
    found = []
    if loose := [file.name for file in scan(path)[0]]:
        found.append(f"{counted(len(loose), 'image')} beside the splits ({first(loose)})")
    for name in full.keys() - {"train", "test"}:
        images = list_images(full[name]).files
        found.append(f"{counted(len(images), 'image')} of {full[name].name}")
    if empty := [splits[name].name for name in splits.keys() - full.keys()]:
        found.append(f"{counted(len(empty), 'folder without images')} ({first(empty)})")
    return sorted(found)


def npz_dataset(path: Path, split: str = "train") -> Dataset:
    """The dataset in an `.npz` file.

    `x`: uint8 [N, H, W, C] or [N, H, W], or voxels [N, X, Y, Z, 1], or float [N, D]; optionally
    `label` (or `labels`, or `y`): integers from 0, [N]. Labels with gaps are numbered anew, in
    their order; a warning of one line says so, and which arrays are left out. Only headers and
    labels are read here. Raises ValueError, one line, for anything else; pickled objects are never
    loaded.
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
    if min(shape) < 1:
        raise ValueError(f"{path}: x is empty, {list(shape)}")
    name = labels_name(headers, shape[0])
    label, names = (None, ()) if name is None else read_labels(path, shape[0], name)
    notes = [] if name in (None, "label") else [f"{name} is taken for label"]
    if names:
        notes.append(f"labels {first(list(names))} are classes 0 to {len(names) - 1}")
    if others := sorted(headers.keys() - {"x", name}):
        notes.append(f"left out: {first(others)}")
    if notes:
        log.warning("%s: %s", path, "; ".join(notes))

    def read() -> Arrays:
        x = read_array(path, "x")
        if x.shape != shape:
            raise ValueError(f"{path}: x has changed while it was read")
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
        class_names=names,
    )


def labels_name(headers: Headers, n: int) -> str | None:
    """The name of the labels among the arrays of an `.npz` file; y may be something else."""
    for name in LABELS[:2]:
        if name in headers:
            return name
    y_shape, y_dtype = headers.get("y", ((), np.dtype(float)))
    return "y" if y_shape == (n,) and y_dtype.kind in "iu" else None


def read_headers(path: Path) -> Headers:
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
    except Exception as error:  # of torn headers and broken streams NumPy raises errors of any kind
        raise ValueError(
            f"{path} is not an .npz file that can be read: {one_line(error)}"
        ) from error
    return found


def read_array(path: Path, name: str) -> np.ndarray:
    """One array of an `.npz` file."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return np.asarray(arrays[name])
    except Exception as error:  # of torn headers and broken streams NumPy raises errors of any kind
        raise ValueError(f"{path}: {name} cannot be read: {one_line(error)}") from error


def read_labels(path: Path, n: int, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """The labels of an `.npz` file as int32 [n], 0 … classes - 1, and, where these are not the
    numbers in the file, those numbers.
    """
    label = read_array(path, name)
    if label.shape != (n,) or label.dtype.kind not in "iu" or label.min() < 0:
        raise ValueError(
            f"{path}: {name} is {label.dtype} {list(label.shape)}; wanted is one integer from 0 "
            f"for each of {n} examples"
        )
    known, index = np.unique(label, return_inverse=True)
    names = () if known[-1] == len(known) - 1 else tuple(map(str, known))
    return index.astype(np.int32), names
