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
from ganjax.data.image_listing import Listing, counted, described, first, list_images
from ganjax.data.resizing import orientation, resize_image
from ganjax.host import one_line

GREY_MODES = ("1", "L", "LA", "I", "F")  # Pillow's, and all that begin with "I;"
NAMED = 10  # files left out that are named one by one

log = logging.getLogger(__name__)


def dataset(
    path: Path,
    size: int | None = None,
    channels: int | None = None,
    crop: bool = False,
    beside: Sequence[Path] = (),
    unused: Sequence[str] = (),
) -> Dataset:
    """The images in a folder, x uint8 [N, H, W, C]; subfolders are classes, by name.

    size: side in pixels (default: the size that all of them have).
    channels: 1 or 3 (default: what all of them have); transparent pixels lie on white, photographs
        stand upright as their EXIF orientation says, of an animation the first frame is taken.
    crop: cut the middle square out first; without it only square images are resized.
    beside: the folders of the other splits, whose classes are numbered together with these.
    unused: what else is left out, in words.
    Decoded here, and kept in the user's cache; the folder is never written to. A file that is
    broken, or of more than 8 bits a channel, is left out. Warnings name such files, and one line
    counts whatever is left out or turned, and names classes without an example.
    Raises ValueError, one line: no images, several sizes and no size asked for, no squares and no
    crop, grey and colour and no channels asked for.
    """
    listing = list_images(path)
    names = set(listing.classes)
    for other in beside:
        names |= set(list_images(other).classes) if names else set()
    classes = sorted(names)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        headers = [header for header in pool.map(read_header, listing.files) if header]
    shape = common_shape(path, headers, size, channels, crop)

    def read() -> dict[str, np.ndarray]:
        return read_images(path, listing.files, shape, crop, classes)

    decoded = read()
    n = len(decoded["x"])
    report(path, listing, decoded, classes, unused)
    at_hand = [without_report(decoded)]  # given away by the first reading: not held for good

    def read_arrays() -> Arrays:
        return at_hand.pop() if at_hand else without_report(read())

    return Dataset(
        str(path),
        shape,
        read_arrays,
        len(classes) or None,
        n,
        n * (math.prod(shape) + 4 * bool(classes)),
        class_names=tuple(classes),
    )


def report(
    path: Path,
    listing: Listing,
    decoded: dict[str, np.ndarray],
    classes: Sequence[str],
    unused: Sequence[str],
) -> None:
    """Warns of what is not taken as it is: a line for each broken file, and one that counts all."""
    refused = decoded["refused"]
    for line in refused[:NAMED]:
        log.warning("left out %s", line)
    left_out = [*described(listing.left_out), *unused]
    notes = [f"took {len(decoded['x'])} of the {len(listing.files)} images in {path}"]
    if left_out:
        notes.append(f"left out: {', '.join(left_out)}")
    turned, animated = decoded["changed"]
    if turned:
        notes.append(f"turned upright: {turned}")
    if animated:
        notes.append(f"first frame alone: {counted(int(animated), 'animation')}")
    if classes and len(empty := missing(classes, decoded["label"])):
        notes.append(f"classes without an example: {first(empty)}")
    if len(refused) or len(notes) > 1:
        log.warning("%s", "; ".join(notes))


def missing(classes: Sequence[str], label: np.ndarray) -> list[str]:
    """The names of the classes that have no example."""
    return [name for i, name in enumerate(classes) if not (label == i).any()]


def without_report(decoded: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of a dataset alone."""
    return {name: decoded[name] for name in ("x", "label") if name in decoded}


def read_header(file: Path) -> tuple[int, int, int] | None:
    """(height, width, channels) of an image file, not decoded; None where it is no image."""
    from PIL import Image

    try:
        with Image.open(file) as image:
            grey = image.mode in GREY_MODES or image.mode.startswith("I;")
            height, width = image.height, image.width
            if orientation(image) > 4:
                height, width = width, height
            return height, width, 1 if grey else 3
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
    path: Path, files: Sequence[Path], shape: tuple[int, ...], crop: bool, classes: Sequence[str]
) -> dict[str, np.ndarray]:
    """What `decode_images` returns, from the cache where no file has changed since.

    A file counts as changed where its size, time, number on the disk or time of last change differ:
    an archive that is unpacked over another restores only the first two.
    """
    stats = [(str(file.relative_to(path)), file.stat()) for file in files]
    rows = [
        (name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
        for name, stat in stats
    ]
    stamp = hashlib.sha256(json.dumps([2, rows, list(classes)]).encode()).hexdigest()
    place = hashlib.sha256(json.dumps([str(path.resolve()), shape, crop]).encode()).hexdigest()[:16]
    paths = cache.places(f"folder-{place}.npz")
    found = cache.read(paths, stamp)
    if found is None:
        found = decode_images(path, files, shape, crop, classes)
        cache.write(paths, stamp, found)
    return found


def decode_images(
    path: Path, files: Sequence[Path], shape: tuple[int, ...], crop: bool, classes: Sequence[str]
) -> dict[str, np.ndarray]:
    """{"x", "label" where there are classes, "refused": a line for each file that is left out,
    "changed": how many were turned, how many are animations}.
    """

    def decode(file: Path) -> tuple[np.ndarray | str, bool, bool]:
        from PIL import Image

        try:
            with Image.open(file) as image:
                out = resize_image(image, shape, crop)
                return out, orientation(image) > 1, getattr(image, "is_animated", False)
        except Exception as error:  # Pillow's readers raise errors of many kinds
            return f"{file}: {one_line(error)}", False, False

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found, turned, animated = zip(*pool.map(decode, files))
    refused = [line for line in found if isinstance(line, str)]
    if len(refused) == len(files):
        raise ValueError(f"{path} holds no image that can be taken; the first: {refused[0]}")
    taken = [(file, image) for file, image in zip(files, found) if isinstance(image, np.ndarray)]
    out = {
        "x": np.stack([image for _, image in taken]),
        "refused": np.array(refused, str),
        "changed": np.array([sum(turned), sum(animated)]),
    }
    if classes:
        number = {name: i for i, name in enumerate(classes)}
        names = [file.relative_to(path).parts[0] for file, _ in taken]
        out["label"] = np.array([number[name] for name in names], np.int32)
    return out
