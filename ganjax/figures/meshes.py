"""Solid shapes as files of triangles that other programs read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

Mesh = tuple[Float[np.ndarray, "V 3"], Int[np.ndarray, "F 3"]]


def surface(x: ArrayLike) -> Mesh:
    """The closed surface of a shape [side, side, side, 1] where voxels are half full, by marching
    cubes: vertices in units of the cube's side, and triangles whose corners go round
    counterclockwise as seen from outside. An empty shape has none.

    x: how full each voxel is, 0..1 or uint8. Raises ValueError, one line, without scikit-image, and
    for another shape.
    """
    array = np.asarray(x)
    if array.ndim != 4 or array.shape[-1] != 1:
        raise ValueError(f"a shape of voxels is [X, Y, Z, 1], not {list(array.shape)}")
    try:
        from skimage.measure import marching_cubes
    except ImportError as error:
        raise ValueError("meshes need scikit-image: pip install 'ganjax[meshes]'") from error
    full = array[..., 0].astype(np.float32) / (255 if array.dtype == np.uint8 else 1)
    if not (full > 0.5).any():
        return np.zeros((0, 3)), np.zeros((0, 3), int)
    # Empty voxels around, so that a shape that reaches the border is closed there.
    vertices, triangles, _, _ = marching_cubes(np.pad(full, 1), 0.5)
    # Their corners come in clockwise order.
    return (vertices - 0.5) / full.shape[0], triangles[:, ::-1]


def write_obj(x: ArrayLike, path: Path) -> None:
    """Writes the `surface` of a shape as a Wavefront OBJ file, y up. Raises ValueError as that
    does.
    """
    vertices, triangles = surface(x)
    lines = [f"v {a:.5f} {b:.5f} {c:.5f}" for a, b, c in vertices]
    lines += [f"f {a} {b} {c}" for a, b, c in triangles + 1]
    path.write_text("\n".join(lines) + "\n")
