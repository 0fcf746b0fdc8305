"""Arithmetic on z with a known answer: z(a, bold) - z(a, light) + z(b, light) should give (b,
bold). Host code.

Radford et al. 2016, section 6.3.2, with digits in place of faces: there a reader looks at the
answer, here it is retrieved.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, random
from jaxtyping import Float, Int

from ganjax.game import Bound
from ganjax.keys import stream
from ganjax.metrics.inputs import in_unit_range
from ganjax.metrics.neighbours import nearest_rows
from ganjax.nets.layers import standing

POOL = 4000  # samples
REAL = 5000  # real images that classify them
TERMS = 3  # z in a mean, as in the paper
ROUNDS = 5  # sums for each pair of classes

Generate = Callable[[np.ndarray], np.ndarray]  # z [n, Z] -> images [n, ...]


class Sums(NamedTuple):
    """q sums of z, and G's images of them."""

    # The mean image of each cell, 2 class + (1 if bold), [2C, ...]; NaN for a cell without samples.
    means: np.ndarray
    terms: np.ndarray  # G's image of the mean z of each term, [q, 3, ...]
    results: np.ndarray  # G's image of the sum, [q, ...]
    wanted: np.ndarray  # the cell that the sum should be in, [q]


def cells(x: np.ndarray, label: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """2 label + (1 if an image of x [n, ...] has more ink than the median of its class); ink is the
    mean of the pixels.
    """
    ink = x.reshape(len(x), -1).mean(1)
    bold = np.zeros(len(x), int)
    for c in np.unique(label):
        bold[label == c] = ink[label == c] > np.median(ink[label == c])
    return 2 * label + bold


def sums(
    generate: Generate, z: np.ndarray, x: np.ndarray, cell: np.ndarray, classes: int, seed: int = 0
) -> Sums:
    """Sums for all ordered pairs of classes, from samples x [n, ...] of z [n, Z] and their cells.

    The mean images are those of one half of the samples. Terms are means of three z of the other
    half, so that a sum of three terms has the variance of one z. Classes with too few samples in a
    cell are left out.
    """
    rng, half = np.random.default_rng(seed), len(z) // 2
    halves = [[part == i for i in range(2 * classes)] for part in (cell[:half], cell[half:])]
    means = np.stack(
        [x[:half][in_cell].mean(0) if in_cell.any() else x[0] * np.nan for in_cell in halves[0]]
    )
    members = [half + np.flatnonzero(in_cell) for in_cell in halves[1]]
    complete = [
        c
        for c in range(classes)
        if min(len(members[2 * c]), len(members[2 * c + 1])) >= TERMS
        and np.isfinite(means[2 * c + 1]).all()
    ]
    pairs = [(a, b) for a, b in permutations(complete, 2) for _ in range(ROUNDS)]
    rows = [
        [rng.choice(members[i], TERMS, replace=False) for i in (2 * a + 1, 2 * a, 2 * b)]
        for a, b in pairs
    ]
    mean = z[np.array(rows, int).reshape(len(pairs), 3, TERMS)].mean(2)  # [q, 3, Z]
    if not pairs:
        shape = x.shape[1:]
        return Sums(means, np.empty((0, 3, *shape)), np.empty((0, *shape)), np.empty(0, int))
    terms = np.stack([generate(mean[:, i]) for i in range(3)], 1)
    results = generate(mean[:, 0] - mean[:, 1] + mean[:, 2])
    return Sums(means, terms, results, np.array([2 * b + 1 for _, b in pairs]))


def score(found: Sums) -> dict[str, float]:
    """{"arithmetic": share of sums whose image is nearest, among the mean images of all cells, to
    that of the wanted cell, "arithmetic_plain": the same of z(b, light) alone, which a sum must
    beat, "arithmetic_chance": 1 / the number of cells}. NaN without a sum.
    """
    finite = np.isfinite(found.means.reshape(len(found.means), -1)).all(1)
    cell = np.flatnonzero(finite)

    def rate(x: np.ndarray) -> float:
        if not len(x):
            return float("nan")
        return float((cell[nearest_rows(x, found.means[finite])] == found.wanted).mean())

    return {
        "arithmetic": rate(found.results),
        "arithmetic_plain": rate(found.terms[:, 2]),
        "arithmetic_chance": 1 / len(cell) if len(cell) else float("nan"),
    }


def sums_of(
    data: Any, key: Array, G: Bound, low: float = -1.0, pool: int = POOL, at_once: int = 500
) -> Sums | None:
    """`sums` of a G of grey images, or of voxels, in low..1, from `pool` samples, a multiple of
    200; `at_once` go through G together. None for other images, and without labels.

    G's batch norm has the statistics of its own samples, so that an image is a function of its z
    alone. A sample has the class of the nearest of 5000 training images.
    """
    if "label" not in data or data["x"].shape[-1] != 1:
        return None
    z = np.asarray(G.noise(stream(key, "arithmetic"), pool))
    batches = jnp.asarray(z).reshape(-1, 200, z.shape[1])
    fixed = G.player.bind(G.params, stats=standing(G.player, G.params, None, batches))
    compiled = jax.jit(lambda z: (fixed(z) - low) / (1 - low))

    def generate(z: np.ndarray) -> np.ndarray:
        starts = range(0, len(z), at_once)
        return np.concatenate([np.asarray(compiled(z[i : i + at_once])) for i in starts])

    real, label = (np.asarray(data[name][:REAL]) for name in ("x", "label"))
    x = generate(z)
    nearest = nearest_rows(x, in_unit_range(real))
    seed = int(random.randint(key, (), 0, 2**31 - 1))
    return sums(generate, z, x, cells(x, label[nearest]), int(label.max()) + 1, seed)


def evaluate(data: Any, key: Array, G: Bound) -> dict[str, float]:
    """`score` of `sums_of`; empty where that is None."""
    found = sums_of(data, key, G)
    return {} if found is None else score(found)


def examples(
    data: Any, G: Bound, n: int = 12, **how: Any
) -> Float[np.ndarray, "n 5 *space 1"] | None:
    """Images of n sums: their three terms, the result, and the mean image of the wanted cell; None
    without a sum. how: as in `sums_of`.
    """
    found = sums_of(data, random.key(0), G, **how)
    if found is None or not len(found.wanted):
        return None
    rows = np.linspace(0, len(found.wanted) - 1, n).astype(int)
    wanted = found.means[found.wanted[rows]]
    return np.stack([*found.terms[rows].swapaxes(0, 1), found.results[rows], wanted], 1)


def interpolation(G: Bound, lines: int = 8, points: int = 9) -> Array:
    """G's images, [lines * points, *shape], of points on straight lines between random z."""
    a, b = (G.noise(random.key(i), lines)[:, None] for i in range(2))  # [lines, 1, Z]
    z = a + jnp.linspace(0, 1, points)[:, None] * (b - a)
    return G(z.reshape(lines * points, -1))
