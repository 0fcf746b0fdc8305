"""Optimisers that papers describe and Optax does not name."""

from __future__ import annotations

import jax.numpy as jnp
import optax


def heavy_ball(lr: float, epoch: int, falls: float = 1.000004) -> optax.GradientTransformation:
    """SGD with momentum as in the first GAN papers: v <- m v - lr g, w <- w + v.

    The momentum m rises linearly from .5 to .7 over epochs 1 to 250; the learning rate is divided
    by `falls` after each update, down to 1e-6. Goodfellow et al. 2014, mnist.yaml of the authors'
    code.

    lr: learning rate of the first update
    epoch: updates in an epoch
    falls: divisor of the learning rate
    """
    momentum = optax.linear_schedule(0.5, 0.7, 249 * epoch, epoch)
    ball = optax.inject_hyperparams(optax.trace)(decay=momentum)
    return optax.chain(
        optax.scale_by_learning_rate(lambda t: jnp.maximum(lr / falls**t, 1e-6)), ball
    )


def clip_weights(limit: float) -> optax.GradientTransformation:
    """Keeps each parameter in -limit … limit; the last link of a chain. Arjovsky et al. 2017,
    "Wasserstein GAN", algorithm 1.
    """
    return optax.stateless_with_tree_map(lambda u, p: jnp.clip(p + u, -limit, limit) - p)
