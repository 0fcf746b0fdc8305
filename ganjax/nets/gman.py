"""GMAN's nets for 32 pixels (Durugkar, Gemp and Mahadevan 2017), as in the authors' code: width
512; 128 for their MNIST, 256 for CIFAR.
"""

from __future__ import annotations

from functools import partial

import flax.linen as nn
import numpy as np
from flax.linen import initializers as inits
from jax import Array
from jax.typing import ArrayLike

from ganjax.nets.dcgan import lrelu
from ganjax.nets.layers import BatchNorm, Conv, ConvTranspose, Dropout
from ganjax.nets.mlp import MLP

WEIGHTS = inits.truncated_normal(0.02)


class Generator(nn.Module):
    """z [B, Z] -> [B, 32, 32, channels] in (-1, 1)."""

    channels: int = 1
    width: int = 512

    @nn.compact
    def __call__(self, z: Array) -> Array:
        # TensorFlow's SAME of kernel 3 and stride 4 makes 3 x 3 of the 4 x 4 points; the last row
        # and column stay empty.
        layers = (
            (self.width, 3, 4, (0, -1)),
            (self.width // 2, 5, 2, "SAME"),
            (self.width // 4, 5, 2, "SAME"),
        )
        x = z[:, None, None]
        for features, kernel, stride, padding in layers:
            x = ConvTranspose(features, kernel, stride, padding, bias=False, kernel_init=WEIGHTS)(x)
            x = nn.relu(BatchNorm(1e-3)(x))
        return nn.tanh(ConvTranspose(self.channels, 5, 2, kernel_init=WEIGHTS)(x))


class Discriminator(nn.Module):
    """x [B, H, W, C] -> [B] logits; `rate` is the dropout rate after its first two layers, in a
    team one for each member.
    """

    width: int = 512

    @nn.compact
    def __call__(self, x: Array, rate: ArrayLike | None = None) -> Array:
        for features in (self.width // 4, self.width // 2):
            x = lrelu(Conv(features, 3, 2, kernel_init=WEIGHTS)(x))
            if rate is not None:
                x = Dropout()(x, rate)
        x = lrelu(Conv(self.width, 3, kernel_init=WEIGHTS)(x))
        return nn.Dense(1, kernel_init=WEIGHTS)(x.reshape(x.shape[0], -1))[..., 0]


def pair(shape: tuple[int, ...], width: int) -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator of inputs [*shape]: those above for 32 pixels, or dense ones; on
    images G ends in tanh.
    """
    if shape[:-1] == (32, 32):
        return Generator(shape[-1], width), Discriminator(width)
    last = nn.tanh if len(shape) > 1 else lambda x: x
    return MLP((width, width), shape, last=last), MLP(
        (width, width), (), partial(nn.leaky_relu, negative_slope=0.2)
    )


def rates(n: int) -> np.ndarray:
    """The authors' dropout rate of each of n discriminators, float32 [n]: 1 - (.4 + .2 (i + 1) /
    n).
    """
    return 0.6 - 0.2 * (np.arange(n, dtype=np.float32) + 1) / n
