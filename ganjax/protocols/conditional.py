"""How a conditional generator is sampled, measured, judged and drawn: class by class in turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
from jax import Array, nn
from matplotlib.figure import Figure

from ganjax import figures
from ganjax.data.splits import Parts
from ganjax.game import Bound
from ganjax.keys import stream
from ganjax.protocols import standard


def sample(key: Array, n: int, *, G: Bound, dropout: bool = False) -> Array:
    """What G(z, y) makes, [n, *shape]: sample i is of class i mod classes; normalised by the
    statistics of the batch, where it is.

    dropout: G drops units as in training.
    """
    classes = G.player.inputs[1][0]
    return G(
        G.noise(key, n),
        nn.one_hot(jnp.arange(n) % classes, classes),
        key=stream(key, "dropout") if dropout else None,
    )


def measure(
    data: Any, key: Array, *, G: Bound, D: Bound, sample: Callable[..., Array] = sample
) -> dict[str, Array]:
    """D's probability of 256 samples, on average."""
    n, classes = 256, G.player.inputs[1][0]
    return {
        "p_fake": nn.sigmoid(
            D(sample(key, n, G=G), nn.one_hot(jnp.arange(n) % classes, classes))
        ).mean()
    }


def judge(
    data: Any, key: Array, *, G: Bound, parts: Parts, sample: Callable[..., Array] = sample
) -> dict[str, float]:
    """Classes and quality by the nearest neighbour; where images are held out, the Parzen row and
    1-NN on samples. Host code.
    """
    held = standard.conditional(sample, key, parts, G.player.inputs[1][0], G=G)
    return standard.judge(data, sample, key, G=G) | held


def drawings(data: Any, x: Any, rows: Any, *, G: Bound) -> Mapping[str, Figure]:
    """A column for each class."""
    classes = G.player.inputs[1][0]
    return {"classes": figures.grid(x[: 8 * classes], columns=classes)}


def sample_styles(key: Array, n: int, *, G: Bound) -> Array:
    """As `sample`, but the classes share each noise: samples 0 … classes - 1 have the first one."""
    classes = G.player.inputs[1][0]
    z = G.noise(key, -(-n // classes)).repeat(classes, 0)[:n]
    return G(z, nn.one_hot(jnp.arange(n) % classes, classes))


def styles(data: Any, x: Any, rows: Any, *, G: Bound) -> Mapping[str, Figure]:
    """Samples of `sample_styles`: a noise in each row, a class in each column."""
    classes = G.player.inputs[1][0]
    return {"styles": figures.grid(x[: classes**2], columns=classes)}
