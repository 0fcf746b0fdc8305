"""Optimisers that papers describe and Optax does not name."""

import jax.numpy as jnp
import optax


def heavy_ball(lr: float, epoch: int, falls: float = 1.000004) -> optax.GradientTransformation:
    """SGD of the first GAN papers: momentum .5 to .7 linearly over epochs 1 to 250; rate over
    `falls` after each update, at least 1e-6.

    epoch: updates in an epoch. Goodfellow et al. 2014, mnist.yaml of the authors' code; v <- m v -
    lr g, w <- w + v.
    """
    ball = optax.inject_hyperparams(optax.trace)(
        decay=optax.linear_schedule(0.5, 0.7, 249 * epoch, epoch)
    )
    return optax.chain(
        optax.scale_by_learning_rate(lambda t: jnp.maximum(lr / falls**t, 1e-6)), ball
    )
