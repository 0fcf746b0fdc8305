"""Semi-supervised learning: the examples whose labels are known, the batches, the test error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jaxtyping import Float, Int

from ganjax import data
from ganjax.data import transforms
from ganjax.game import Bound, Player
from ganjax.keys import stream
from ganjax.nets.layers import standing


class Rows(nn.Module):
    """Rows of a dataset, int32 [n], drawn as the player's parameters."""

    drawn: Callable[[Array], Array]  # (key) -> rows

    @nn.compact
    def __call__(self) -> Array:
        return self.param("rows", self.drawn)


def known_labels(label: Int[np.ndarray, " N"], n: int, classes: int) -> Player:
    """A player that never moves; its output is the rows of the n examples whose labels are known,
    int32 [n], equally many of each class, drawn by the run's seed.

    label: of all examples. Raises ValueError where a class has fewer examples, and unless n is a
    multiple of the number of classes.
    """
    if n % classes:
        raise ValueError(f"labels is a multiple of the number of classes, {classes}; got {n}")
    if n // classes > (least := np.bincount(label, minlength=classes).min()):
        raise ValueError(
            f"{n // classes} labelled examples of each class are asked for, "
            f"and the smallest class has {least}"
        )
    return Player(
        Rows(lambda key: transforms.labelled_rows(key, label, n // classes, classes)),
        optax.set_to_zero(),
        None,
    )


def draw_batches(
    arrays: Any, key: Array, sizes: dict[str, int], low: float = 0.0
) -> dict[str, Any]:
    """A batch of unlabelled images in low..1 for each name in sizes, and under "all" every array
    that is not of test examples, as it is. Pure.
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


def labelled_examples(dataset: data.Dataset) -> dict[str, np.ndarray]:
    """{"x", "label", "test_x", "test_label"} of a labelled dataset, split by `data.splits`."""
    train, test = data.train_and_test(dataset)
    examples = {name: train[name] for name in ("x", "label")}
    return examples | {f"test_{name}": test[name] for name in ("x", "label")}


def error_rate(
    arrays: Any,
    key: Array,
    C: Bound,
    n: int = 2000,
    low: float = 0.0,
    transform: Callable[[Array], Array] = lambda x: x,
    at_once: int | None = None,
) -> Float[Array, ""]:
    """The share, in 0..1, of the test images that C misclassifies; its batch norm has the
    statistics of n training images. Pure.

    arrays: "x", "test_x" and "test_label". C sees transform(images in low..1), all test images
    together, or `at_once` of them.
    """
    x = transform(data.draw({"x": arrays["x"]}, key, n, low)["x"])
    fixed = C.player.bind(C.params, stats=standing(C.player, C.params, None, x[None]))

    def predict(x: Array) -> Array:
        return fixed(transform(data.scaled(x, low))).argmax(-1)

    test = jnp.asarray(arrays["test_x"])
    if at_once is None:
        y = predict(test)
    else:
        y = jax.lax.map(lambda x: predict(x[None])[0], test, batch_size=at_once)
    return (y != arrays["test_label"]).mean()
