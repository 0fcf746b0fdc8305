"""Solid shapes as shaded pictures: parallel rays from above and from the side, on the host."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float32
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ganjax.figures.samples import image_grid

TURN, TILT = np.radians(35), np.radians(25)  # where the eye is: to the right, and above
LIGHT = np.array([0.3, 0.8, 0.5])  # towards the light: right, up, to the eye
COLOUR = np.array([0.36, 0.56, 0.78])


def render(x: ArrayLike, pixels: int | None = None) -> Float32[np.ndarray, "n pixels pixels 3"]:
    """Shapes [n, side, side, side, 1], axes x, y (up), z, as pictures on white.

    x: how full each voxel is, 0..1 or uint8; the surface is where that is one half, and its normal
    is the slope of the shape, smoothed by one voxel. Each is as large as its cube, about three
    pixels a voxel.
    """
    array = np.asarray(x)[..., 0]
    full = np.nan_to_num(array.astype(np.float32)) / (255 if array.dtype == np.uint8 else 1)
    side = full.shape[1]
    pixels = pixels or min(128, max(48, 3 * side))
    return np.stack([_render(shape, pixels) for shape in full])


def _render(full: np.ndarray, pixels: int) -> np.ndarray:
    from scipy.ndimage import gaussian_filter, map_coordinates

    side = full.shape[0]
    right, up, eye = axes = _axes()
    reach = 0.8 * side
    line = np.linspace(-reach, reach, pixels)
    depth = np.linspace(reach, -reach, int(2.2 * side))  # from the eye on
    at = (
        line[None, :, None, None] * right
        - line[:, None, None, None] * up
        + depth[:, None] * eye
        + (side - 1) / 2
    )  # [row, column, depth, 3]
    hit = map_coordinates(full, at.reshape(-1, 3).T, order=1, cval=0).reshape(at.shape[:-1]) > 0.5
    seen = hit.any(2)
    first = hit.argmax(2)
    place = np.take_along_axis(at, first[..., None, None], 2)[:, :, 0][seen]  # [seen, 3]
    smooth = gaussian_filter(full, 1, mode="constant")
    slope = np.stack([map_coordinates(-g, place.T, order=1) for g in np.gradient(smooth)], -1)
    normal = slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-6)
    towards = LIGHT @ axes / np.linalg.norm(LIGHT)
    shade = 0.45 + 0.55 * np.clip(normal @ towards, 0, 1) + 0.15 * np.clip(normal @ eye, 0, 1)
    picture = np.ones((pixels, pixels, 3), np.float32)
    picture[seen] = np.clip(shade[:, None] * COLOUR, 0, 1)
    return picture


def _axes() -> np.ndarray:
    """The directions right, up and to the eye, as rows."""
    eye = np.array([np.sin(TURN) * np.cos(TILT), np.sin(TILT), np.cos(TURN) * np.cos(TILT)])
    right = np.array([np.cos(TURN), 0.0, -np.sin(TURN)])
    return np.stack([right, np.cross(eye, right), eye])


def picture(data: Any, x: ArrayLike) -> Figure:
    """Samples [n, side, side, side, 1], at most 64, as a grid of pictures."""
    return image_grid(render(np.asarray(x)[:64]))
