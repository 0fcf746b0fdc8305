"""Where a memory of patterns fails, from what it recalls at each load."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

LIMIT = 0.138  # patterns a unit; Amit, Gutfreund and Sompolinsky 1985, N -> infinity
LEVEL = 0.9  # the overlap at whose crossing we say that a memory fails


def fall(load: ArrayLike, overlap: ArrayLike, level: float = LEVEL) -> float:
    """The load at which the overlap first crosses `level` from above, by linear interpolation.

    load: [n], rising; overlap: [n]. NaN where it begins below the level or never falls below it.
    Raises ValueError for other shapes, or loads that do not rise.
    """
    x, y = np.asarray(load, np.float64), np.asarray(overlap, np.float64)
    if x.ndim != 1 or x.shape != y.shape or len(x) < 2 or (np.diff(x) <= 0).any():
        raise ValueError(
            f"rising loads and an overlap for each are wanted, not {list(x.shape)} "
            f"and {list(y.shape)}"
        )
    below = np.flatnonzero(y < level)
    if not len(below) or below[0] == 0:
        return float("nan")
    i = below[0]
    return float(x[i - 1] + (y[i - 1] - level) / (y[i - 1] - y[i]) * (x[i] - x[i - 1]))
