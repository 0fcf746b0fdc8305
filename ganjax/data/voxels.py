"""Shapes as voxels: what is a set of them, at another side, turned and mirrored."""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
from jax import Array, random
from jaxtyping import Shaped

from ganjax.data import registry, splits
from ganjax.data.batches import draw
from ganjax.data.dataset import Arrays, Dataset


def find(name: str, data_dir: str | None = None, size: int | None = None) -> Dataset:
    """A dataset of cubes of voxels, x [N, side, side, side, 1], axes x, y (up), z.

    size: voxels a side, as they are without it. Raises ValueError, one line, for examples that are
    no cubes, for a side that is no power of two from 8 on, and for a size that does not divide it.
    """
    found = registry.find(name, data_dir)
    space = found.shape[:-1]
    if len(space) != 3 or found.shape[-1] != 1:
        shape = " x ".join(map(str, found.shape))
        raise ValueError(f"{name} has examples of {shape}, which are no voxels: N x N x N x 1 are")
    if len(set(space)) > 1:
        shape = " x ".join(map(str, space))
        raise ValueError(f"{name} has voxels of {shape}: a cube is wanted, all sides alike")
    side = size or space[0]
    if side < 8 or side & (side - 1):
        raise ValueError(f"voxels have sides of 8, 16, 32, 64, ..., powers of two; got {side}")
    return found if side == space[0] else resized(found, side)


def examples(found: Dataset) -> dict[str, np.ndarray]:
    """The arrays of a dataset for training, and of those that are held out under "test_x" and so
    on, as `splits.train_and_test` parts them.
    """
    train, test = splits.train_and_test(found)
    return train | {f"test_{name}": values for name, values in test.items()}


def resized(found: Dataset, side: int) -> Dataset:
    """A dataset at fewer voxels: one is full where any of those that it stands for is, so that thin
    parts last.

    Raises ValueError unless the new side divides the old one.
    """
    old = found.shape[0]
    if old % side:
        raise ValueError(f"{found.name} has {old} voxels a side, which {side} does not divide")
    test, factor = found.test, old // side

    def read() -> Arrays:
        return {
            name: pooled(values, factor) if name == "x" else values
            for name, values in splits.read_arrays(found).items()
        }

    return replace(
        found,
        shape=(side, side, side, 1),
        read=read,
        bytes=found.bytes // factor**3,
        read_rows=None,
        test=test and (lambda: resized(test(), side)),
    )


def pooled(x: Shaped[np.ndarray, "N X Y Z C"], factor: int) -> Shaped[np.ndarray, "N x y z C"]:
    """The maximum of each block of factor^3 voxels."""
    N, X, Y, Z, C = x.shape
    blocks = x.reshape(N, X // factor, factor, Y // factor, factor, Z // factor, factor, C)
    return blocks.max((2, 4, 6))


def draw_shapes(data: dict[str, Array], key: Array, n: int, turns: bool) -> dict[str, Array]:
    """n shapes {"x": float32 [n, side, side, side, 1]} of 0 and 1, as `draw` draws them; `turns`
    turns and mirrors each. Pure.
    """
    key_rows, key_turns = random.split(key)
    x = draw({"x": data["x"]}, key_rows, n, low=0.0)["x"]
    return {"x": turned(x, key_turns) if turns else x}


def turned(x: Shaped[Array, "B X Y Z C"], key: Array) -> Shaped[Array, "B X Y Z C"]:
    """Each cube as one of the eight that quarter turns about the vertical axis y, and mirrors, make
    of it, all as likely. Pure.
    """
    mirror_x, mirror_z, swap = random.bernoulli(key, shape=(3, len(x), 1, 1, 1, 1))
    x = jnp.where(mirror_x, jnp.flip(x, 1), x)
    x = jnp.where(mirror_z, jnp.flip(x, 3), x)
    return jnp.where(swap, x.swapaxes(1, 3), x)
