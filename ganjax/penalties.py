"""Penalties on the gradient of D's score in its first input, one value for each sample.

Add their mean over the batch to D's loss. D is called without a key, so without dropout. For a team
of n discriminators each member has its own penalty.

Shapes: x is [B, *sees], the conditions (labels, say) are D's other inputs, [B, ...] each.
"""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Key

from ganjax.player import Bound


def gradient(D: Bound, x: Float[Array, "B ..."], *conditions: Array) -> Float[Array, "B ..."]:
    """The gradient of each sample's score in that sample, [B, (n,) *sees].

    Where D returns several scores for a sample, as PatchGAN does, they are summed first. Raises
    ValueError for inputs with axes between B and the sample.
    """
    if D.extra_axes((x, *conditions)):
        raise ValueError(
            f"a penalty takes one sample after the batch axis, [B, *sees]; "
            f"got {x.shape} for {D.name}"
        )
    team = D.player.n is not None
    D_of = D.each if team else D

    def score(*inputs: Array) -> Array:
        return D_of(*(a[None] for a in inputs)).astype(jnp.float32).sum()

    inputs = (x, *conditions)
    if team:  # a copy for each member, or the sum over the team would add up their gradients
        inputs = tuple(jnp.broadcast_to(a[:, None], (len(a), D.n, *a.shape[1:])) for a in inputs)
    return jax.vmap(jax.grad(score))(*inputs)


def squared_norm(D: Bound, x: Float[Array, "B ..."], *conditions: Array) -> Float[Array, "B ..."]:
    """‖∇_x D(x)‖² of each sample, [B, (n)].

    Times γ/2 it is R1 at real samples and R2 at fakes (Mescheder et al. 2018, equations 9 and 10).
    """
    slope = gradient(D, x, *conditions)
    return (slope**2).sum(tuple(range(1 if D.player.n is None else 2, slope.ndim)))


def wgan_gp(
    D: Bound,
    real: Float[Array, "B ..."],
    fake: Float[Array, "B ..."],
    key: Key[Array, ""],
    *conditions: Array,
) -> Float[Array, "B ..."]:
    """(‖∇D‖ - 1)² at a point drawn uniformly between each real sample and its fake, [B, (n)].

    Gulrajani et al. 2017, equation 3, without its factor λ. A constant of 1e-12 under the root
    keeps the gradient finite where ∇D = 0.
    """
    chex.assert_equal_shape([real, fake])
    alpha = jax.random.uniform(key, (len(real), *[1] * (real.ndim - 1)))
    between = alpha * real + (1 - alpha) * fake
    return (jnp.sqrt(squared_norm(D, between, *conditions) + 1e-12) - 1) ** 2
