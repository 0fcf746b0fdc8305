"""How a deep belief net is sampled, measured and evaluated: machines one upon the other.

Layers are players by name, the lowest first; each is an RBM. A player C, where there is one, is a
classifier of the highest layer's means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, random
from jaxtyping import Float

from ganjax import data
from ganjax.game import Bound
from ganjax.keys import stream
from ganjax.metrics import classifiers
from ganjax.metrics.inputs import in_unit_range
from ganjax.nets.boltzmann import Machine
from ganjax.protocols import boltzmann

MANY = 10_000  # training images that a linear classifier learns from, at most
GRID = (1e-3, 1e-2, 1e-1, 1.0)  # its C


def between(first: int, end: int) -> Callable[[Array, Any], Array]:
    """A turn's condition: it is taken in the steps first … end - 1."""
    return lambda step, log: (first <= step) & (step < end)


def stack(players: Mapping[str, Bound]) -> list[Machine]:
    """The layers, the lowest first."""
    return [R() for name, R in players.items() if name != "C"]


def features(machines: list[Machine], x: Float[Array, "B D"]) -> Float[Array, "B H"]:
    """The highest layer's means, each layer passing its own up."""
    for machine in machines:
        x = machine.up(x)
    return x


def pass_down(machines: list[Machine], x: Float[Array, "B H"]) -> Float[Array, "B D"]:
    """The lowest layer's means, each layer passing its own down."""
    for machine in reversed(machines):
        x = machine.down(x)
    return x


def sample(key: Array, n: int, *, steps: int, shape: tuple[int, ...], **players: Bound) -> Array:
    """Images as mean activations, [n, *shape]: n chains of `steps` Gibbs steps from noise in the
    highest RBM, then one pass down by means.
    """
    *lower, top = stack(players)
    return pass_down(lower, boltzmann.chain_means(top, key, n, steps)).reshape(n, *shape)


def measure(arrays: Any, key: Array, **players: Bound) -> dict[str, Array]:
    """The reconstruction error of 256 test images, up and down by means; C's test error. Pure."""
    machines = stack(players)
    x = boltzmann.draw(arrays, key, boltzmann.FEW, test=True)["x"]
    numbers = {
        "reconstruction": jnp.mean((pass_down(machines, features(machines, x)) - x) ** 2),
    }
    if "C" in players:
        test = data.scaled(jnp.asarray(arrays["test_x"]), 0.0)
        y = players["C"](features(machines, test.reshape(len(test), -1))).argmax(-1)
        numbers["error"] = (y != arrays["test_label"]).mean()
    return numbers


def linear_errors(arrays: Any, key: Array, **players: Bound) -> dict[str, float]:
    """{"features", "pixels"}: test errors, in 0..1, of linear SVMs that see the highest layer's
    means, or pixels in 0..1; empty without labels. Host code.

    At most 10,000 training images; `classifiers.tuned_svm` with C among four.
    """
    if "label" not in arrays:
        return {}
    rows = np.asarray(random.permutation(stream(key, "svm"), len(arrays["x"])))[:MANY]
    train, test = (
        in_unit_range(np.asarray(x)).reshape(len(x), -1)
        for x in (np.asarray(arrays["x"])[rows], arrays["test_x"])
    )
    y, test_y = np.asarray(arrays["label"])[rows], np.asarray(arrays["test_label"])
    up = jax.jit(lambda x: features(stack(players), x))
    seen = {"features": (up(train), up(test)), "pixels": (train, test)}
    return {name: classifiers.tuned_svm((a, y), (b, test_y), GRID) for name, (a, b) in seen.items()}
