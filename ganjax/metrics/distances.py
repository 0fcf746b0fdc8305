"""Squared Euclidean distances whose digits are right however near two rows are, and far from the
origin. Host code, float64.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float64, Int

BLOCK = 2**21  # distances in memory at once
# Squared distances that differ by less than this share are equal: what is left of a tie in the last
# digits of a sum decides nothing.
CLOSE = 1e-10
FEW = 16  # numbers a row, up to which differences are as fast as a product of matrices
LOST = 1e-3  # share of the squared lengths below which a product has lost digits of a distance
NUMBERS = 2**22  # numbers in memory at once where distances are computed anew


def blocks(
    x: Float64[np.ndarray, "n d"], y: Float64[np.ndarray, "m d"]
) -> Iterator[tuple[slice, Float64[np.ndarray, "b m"]]]:
    """The rows of x block by block, and their squared distances to all y.

    A distance has a relative error of some 1e-12, and equal rows have distance 0: where the product
    of matrices cancels, the sum of squared differences takes its place.
    """
    # Any centre is right; a bad one is slow. A few rows far away do not move a median.
    middle = np.median(y[:: max(1, len(y) // 1000)], 0)
    a, b = x - middle, y - middle
    with np.errstate(over="ignore", invalid="ignore"):
        b_length = np.square(b).sum(1)
        size = max(1, min(1024, BLOCK // len(y)))
        for first in range(0, len(x), size):
            rows = slice(first, min(first + size, len(x)))
            if x.shape[1] <= FEW:
                yield rows, by_differences(x[rows], y)
                continue
            lengths = np.square(a[rows]).sum(1)[:, None] + b_length  # [b, m]
            distance = lengths - 2 * (a[rows] @ b.T)
            i, j = np.nonzero(~(distance > LOST * lengths))
            step = max(1, NUMBERS // x.shape[1])
            for k in range(0, len(i), step):
                some = slice(k, k + step)
                gap = x[rows][i[some]] - y[j[some]]
                distance[i[some], j[some]] = np.einsum("ij,ij->i", gap, gap)
            yield rows, distance


def by_differences(
    x: Float64[np.ndarray, "n d"], y: Float64[np.ndarray, "m d"]
) -> Float64[np.ndarray, "n m"]:
    """The sums of squared differences."""
    total = np.zeros((len(x), len(y)))
    for k in range(x.shape[1]):
        total += np.square(x[:, k, None] - y[:, k])
    return total


def below(distance: np.ndarray, bound: np.ndarray) -> Bool[np.ndarray, ...]:
    """Which squared distances are below a bound by more than rounding; shapes are broadcast."""
    return distance < bound * (1 - CLOSE)


def up_to(distance: np.ndarray, bound: np.ndarray) -> Bool[np.ndarray, ...]:
    """Which squared distances are at most a bound, but for rounding; shapes are broadcast."""
    return distance <= bound * (1 + CLOSE)


def radii(x: Float64[np.ndarray, "n d"], k: int) -> Float64[np.ndarray, " n"]:
    """The squared distance of each row to its k-th nearest other one, 0 < k < n."""
    found = np.empty(len(x))
    for rows, distance in blocks(x, x):
        distance[np.arange(len(distance)), np.arange(len(x))[rows]] = np.inf
        found[rows] = np.partition(distance, k - 1, 1)[:, k - 1]
    return found


def nearest(
    x: Float64[np.ndarray, "n d"], y: Float64[np.ndarray, "m d"]
) -> tuple[Int[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
    """The index in y of the nearest row to each x, the first of equally near ones, and the squared
    distance.
    """
    index, least = np.empty(len(x), int), np.empty(len(x))
    for rows, distance in blocks(x, y):
        least[rows] = distance.min(1)
        index[rows] = np.argmax(up_to(distance, least[rows, None]), 1)
    return index, least
