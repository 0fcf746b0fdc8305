"""Examples as the rows of a matrix: what measures of sets of vectors begin with. Host code."""

import numpy as np
from numpy.typing import ArrayLike


def rows(x: ArrayLike, what: str, like: np.ndarray | None = None) -> np.ndarray:
    """x [n, ...] as float64 [n, d]; uint8 becomes 0..1.

    Raises ValueError, naming `what` x is, for no example, a number that is not finite, or another d
    than that of the rows `like`.
    """
    array = np.asarray(x)
    scale = 255 if array.dtype == np.uint8 else 1
    if not array.ndim or not array.size:
        raise ValueError(f"{what} are wanted as [n, ...] with n >= 1, not {list(array.shape)}")
    flat = array.reshape(len(array), -1).astype(np.float64) / scale
    if like is not None and flat.shape[1] != like.shape[1]:
        raise ValueError(
            f"{what} are wanted with {like.shape[1]} numbers each, not {flat.shape[1]}"
        )
    if not np.isfinite(flat).all():
        raise ValueError(f"{what} hold numbers that are not finite")
    return flat


def finite(x: ArrayLike, what: str) -> np.ndarray:
    """Which of x [n, ...] are finite throughout, bool [n]: a generator's samples may not be. Raises
    ValueError where none is.
    """
    array = np.asarray(x)
    kept = np.isfinite(array.reshape(len(array), -1)).all(1) if array.size else np.zeros(0, bool)
    if not kept.any():
        raise ValueError(f"not one of the {what} is finite")
    return kept
