"""Parzen-window log-likelihood of test examples under a model's samples (Goodfellow et al. 2014,
section 5). Host code, float64.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike

from ganjax.metrics import distances
from ganjax.metrics.inputs import as_rows, finite_rows

SIGMAS = tuple(10 ** (i / 9 - 1) for i in range(10))  # logspace(-1, 0, 10): the authors' grid


def log_likelihood(
    samples: ArrayLike, valid: ArrayLike, test: ArrayLike, sigmas: Sequence[float] = SIGMAS
) -> dict[str, float]:
    """{"parzen": mean log-density of the test examples in nats, "parzen_error": its standard error,
    "parzen_sigma": the window's width}.

    samples [n, ...], valid [m, ...], test [t, ...]; pixels in 0..1 (uint8 is scaled), as a density
    depends on units. The width is that of the grid under which the validation examples are
    likeliest on average; the standard error is SD / √t. The authors take 10 000 samples (means, not
    Bernoulli draws), the first 1000 validation images and 10 000 test images (parzen_ll.py).
    Compare at equal n only: the number grows with n, and in high dimensions it ranks models wrongly
    (Theis et al. 2016). Raises ValueError as `log_density` does.
    """
    sigma = sigmas[int(log_density(valid, samples, sigmas).mean(1).argmax())]
    each = log_density(test, samples, [sigma])[0]
    return {
        "parzen": float(each.mean()),
        "parzen_error": float(each.std() / np.sqrt(len(each))),
        "parzen_sigma": float(sigma),
    }


def log_density(
    x: ArrayLike, samples: ArrayLike, sigmas: Sequence[float]
) -> Float64[np.ndarray, "sigmas m"]:
    """The log of the mean over samples [n, ...] of N(x; sample, σ² I) in nats, for each σ and each
    x [m, ...].

    A sample that is not finite adds no density, but counts in n. Raises ValueError for examples
    of another size than samples, examples that are not finite, no finite sample, no σ, or a σ that
    is not above 0.
    """
    from scipy.special import logsumexp

    if not len(sigmas) or not min(sigmas) > 0:
        raise ValueError(f"the width of a Parzen window is above 0, not {list(sigmas)}")
    centres = as_rows(np.asarray(samples)[finite_rows(samples, "samples")], "samples")
    points = as_rows(x, "examples", centres)
    variance = np.square(np.asarray(sigmas, np.float64))
    out = np.empty((len(variance), len(points)))
    for rows, distance in distances.blocks(points, centres):
        for s, v in enumerate(variance):
            out[s, rows] = logsumexp(distance / (-2 * v), axis=1)
    return (
        out
        - np.log(len(np.asarray(samples)))
        - centres.shape[1] / 2 * np.log(2 * np.pi * variance)[:, None]
    )
