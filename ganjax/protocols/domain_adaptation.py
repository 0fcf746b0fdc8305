"""Labels carried over from one set of digits to another, where none are known: the two sets, and
what is recognised (CoGAN, section 4).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ganjax import data as sets
from ganjax.data import transforms
from ganjax.game import Bound


def pair(
    source: str, target: str, data_dir: str | None = None
) -> tuple[dict[str, np.ndarray], int]:
    """Two sets of grey images, and how many classes they have: "x" with "label", "y" without, and
    held out "test_y" with "test_label".

    Images are uint8 [n, 28, 28, 1], `framed`; labels int32 [n]. Raises ValueError, one line, for
    other images, for a set without labels, and where the classes differ in number.
    """
    found = [
        sets.require(sets.find(name, data_dir), (None, None, 1), labels=True)
        for name in (source, target)
    ]
    if found[0].classes != found[1].classes:
        raise ValueError(
            f"{source} has {found[0].classes} classes and {target} has {found[1].classes}: the same ones are wanted"
        )
    known, _ = sets.train_and_test(found[0])
    other, test = sets.train_and_test(found[1])
    x, y, test_y = (framed(images) for images in (known["x"], other["x"], test["x"]))
    return {
        "x": x,
        "label": known["label"],
        "y": y,
        "test_y": test_y,
        "test_label": test["label"],
    }, found[0].classes or 0


def framed(x: np.ndarray) -> np.ndarray:
    """Images [n, H, W, C], uint8, as [n, 28, 28, C]: a smaller square becomes the inner 20 pixels,
    which the digits of MNIST fill.

    Raises ValueError for other sizes than 28 pixels, and squares of 20 or fewer.
    """
    height, width = x.shape[1:3]
    if height == width == 28:
        return x
    if height != width or height > 20:
        raise ValueError(
            f"images of 28 x 28 pixels are wanted, or squares of 20 or fewer, and these are {height} x {width}"
        )
    inner = jnp.round(transforms.resize(jnp.asarray(x, jnp.float32), 20))
    return np.asarray(transforms.pad(inner, 28)).astype(np.uint8)


def accuracy(D: Bound, x: np.ndarray, label: np.ndarray, member: int) -> float:
    """The share of `right` images [n, H, W, C], 0..1. Host code."""
    named = jax.jit(right, static_argnums=3)
    found = [
        np.asarray(named(D, x[i : i + 500], label[i : i + 500], member))
        for i in range(0, len(x), 500)
    ]
    return float(np.concatenate(found).mean())


def right(D: Bound, x: Array, label: Array, member: int) -> Array:
    """Does a member of a team D name images x [n, H, W, C], uint8, rightly? bool [n]. D's net has a
    method "label". Pure.
    """
    logits = D(sets.scaled(jnp.asarray(x), 0.0), method="label")  # [n, members, classes]
    return logits[:, member].argmax(-1) == label
