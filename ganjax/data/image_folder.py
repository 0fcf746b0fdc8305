"""A user's folder of images as one uint8 array."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from ganjax.data import cache
from ganjax.data.dataset import Arrays, Dataset
from ganjax.data.resizing import resize_image
from ganjax.host import one_line

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
GREY_MODES = ("1", "L", "LA", "I", "F")  # Pillow's, and all that begin with "I;"
NAMED = 10  # files left out that are named one by one

log = logging.getLogger(__name__)


def dataset(
    path: Path, size: int | None = None, channels: int | None = None, crop: bool = False
) -> Dataset:
    """The images in a folder, x uint8 [N, H, W, C]; subfolders are classes, by name.

    size: side in pixels (default: the size that all of them have).
    channels: 1 or 3 (default: what all of them have); transparent pixels lie on white.
    crop: cut the middle square out first; without it only square images are resized.
    Decoded once, then read from the user's cache; the folder is never written to. A file that is
    broken, or of more than 8 bits a channel, is left out, and a warning of one line names it.
    Raises ValueError, one line: no images, several sizes and no size asked for, no squares and no
    crop, grey and colour and no channels asked for.
    """
    files, classes = list_images(path)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        headers = [header for header in pool.map(read_header, files) if header]
    shape = common_shape(path, headers, size, channels, crop)

    def read() -> Arrays:
        return read_images(path, files, shape, crop)

    n = len(files)
    return Dataset(str(path), shape, read, len(classes) or None, n, n * math.prod(shape))


def list_images(path: Path) -> tuple[list[Path], list[str]]:
    """The image files of a folder in the order of their names, and its classes."""

    def images(folder: Path, pattern: str) -> list[Path]:
        return sorted(
            file
            for file in folder.glob(pattern)
            if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
        )

    loose = images(path, "*")
    by_class = {
        folder.name: images(folder, "**/*")
        for folder in sorted(path.iterdir())
        if folder.is_dir() and folder.name[0] != "."
    }
    by_class = {name: files for name, files in by_class.items() if files}
    if loose and by_class:
        raise ValueError(
            f"{path} holds images ({loose[0].name}) beside folders of images "
            f"({next(iter(by_class))}): only one can be meant"
        )
    if not loose and not by_class:
        raise ValueError(f"{path} holds no images ({', '.join(sorted(SUFFIXES))})")
    return loose or [file for files in by_class.values() for file in files], list(by_class)


def read_header(file: Path) -> tuple[int, int, int] | None:
    """(height, width, channels) of an image file, not decoded; None where it is no image."""
    from PIL import Image

    try:
        with Image.open(file) as image:
            grey = image.mode in GREY_MODES or image.mode.startswith("I;")
            return image.height, image.width, 1 if grey else 3
    except Exception:  # Pillow's readers raise errors of many kinds
        return None


def common_shape(
    path: Path,
    headers: Sequence[tuple[int, int, int]],
    size: int | None,
    channels: int | None,
    crop: bool,
) -> tuple[int, ...]:
    """(H, W, C) that fits all headers and what is asked for; ValueError where there is none."""
    if not headers:
        raise ValueError(f"{path} holds no image that can be read")
    sizes = sorted({(min(h, w),) * 2 if crop else (h, w) for h, w, _ in headers})
    if size is None and len(sizes) > 1:
        (low_h, low_w), (high_h, high_w) = sizes[0], sizes[-1]
        raise ValueError(
            f"{path} holds images of {len(sizes)} sizes, {low_w} x {low_h} to {high_w} x {high_h}: "
            "ask for a size"
        )
    if size is not None and (oblong := sum(h != w for h, w in sizes)):
        raise ValueError(
            f"{path} holds images that are not square, in {oblong} sizes: ask for a crop"
        )
    grey = sum(c == 1 for _, _, c in headers)
    if channels is None and 0 < grey < len(headers):
        raise ValueError(
            f"{path} holds {grey} grey and {len(headers) - grey} colour images: ask for channels, "
            "1 or 3"
        )
    return *(sizes[0] if size is None else (size, size)), channels or (1 if grey else 3)


def read_images(
    path: Path, files: Sequence[Path], shape: tuple[int, ...], crop: bool
) -> dict[str, np.ndarray]:
    """The images and labels of a folder, from the cache where no file has changed since."""
    stats = [(str(file.relative_to(path)), file.stat()) for file in files]
    rows = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
    stamp = hashlib.sha256(json.dumps([1, rows]).encode()).hexdigest()
    place = hashlib.sha256(json.dumps([str(path.resolve()), shape, crop]).encode()).hexdigest()[:16]
    paths = [cache.user_folder() / f"folder-{place}.npz"]
    found = cache.read(paths, stamp)
    if found is None:
        found = decode_images(path, files, shape, crop)
        cache.write(paths, stamp, found)
    refused = found.pop("refused")
    for line in refused[:NAMED]:
        log.warning("left out %s", line)
    if len(refused):
        log.warning("took %d of the %d images in %s", len(found["x"]), len(files), path)
    return found


def decode_images(
    path: Path, files: Sequence[Path], shape: tuple[int, ...], crop: bool
) -> dict[str, np.ndarray]:
    """{"x", "label" where there are classes, "refused": a line for each file that is left out}."""

    def decode(file: Path) -> np.ndarray | str:
        from PIL import Image

        try:
            with Image.open(file) as image:
                return resize_image(image, shape, crop)
        except Exception as error:  # Pillow's readers raise errors of many kinds
            return f"{file}: {one_line(error)}"

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(decode, files))
    refused = [line for line in found if isinstance(line, str)]
    if len(refused) == len(files):
        raise ValueError(f"{path} holds no image that can be taken; the first: {refused[0]}")
    taken = [(file, image) for file, image in zip(files, found) if isinstance(image, np.ndarray)]
    out = {"x": np.stack([image for _, image in taken]), "refused": np.array(refused, str)}
    if files[0].parent != path:
        classes = sorted({file.relative_to(path).parts[0] for file in files})
        names = [file.relative_to(path).parts[0] for file, _ in taken]
        out["label"] = np.array([classes.index(name) for name in names], np.int32)
    return out
