"""Modes and quality where no density is known but real examples have labels: a sample counts by its
nearest real example. Host code.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int
from numpy.typing import ArrayLike

from ganjax.metrics import distances


def class_shares(
    samples: ArrayLike, x: ArrayLike, label: ArrayLike
) -> Float64[np.ndarray, " classes"]:
    """For each class, in ascending order of label, the share of all samples that are good and of
    that class.

    samples [n, ...]; real examples x [N, ...] in the same units; label [N]. A sample is good if it
    is as near to a real example as real examples are to each other: its Euclidean distance to the
    nearest one is at most the 95th percentile of the distances of the real examples to their
    nearest other one. Its class is that of its nearest real example. Samples that are not finite
    are not good.

    The protocol is ours, after "within 3 SD" on mixtures: fresh real examples have quality .95.
    Time grows with N², so pass some thousands. Raises ValueError for fewer than two real examples,
    or shapes that do not fit together.
    """
    points, real = np.asarray(samples, np.float32), np.asarray(x, np.float32)
    classes, index = np.unique(np.asarray(label), return_inverse=True)
    if len(real) < 2 or index.shape != real.shape[:1]:
        raise ValueError(
            "two or more real examples with a label each are wanted, "
            f"not {list(real.shape)} with labels {list(index.shape)}"
        )
    if not len(points) or points.shape[1:] != real.shape[1:]:
        raise ValueError(_unlike(points, real, "one or more samples"))
    points, real = _rows(points), _rows(real)
    reach = np.percentile(np.sqrt(distances.radii(real, 1)), 95)
    finite = points[np.isfinite(points).all(1)]
    if not len(finite):
        return np.zeros(len(classes))
    neighbour, distance = distances.nearest(finite, real)
    good = neighbour[distances.up_to(distance, np.asarray(reach**2))]
    return np.bincount(index[good], minlength=len(classes)) / len(points)


def coverage(samples: ArrayLike, x: ArrayLike, label: ArrayLike) -> dict[str, int | float]:
    """{"modes": classes with at least one good sample, "quality": share of good samples};
    arguments, protocol and errors as in `class_shares`.

    One sample is enough to count a class, and the class is only as right as a nearest neighbour's
    (98 % on scikit-learn's digits).
    """
    share = class_shares(samples, x, label)
    return {"modes": int((share > 0).sum()), "quality": float(share.sum())}


def nearest_rows(samples: ArrayLike, x: ArrayLike) -> Int[np.ndarray, " n"]:
    """For each sample [n, ...] the index of the Euclidean nearest example of x [N, ...] of the same
    units. Raises ValueError for other shapes.
    """
    points, real = np.nan_to_num(np.asarray(samples, np.float32)), np.asarray(x, np.float32)
    if points.shape[1:] != real.shape[1:]:
        raise ValueError(_unlike(points, real, "samples"))
    return distances.nearest(_rows(points), _rows(real))[0]


def _rows(x: np.ndarray) -> np.ndarray:
    """[n, ...] as float64 [n, d]."""
    return x.reshape(len(x), -1).astype(np.float64)


def _unlike(points: np.ndarray, real: np.ndarray, what: str) -> str:
    wanted, got = list(real.shape[1:]), list(points.shape)
    return f"{what} of shape {wanted} are wanted, not an array {got}"
