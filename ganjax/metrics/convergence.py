"""When a value settles: its SD over a sliding window, kept as a game's memory. Pure functions."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

WINDOW = 500  # steps
BLOCK = 50  # steps that are averaged first
LIMIT = 0.01  # the SD below which a value is steady

Memory = dict[str, Array]


def init() -> Memory:
    """The memory before the first step."""
    return {"window": jnp.zeros(WINDOW), "found": jnp.bool_(False), "since": jnp.int32(0)}


def update(
    memory: Any, value: Float[Array, ""], step: ArrayLike
) -> tuple[Memory, dict[str, Array]]:
    """The next memory and, to be logged, {"sd", "steady"} of the value at a step.

    sd is the SD of the means of blocks of 50 steps over the last 500 steps; steps before 0 have the
    value of step 0. steady is the first step at which sd is below .01 in a full window, and until
    then the current step (Durugkar et al. 2017, figure 4; the authors' plot_learning_curves.py).
    """
    later = jnp.concatenate([memory["window"][1:], value[None]])  # [500]
    window = jnp.where(jnp.asarray(step) > 0, later, value)
    sd = window.reshape(-1, BLOCK).mean(1).std()
    found = memory["found"] | ((jnp.asarray(step) >= WINDOW - 1) & (sd < LIMIT))
    since = jnp.where(memory["found"], memory["since"], step)
    return {"window": window, "found": found, "since": since}, {"sd": sd, "steady": since}
