"""Modes and quality where no density is known but real examples have labels: a sample is judged by
its nearest real example. Host code.
"""

import numpy as np
from numpy.typing import ArrayLike


def shares(samples: ArrayLike, x: ArrayLike, label: ArrayLike) -> np.ndarray:
    """The share of all samples that are good and of a class, for each class in ascending order of
    label: float64 [classes].

    samples: [n, ...]; x: real examples [N, ...] in the same units; label: [N]. A sample is good if
    it is as near to a real example as real
    examples are to each other: its Euclidean distance to the nearest one is at most the 95th
    percentile of the distances of the real examples to their nearest other one. It has the class of
    its nearest real example. Samples that are not finite are not good.

    The protocol is ours, after "within 3 SD" on mixtures: fresh real examples have quality .95.
    Time grows with N², so pass some thousands. Raises ValueError for fewer than two real examples,
    or shapes that do not belong together.
    """
    from sklearn.neighbors import NearestNeighbors  # takes seconds to import

    points, real = np.asarray(samples, np.float32), np.asarray(x, np.float32)
    kinds, kind = np.unique(np.asarray(label), return_inverse=True)
    if len(real) < 2 or kind.shape != real.shape[:1]:
        raise ValueError(
            f"two or more real examples with a label each are wanted, not {list(real.shape)} with labels {list(kind.shape)}"
        )
    if not len(points) or points.shape[1:] != real.shape[1:]:
        raise ValueError(
            f"one or more samples of shape {list(real.shape[1:])} are wanted, not an array {list(points.shape)}"
        )
    points, real = points.reshape(len(points), -1), real.reshape(len(real), -1)
    search = NearestNeighbors(n_neighbors=1).fit(real)
    within = np.percentile(
        search.kneighbors()[0], 95
    )  # without an argument no example is its own neighbour
    finite = points[np.isfinite(points).all(1)]
    distance, neighbour = (
        search.kneighbors(finite) if len(finite) else (np.empty((0, 1)), np.empty((0, 1), int))
    )
    good = neighbour[distance <= within]
    return np.bincount(kind[good], minlength=len(kinds)) / len(points)


def nearest(samples: ArrayLike, x: ArrayLike) -> np.ndarray:
    """The row of x [N, ...] nearest to each sample [n, ...] of the same units, Euclidean, int64
    [n]. Raises ValueError for other shapes.
    """
    from sklearn.metrics import pairwise_distances_argmin

    points, real = np.nan_to_num(np.asarray(samples, np.float32)), np.asarray(x, np.float32)
    if points.shape[1:] != real.shape[1:]:
        raise ValueError(
            f"samples of shape {list(real.shape[1:])} are wanted, not an array {list(points.shape)}"
        )
    return pairwise_distances_argmin(points.reshape(len(points), -1), real.reshape(len(real), -1))


def classes(samples: ArrayLike, x: ArrayLike, label: ArrayLike) -> dict[str, float]:
    """{"modes": classes with at least one good sample, "quality": share of good samples};
    arguments, protocol and errors as in `shares`.

    One sample is enough to count a class, and the class is only as right as a nearest neighbour's
    (98 % on scikit-learn's digits).
    """
    share = shares(samples, x, label)
    return {"modes": int((share > 0).sum()), "quality": float(share.sum())}
