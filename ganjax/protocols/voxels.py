"""What a generator and a discriminator of voxels are measured by. Host code, but for `measure`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax import Array
from jaxtyping import Float
from matplotlib.figure import Figure

from ganjax.data import voxels
from ganjax.figures.samples import image_grid
from ganjax.figures.strips import strips
from ganjax.figures.voxels import render
from ganjax.game import Bound
from ganjax.keys import stream
from ganjax.metrics import voxels as metrics
from ganjax.protocols import latent_arithmetic


def accuracy(real: Float[Array, " B"], fake: Float[Array, " b"]) -> Float[Array, ""]:
    """How often D is right of both, from its logits, in 0..1."""
    return ((real > 0).mean() + (fake < 0).mean()) / 2


def measure(
    data: Any, key: Array, *, G: Bound, D: Bound, sample: Callable[..., Array], n: int
) -> dict[str, Array]:
    """{"right": how often D is right of n training shapes and n samples, "occupancy": the mean of
    the samples' voxels}. Pure.
    """
    real = voxels.draw_shapes(data, stream(key, "real"), n, turns=False)["x"]
    fake = sample(stream(key, "fake"), n, G=G)
    return {"right": accuracy(D(real), D(fake)), "occupancy": fake.mean()}


def evaluate(data: Any, key: Array, *, G: Bound, sample: Callable[..., Array]) -> dict[str, float]:
    """`metrics.coverage` of the test shapes by as many samples, and the share of samples that are
    "empty".
    """
    test = np.asarray(data["test_x"])
    x = np.asarray(jax.jit(sample, static_argnums=1)(key, len(test), G=G))
    empty = ~metrics.solid(x).reshape(len(x), -1).any(1)
    return metrics.coverage(x, test) | {"empty": float(empty.mean())}


def figures(data: Any, x: Any, rows: Any, *, G: Bound) -> Mapping[str, Figure]:
    """Samples above the training shapes that they are most alike, shapes on lines between random z,
    and sums of z.
    """
    shapes, nearest = x[:8], metrics.iou(x[:8], data["x"]).argmax(1)
    pairs = np.stack([render(shapes), render(np.asarray(data["x"])[nearest])], 1)
    walk = render(latent_arithmetic.interpolation(G, lines=4, points=7))
    drawn = {"nearest": strips(pairs, ("G(z)", "data")), "walk": image_grid(walk, columns=7)}
    sums = latent_arithmetic.examples(data, G, n=8, low=0.0, pool=400, at_once=100)
    if sums is not None:
        pictures = render(sums.reshape(-1, *sums.shape[2:])).reshape(8, 5, *walk.shape[1:])
        drawn["arithmetic"] = strips(pictures, ("a+", "- a-", "+ b-", "= ?", "b+"))
    return drawn


def training_shapes(
    data_dir: str | None, name: str, size: int | None = None
) -> dict[str, dict[str, float]]:
    """A row of a table to compare with: as many training shapes as test shapes, in place of
    samples.
    """
    data = voxels.examples(voxels.find(name, data_dir, size))
    x, test = data["x"], data["test_x"]
    x = x[np.linspace(0, len(x) - 1, len(test)).astype(int)]
    numbers = metrics.coverage(x, test)
    return {"training shapes": numbers | {"occupancy": float(metrics.solid(x).mean())}}
