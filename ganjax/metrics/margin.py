"""The margin by which a plane through the origin separates two classes, and Novikoff's bound."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike
from scipy.optimize import nnls

from ganjax.metrics.inputs import as_rows

# A margin below this share of the longest example is taken for rounding.
LEAST = 1e-7


def signed_rows(x: ArrayLike, y: ArrayLike) -> Float64[np.ndarray, "n d"]:
    """The examples y (1, x), [n, 1 + d]: a neuron w with its bias first is right where w · row > 0.

    x: [n, ...], uint8 scaled to 0..1; y: [n] of -1 and 1. Raises ValueError for other numbers.
    """
    rows = as_rows(x, "examples")
    sign = np.asarray(y, np.float64)
    if sign.shape != (len(rows),) or not np.isin(sign, (-1, 1)).all():
        raise ValueError(f"labels are -1 or 1, one for each of {len(rows)} examples")
    return sign[:, None] * np.concatenate([np.ones((len(rows), 1)), rows], 1)


def separating_margin(x: ArrayLike, y: ArrayLike) -> float:
    """The largest γ such that some w of length 1 has w · y (1, x) >= γ for every example; 0 where
    no w separates the classes.

    Arguments as in `signed_rows`. γ is the distance of the origin from the convex hull of the
    rows: least distance programming (Lawson and Hanson 1974, chapter 23).
    """
    rows = signed_rows(x, y)
    scale = np.linalg.norm(rows, axis=1).max()
    # min |w| with rows w >= 1 is the least-squares problem |E u - f| with u >= 0
    E = np.concatenate([rows.T / scale, np.ones((1, len(rows)))])
    f = np.zeros(len(E))
    f[-1] = 1
    u, left = nnls(E, f, maxiter=30 * E.shape[1])
    residual = f - E @ u
    if left < LEAST:
        return 0.0
    w = -residual[:-1] / residual[-1]
    return float(scale / np.linalg.norm(w))


def mistake_bound(x: ArrayLike, y: ArrayLike) -> float:
    """Novikoff's bound (R / γ)² on the mistakes of the perceptron's rule, however long it learns;
    infinite where no plane separates the classes.

    R is the length of the longest (1, x). Novikoff 1962, "On convergence proofs on perceptrons".
    Arguments as in `signed_rows`.
    """
    margin = separating_margin(x, y)
    R = np.linalg.norm(signed_rows(x, y), axis=1).max()
    return float((R / margin) ** 2) if margin else float("inf")
