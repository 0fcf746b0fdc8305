"""Blocks: boxes, tables, chairs, sofas and shelves of random sizes as solid voxels, ours."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ganjax.data.dataset import Arrays, Dataset

KINDS = ("box", "table", "chair", "sofa", "shelf")
SIDE = 16
EXAMPLES = {"train": 600, "test": 300}
KEYS = {"train": 0, "test": 1}


def dataset(split: str = "train") -> Dataset:
    """600 shapes for training and 300 for testing: x uint8 [N, 16, 16, 16, 1], 0 or 255, axes x, y
    (up), z; label 0 … 4, the kind. They stand on the ground, and their backs are at low z.

    Raises ValueError for another split than "train" and "test".
    """
    if split not in EXAMPLES:
        raise ValueError(f"blocks has the splits {', '.join(EXAMPLES)}, not {split!r}")
    n = EXAMPLES[split]

    def read() -> Arrays:
        x, label = shapes(n, KEYS[split])
        return {"x": x, "label": label}

    return Dataset(
        "blocks",
        (SIDE, SIDE, SIDE, 1),
        read,
        len(KINDS),
        n,
        n * (SIDE**3 + 4),
        test=None if split == "test" else lambda: dataset("test"),
    )


@lru_cache
def shapes(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """n shapes of the kinds in turns, uint8 [n, 16, 16, 16, 1], and their kinds, int32 [n]."""
    rng = np.random.default_rng(seed)
    makers = (_box, _table, _chair, _sofa, _shelf)
    label = np.arange(n, dtype=np.int32) % len(makers)
    x = np.zeros((n, SIDE, SIDE, SIDE, 1), np.uint8)
    for i, kind in enumerate(label):
        width, depth = (int(side) for side in rng.integers(8, SIDE - 1, 2))
        solid = makers[kind](rng, width, depth)  # [width, height, depth]
        left, back = (SIDE - width) // 2, (SIDE - depth) // 2
        x[i, left : left + width, 1 : 1 + solid.shape[1], back : back + depth, 0] = 255 * solid
    return x, label


def _empty(rng: np.random.Generator, width: int, depth: int, low: int = 6) -> np.ndarray:
    return np.zeros((width, int(rng.integers(low, SIDE - 1)), depth), bool)


def _box(rng: np.random.Generator, width: int, depth: int) -> np.ndarray:
    return ~_empty(rng, width, depth)


def _table(rng: np.random.Generator, width: int, depth: int) -> np.ndarray:
    solid = _empty(rng, width, depth)
    _legs(solid, int(rng.integers(1, 3)))
    solid[:, -int(rng.integers(1, 3)) :] = True
    return solid


def _chair(rng: np.random.Generator, width: int, depth: int) -> np.ndarray:
    solid = _empty(rng, width, depth, 10)
    seat = int(rng.integers(4, solid.shape[1] - 4))
    _legs(solid[:, :seat], int(rng.integers(1, 3)))
    solid[:, seat : seat + 2] = True
    solid[:, seat:, : int(rng.integers(1, 3))] = True
    return solid


def _sofa(rng: np.random.Generator, width: int, depth: int) -> np.ndarray:
    solid = _empty(rng, width, depth, 7)
    seat = solid.shape[1] // 2
    solid[:, :seat] = True
    solid[:, :, : int(rng.integers(2, 4))] = True
    arm, rim = int(rng.integers(1, 3)), seat + int(rng.integers(1, 3))
    solid[:arm, :rim] = solid[-arm:, :rim] = True
    return solid


def _shelf(rng: np.random.Generator, width: int, depth: int) -> np.ndarray:
    solid = _empty(rng, width, depth, 9)
    solid[0] = solid[-1] = True
    solid[:, :: int(rng.integers(3, 6))] = True
    solid[:, :, 0] = True
    return solid


def _legs(solid: np.ndarray, thick: int) -> None:
    for x in (slice(thick), slice(-thick, None)):
        for z in (slice(thick), slice(-thick, None)):
            solid[x, :, z] = True
