"""A user's folder of images as one uint8 array."""

import hashlib
import json
import logging
import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from ganjax.data import cache
from ganjax.data.dataset import Arrays, Set

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
SHOWN = 10  # refused files that are named one by one

log = logging.getLogger(__name__)


def folder(
    path: Path, size: int | None = None, channels: int | None = None, crop: bool = False
) -> Set:
    """The images in a folder: x uint8 [N, size, size, channels]; subfolders are classes, numbered
    in the order of their names.

    size: side in pixels (default: the size that all of them have). channels: 1 or 3 (default: what
    all of them have; what is transparent
    lies on white). crop: cut the middle square out first; without it only square images are
    resized. Decoded once, then read from the user's cache; the folder is never written to. A file
    that is broken or of more than 8 bits is left out, and a warning of one line names it. Raises
    ValueError, one line: no images, several sizes and no size asked for, no squares and no crop,
    several kinds of channels.
    """
    files, classes = listed(path)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        headers = [found for found in pool.map(header, files) if found]
    shape = agreed(path, headers, size, channels, crop)

    def load() -> Arrays:
        return arrays(path, files, shape, crop)

    return Set(
        str(path), shape, load, len(classes) or None, len(files), len(files) * math.prod(shape)
    )


def listed(path: Path) -> tuple[list[Path], list[str]]:
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
            f"{path} holds images ({loose[0].name}) beside folders of images ({next(iter(by_class))}): only one can be meant"
        )
    if not loose and not by_class:
        raise ValueError(f"{path} holds no images ({', '.join(sorted(SUFFIXES))})")
    return loose or [file for files in by_class.values() for file in files], list(by_class)


def header(file: Path) -> tuple[int, int, int] | None:
    """(height, width, channels) of an image file, not decoded; None where it is none."""
    from PIL import Image

    try:
        with Image.open(file) as image:
            return (
                image.height,
                image.width,
                1 if image.mode in ("1", "L", "LA", "I", "F") or image.mode.startswith("I;") else 3,
            )
    except Exception:  # PIL's readers raise errors of many kinds
        return None


def agreed(
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
    (low_h, low_w), (high_h, high_w) = sizes[0], sizes[-1]
    if size is None and len(sizes) > 1:
        raise ValueError(
            f"{path} holds images of {len(sizes)} sizes, {low_w} x {low_h} to {high_w} x {high_h}: ask for a size"
        )
    if size is not None and (oblong := sum(h != w for h, w in sizes)):
        raise ValueError(
            f"{path} holds images that are not square, in {oblong} sizes: ask for a crop"
        )
    grey = sum(c == 1 for _, _, c in headers)
    if channels is None and 0 < grey < len(headers):
        raise ValueError(
            f"{path} holds {grey} grey and {len(headers) - grey} colour images: ask for channels, 1 or 3"
        )
    return *(sizes[0] if size is None else (size, size)), channels or (1 if grey else 3)


def arrays(
    path: Path, files: Sequence[Path], shape: tuple[int, ...], crop: bool
) -> dict[str, np.ndarray]:
    """The decoded images and the labels of a folder, from the cache where nothing has changed
    since.
    """
    rows = [
        (str(file.relative_to(path)), (stat := file.stat()).st_size, stat.st_mtime_ns)
        for file in files
    ]
    stamp = hashlib.sha256(json.dumps([1, rows]).encode()).hexdigest()
    place = hashlib.sha256(json.dumps([str(path.resolve()), shape, crop]).encode()).hexdigest()[:16]
    paths = [cache.user_folder() / f"folder-{place}.npz"]
    found = cache.read(paths, stamp)
    if found is None:
        found = decoded(path, files, shape, crop)
        cache.write(paths, stamp, found)
    refused = found.pop("refused")
    for line in refused[:SHOWN]:
        log.warning("left out %s", line)
    if len(refused):
        log.warning("took %d of the %d images in %s", len(found["x"]), len(files), path)
    return found


def decoded(
    path: Path, files: Sequence[Path], shape: tuple[int, ...], crop: bool
) -> dict[str, np.ndarray]:
    """{"x", "label" where there are classes, "refused": a line for each file that was left out}."""

    def one(file: Path) -> np.ndarray | str:
        from PIL import Image

        try:
            with Image.open(file) as image:
                return fitted(image, shape, crop)
        except Exception as error:  # PIL's readers raise errors of many kinds
            return f"{file}: {(str(error) or type(error).__name__).splitlines()[0]}"

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(one, files))
    refused = [line for line in found if isinstance(line, str)]
    if len(refused) == len(files):
        raise ValueError(f"{path} holds no image that can be taken; the first: {refused[0]}")
    taken = [(file, image) for file, image in zip(files, found) if isinstance(image, np.ndarray)]
    out = {"x": np.stack([image for _, image in taken]), "refused": np.array(refused, str)}
    names = [file.relative_to(path).parts[0] for file, _ in taken]
    if files[0].parent != path:
        classes = sorted({file.relative_to(path).parts[0] for file in files})
        out["label"] = np.array([classes.index(name) for name in names], np.int32)
    return out


def fitted(image: Any, shape: tuple[int, ...], crop: bool = False) -> np.ndarray:
    """A PIL image as uint8 [H, W, C] of this shape: flat on white, the middle square where crop is
    asked for, bicubic with antialiasing.

    Raises ValueError for 16-bit images, and for one that would be distorted.
    """
    from PIL import Image

    stored = (
        image.tile[0][3] if getattr(image, "tile", None) else ""
    )  # PIL would read 16-bit colour as 8-bit
    if image.mode in ("I", "F") or any(
        "16" in str(mode) for mode in (image.mode, stored if isinstance(stored, str) else stored[0])
    ):
        raise ValueError(f"more than 8 bits per channel ({image.mode})")
    if (image.mode == "P" and "transparency" in image.info) or image.mode in (
        "LA",
        "PA",
        "RGBA",
        "La",
        "RGBa",
    ):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("L" if shape[2] == 1 else "RGB")
    width, height = image.size
    if crop:
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        image = image.crop((left, top, left + side, top + side))
    if image.size != (shape[1], shape[0]):
        if image.width * shape[0] != image.height * shape[1]:
            raise ValueError(
                f"{width} x {height} would be distorted to {shape[1]} x {shape[0]}: ask for a crop"
            )
        image = image.resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(image, np.uint8).reshape(shape)
