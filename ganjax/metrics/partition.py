"""Partition functions of machines with binary units: exact on small ones, estimated on large ones.

Pure functions of energies in nats.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, random
from jax.nn import logsumexp
from jaxtyping import Float, Int, Key

LIMIT = 20  # units whose states are all visited: 2^20 states
BLOCK = 2**12  # states at once


def check_countable(n: int, what: str) -> None:
    """Raises ValueError, one line, where n units, called `what`, have too many states."""
    if n > LIMIT:
        raise ValueError(
            f"an exact sum over states takes at most {LIMIT} {what}, 2^{LIMIT} states; got {n}"
        )


def states(n: int, numbers: Int[Array, " m"] | None = None) -> Float[Array, "m {n}"]:
    """The states of n binary units with these numbers (all 2^n), unit i being bit i."""
    if numbers is None:
        check_countable(n, "units")
        numbers = jnp.arange(2**n)
    return (numbers[:, None] >> jnp.arange(n) & 1).astype(jnp.float32)


def log_partition(energy: Callable[[Array], Array], n: int) -> Float[Array, ""]:
    """log Z, the log of the sum of exp(-energy) over all states of n units; energy: [m, n] -> [m].

    Raises ValueError for more than 20 units.
    """
    check_countable(n, "units")
    size = min(BLOCK, 2**n)
    sums = jax.lax.map(
        lambda first: logsumexp(-energy(states(n, first + jnp.arange(size)))),
        jnp.arange(0, 2**n, size),
    )
    return logsumexp(sums)


def annealed(
    key: Key[Array, ""],
    start: Float[Array, "n V"],
    energy: Callable[[Array, Array], Array],
    move: Callable[[Array, Array, Array], Array],
    betas: Float[Array, " T"],
) -> dict[str, Any]:
    """{"log_ratio": log Z_1 / Z_0 in nats, "error": its standard error} by annealed importance
    sampling (Neal 2001; Salakhutdinov and Murray 2008, both recalled, not read).

    start: n exact samples at betas[0]. energy(v, beta) [n] is unnormalised; move(key, v, beta)
    leaves exp(-energy) of that beta invariant. betas: from 0 to 1. exp(log_ratio) is unbiased, so
    log Z is on average too low, and a log-likelihood from it too high. The error is that of n
    independent chains, by the delta method; it does not see modes that no chain finds.
    """

    def body(carry: tuple[Array, Array], at: tuple[Array, Array, Array]) -> tuple[Any, None]:
        v, log_w = carry
        before, beta, t = at
        log_w += energy(v, before) - energy(v, beta)
        return (move(random.fold_in(key, t), v, beta), log_w), None

    n, T = len(start), len(betas)
    steps = (betas[:-1], betas[1:], jnp.arange(T - 1))
    (_, log_w), _ = jax.lax.scan(body, (start, jnp.zeros(n)), steps)
    log_ratio = logsumexp(log_w) - jnp.log(n)
    w = jnp.exp(log_w - log_ratio)  # their mean is 1
    return {"log_ratio": log_ratio, "error": w.std(ddof=1) / jnp.sqrt(n)}
