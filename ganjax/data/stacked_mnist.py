"""Stacked and compositional MNIST: three digits in one image, 1000 classes (MAD-GAN, PacGAN)."""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
from jax import Array, random
from jax.typing import ArrayLike

from ganjax.data import tfds
from ganjax.data.dataset import Arrays, Dataset, require_train

EXAMPLES = 25_600  # as many as MAD-GAN's authors fix, of all 70,000 digits


def dataset(name: str, data_dir: str | None = None, split: str = "train") -> Dataset:
    """25,600 images of three digits each, drawn once (by a key of ours) from MNIST's 70,000 digits.

    label: the number 0 … 999. Raises ValueError, one line, where MNIST is not prepared, and for
    another split than "train".
    """
    require_train(name, split)
    digits = tfds.dataset("mnist", data_dir, "train+test")
    compose, shape = LAYOUTS[name]

    def read() -> Arrays:
        arrays = digits.read()
        assert isinstance(arrays, dict)
        rows = random_triples(random.key(0), EXAMPLES, len(arrays["x"]))
        composed = compose(arrays["x"], arrays["label"], rows)
        return {name: np.asarray(values) for name, values in composed.items()}

    return Dataset(name, shape, read, 1000, EXAMPLES, EXAMPLES * (math.prod(shape) + 4))


def random_triples(key: Array, n: int, size: int) -> Array:
    """n times three independent rows of a dataset of `size` examples, int32 [n, 3]."""
    return random.randint(key, (n, 3), 0, size)


def stacked(x: ArrayLike, label: ArrayLike, rows: Array) -> dict[str, Array]:
    """Stacked MNIST: three grey images as red, green and blue.

    x [N, H, W, 1], label [N] of 0 … 9, rows [B, 3] -> x [B, H, W, 3], label int32 [B] =
    100 red + 10 green + blue.
    """
    images = jnp.moveaxis(jnp.asarray(x)[rows][..., 0], 1, -1)  # [B, H, W, 3]
    return {"x": images, "label": three_digit_label(label, rows)}


def compositional(x: ArrayLike, label: ArrayLike, rows: Array) -> dict[str, Array]:
    """Compositional MNIST: three images in a 2 x 2 grid, the lower right cell empty (0).

    x [N, H, W, C], label [N] of 0 … 9, rows [B, 3] -> x [B, 2H, 2W, C], label int32 [B] =
    100 upper left + 10 lower left + upper right. The cells are fixed, as in the code of MAD-GAN's
    authors. Compose uint8 or [0, 1] images, and rescale afterwards.
    """
    cells = jnp.asarray(x)[rows]  # [B, 3, H, W, C]
    left = jnp.concatenate([cells[:, 0], cells[:, 1]], axis=1)
    right = jnp.concatenate([cells[:, 2], jnp.zeros_like(cells[:, 0])], axis=1)
    images = jnp.concatenate([left, right], axis=2)
    return {"x": images, "label": three_digit_label(label, rows)}


def three_digit_label(label: ArrayLike, rows: Array) -> Array:
    """Three digits as one number of 0 … 999, int32 [B]."""
    return (jnp.asarray(label)[rows] * jnp.array([100, 10, 1])).sum(-1).astype(jnp.int32)


LAYOUTS = {
    "stacked_mnist": (stacked, (28, 28, 3)),
    "compositional_mnist": (compositional, (56, 56, 1)),
}
