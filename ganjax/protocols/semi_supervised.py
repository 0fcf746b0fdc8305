"""Learning a classifier from few labels: which examples have one, what is held out, and its error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from ganjax import data, play
from ganjax.data import transforms
from ganjax.game import Bound, Player
from ganjax.keys import stream


class Rows(nn.Module):
    """Some rows of a set, int32 [n], drawn when the player is made."""

    drawn: Callable[[Array], Array]  # (key) -> rows

    @nn.compact
    def __call__(self) -> Array:
        return self.param("rows", self.drawn)


def known(label: np.ndarray, per_class: int, classes: int) -> Player:
    """A player that never moves: called, it names the rows whose labels are known, int32 [classes *
    per_class], drawn by the run's seed.

    label: of all examples, [N]. Raises ValueError where a class has fewer examples.
    """
    if per_class > (least := np.bincount(label, minlength=classes).min()):
        raise ValueError(
            f"{per_class} labelled examples of each class are asked for, and the smallest class has {least}"
        )
    return Player(
        Rows(lambda key: transforms.labelled_rows(key, label, per_class, classes)),
        optax.set_to_zero(),
        None,
    )


def draw(arrays: Any, key: Array, sizes: dict[str, int], low: float = 0.0) -> dict[str, Any]:
    """Batches of images in low..1 without their labels, by name as many as asked for, and under
    "all" every example as it is. Pure.
    """
    drawn = {
        name: data.draw({"x": arrays["x"]}, stream(key, name), n, low)["x"]
        for name, n in sizes.items()
    }
    return {**drawn, "all": {name: jnp.asarray(arrays[name]) for name in ("x", "label")}}


def labelled_examples(found: data.Dataset) -> dict[str, np.ndarray]:
    """{"x", "label", "test_x", "test_label"} of a dataset with labels, as `data.splits` splits it."""
    train, test = data.train_and_test(found)
    return {
        "x": train["x"],
        "label": train["label"],
        "test_x": test["x"],
        "test_label": test["label"],
    }


def error(
    arrays: Any,
    key: Array,
    C: Bound,
    n: int = 2000,
    low: float = 0.0,
    see: Callable[[Array], Array] = lambda x: x,
    at_once: int | None = None,
) -> Array:
    """The share of the test images, in 0..1, that C names wrongly: its batch norm has the
    statistics of n training images. Pure.

    arrays: as `labelled_examples` gives them. C sees see(images in low..1), all test images together, or
    `at_once` where they are too many.
    """
    x = see(data.draw({"x": arrays["x"]}, key, n, low)["x"])
    judged = C.player.bind(C.params, stats=play.standing(C.player, C.params, None, x[None]))

    def named(x: Array) -> Array:
        return judged(see(data.scaled(x, low))).argmax(-1)

    test = jnp.asarray(arrays["test_x"])
    y = (
        named(test)
        if at_once is None
        else jax.lax.map(lambda x: named(x[None])[0], test, batch_size=at_once)
    )
    return (y != arrays["test_label"]).mean()
