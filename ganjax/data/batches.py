"""Batches drawn on the device by key."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, random
from jaxtyping import Shaped

from ganjax.data.mixtures import Mixture


def draw(data: Any, key: Array, n: int, low: float = -1.0, high: float = 1.0) -> dict[str, Array]:
    """n examples drawn with replacement by key: {"x": float32 [n, *shape], "label": int32 [n], …}.

    Pure and jittable. data: what `Dataset.load()` returned, on the device or not. The same rows are
    drawn of all arrays, so pairs stay pairs; a Mixture gives fresh samples. uint8 0 … 255 becomes
    float32 low … high; floats and int32 stay as they are.
    """
    if isinstance(data, Mixture):
        return {"x": data.draw(key, n)}
    rows = random.randint(key, (n,), 0, len(data["x"]))  # [n]
    return {field: scaled(jnp.asarray(values)[rows], low, high) for field, values in data.items()}


def scaled(
    x: Shaped[Array | np.ndarray, "*shape"], low: float = -1.0, high: float = 1.0
) -> Shaped[Array, "*shape"]:
    """uint8 0 … 255 as float32 low … high, evenly spaced; any other dtype as it is."""
    if x.dtype != jnp.uint8:
        return jnp.asarray(x)
    # A table: the compiler may round arithmetic in another way from one program to the next.
    table = jnp.asarray(np.linspace(low, high, 256, dtype=np.float32))
    return table.at[x].get(mode="promise_in_bounds")
