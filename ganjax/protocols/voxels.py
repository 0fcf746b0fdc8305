"""What a generator and a discriminator of voxels are measured by. Host code, but for `measure`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from ganjax.data import Dataset, train_and_test, voxels
from ganjax.data.splits import read_arrays
from ganjax.game import Bound
from ganjax.keys import stream
from ganjax.metrics import voxels as metrics

SHOWN = 128  # samples in a measurement


def accuracy(real: Float[Array, " B"], fake: Float[Array, " b"]) -> Float[Array, ""]:
    """How often D is right of both, from its logits, in 0..1."""
    return ((real > 0).mean() + (fake < 0).mean()) / 2


def measure(
    data: Any, key: Array, sample: Callable[..., Array], G: Bound, D: Bound, n: int
) -> dict[str, Array]:
    """{"right": how often D is right of n training shapes and n samples, "occupancy": the mean of
    the samples' voxels}. Pure.
    """
    real = voxels.draw_shapes(data, stream(key, "real"), n, turns=False)["x"]
    fake = sample(stream(key, "fake"), n, G=G)
    return {"right": accuracy(D(real), D(fake)), "occupancy": fake.mean()}


def evaluate(
    data: Any, key: Array, sample: Callable[..., Array], G: Bound, test: np.ndarray
) -> dict[str, float]:
    """`metrics.coverage` of the test shapes by as many samples, and the share of samples that are
    "empty".
    """
    x = np.asarray(jax.jit(sample, static_argnums=1)(key, len(test), G=G))
    empty = ~metrics.solid(x).reshape(len(x), -1).any(1)
    return metrics.coverage(x, test) | {"empty": float(empty.mean())}


def training_shapes(
    data_dir: str | None, name: str, size: int | None = None
) -> dict[str, dict[str, float]]:
    """A row of a table to compare with: as many training shapes as test shapes, in place of
    samples.
    """
    found: Dataset = voxels.find(name, data_dir, size)
    train, test = train_and_test(found)
    n = len(test["x"])
    rows = np.linspace(0, len(train["x"]) - 1, n).astype(int)
    x = train["x"][rows]
    numbers = metrics.coverage(x, test["x"])
    return {"training shapes": numbers | {"occupancy": float(metrics.solid(x).mean())}}
