"""Modes of images of three digits each, stacked or compositional MNIST, by a classifier's labels.
Pure functions.
"""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array
from jaxtyping import Int, Shaped

from ganjax.metrics.mixtures import counts, divergence

CLASSES = 1000
# Fair draws of 1000 labels have a KL of about 999 / 2n, at this n .0195 nats; MNIST's unequal
# digits add .0043.
MADGAN_SAMPLES = 25_600  # as many as the training images of Ghosh et al. 2018


def coverage(label: Int[Array, " n"], classes: int = CLASSES) -> dict[str, Array]:
    """{"modes": labels that occur, "kl": KL(their shares || uniform) in nats} of labels 0 …
    classes - 1.

    The protocol of MAD-GAN's authors (compute-kl.lua) and of PacGAN's; the two differ in n. Other
    labels, such as -1, belong to no mode. Without any label kl is log(classes), its maximum.
    """
    count = counts(jnp.clip(label, 0, classes - 1), (label >= 0) & (label < classes), classes)
    return {"modes": (count > 0).sum(), "kl": divergence(count, jnp.full(classes, 1 / classes))}


def stacked_labels(
    predict: Callable[[Array], Array], x: Shaped[Array, "n H W 3"]
) -> Int[Array, " n"]:
    """Labels 100 red + 10 green + blue of stacked images; predict: [m, H, W, 1] -> digits [m]."""
    grey = jnp.moveaxis(x, -1, 0).reshape(-1, *x.shape[1:3], 1)  # [3n, H, W, 1]
    return _three_digits(predict(grey).reshape(3, -1))


def compositional_labels(
    predict: Callable[[Array], Array], x: Shaped[Array, "n H2 W2 C"]
) -> Int[Array, " n"]:
    """Labels 100 upper left + 10 lower left + upper right of images of 2 x 2 cells; predict: cells
    [m, H, W, C] -> digits [m].

    The fourth cell, empty in real images, does not count (compute-kl-composite.lua).
    """
    H, W = x.shape[1] // 2, x.shape[2] // 2
    cells = jnp.concatenate([x[:, :H, :W], x[:, H:, :W], x[:, :H, W:]])  # [3n, H, W, C]
    return _three_digits(predict(cells).reshape(3, -1))


def _three_digits(digit: Array) -> Array:
    return (100 * digit[0] + 10 * digit[1] + digit[2]).astype(jnp.int32)
