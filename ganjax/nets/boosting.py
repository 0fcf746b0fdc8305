"""A team of critics as the weak learners of AdaBoost.OL (Beygelzimer, Kale and Luo 2015), as GMAN's
authors boost them. Pure functions.

Learner i says q_i, a logit on the right side above 0. s_i = Σ_{j≤i} α_j q_j is what the first i say
together. Learner i sees an example with the weight σ(-s_{i-1}); α_i goes down its logistic loss on
s_i, with steps of 4/√t, between -2 and 2; and each partial sum is an expert whose vote falls by a
factor e where it is wrong. All three are descents, so the coefficients are a player (`booster`).

GMAN's authors add up over the batch where their text adds up over the learners, and let votes grow
with errors: here as in AdaBoost.OL.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax import Array
from jax.lax import stop_gradient
from jax.nn import softplus as sp

from ganjax.game import Bound, Player

SUM, LARGEST = 4.0, 2.0  # bounds of s, where it weighs examples, and of α


class Booster(nn.Module):
    """α and the share of each vote, [2, N]."""

    n: int

    @nn.compact
    def __call__(self) -> Array:
        alpha, log_votes = (
            self.param(name, nn.initializers.zeros, (self.n,)) for name in ("alpha", "votes")
        )
        return jnp.stack([alpha, nn.softmax(log_votes)])


def booster(n: int) -> Player:
    """The player of n learners' coefficients: α starts at 0, the votes are equal."""

    def within(updates: Any, params: Any) -> Any:
        return jax.tree.map(lambda u, p: jnp.clip(p + u, -LARGEST, LARGEST) - p, updates, params)

    alpha = optax.chain(optax.sgd(lambda count: 4 / jnp.sqrt(count + 1.0)), optax.stateless(within))
    return Player(
        Booster(n),
        optax.multi_transform(
            {"alpha": alpha, "votes": optax.sgd(1.0)}, {"alpha": "alpha", "votes": "votes"}
        ),
        None,
    )


def verdict(score: Array, A: Bound) -> Array:
    """What all learners say together of their logits [B, N]: the experts' partial sums by their
    votes, [B].
    """
    alpha, votes = A()
    return jnp.cumsum(alpha * score, -1) @ votes


def losses(real: Array, fake: Array, A: Bound) -> dict[str, Array]:
    """{"D": of the learners, "A": of the coefficients}, scalars, for the logits [B, N] of all
    learners on the same samples.
    """
    alpha, _ = A()
    q = jnp.concatenate([real, -fake])  # [2B, N]
    own = alpha * q
    said = stop_gradient(jnp.cumsum(own, -1))
    before = said - stop_gradient(own)
    weight = nn.sigmoid(-jnp.clip(before, -SUM, SUM))
    wrong = (said < 0).mean(0)  # [N]
    return {
        "D": (weight * sp(-q)).mean(0).sum(),
        "A": sp(-before - own).mean(0).sum() + A.params["votes"] @ wrong,
    }
