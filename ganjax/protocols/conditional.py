"""How a conditional generator is sampled, measured and evaluated: the classes take turns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import Array, nn
from matplotlib.figure import Figure

from ganjax.data.splits import Splits
from ganjax.figures.samples import image_grid
from ganjax.game import Bound
from ganjax.keys import stream
from ganjax.protocols import standard


def sample(key: Array, n: int, *, G: Bound, dropout: bool = False) -> Array:
    """Samples G(z, y), [n, *shape]; sample i is of class i mod classes. Batch norm, where there is
    any, has the statistics of the batch.

    dropout: whether G drops out units as in training.
    """
    drop_key = stream(key, "dropout") if dropout else None
    return G(G.noise(key, n), _labels(G, n), key=drop_key)


def measure(
    data: Any, key: Array, *, G: Bound, D: Bound, sample: Callable[..., Array] = sample
) -> dict[str, Array]:
    """D's mean probability that 256 samples are real. Pure."""
    n = 256
    return {"p_fake": nn.sigmoid(D(sample(key, n, G=G), _labels(G, n))).mean()}


def evaluate(
    data: Any, key: Array, *, G: Bound, parts: Splits, sample: Callable[..., Array] = sample
) -> dict[str, int | float]:
    """Modes and quality by nearest neighbours; with held-out images also the Parzen-window
    log-likelihood and a nearest neighbour's error. Host code.
    """
    held_out = standard.conditional_scores(sample, key, parts, G.player.inputs[1][0], G=G)
    return standard.evaluate(data, sample, key, G=G) | held_out


def _labels(G: Bound, n: int) -> Array:
    classes = G.player.inputs[1][0]
    return nn.one_hot(jnp.arange(n) % classes, classes)


def sample_styles(key: Array, n: int, *, G: Bound) -> Array:
    """As `sample`, but the classes share each noise: samples 0 … classes - 1 have the first one."""
    classes = G.player.inputs[1][0]
    z = G.noise(key, -(-n // classes)).repeat(classes, 0)[:n]
    return G(z, nn.one_hot(jnp.arange(n) % classes, classes))


def styles(data: Any, x: Any, rows: Any, *, G: Bound) -> dict[str, Figure]:
    """Samples of `sample_styles`: a noise in each row, a class in each column."""
    classes = G.player.inputs[1][0]
    return {"styles": image_grid(x[: classes**2], columns=classes)}
