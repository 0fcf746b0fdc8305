"""How far G against D is from the end, where D says one half of everything (Goodfellow et al. 2014,
theorem 1). Pure functions.
"""

import math

import jax
import jax.numpy as jnp
from jax import Array, lax, random

from ganjax.data.mixtures import Mixture

LIMITS = {"value": -math.log(4), "accuracy": 0.5}  # where the samples have the density of the data
SAMPLES = 2**12  # windows, and samples judged by them


def value(real: Array, fake: Array) -> dict[str, Array]:
    """{"value": V = E log D(x) + E log(1 - D(G(z))) in nats, "accuracy": share of right answers,
    both sides alike}, from D's logits.

    Equation 1; logits of any shape. A logit of 0 is half a right answer.
    """
    right = jnp.heaviside(real, 0.5).mean() + jnp.heaviside(-fake, 0.5).mean()
    return {
        "value": jax.nn.log_sigmoid(real).mean() + jax.nn.log_sigmoid(-fake).mean(),
        "accuracy": right / 2,
    }


def best(mixture: Mixture, x: Array, key: Array) -> dict[str, Array]:
    """`value` of D* = p / (p + q), the best answer to a G of samples x [n, d]: "value_best" = -log
    4 + 2 JSD(p || q), "accuracy_best".

    Proposition 1. p is the mixture. q is known by its samples alone: Gaussian windows around half
    of them (at most SAMPLES), judged at the other half. p and q are blurred alike, by half the
    least SD, so that equal densities stay equal and the value is never more than that of the sharp
    ones (data processing), but for chance.
    """
    n, h = min(len(x) // 2, SAMPLES), jnp.min(jnp.asarray(mixture.sd)) / 2
    real_key, blur_key = random.split(key)
    p = mixture._replace(sd=jnp.hypot(mixture.sd, h))
    q = Mixture(x[:n], jnp.full(n, h), jnp.full(n, 1 / n))
    points = jnp.stack(
        [p.draw(real_key, n), x[n : 2 * n] + h * random.normal(blur_key, (n, mixture.dim))]
    )  # [2, n, d]
    log_q = lax.map(q.log_prob, points.reshape(2 * n, -1), batch_size=256).reshape(2, n)
    found = value(*(p.log_prob(points) - log_q))
    return {f"{name}_best": number for name, number in found.items()}
