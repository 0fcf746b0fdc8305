"""A team of discriminators as one opponent: their values or scores become one number.

Two ways. A soft mean of the members' values (GMAN, Durugkar et al. 2017, section 3), or a vote of
boosted members (AdaBoost.OL, Beygelzimer, Kale and Luo 2015), as GMAN's authors boost them.

Soft means. V is [..., N], one value for each member. Member i has the weight
w_i = exp(λ V_i) / Σ_j exp(λ V_j), so λ = 0 gives the plain mean and λ → ∞ the largest value.

Boosting. Member i of the team gives a logit q_i, above 0 where it is right. The first i members
together give s_i = Σ_{j≤i} α_j q_j.
- Member i weighs an example by σ(-s_{i-1}).
- α_i descends the logistic loss of s_i with steps 4/√t, and is clipped to [-2, 2].
- The vote of s_i falls by a factor e where it is wrong.
All three are descents, so the coefficients α and the votes are a player of the game. The authors of
GMAN sum over the batch where their text sums over the members, and their votes grow with errors;
here both are as in AdaBoost.OL.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax import Array
from jax.lax import stop_gradient
from jax.nn import softplus as sp
from jax.typing import ArrayLike
from jaxtyping import Float

from ganjax.losses import log_sigmoid
from ganjax.player import Bound, Player

MAX_SUM = 4.0  # bound of |s_i| where it weighs examples
MAX_ALPHA = 2.0


def weights(V: Float[Array, "*batch N"], lam: ArrayLike) -> Float[Array, "*batch N"]:
    """softmax(λ V) over the members; gradients flow through it."""
    return jax.nn.softmax(lam * V, -1)


def mean(V: Float[Array, "*batch N"], lam: ArrayLike = 0.0) -> Float[Array, "*batch"]:
    """The plain mean, which every soft mean is at λ = 0. `lam` is not used."""
    return V.mean(-1)


def arithmetic(V: Float[Array, "*batch N"], lam: ArrayLike = 0.0) -> Float[Array, "*batch"]:
    """AM_soft = Σ w_i V_i."""
    return (weights(V, lam) * V).sum(-1)


def geometric(V: Float[Array, "*batch N"], lam: ArrayLike = 0.0) -> Float[Array, "*batch"]:
    """GM_soft = -exp(Σ w_i log(-V_i)), of values V_i < 0."""
    return -jnp.exp((weights(V, lam) * jnp.log(-V)).sum(-1))


def harmonic(V: Float[Array, "*batch N"], lam: ArrayLike = 0.0) -> Float[Array, "*batch"]:
    """HM_soft = (Σ w_i / V_i)^-1, of values V_i < 0."""
    return 1 / (weights(V, lam) / V).sum(-1)


def largest(V: Float[Array, "*batch N"], lam: ArrayLike = 0.0) -> Float[Array, "*batch"]:
    """max_i V_i, the limit of every soft mean as λ → ∞. `lam` is not used."""
    return V.max(-1)


def values(
    real: Float[Array, "B N"], fake: Float[Array, "B N"], eps: float = 0.01
) -> Float[Array, N]:
    """V_i = E log D_i(x) + E log(1 - D_i(G(z))) from logits; below 0.

    The probabilities are squashed to [eps, 1 - eps], as GMAN's authors do.
    """
    return log_sigmoid(real, eps).mean(0) + log_sigmoid(-fake, eps).mean(0)


def generator_values(
    fake: Float[Array, "B N"], modified: bool = False, eps: float = 0.01
) -> Float[Array, " N"]:
    """The part of V_i that G moves, E log(1 - D_i(G(z))), of scores [B, N]: [N], below 0.

    modified: E -log D_i(G(z)) in its place, above 0 (mod-GAN).
    """
    return (-log_sigmoid(fake, eps) if modified else log_sigmoid(-fake, eps)).mean(0)


class BoostingCoefficients(nn.Module):
    """The coefficients α and the share of each vote, [2, N]."""

    n: int

    @nn.compact
    def __call__(self) -> Array:
        alpha = self.param("alpha", nn.initializers.zeros, (self.n,))
        log_votes = self.param("votes", nn.initializers.zeros, (self.n,))
        return jnp.stack([alpha, nn.softmax(log_votes)])


def boosting_player(n: int) -> Player:
    """The player of n members' coefficients: every α starts at 0, and the votes are equal."""

    def clip(updates: Any, params: Any) -> Any:
        return jax.tree.map(
            lambda u, p: jnp.clip(p + u, -MAX_ALPHA, MAX_ALPHA) - p, updates, params
        )

    alpha = optax.chain(optax.sgd(lambda count: 4 / jnp.sqrt(count + 1.0)), optax.stateless(clip))
    tx = optax.multi_transform(
        {"alpha": alpha, "votes": optax.sgd(1.0)}, {"alpha": "alpha", "votes": "votes"}
    )
    return Player(BoostingCoefficients(n), tx, None)


def boosted_score(score: Float[Array, "B N"], A: Bound) -> Float[Array, B]:
    """The logit of the whole team: the partial sums s_i, weighted by their votes."""
    alpha, votes = A()
    return jnp.cumsum(alpha * score, -1) @ votes


def boosting_losses(
    real: Float[Array, "B N"], fake: Float[Array, "B N"], A: Bound
) -> dict[str, Float[Array, ""]]:
    """The losses of the members, "D", and of their coefficients, "A".

    All members see the same samples; real and fake are their logits.
    """
    chex.assert_equal_shape([real, fake])
    alpha, _ = A()
    q = jnp.concatenate([real, -fake])  # [2B, N]
    own = alpha * q
    total = stop_gradient(jnp.cumsum(own, -1))
    before = total - stop_gradient(own)
    weight = nn.sigmoid(-jnp.clip(before, -MAX_SUM, MAX_SUM))
    wrong = (total < 0).mean(0)  # [N]
    return {
        "D": (weight * sp(-q)).mean(0).sum(),
        "A": sp(-before - own).mean(0).sum() + A.params["votes"] @ wrong,
    }


# F(V, λ) by the name of GMAN's variant: "learned" is GMAN*, "mean" GMAN-0, "soft" with λ = 1
# GMAN-1. With F-boost V is the one value of the boosted team; with P-boost G plays against the
# member with the largest value.
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
