"""Modes of sets whose images are three digits each, by a classifier's labels: stacked and
compositional MNIST. Pure functions.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

from ganjax.metrics.mixtures import counts, divergence

CLASSES = 1000
# Samples judged. Fair draws of 1000 labels have a KL of about 999 / 2n, .0195 and .0192 nats;
# MNIST's unequal digits add .0043.
MADGAN_SAMPLES = 25_600  # as many as the training images of Ghosh et al. 2018
PACGAN_SAMPLES = 26_000  # Lin et al. 2018, who train on 128 000 images


def coverage(label: Array, classes: int = CLASSES) -> dict[str, Array]:
    """{"modes": labels that are there at least once, "kl": KL(their shares || uniform) in nats},
    for label int [n] of 0 … classes - 1.

    The protocol of MAD-GAN's authors (compute-kl.lua) and PacGAN's, who differ in n. Other labels,
    -1 say, are of no mode. Without any label kl is log(classes), the most it can be.
    """
    count = counts(jnp.clip(label, 0, classes - 1), (label >= 0) & (label < classes), classes)
    return {"modes": (count > 0).sum(), "kl": divergence(count, jnp.full(classes, 1 / classes))}


def stacked(predict: Callable[[Array], Array], x: Array) -> Array:
    """Labels 100 red + 10 green + blue of images x [n, H, W, 3], int32 [n]; predict: [m, H, W, 1]
    -> digits [m].
    """
    grey = jnp.moveaxis(x, -1, 0).reshape(-1, *x.shape[1:3], 1)  # [3n, H, W, 1]
    return number(predict(grey).reshape(3, -1))


def compositional(predict: Callable[[Array], Array], x: Array) -> Array:
    """Labels 100 upper left + 10 lower left + upper right of x [n, 2H, 2W, C], int32 [n]; predict:
    [m, H, W, C] -> digits [m].

    The fourth cell, empty in real images, is not looked at (compute-kl-composite.lua).
    """
    H, W = x.shape[1] // 2, x.shape[2] // 2
    cells = jnp.concatenate([x[:, :H, :W], x[:, H:, :W], x[:, :H, W:]])  # [3n, H, W, C]
    return number(predict(cells).reshape(3, -1))


def number(digit: Array) -> Array:
    """Digits [3, n] as numbers 0..999, int32 [n]."""
    return (100 * digit[0] + 10 * digit[1] + digit[2]).astype(jnp.int32)
