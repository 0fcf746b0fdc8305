"""What a player faces when it plays against a team: tables of scores mixed into one number.

V is [..., N], one value for each member along the last axis. The soft means weigh member i by w_i =
exp(λ V_i) / Σ_j exp(λ V_j), so λ = 0 is the plain mean and λ → ∞ the largest value (Durugkar et al.
2017, section 3).
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from ganjax.losses import log_sigmoid


def weights(V: Array, lam: ArrayLike) -> Array:
    """softmax(λ V) over the last axis, [..., N]; gradients flow through it."""
    return jax.nn.softmax(lam * V, -1)


def mean(V: Array, lam: ArrayLike = 0.0) -> Array:
    """The plain mean, [..., N] -> [...]: every soft mean at λ = 0. `lam` is not used."""
    return V.mean(-1)


def arithmetic(V: Array, lam: ArrayLike = 0.0) -> Array:
    """AM_soft = Σ w_i V_i, [..., N] -> [...]."""
    return (weights(V, lam) * V).sum(-1)


def geometric(V: Array, lam: ArrayLike = 0.0) -> Array:
    """GM_soft = -exp(Σ w_i log(-V_i)) of values V_i < 0, [..., N] -> [...]."""
    return -jnp.exp((weights(V, lam) * jnp.log(-V)).sum(-1))


def harmonic(V: Array, lam: ArrayLike = 0.0) -> Array:
    """HM_soft = (Σ w_i / V_i)^-1 of values V_i < 0, [..., N] -> [...]."""
    return 1 / (weights(V, lam) / V).sum(-1)


def largest(V: Array, lam: ArrayLike = 0.0) -> Array:
    """max_i V_i, [..., N] -> [...]: the limit of every soft mean as λ → ∞. `lam` is not used."""
    return V.max(-1)


def values(real: Array, fake: Array, eps: float = 0.01) -> Array:
    """V_i = E log D_i(x) + E log(1 - D_i(G(z))) of scores [B, N], the sigmoid squashed by eps as
    GMAN's authors do: [N], below 0.
    """
    return log_sigmoid(real, eps).mean(0) + log_sigmoid(-fake, eps).mean(0)


def generator_values(fake: Array, modified: bool = False, eps: float = 0.01) -> Array:
    """The part of V_i that G moves, E log(1 - D_i(G(z))), of scores [B, N]: [N], below 0.

    modified: E -log D_i(G(z)) in its place, above 0 (mod-GAN).
    """
    return (-log_sigmoid(fake, eps) if modified else log_sigmoid(-fake, eps)).mean(0)


# F(V, λ) by name: "learned" is GMAN*, "mean" GMAN-0, "soft" with λ = 1 GMAN-1. F-boost's V is one,
# of the booster; P-boost has the largest.
AGGREGATES: dict[str, Callable[..., Array]] = {
    "max": largest,
    "mean": mean,
    "soft": arithmetic,
    "learned": arithmetic,
    "geometric": geometric,
    "harmonic": harmonic,
    "F-boost": largest,
    "P-boost": largest,
}
