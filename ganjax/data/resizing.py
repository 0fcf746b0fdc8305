"""Images of another size: bicubic with antialiasing, by Pillow on the host."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from ganjax.data.dataset import Arrays, Dataset

ALPHA = ("LA", "PA", "RGBA", "La", "RGBa")  # Pillow's modes with transparency
WHITE = {"1": 255, "L;2": 85, "L;4": 17}  # what Pillow multiplies small greys by, as stored
ORIENTATION = 0x0112  # EXIF
EXIF = {"exif", "xmp", "Raw profile type exif"}  # where Pillow finds it in a PNG
# EXIF's orientations in the words of Pillow's Transpose
TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


def resize_dataset(
    found: Dataset, size: int | None = None, channels: int | None = None, crop: bool = False
) -> Dataset:
    """A dataset whose images are size x size, grey (1) or colour (3); without either, the same one.

    Raises ValueError, one line, where there are no images, or they would be distorted.
    """
    if size is None and channels is None:
        return found
    if len(found.shape) != 3:
        raise ValueError(f"{found.name} has no images: size and channels do not apply")
    height, width, depth = found.shape
    shape = (size or height, size or width, channels or depth)
    if not crop and height * shape[1] != width * shape[0]:
        raise ValueError(
            f"{found.name}: {width} x {height} would be distorted to {shape[1]} x {shape[0]}: "
            "ask for a crop"
        )

    def resize_arrays(arrays: Any) -> dict[str, np.ndarray]:
        return {
            name: resize_images(values, shape, crop) if values.ndim == 4 else values
            for name, values in arrays.items()
        }

    def read() -> Arrays:
        return resize_arrays(found.read())

    read_rows, test = found.read_rows, found.test
    return replace(
        found,
        shape=shape,
        read=read,
        bytes=round(found.bytes * math.prod(shape) / math.prod(found.shape)),
        read_rows=read_rows and (lambda rows: resize_arrays(read_rows(rows))),
        test=test and (lambda: resize_dataset(test(), size, channels, crop)),
    )


def resize_images(x: np.ndarray, shape: tuple[int, ...], crop: bool) -> np.ndarray:
    """Images uint8 [N, H, W, C] as [N, *shape]."""
    from PIL import Image

    return np.stack(
        [
            resize_image(
                Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image), shape, crop
            )
            for image in x
        ]
    )


def orientation(image: Any) -> int:
    """The EXIF orientation of a Pillow image, 1 … 8, 1 being upright.

    Of TIFF images always 1, as Pillow turns them itself.
    """
    try:
        # Of a PNG without EXIF at its head Pillow would decode all pixels to look behind them.
        early = image.format != "PNG" or EXIF & image.info.keys()
        known = early or has_late_exif(image.fp)
        found = image.getexif().get(ORIENTATION, 1) if known and image.format != "TIFF" else 1
    except Exception:  # of damaged EXIF Pillow raises errors of many kinds
        return 1
    return found if found in TURNS else 1


def has_late_exif(png: Any) -> bool:
    """Whether an open PNG file has EXIF data anywhere; it stays where it is."""
    place = png.tell()
    try:
        png.seek(8)
        while len(head := png.read(8)) == 8:
            if head[4:] == b"eXIf":
                return True
            png.seek(int.from_bytes(head[:4], "big") + 4, 1)
        return False
    finally:
        png.seek(place)


def resize_image(image: Any, shape: tuple[int, ...], crop: bool = False) -> np.ndarray:
    """A Pillow image as uint8 [H, W, C] of this shape, upright, transparent pixels on white.

    crop: cut the middle square out first. Raises ValueError for more than 8 bits a channel, and for
    an image that would be distorted.
    """
    from PIL import Image

    tiles = getattr(image, "tile", None)
    stored = tiles[0][3] if tiles else ""  # Pillow would read 16-bit colour as 8-bit
    modes = (image.mode, stored if isinstance(stored, str) else stored[0])
    if image.mode in ("I", "F") or any("16" in str(mode) for mode in modes):
        raise ValueError(f"more than 8 bits per channel ({image.mode})")
    turn = TURNS.get(orientation(image))
    if "transparency" in image.info and modes[1] in WHITE:
        image.info["transparency"] *= WHITE[modes[1]]
    if image.mode in ALPHA or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("L" if shape[2] == 1 else "RGB")
    if turn:
        image = image.transpose(Image.Transpose[turn])
    if crop:
        width, height = image.size
        side = min(width, height)
        left = (width - side) // 2
        top = (height - side) // 2
        image = image.crop((left, top, left + side, top + side))
    if image.size != (shape[1], shape[0]):
        if image.width * shape[0] != image.height * shape[1]:
            raise ValueError(
                f"{image.width} x {image.height} would be distorted to {shape[1]} x {shape[0]}: "
                "ask for a crop"
            )
        image = image.resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(image, np.uint8).reshape(shape)
