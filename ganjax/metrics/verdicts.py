"""Whether numbers by seed bear a claim out: an exact sign test and a bootstrap interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ganjax.metrics.inputs import as_rows

FEWEST = 5  # seeds: with fewer the sign test cannot reach LEVEL
LEVEL = 0.05
DRAWS = 9999
SHOWN, REFUTED, OPEN = "shown", "refuted here", "not decided"


@dataclass(frozen=True)
class Verdict:
    """What some gains, one for each seed, say of a claim that they are above 0."""

    word: str  # SHOWN, REFUTED or OPEN
    n: int  # seeds with a number
    agree: int  # of them above 0
    mean: float
    low: float  # of the 95 % interval of the mean
    high: float


def verdict(gains: ArrayLike) -> Verdict:
    """SHOWN where the 95 % interval of the mean is above 0 and a one-sided sign test, in which a
    gain of 0 does not count as one, has p <= .05; REFUTED where both hold below 0; OPEN else, and
    for fewer than 5 seeds.

    gains: [n], at least one. The interval: percentiles of 9,999 bootstrap means; their seed is 0.
    Raises ValueError for other shapes and for numbers that are not finite.
    """
    d = as_rows(gains, "gains")
    if np.shape(gains) != (len(d),):
        raise ValueError(f"gains are wanted as [n], not {list(np.shape(gains))}")
    d = d[:, 0]
    low, high = d.min(), d.max()
    if low < high:
        interval = stats.bootstrap(
            (d,), np.mean, n_resamples=DRAWS, method="percentile", rng=np.random.default_rng(0)
        ).confidence_interval
        low, high = interval.low, interval.high
    above, below = int((d > 0).sum()), int((d < 0).sum())

    def rare(k: int) -> bool:
        return bool(stats.binomtest(k, len(d), alternative="greater").pvalue <= LEVEL)

    word = OPEN
    if len(d) >= FEWEST:
        if low > 0 and rare(above):
            word = SHOWN
        elif high < 0 and rare(below):
            word = REFUTED
    return Verdict(word, len(d), above, float(d.mean()), float(low), float(high))


def together(words: list[str]) -> str:
    """The word of a claim of several parts: REFUTED where one is, SHOWN where all are."""
    if REFUTED in words:
        return REFUTED
    return SHOWN if set(words) == {SHOWN} else OPEN
