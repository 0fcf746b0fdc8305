"""Unsupervised domain adaptation from one dataset of digits to another: the arrays, and the
accuracy of a classifier (CoGAN, section 4).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Int, UInt8

from ganjax import data
from ganjax.data import transforms
from ganjax.game import Bound


def load_pair(source: str, target: str, **how: Any) -> tuple[dict[str, np.ndarray], int]:
    """(the arrays of two datasets of grey images, their number of classes): "x" with "label", "y"
    without, and held out "test_y" with "test_label".

    how: data_dir, size, channels and crop, as in `ganjax.data.find`. Images are uint8 [n, 28, 28,
    1], as `to_28_pixels` makes them; labels int32 [n]. Raises ValueError, one line, for other
    images, for a dataset without labels, and where the classes differ in number or name.
    """
    found = [
        data.require(data.find(name, **how), (None, None, 1), labels=True)
        for name in (source, target)
    ]
    if found[0].classes != found[1].classes:
        raise ValueError(
            f"{source} has {found[0].classes} classes and {target} has {found[1].classes}: "
            "the same ones are wanted"
        )
    for a, b in zip(*(each.named_classes for each in found)):
        if a != b:
            raise ValueError(
                f"{source} has a class {a} where {target} has {b}: the same ones are wanted"
            )
    known, _ = data.train_and_test(found[0])
    other, test = data.train_and_test(found[1])
    x, y, test_y = (to_28_pixels(images) for images in (known["x"], other["x"], test["x"]))
    return {
        "x": x,
        "label": known["label"],
        "y": y,
        "test_y": test_y,
        "test_label": test["label"],
    }, found[0].classes or 0


def to_28_pixels(x: UInt8[np.ndarray, "n H W C"]) -> UInt8[np.ndarray, "n 28 28 C"]:
    """Images of 28 x 28 pixels: a smaller square is resized to the inner 20 pixels, which the
    digits of MNIST fill.

    Raises ValueError for other sizes than 28 pixels, and squares of 20 or fewer.
    """
    height, width = x.shape[1:3]
    if height == width == 28:
        return x
    if height != width or height > 20:
        raise ValueError(
            "images of 28 x 28 pixels are wanted, or squares of 20 or fewer, "
            f"and these are {height} x {width}"
        )
    inner = jnp.round(transforms.resize(jnp.asarray(x, jnp.float32), 20))
    return np.asarray(transforms.pad(inner, 28)).astype(np.uint8)


def accuracy(D: Bound, x: Array | np.ndarray, label: Array | np.ndarray, member: int) -> float:
    """The share, in 0..1, of images [n, H, W, C] that are `correct`. Host code."""
    compiled = jax.jit(correct, static_argnums=3)
    blocks = [slice(i, i + 500) for i in range(0, len(x), 500)]
    found = [np.asarray(compiled(D, x[block], label[block], member)) for block in blocks]
    return float(np.concatenate(found).mean())


def correct(
    D: Bound,
    x: UInt8[Array | np.ndarray, "n H W C"],
    label: Int[Array | np.ndarray, " n"],
    member: int,
) -> Bool[Array, " n"]:
    """Whether a member of a team D classifies each image correctly. D's net has a method "label".
    Pure.
    """
    logits = D(data.scaled(jnp.asarray(x), 0.0), method="label")  # [n, members, classes]
    return logits[:, member].argmax(-1) == label
