"""Arithmetic on z with a known answer: z(a, bold) - z(a, light) + z(b, light) should make (b,
bold). Host code.

Radford et al. 2016, section 6.3.2, with digits in place of faces: there the answer is looked at,
here it is retrieved.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, random

from ganjax import play
from ganjax.game import Bound
from ganjax.keys import stream
from ganjax.metrics.neighbours import nearest

POOL, REAL, TERMS, ROUNDS = (
    4000,
    5000,
    3,
    5,
)  # samples; real images that name them; z in a mean (theirs); sums for each pair of classes

Make = Callable[[np.ndarray], np.ndarray]  # z [n, Z] -> images [n, ...]


class Sums(NamedTuple):
    """q sums of z, and what G makes of them."""

    # the mean image of each cell, 2 class + (1 where bold), [2C, ...]; NaN for a cell without
    # samples
    means: np.ndarray
    terms: np.ndarray  # what the mean z of each term makes, [q, 3, ...]
    made: np.ndarray  # what the sum makes, [q, ...]
    wanted: np.ndarray  # the cell that it should be in, [q]


def cells(x: np.ndarray, label: np.ndarray) -> np.ndarray:
    """2 label + (1 where an image x [n, ...] has more ink than the median of its class), int [n];
    ink is the mean of the pixels.
    """
    ink, bold = x.reshape(len(x), -1).mean(1), np.zeros(len(x), int)
    for c in np.unique(label):
        bold[label == c] = ink[label == c] > np.median(ink[label == c])
    return 2 * label + bold


def sums(
    make: Make, z: np.ndarray, x: np.ndarray, cell: np.ndarray, classes: int, seed: int = 0
) -> Sums:
    """Sums for all ordered pairs of classes, from samples x [n, ...] of z [n, Z] whose cells [n]
    are known.

    The mean images are those of one half of the samples, the terms are means of three z of the
    other, so that a sum of three terms has the variance of one z. Classes with too few samples in a
    cell are left out.
    """
    rng, half = np.random.default_rng(seed), len(z) // 2
    means = np.stack(
        [
            x[:half][cell[:half] == i].mean(0) if (cell[:half] == i).any() else x[0] * np.nan
            for i in range(2 * classes)
        ]
    )
    there = [half + np.flatnonzero(cell[half:] == i) for i in range(2 * classes)]
    known = [
        c
        for c in range(classes)
        if min(len(there[2 * c]), len(there[2 * c + 1])) >= TERMS
        and np.isfinite(means[2 * c + 1]).all()
    ]
    asked = [(a, b) for a, b in permutations(known, 2) for _ in range(ROUNDS)]
    rows = [
        [rng.choice(there[i], TERMS, replace=False) for i in (2 * a + 1, 2 * a, 2 * b)]
        for a, b in asked
    ]
    mean = z[np.array(rows, int).reshape(len(asked), 3, TERMS)].mean(2)  # [q, 3, Z]
    if not asked:
        return Sums(
            means, np.empty((0, 3, *x.shape[1:])), np.empty((0, *x.shape[1:])), np.empty(0, int)
        )
    terms = np.stack([make(mean[:, i]) for i in range(3)], 1)
    made = make(mean[:, 0] - mean[:, 1] + mean[:, 2])
    return Sums(means, terms, made, np.array([2 * b + 1 for _, b in asked]))


def score(found: Sums) -> dict[str, float]:
    """{"arithmetic": share of sums whose image is nearest to the mean image of the wanted cell,
    among all cells, "arithmetic_plain": the same of z(b, light) alone, which a sum must beat,
    "arithmetic_chance": 1 / the number of cells}. NaN where there was no sum.
    """
    finite = np.isfinite(found.means.reshape(len(found.means), -1)).all(1)
    names = np.flatnonzero(finite)

    def rate(x: np.ndarray) -> float:
        return (
            float((names[nearest(x, found.means[finite])] == found.wanted).mean())
            if len(x)
            else float("nan")
        )

    chance = 1 / len(names) if len(names) else float("nan")
    return {
        "arithmetic": rate(found.made),
        "arithmetic_plain": rate(found.terms[:, 2]),
        "arithmetic_chance": chance,
    }


def played(data: Any, key: Array, G: Bound) -> Sums | None:
    """`sums` of a G whose images are in -1..1 and grey; None for other images, and without labels.

    G is normalised by the statistics of its own samples, so that an image is a function of z alone.
    A sample has the class of the nearest of 5000 training images.
    """
    if "label" not in data or data["x"].shape[-1] != 1:
        return None
    z = np.asarray(G.noise(stream(key, "arithmetic"), POOL))
    still = G.player.bind(
        G.params,
        stats=play.standing(G.player, G.params, None, jnp.asarray(z).reshape(-1, 200, z.shape[1])),
    )
    make = jax.jit(lambda z: (still(z) + 1) / 2)

    def made(z: np.ndarray) -> np.ndarray:
        return np.concatenate([np.asarray(make(z[i : i + 500])) for i in range(0, len(z), 500)])

    real, label = (np.asarray(data[name][:REAL]) for name in ("x", "label"))
    x = made(z)
    named = label[nearest(x, real / np.float32(255) if real.dtype == np.uint8 else real)]
    return sums(
        made,
        z,
        x,
        cells(x, named),
        int(label.max()) + 1,
        int(random.randint(key, (), 0, 2**31 - 1)),
    )


def judge(data: Any, key: Array, G: Bound) -> dict[str, float]:
    """`score` of `played`, nothing where there is no answer."""
    found = played(data, key, G)
    return {} if found is None else score(found)
