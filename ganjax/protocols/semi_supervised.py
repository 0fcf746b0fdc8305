"""Learning a classifier from few labels: the labelled examples, the split, the test error."""

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


def known(label: np.ndarray, n: int, classes: int) -> Player:
    """A player that never moves: called, it names the rows of the n examples whose labels are
    known, int32 [n], equally many of each class, drawn by the run's seed.

    label: of all examples, [N]. Raises ValueError where a class has fewer examples, and unless n is
    a multiple of the number of classes.
    """
    if n % classes:
        raise ValueError(f"labels is a multiple of the number of classes, {classes}; got {n}")
    if n // classes > (least := np.bincount(label, minlength=classes).min()):
        raise ValueError(
            f"{n // classes} labelled examples of each class are asked for, "
            f"and the smallest class has {least}"
        )
    return Player(
        Rows(lambda key: transforms.labelled(key, label, n // classes, classes)),
        optax.set_to_zero(),
        None,
    )


def draw(arrays: Any, key: Array, sizes: dict[str, int], low: float = 0.0) -> dict[str, Any]:
    """Batches of images in low..1 without their labels, by name as many as asked for, and under
    "all" every array that is not of test examples, as it is. Pure.
    """
    drawn = {
        name: data.draw({"x": arrays["x"]}, stream(key, name), n, low)["x"]
        for name, n in sizes.items()
    }
    kept = [name for name in arrays if not name.startswith("test_")]
    return {**drawn, "all": {name: jnp.asarray(arrays[name]) for name in kept}}


def draw_labelled(
    examples: Any, rows: Array, key: Array, n: int, low: float = 0.0
) -> tuple[Array, Array]:
    """Images in low..1, [n, H, W, C], and labels, [n], of n of these rows of all examples; each row
    once. Pure.
    """
    rows = jax.random.permutation(stream(key, "labelled"), rows)[:n]
    return data.scaled(examples["x"][rows], low), examples["label"][rows]


def held_out(found: data.Set, data_dir: str | None = None, **how: Any) -> dict[str, np.ndarray]:
    """{"x", "label", "test_x", "test_label"} of a set with labels; without a test split, a sixth by
    a fixed permutation is held out.

    how: what `data.find` was told of size, channels and crop.
    """
    train: Any = found.read()
    try:
        test: Any = data.find(found.name, data_dir, "test", **how).read()
    except ValueError:
        order, n = np.random.default_rng(0).permutation(len(train["x"])), len(train["x"]) // 6
        train, test = (
            {name: values[rows] for name, values in train.items()}
            for rows in (order[n:], order[:n])
        )
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

    arrays: as `held_out` gives them. C sees see(images in low..1), all test images together, or
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
