"""Hopfield's net: an energy of N units, -1 or 1, with patterns at its minima, and the updates that
lead down to them.

Hopfield 1982, "Neural networks and physical systems with emergent collective computational
abilities". States are [..., N]; W [N, N] is symmetric, and its diagonal counts as 0. With a
temperature the updates are those of a Boltzmann machine without thresholds on units of -1 and 1.
"""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax import Array, lax, random
from jax.typing import ArrayLike

# A field nearer to 0 is taken for rounding, and leaves a unit as it is. Hebb's fields are multiples
# of 1 / N.
TIE = 1e-4


class Hopfield(nn.Module):
    """The energy of states, [B, N] -> [B]; its weights "W" begin at 0."""

    @nn.compact
    def __call__(self, s: Array) -> Array:
        N = s.shape[-1]
        return energy(self.param("W", nn.initializers.zeros, (N, N)), s)


class Patterns(nn.Module):
    """Patterns, [P, N] of -1 and 1, drawn as the player's parameters."""

    drawn: Callable[[Array], Array]  # (key) -> patterns

    @nn.compact
    def __call__(self) -> Array:
        return self.param("patterns", self.drawn)


def without_diagonal(W: ArrayLike) -> Array:
    """W with zeros on its diagonal."""
    W = jnp.asarray(W)
    return jnp.where(jnp.eye(len(W), dtype=bool), 0, W)


def energy(W: ArrayLike, s: Array) -> Array:
    """E(s) = -1/2 Σ_{i≠j} W_ij s_i s_j of states [..., N], [...]."""
    return -0.5 * ((s @ without_diagonal(W)) * s).sum(-1)


def hebb(patterns: ArrayLike) -> Array:
    """Hebb's rule: W = 1/N Σ_p x_p x_pᵀ with zeros on its diagonal, of patterns x [P, N].

    On the host. Raises ValueError, one line, for no pattern, and for entries other than -1 and 1.
    """
    x = np.asarray(patterns, np.float32)
    if x.ndim != 2 or not x.size:
        raise ValueError(f"patterns are wanted as [P, N] with P >= 1, not {list(x.shape)}")
    if not np.isin(x, (-1, 1)).all():
        other = x[~np.isin(x, (-1, 1))][0]
        raise ValueError(f"patterns are made of -1 and 1; got {other:g}")
    return without_diagonal(x.T @ x / np.float32(x.shape[1]))


def sweep(W: ArrayLike, s: Array, key: Array, T: ArrayLike = 0.0, together: bool = False) -> Array:
    """Each unit of states s [..., N] once: in a random order, or all together. Pure.

    A unit becomes 1 with the probability 1 / (1 + exp(-2 h / T)), h its field Σ_j W_ij s_j. At
    T = 0 it takes the sign of its field, which never raises the energy if units move one by one;
    together they may end in a cycle of two states. States of a batch share the order.
    """
    W = without_diagonal(W)
    heat = 0.5 * jnp.asarray(T) * random.logistic(random.fold_in(key, 0), s.shape)
    if together:
        return jnp.where(s * (s @ W + heat) < -TIE, -s, s)

    def one(s: Array, i: Array) -> tuple[Array, None]:
        own, field = s[..., i], s @ W[i] + heat[..., i]
        return s.at[..., i].set(jnp.where(own * field < -TIE, -own, own)), None

    order = random.permutation(random.fold_in(key, 1), s.shape[-1])
    return lax.scan(one, s, order)[0]


def recall(
    W: ArrayLike, s: Array, key: Array, sweeps: int, T: ArrayLike = 0.0, together: bool = False
) -> Array:
    """States after 0, 1, … sweeps from s [..., N]: [sweeps + 1, ..., N]; arguments as in `sweep`.

    Pure.
    """

    def next_state(s: Array, key: Array) -> tuple[Array, Array]:
        new = sweep(W, s, key, T, together)
        return new, new

    _, later = lax.scan(next_state, s, random.split(key, sweeps))
    return jnp.concatenate([s[None], later])


def damaged(x: Array, key: Array, share: ArrayLike) -> Array:
    """Patterns [..., N] with this share of their units, rounded to whole ones, turned over, each
    pattern its own. Pure.
    """
    rank = random.uniform(key, x.shape).argsort(-1).argsort(-1)
    return jnp.where(rank < jnp.round(jnp.asarray(share) * x.shape[-1]), -x, x)


def overlap(x: Array, s: Array) -> Array:
    """The overlap 1/N Σ_i x_i s_i of patterns and states [..., N], [...]: 1 where they agree."""
    return (x * s).mean(-1)
