"""Penalties on the gradient of a critic's score in its first input, sample by sample; add their
mean to D's loss.

They evaluate D without a key, so without dropout. A team gives one penalty for each member.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from ganjax.game import Bound


def gradient(D: Bound, x: Array, *conditions: Array) -> Array:
    """The gradient of each sample's score in that sample, [B, *sees] -> [B, (n,) *sees]; a map of
    scores is summed first.

    Raises ValueError for inputs with axes between B and the sample.
    """

    if D.lead((x, *conditions)):
        raise ValueError(
            f"a penalty takes one sample after the batch axis, [B, *sees]; got {x.shape} for {D.name}"
        )

    def score(x: Array, *c: Array) -> Array:
        score = (
            D(x[None], *(a[None] for a in c))
            if D.player.n is None
            else D.each(x[None], *(a[None] for a in c))
        )
        return score.astype(jnp.float32).sum()

    if (
        D.player.n is not None
    ):  # a copy of the input for each member, so that the sum keeps their gradients apart
        x, *conditions = (
            jnp.broadcast_to(a[:, None], (len(a), D.n, *a.shape[1:])) for a in (x, *conditions)
        )  # type: ignore[assignment]
    return jax.vmap(jax.grad(score))(x, *conditions)


def squared_norm(D: Bound, x: Array, *conditions: Array) -> Array:
    """‖∇_x D(x)‖² of each sample, [B, *sees] -> [B, (n)]: R1 at real samples, R2 at fakes, each
    times γ/2 (Mescheder et al. 2018).
    """
    slope = gradient(D, x, *conditions)
    return (slope**2).sum(tuple(range(1 if D.player.n is None else 2, slope.ndim)))


def wgan_gp(D: Bound, real: Array, fake: Array, key: Array, *conditions: Array) -> Array:
    """(‖∇D‖ - 1)² at a point drawn uniformly between each pair, [B, *sees] twice -> [B, (n)]
    (Gulrajani et al. 2017, equation 3).
    """
    alpha = jax.random.uniform(key, (len(real), *[1] * (real.ndim - 1)))
    between = alpha * real + (1 - alpha) * fake
    return (jnp.sqrt(squared_norm(D, between, *conditions) + 1e-12) - 1) ** 2
