"""Payoffs as pairs on logits: what D and what G minimise, elementwise and unreduced.

`payoff.d(real, fake)` and `payoff.g(fake, real)` take scores that broadcast against each other;
only the relativistic pair looks at the real scores in g. sp is softplus: -log sigmoid(s) = sp(-s),
-log(1 - sigmoid(s)) = sp(s).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jax.nn import relu
from jax.nn import softplus as sp


class Payoff(NamedTuple):
    """What D and G minimise, from scores of any shape."""

    d: Callable[[Array, Array], Array]  # (real, fake)
    g: Callable[..., Array]  # (fake, real=None)


def _log_d(real: Array, fake: Array) -> Array:
    return sp(-real) + sp(fake)


def _needs_real(fake: Array, real: Array | None = None) -> Array:
    if real is None:
        raise ValueError("a relativistic payoff's g needs the real scores too: g(fake, real)")
    return sp(real - fake)


# V(D, G) = E log D(x) + E log(1 - D(G(z))), Goodfellow et al. 2014, equation 1; G minimises V
# itself.
minimax = Payoff(_log_d, lambda fake, real=None: -sp(fake))
# G maximises E log D(G(z)) instead: Goodfellow et al. 2014, section 3.
non_saturating = Payoff(_log_d, lambda fake, real=None: sp(-fake))
# Mao et al. 2017, equation 9: a = 0, b = c = 1.
least_squares = Payoff(
    lambda real, fake: 0.5 * (real - 1) ** 2 + 0.5 * fake**2,
    lambda fake, real=None: 0.5 * (fake - 1) ** 2,
)
# Lim and Ye 2017; Miyato et al. 2018, equations 16 and 17.
hinge = Payoff(lambda real, fake: relu(1 - real) + relu(1 + fake), lambda fake, real=None: -fake)
# Arjovsky et al. 2017; D must be kept Lipschitz by a penalty.
wasserstein = Payoff(lambda real, fake: fake - real, lambda fake, real=None: -fake)
# Pairs of one real and one fake score: Jolicoeur-Martineau 2018 (RSGAN); with R1 and R2 the loss of
# R3GAN (Huang et al. 2024).
relativistic = Payoff(lambda real, fake: sp(fake - real), _needs_real)

PAYOFFS = {
    "minimax": minimax,
    "non-saturating": non_saturating,
    "least-squares": least_squares,
    "hinge": hinge,
    "wasserstein": wasserstein,
    "relativistic": relativistic,
}


def ce(logits: Array, label: Array | int) -> Array:
    """Cross entropy with whole-number labels, [..., classes] and [...] -> [...], in nats."""
    return optax.softmax_cross_entropy_with_integer_labels(
        logits, jnp.broadcast_to(jnp.asarray(label), logits.shape[:-1])
    )


def log_sigmoid(logits: Array, squash: float = 0.0) -> Array:
    """log of the probability squash + (1 - 2 squash) sigmoid(logits); squash > 0 keeps it finite
    where it is reported.
    """
    return (
        jax.nn.log_sigmoid(logits)
        if squash == 0
        else jnp.log(squash + (1 - 2 * squash) * jax.nn.sigmoid(logits))
    )


def l1(x: Array, y: Array) -> Array:
    """Mean absolute difference over all entries, a scalar."""
    return jnp.abs(x - y).mean()
