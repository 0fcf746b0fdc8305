"""Payoffs: what D and G minimise, as functions of D's logits.

A payoff is a pair of functions. `payoff.d(real, fake)` is the loss of D and `payoff.g(fake, real)`
the loss of G, entry by entry; the caller takes the mean. Real and fake logits may have any shapes
that broadcast against each other. Only the relativistic payoff needs the real logits in g.

In formulas sp is softplus: -log sigmoid(s) = sp(-s), and -log(1 - sigmoid(s)) = sp(s).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jax.nn import relu
from jax.nn import softplus as sp
from jax.typing import ArrayLike
from jaxtyping import Float, Int, Num

from ganjax.data.sequences import mask


class Payoff(NamedTuple):
    """The losses of D and of G, entry by entry, from logits of any shape."""

    d: Callable[[Array, Array], Array]  # (real, fake)
    g: Callable[..., Array]  # (fake, real=None)


def _d_log(real: Array, fake: Array) -> Array:
    return sp(-real) + sp(fake)


def _g_relativistic(fake: Array, real: Array | None = None) -> Array:
    if real is None:
        raise ValueError("a relativistic payoff's g needs the real scores too: g(fake, real)")
    return sp(real - fake)


# Goodfellow et al. 2014, equation 1: G minimises V(D, G) = E log D(x) + E log(1 - D(G(z))).
minimax = Payoff(_d_log, lambda fake, real=None: -sp(fake))
# Goodfellow et al. 2014, section 3: G maximises E log D(G(z)) instead.
non_saturating = Payoff(_d_log, lambda fake, real=None: sp(-fake))
# Mao et al. 2017, equation 9: a = 0, b = c = 1.
least_squares = Payoff(
    lambda real, fake: 0.5 * (real - 1) ** 2 + 0.5 * fake**2,
    lambda fake, real=None: 0.5 * (fake - 1) ** 2,
)
# Lim and Ye 2017; Miyato et al. 2018, equations 16 and 17.
hinge = Payoff(lambda real, fake: relu(1 - real) + relu(1 + fake), lambda fake, real=None: -fake)
# Arjovsky et al. 2017. D must be kept Lipschitz, by a penalty for example.
wasserstein = Payoff(lambda real, fake: fake - real, lambda fake, real=None: -fake)
# Jolicoeur-Martineau 2018 (RSGAN), on pairs of one real and one fake logit; with the penalties R1
# and R2 it is the loss of R3GAN (Huang et al. 2024).
relativistic = Payoff(lambda real, fake: sp(fake - real), _g_relativistic)

PAYOFFS = {
    "minimax": minimax,
    "non-saturating": non_saturating,
    "least-squares": least_squares,
    "hinge": hinge,
    "wasserstein": wasserstein,
    "relativistic": relativistic,
}


def ce(
    logits: Float[Array, "*batch classes"], label: Int[ArrayLike, ...]
) -> Float[Array, "*batch"]:
    """Cross entropy in nats. The integer labels are broadcast to the shape of the batch."""
    return optax.softmax_cross_entropy_with_integer_labels(
        logits, jnp.broadcast_to(jnp.asarray(label), logits.shape[:-1])
    )


def log_sigmoid(logits: Float[Array, "*shape"], squash: float = 0.0) -> Float[Array, "*shape"]:
    """log of the probability squash + (1 - 2 squash) sigmoid(logits), entry by entry.

    With squash = 0 it is log sigmoid; with squash > 0 it is bounded, which GMAN's authors use.
    """
    if squash == 0:
        return jax.nn.log_sigmoid(logits)
    return jnp.log(squash + (1 - 2 * squash) * jax.nn.sigmoid(logits))


def l1(x: Num[Array, "*shape"], y: Num[Array, "*shape"]) -> Float[Array, ""]:
    """Mean absolute difference of two arrays over all entries."""
    return jnp.abs(x - y).mean()


def ctc(
    logits: Float[Array, "B *team T C"],
    frames: Num[Array | np.ndarray, " B"],
    labels: Int[Array | np.ndarray, "B L"],
    lengths: Int[Array | np.ndarray, " B"],
) -> Float[Array, "B ..."]:
    """-log p(labels | logits) in nats, the sum over all alignments; class 0 is the blank.

    Graves et al. 2006, "Connectionist Temporal Classification", equations 5 to 8. Of the padded
    arrays the first `frames` logits and `lengths` labels count. It is about 1e5 where the labels
    need more frames than there are.
    """
    labels = jnp.asarray(labels)
    waits = 1 - mask(jnp.asarray(frames), logits.shape[-2]).astype(jnp.float32)
    rest = 1 - mask(jnp.asarray(lengths), labels.shape[-1]).astype(jnp.float32)

    def loss(logits: Array) -> Array:
        return optax.ctc_loss(logits, waits, labels, rest)

    for _ in logits.shape[1:-2]:
        loss = jax.vmap(loss, 1, 1)
    return loss(logits)
