"""Nets from image to image: CycleGAN's (Zhu et al. 2017) and pix2pix's (Isola et al. 2017). Initial
weights N(0, .02).
"""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from ganjax.nets.dcgan import WEIGHTS, lrelu
from ganjax.nets.layers import Conv, ConvTranspose, InstanceNorm


def reflect(x: Array, n: int) -> Array:
    """x with n mirrored points around it, [B, H + 2n, W + 2n, C]."""
    return jnp.pad(x, ((0, 0), (n, n), (n, n), (0, 0)), "reflect")


class ResNet(nn.Module):
    """CycleGAN's translator: x [B, H, W, C] -> [B, H, W, channels] in (-1, 1); sides are multiples
    of 4.

    9 residual blocks for 256 pixels, 6 for 128 and below.
    """

    blocks: int = 9
    channels: int = 3
    width: int = 64

    @nn.compact
    def __call__(self, x: Array) -> Array:
        def conv(x: Array, features: int, kernel: int, stride: int = 1) -> Array:
            x = x if stride > 1 else reflect(x, kernel // 2)
            return InstanceNorm()(
                Conv(features, kernel, stride, int(stride > 1), bias=False, kernel_init=WEIGHTS)(x)
            )

        width = self.width
        x = nn.relu(conv(x, width, 7))
        for features in (2 * width, 4 * width):
            x = nn.relu(conv(x, features, 3, stride=2))
        for _ in range(self.blocks):
            x = x + conv(nn.relu(conv(x, 4 * width, 3)), 4 * width, 3)
        for features in (2 * width, width):
            x = ConvTranspose(features, 3, 2, (1, 0), bias=False, kernel_init=WEIGHTS)(x)
            x = nn.relu(InstanceNorm()(x))
        return nn.tanh(Conv(self.channels, 7, padding="VALID", kernel_init=WEIGHTS)(reflect(x, 3)))


class PatchGAN(nn.Module):
    """The discriminator of both: images [B, H, W, C], joined by channel if several, -> [B, H', W']
    logits of overlapping patches.

    depth=3 sees patches of 70 pixels, 2 of 34, 1 of 16. Instance norm, which is pix2pix's batch
    norm at its batch of 1.
    """

    depth: int = 3
    width: int = 64

    @nn.compact
    def __call__(self, *xs: Array) -> Array:
        x = lrelu(Conv(self.width, 4, 2, 1, kernel_init=WEIGHTS)(jnp.concatenate(xs, -1)))
        for i in range(1, self.depth + 1):
            features, stride = self.width * min(1 << i, 8), 2 if i < self.depth else 1
            x = lrelu(
                InstanceNorm()(Conv(features, 4, stride, 1, bias=False, kernel_init=WEIGHTS)(x))
            )
        return Conv(1, 4, 1, 1, kernel_init=WEIGHTS)(x)[..., 0]
