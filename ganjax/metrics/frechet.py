"""Distances between two sets of feature vectors. Host code, float64.

A distance is as good as its features: state it with the extractor, the counts and the resizing. The
name FID belongs to one extractor, which is not here.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
from jax import Array, random
from jaxtyping import Float64, Int
from numpy.typing import ArrayLike

from ganjax.metrics import distances
from ganjax.metrics.inputs import as_rows


class Moments(NamedTuple):
    """What a Gaussian is fitted from."""

    n: int  # rows
    mean: np.ndarray  # [d]
    scatter: np.ndarray  # [d, d], the sum of the outer products of the rows' deviations


def moments(batches: Iterable[ArrayLike]) -> Moments:
    """The moments of all rows in batches of features [B, ...]; they do not depend on how the rows
    are split into batches (Chan et al. 1979, the pairwise update).

    Raises ValueError for no batch, features that are not finite, or batches of several sizes.
    """
    total: Moments | None = None
    for batch in batches:
        x = as_rows(batch, "features", None if total is None else total.mean[None])
        mean = x.mean(0)
        new = Moments(len(x), mean, (x - mean).T @ (x - mean))
        total = new if total is None else merge(total, new)
    if total is None:
        raise ValueError("there are no features")
    return total


def merge(a: Moments, b: Moments) -> Moments:
    """The moments of two sets of rows together."""
    n = a.n + b.n
    gap = b.mean - a.mean
    return Moments(
        n, a.mean + gap * (b.n / n), a.scatter + b.scatter + np.outer(gap, gap) * (a.n * b.n / n)
    )


def frechet(a: Moments, b: Moments) -> float:
    """‖μ_a - μ_b‖² + tr(C_a + C_b - 2 (C_a C_b)^½), the squared distance of two Gaussians (Heusel
    et al. 2017, equation 6).

    C has n - 1 in its denominator. The distance grows as n shrinks: compare at equal n, well above
    d. Raises ValueError for fewer than two rows, or another number of features.
    """
    if min(a.n, b.n) < 2 or a.mean.shape != b.mean.shape:
        raise ValueError(
            "two rows or more of equally many features are wanted, "
            f"not {a.n} of {a.mean.size} and {b.n} of {b.mean.size}"
        )
    from scipy.linalg import svdvals  # half a second, of few runs

    C_a, C_b = a.scatter / (a.n - 1), b.scatter / (b.n - 1)
    # tr (C_a C_b)^½ = Σ of the singular values of C_a^½ C_b^½: no root of a matrix that is not
    # symmetric.
    cross = svdvals(matrix_root(C_a) @ matrix_root(C_b)).sum()
    found = ((a.mean - b.mean) ** 2).sum() + np.trace(C_a) + np.trace(C_b) - 2 * cross
    # What is left of equal terms is rounding, and no squared distance is negative.
    same = np.array_equal(a.mean, b.mean) and np.array_equal(C_a, C_b)
    return 0.0 if same else max(0.0, float(found))


def matrix_root(C: Float64[np.ndarray, "d d"]) -> Float64[np.ndarray, "d d"]:
    """The symmetric square root of a covariance matrix."""
    values, vectors = np.linalg.eigh(C)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def kernel_distance(
    x: ArrayLike, y: ArrayLike, key: Array, subsets: int = 100, size: int = 1000
) -> dict[str, float]:
    """{"kernel": mean over subsets, "kernel_spread": their SD} of `mmd` between subsets of x and y
    (KID, Bińkowski et al. 2018).

    x [n, ...], y [m, ...]; each subset is `size` rows of either, fewer where a set has fewer, drawn
    without replacement by key. It has no bias, so of two draws of one distribution it is 0 on
    average, and may be negative. Raises ValueError for fewer than two rows.
    """
    a, b = as_rows(x, "features"), as_rows(y, "features")
    size = min(size, len(a), len(b))
    if size < 2 or a.shape[1] != b.shape[1]:
        raise ValueError(
            "two rows or more of equally many features are wanted, "
            f"not {list(a.shape)} and {list(b.shape)}"
        )
    subsets = 1 if size == len(a) == len(b) else subsets  # all subsets would be the same
    x_rows, y_rows = (
        draw_subsets(each, len(v), subsets, size) for each, v in zip(random.split(key), (a, b))
    )
    found = [mmd(a[i], b[j]) for i, j in zip(x_rows, y_rows)]
    return {"kernel": float(np.mean(found)), "kernel_spread": float(np.std(found))}


def draw_subsets(key: Array, n: int, subsets: int, size: int) -> Int[np.ndarray, "subsets size"]:
    """`size` different numbers of 0 … n - 1 for each subset; all, in order, if size is n."""
    if size == n:
        return np.tile(np.arange(n), (subsets, 1))
    return np.asarray(_draw_subsets(key, n, subsets, size))


@partial(jax.jit, static_argnums=(1, 2, 3))
def _draw_subsets(key: Array, n: int, subsets: int, size: int) -> Array:
    one = jax.vmap(lambda key: random.permutation(key, n)[:size])
    return one(random.split(key, subsets))


def mmd(x: Float64[np.ndarray, "n d"], y: Float64[np.ndarray, "m d"]) -> float:
    """The unbiased squared MMD of x and y with the kernel (a·b / d + 1)³ (Gretton et
    al. 2012, equation 3).
    """

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        base = a @ b.T / a.shape[1] + 1
        return base * base * base  # a tenth of the time of base**3

    def inner(a: np.ndarray) -> float:
        gram = kernel(a, a)
        np.fill_diagonal(gram, 0)  # a row far away would swallow the digits of the others
        return float(gram.sum() / (len(a) * (len(a) - 1)))

    return inner(x) + inner(y) - 2 * float(kernel(x, y).mean())


def precision_recall(real: ArrayLike, fake: ArrayLike, k: int = 3) -> dict[str, float]:
    """{"precision": share of fake rows in the manifold of the real ones, "recall": share of real
    rows in that of the fake ones}.

    real [n, ...], fake [m, ...]. The manifold of a set is all balls around its rows that reach to
    the k-th nearest other row, border included (Kynkäänniemi et al. 2019, equations 1 to 3, k = 3).
    Both depend on n and m. Raises ValueError for k rows or fewer.
    """
    x, y = as_rows(real, "real features"), as_rows(fake, "fake features")
    return {
        "precision": in_balls(x, y, k, border=True)[0],
        "recall": in_balls(y, x, k, border=True)[0],
    }


def density_coverage(real: ArrayLike, fake: ArrayLike, k: int = 5) -> dict[str, float]:
    """{"density": real balls that a fake row lies in, on average, over k; "coverage": share of real
    balls that hold a fake row}.

    Balls around the real rows only, without their borders (Naeem et al. 2020, equations 4 and 5, k
    = 5). Of two draws of one distribution density is 1 on average, and coverage 1 - (n-1)…(n-k) /
    ((n+m-1)…(n+m-k)) (their lemma 2). Raises ValueError for k rows or fewer.
    """
    x, y = as_rows(real, "real features"), as_rows(fake, "fake features")
    _, balls, hit = in_balls(x, y, k, border=False)
    return {"density": balls / k, "coverage": hit}


def in_balls(
    x: Float64[np.ndarray, "n d"], y: Float64[np.ndarray, "m e"], k: int, border: bool
) -> tuple[float, float, float]:
    """Balls around each x that reach to its k-th nearest other x: (the share of y in a ball, the
    mean number of balls that a y is in, the share of balls that hold a y).

    What lies on a border but for rounding lies on it.
    """
    if not 0 < k < len(x) or x.shape[1] != y.shape[1]:
        raise ValueError(
            f"more than k = {k} rows of equally many features are wanted, "
            f"not {list(x.shape)} and {list(y.shape)}"
        )
    radius = distances.radii(x, k)  # [n], squared
    inside_of = distances.up_to if border else distances.below
    count, hit = np.empty(len(y)), np.zeros(len(x), bool)
    for rows, distance in distances.blocks(y, x):
        inside = inside_of(distance, radius)
        count[rows] = inside.sum(1)
        hit |= inside.any(0)
    return float((count > 0).mean()), float(count.mean()), float(hit.mean())
