"""Floating-point operations that a net needs, by the sizes of its layers.

A multiply-add is two operations. A convolution counts its whole kernel at every place, also where
that hangs over the edge.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
from jax import Array

Shape = tuple[int, ...]


def needed(net: nn.Module, *shapes: Shape) -> list[int]:
    """Operations of one forward pass of one example, layer by layer in the order of calls; nothing
    is computed.

    shapes: of one example of each input. A layer is whatever has a kernel: each of its weights
    works once at every place of the coarser side, which is where a strided convolution ends and a
    transposed one begins.
    """
    found: list[int] = []

    def count(
        call: Callable[..., Any], args: Any, kwargs: Any, context: nn.module.InterceptorContext
    ) -> Any:
        y = call(*args, **kwargs)
        if context.method_name == "__call__" and "kernel" in (
            own := context.module.variables.get("params", {})
        ):
            places = min(math.prod(args[0].shape[:-1]), math.prod(y.shape[:-1]))
            found.append(2 * places * own["kernel"].size)
        return y

    def init(key: Array) -> Any:
        with nn.intercept_methods(count):
            return net.init(key, *(jax.numpy.zeros((1, *shape)) for shape in shapes))

    jax.eval_shape(init, jax.random.key(0))
    return found
