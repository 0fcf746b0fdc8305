"""When a value comes to rest: its spread over a sliding window, as a game's memory. Pure functions."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

WINDOW, BLOCK, LIMIT = (
    500,
    50,
    0.01,
)  # steps; those that are averaged first; the spread below which a value rests

Memory = dict[str, Array]


def blank() -> Memory:
    """Before the first step."""
    return {"window": jnp.zeros(WINDOW), "found": jnp.bool_(False), "since": jnp.int32(0)}


def follow(memory: Any, value: Array, step: ArrayLike) -> tuple[Memory, dict[str, Array]]:
    """The next memory, and {"sd", "steady"} to be logged, for the value [] at a step.

    sd is the SD of the means of 50 steps over the last 500, before step 0 the first value; steady
    the first step at which it is below .01 in a full window, and until then the step itself
    (Durugkar et al. 2017, figure 4 and the authors' plot_learning_curves.py).
    """
    later = jnp.concatenate([memory["window"][1:], value[None]])  # [500]
    window = jnp.where(jnp.asarray(step) > 0, later, value)  # at first full of the first value
    sd = window.reshape(-1, BLOCK).mean(1).std()
    found = memory["found"] | ((jnp.asarray(step) >= WINDOW - 1) & (sd < LIMIT))
    since = jnp.where(memory["found"], memory["since"], step)
    return {"window": window, "found": found, "since": since}, {"sd": sd, "steady": since}
