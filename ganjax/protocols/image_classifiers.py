"""Classifiers of labelled images: their test error, and what they cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ganjax import data
from ganjax.data import transforms
from ganjax.figures.named import named_images
from ganjax.figures.samples import image_grid
from ganjax.game import Bound
from ganjax.keys import stream
from ganjax.metrics.inputs import in_batches
from ganjax.nets.operations import needed


def parameters(net: nn.Module, *shapes: tuple[int, ...]) -> int:
    """The number of parameters of a net on inputs of these shapes; nothing is computed."""
    inputs = [jax.ShapeDtypeStruct((1, *shape), jnp.float32) for shape in shapes]
    variables = jax.eval_shape(net.init, jax.random.key(0), *inputs)
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


def of_equal_size(
    net: Callable[[int], nn.Module], shape: tuple[int, ...], wanted: int
) -> nn.Module:
    """net(width) of the width at which it has most nearly `wanted` parameters on inputs of this
    shape; the number of parameters rises with the width.
    """

    def count(width: int) -> int:
        return parameters(net(width), shape)

    high = 1
    while count(high) < wanted:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) < wanted else (low, middle)
    return net(min((max(low, 1), high), key=lambda width: abs(count(width) - wanted)))


def draw(arrays: Any, key: Array, n: int, augment: bool = False) -> dict[str, Array]:
    """A batch of n training images in -1..1 and their labels; with `augment`, moved and mirrored.
    Pure.
    """
    batch = data.draw({"x": arrays["x"], "label": arrays["label"]}, key, n)
    if augment:
        batch["x"] = transforms.shift_and_flip(batch["x"], stream(key, "augment"))
    return batch


@jax.jit
def _classes(C: Bound, x: Array) -> Array:
    return C(data.scaled(x)).argmax(-1)


def evaluate(arrays: Mapping[str, Any], key: Array, *, C: Bound) -> dict[str, float]:
    """{"error", "parameters", "operations"} of a classifier of images in -1..1: the share of the
    test images that it gets wrong, and the operations of one forward pass of one image, as
    `nets.operations` counts them. On the host.

    arrays: "test_x", "test_label"
    """
    label = in_batches(partial(_classes, C), np.asarray(arrays["test_x"]))
    return {
        "error": float((label != np.asarray(arrays["test_label"])).mean()),
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(C.params)),
        "operations": sum(needed(C.player.net, *C.player.inputs)),
    }


def figures(arrays: Any, samples: None, rows: Any, *, C: Bound) -> dict[str, Any]:
    """{"named"}: the first 32 test images and what C names them; `filters`."""
    x, label = (np.asarray(arrays[name][:32]) for name in ("test_x", "test_label"))
    names = np.asarray(_classes(C, x))
    images = np.asarray(data.scaled(jnp.asarray(x), 0.0))
    drawn = {"named": named_images(images, names.tolist(), names == label)}
    return drawn | filters(arrays, samples, rows, C=C)


def filters(arrays: Any, samples: None, rows: Any, *, C: Bound) -> dict[str, Any]:
    """{"filters"}: the kernels of the first convolution as images, each over its whole range;
    nothing for a net without one.
    """
    kernel = C.params.get("Conv_0", {}).get("kernel")
    if kernel is None or kernel.shape[2] not in (1, 3):
        return {}
    images = np.asarray(kernel).transpose(3, 0, 1, 2)
    low, high = (end(images, (1, 2, 3), keepdims=True) for end in (np.min, np.max))
    return {"filters": image_grid((images - low) / np.maximum(high - low, 1e-12))}
