"""LAPGAN's nets (Denton, Chintala, Szlam and Fergus 2015): dense ones for the coarsest level,
convolutions for the finer ones.

With a label y the same nets are CC-LAPGAN's. Initial weights of the convolutions, and of the dense
nets with labels, are Torch's, U(±1/√fan_in), as in the authors' scripts; biases begin at 0. The
second hidden layer of the coarsest G is rectified in both; the authors' script without labels has a
sigmoid there.
"""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from flax.linen import initializers as inits
from jax import Array

from ganjax.nets.layers import Conv, Dropout
from ganjax.nets.mlp import MLP

WEIGHTS = inits.variance_scaling(1 / 3, "fan_in", "uniform")


def coarse_generator(
    out: tuple[int, ...] = (8, 8, 3), width: int = 1200, conditional: bool = False
) -> MLP:
    """Of the coarsest level: z [B, Z], and y [B, K] if conditional, -> [B, *out]."""
    return MLP((width, width), out, kernel_init=WEIGHTS if conditional else inits.normal(0.05))


def coarse_discriminator(width: int = 600, conditional: bool = False) -> MLP:
    """Of the coarsest level: x [B, ...], and y [B, K] if conditional, -> [B] logits; its player
    has per={"rate": 0.5}.
    """
    return MLP((width, width), kernel_init=WEIGHTS if conditional else inits.normal(0.005))


def _with_plane(x: Array, y: Array | None) -> Array:
    """x with one more channel, a learned plane for each class."""
    if y is None:
        return x
    plane = nn.relu(nn.Dense(x.shape[1] * x.shape[2], kernel_init=WEIGHTS, name="plane")(y))
    return jnp.concatenate([x, plane.reshape(*x.shape[:-1], 1)], -1)


class Generator(nn.Module):
    """Of a finer level: noise z [B, H, W, 1], coarse image l [B, H, W, C], label y [B, K] ->
    residual h [B, H, W, C], unbounded.
    """

    width: int = 64

    @nn.compact
    def __call__(self, z: Array, l: Array, y: Array | None = None) -> Array:
        x = _with_plane(jnp.concatenate([z, l], -1), y)
        for _ in range(2):
            x = nn.relu(Conv(self.width, 7, kernel_init=WEIGHTS)(x))
        return Conv(l.shape[-1], 5, kernel_init=WEIGHTS)(x)


class Discriminator(nn.Module):
    """Of a finer level: residual h and coarse image l, [B, H, W, C] each, label y [B, K] -> [B]
    logits. It sees the sum h + l.
    """

    width: int = 64

    @nn.compact
    def __call__(self, h: Array, l: Array, y: Array | None = None) -> Array:
        x = _with_plane(h + l, y)
        for stride in (1, 2):
            x = nn.relu(Conv(self.width, 5, stride, "VALID", kernel_init=WEIGHTS)(x))
        x = Dropout()(x.reshape(x.shape[0], -1), 0.5)
        return nn.Dense(1, kernel_init=WEIGHTS)(x)[..., 0]
