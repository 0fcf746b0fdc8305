"""How far G against D is from the equilibrium, where D says one half everywhere (Goodfellow et al.
2014, theorem 1). Pure functions.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import Array, lax, random
from jaxtyping import Float

from ganjax.data.mixtures import Mixture

LIMITS = {"value": -math.log(4), "accuracy": 0.5}  # where the samples have the density of the data
SAMPLES = 2**12  # of the density estimate, and as many that it is evaluated at


def value(real: Float[Array, "*real"], fake: Float[Array, "*fake"]) -> dict[str, Array]:
    """{"value": V = E log D(x) + E log(1 - D(G(z))) in nats, "accuracy": the share of right
    answers, real and fake weighing alike}, from D's logits.

    Equation 1. A logit of 0 is half a right answer.
    """
    right = jnp.heaviside(real, 0.5).mean() + jnp.heaviside(-fake, 0.5).mean()
    return {
        "value": jax.nn.log_sigmoid(real).mean() + jax.nn.log_sigmoid(-fake).mean(),
        "accuracy": right / 2,
    }


def optimal(mixture: Mixture, x: Float[Array, "n d"], key: Array) -> dict[str, Array]:
    """`value` of the optimal D* = p / (p + q) against a G of samples x: "value_best" = -log 4 + 2
    JSD(p || q), and "accuracy_best".

    Proposition 1. p is the mixture. q is known by its samples alone: a kernel density estimate from
    half of them (at most SAMPLES), evaluated at the other half. p and q are blurred alike, by half
    the least SD, so that equal densities stay equal, and the value is never above that of the sharp
    densities (data processing), but for chance. Raises ValueError for fewer than two samples.
    """
    if len(x) < 2:
        raise ValueError(f"two samples or more are wanted for a density, not {len(x)}")
    n = min(len(x) // 2, SAMPLES)
    h = jnp.min(jnp.asarray(mixture.sd)) / 2
    real_key, blur_key = random.split(key)
    p = mixture._replace(sd=jnp.hypot(mixture.sd, h))
    q = Mixture(x[:n], jnp.full(n, h), jnp.full(n, 1 / n))
    fake = x[n : 2 * n] + h * random.normal(blur_key, (n, mixture.dim))
    points = jnp.stack([p.draw(real_key, n), fake])  # [2, n, d]
    log_q = lax.map(q.log_prob, points.reshape(2 * n, -1), batch_size=256).reshape(2, n)
    found = value(*(p.log_prob(points) - log_q))
    return {f"{name}_best": number for name, number in found.items()}
