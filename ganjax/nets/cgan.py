"""Nets that see a label y, one-hot, as a second input: CGAN's."""

from __future__ import annotations

import math
from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
from flax.linen import initializers as inits
from jax import Array

from ganjax.nets.layers import Dropout, Maxout
from ganjax.nets.mlp import symmetric_init


def joined(x: Array, y: Array) -> Array:
    """x with the entries of y beside it, each the same at every point: [B, *space, C], [B, K] ->
    [B, *space, C + K].
    """
    maps = jnp.broadcast_to(
        y.reshape(y.shape[0], *[1] * (x.ndim - 2), -1), (*x.shape[:-1], y.shape[-1])
    )
    return jnp.concatenate([x, maps], -1)


class Generator(nn.Module):
    """The generator of Mirza and Osindero 2014: z [B, Z], y [B, K] -> [B, *out].

    The widths are those of the layers of z, of y and of both. The initial weights, which they do
    not state, are Goodfellow et al.'s.
    """

    out: tuple[int, ...] = (28, 28, 1)
    widths: tuple[int, int, int] = (200, 1000, 1200)
    last: Callable[[Array], Array] = nn.sigmoid
    bias: Callable[..., Array] = inits.zeros  # of the output layer
    rate: float = 0.5  # of dropout

    @nn.compact
    def __call__(self, z: Array, y: Array) -> Array:
        small = symmetric_init(0.05)
        z, y = (
            Dropout()(nn.relu(nn.Dense(width, kernel_init=small)(x)), self.rate)
            for x, width in zip((z, y), self.widths)
        )
        x = Dropout()(
            nn.relu(nn.Dense(self.widths[2], kernel_init=small)(jnp.concatenate([z, y], -1))),
            self.rate,
        )
        x = nn.Dense(math.prod(self.out), kernel_init=small, bias_init=self.bias, name="out")(x)
        return self.last(x.reshape(x.shape[0], *self.out))


class Discriminator(nn.Module):
    """Their discriminator, of maxout layers: x [B, ...], y [B, K] -> [B] logits."""

    units: tuple[int, int, int] = (240, 50, 240)  # of the layers of x, of y and of both

    @nn.compact
    def __call__(self, x: Array, y: Array) -> Array:
        small, (of_x, of_y, of_both) = symmetric_init(0.005), self.units
        x = Dropout()(Maxout(of_x, 5, small)(x.reshape(x.shape[0], -1)), 0.5)
        y = Dropout()(Maxout(of_y, 5, small)(y), 0.5)
        x = Dropout()(Maxout(of_both, 4, small)(jnp.concatenate([x, y], -1)), 0.5)
        return nn.Dense(1, kernel_init=small)(x)[..., 0]
