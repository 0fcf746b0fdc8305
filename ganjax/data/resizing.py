"""Images of another size: bicubic with antialiasing, by Pillow on the host."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from ganjax.data.dataset import Arrays, Dataset

ALPHA = ("LA", "PA", "RGBA", "La", "RGBa")  # Pillow's modes with transparency


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


def resize_image(image: Any, shape: tuple[int, ...], crop: bool = False) -> np.ndarray:
    """A Pillow image as uint8 [H, W, C] of this shape, transparent pixels on white.

    crop: cut the middle square out first. Raises ValueError for more than 8 bits a channel, and for
    an image that would be distorted.
    """
    from PIL import Image

    tiles = getattr(image, "tile", None)
    stored = tiles[0][3] if tiles else ""  # Pillow would read 16-bit colour as 8-bit
    modes = (image.mode, stored if isinstance(stored, str) else stored[0])
    if image.mode in ("I", "F") or any("16" in str(mode) for mode in modes):
        raise ValueError(f"more than 8 bits per channel ({image.mode})")
    if image.mode in ALPHA or (image.mode == "P" and "transparency" in image.info):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("L" if shape[2] == 1 else "RGB")
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
