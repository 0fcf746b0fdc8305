"""How samples are judged on the kind of data there is: a mixture by its density, labelled images by their nearest neighbours."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ganjax.data.mixtures import Mixture
from ganjax.game import Bound
from ganjax.keys import stream
from ganjax.metrics import mixtures, neighbours

CHUNK = 2**17  # samples made at once where a protocol asks for a million
NEIGHBOURS = 5000  # real images that samples are compared with, at most: time grows with their square


def flat(x: Array, shape: tuple[int, ...]) -> Array:
    """[n, (K,) *shape] -> [n K, *shape]: the samples of all generators together."""
    return x.reshape(-1, *shape)


def measure(data: Any, x: Array, key: Array) -> dict[str, Array]:
    """What is worth looking at while a game is played: `mixtures.measure` of all generators' samples; nothing for other data. Pure."""
    return mixtures.measure(data, flat(x, (data.dim,)), key) if isinstance(data, Mixture) else {}


def judge(data: Any, sample: Callable[..., Array], key: Array, **players: Bound) -> dict[str, float]:
    """The numbers of a finished run. Host code; sample(key, n, **players) makes [n, (K,) *shape], K the generators of a team.

    On a mixture: `mixtures.measure` of 1,048,576 samples, equally many from each generator, and the share of them in each mode. On
    labelled images (samples in 0..1): `neighbours.classes` of as many samples as there are images, or 5000.
    """
    make = jax.jit(sample, static_argnums=1)
    probe = jax.eval_shape(partial(sample, n=1, **players), key)
    if isinstance(data, Mixture):
        teams = int(np.prod(probe.shape[1:])) // data.dim
        n = CHUNK // teams
        rounds = -(-mixtures.SAMPLES // (n * teams))
        x = jnp.concatenate([flat(make(stream(key, "judge", i), n, **players), (data.dim,)) for i in range(rounds)])[: mixtures.SAMPLES]
        numbers = jax.jit(mixtures.measure)(data, x, stream(key, "real"))
        shares = mixtures.shares(data, x)
        named = {f"share_{i}": float(share) for i, share in enumerate(shares)}
        return {name: float(value) for name, value in numbers.items()} | {"share_min": float(shares.min())} | named
    if "label" in data:
        shape = data["x"].shape[1:]
        teams = max(1, int(np.prod(probe.shape[1:])) // int(np.prod(shape)))
        real, label = (np.asarray(data[name][:NEIGHBOURS]) for name in ("x", "label"))
        x = flat(make(stream(key, "judge"), -(-len(real) // teams), **players), shape)
        return neighbours.classes(np.asarray(x), real / 255.0 if real.dtype == np.uint8 else real, label)
    return {}
