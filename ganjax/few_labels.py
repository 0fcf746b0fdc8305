"""Learning a classifier from few labels: which examples have one, what is held out, and its error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from ganjax import data, play
from ganjax.data import derived
from ganjax.game import Bound, Player
from ganjax.keys import stream


class Rows(nn.Module):
    """Some rows of a set, int32 [n], drawn when the player is made."""

    drawn: Callable[[Array], Array]  # (key) -> rows

    @nn.compact
    def __call__(self) -> Array:
        return self.param("rows", self.drawn)


def known(label: np.ndarray, per_class: int, classes: int) -> Player:
    """A player that never moves: called, it names the rows whose labels are known, int32 [classes * per_class], drawn by the run's seed.

    label: of all examples, [N]. Raises ValueError where a class has fewer examples.
    """
    if per_class > (least := np.bincount(label, minlength=classes).min()):
        raise ValueError(f"{per_class} labelled examples of each class are asked for, and the smallest class has {least}")
    return Player(Rows(lambda key: derived.labelled(key, label, per_class, classes)), optax.set_to_zero(), None)


def draw(arrays: Any, key: Array, sizes: dict[str, int]) -> dict[str, Any]:
    """Batches of images in 0..1 without their labels, by name as many as asked for, and under "all" every example as it is. Pure."""
    drawn = {name: data.draw({"x": arrays["x"]}, stream(key, name), n, 0.0)["x"] for name, n in sizes.items()}
    return {**drawn, "all": {name: jnp.asarray(arrays[name]) for name in ("x", "label")}}


def held_out(found: data.Set, data_dir: str | None = None) -> dict[str, np.ndarray]:
    """{"x", "label", "test_x", "test_label"} of a set with labels; without a test split, a sixth by a fixed permutation is held out."""
    train: Any = found.read()
    try:
        test: Any = data.find(found.name, data_dir, "test").read()
    except ValueError:
        order, n = np.random.default_rng(0).permutation(len(train["x"])), len(train["x"]) // 6
        train, test = ({name: values[rows] for name, values in train.items()} for rows in (order[n:], order[:n]))
    return {"x": train["x"], "label": train["label"], "test_x": test["x"], "test_label": test["label"]}


def error(arrays: Any, key: Array, C: Bound, n: int = 2000) -> Array:
    """The share of the test images, in 0..1, that C names wrongly: its batch norm has the statistics of n training images. Pure.

    arrays: as `held_out` gives them.
    """
    x = data.draw({"x": arrays["x"]}, key, n, 0.0)["x"]
    judged = C.player.bind(C.params, stats=play.standing(C.player, C.params, None, x[None]))
    return (judged(data.scaled(jnp.asarray(arrays["test_x"]), 0.0)).argmax(-1) != arrays["test_label"]).mean()
