"""Triple-GAN's nets (Li, Xu, Zhu and Zhang 2017), as in the authors' code: for digits, and for
colour images of 32 pixels (SVHN, CIFAR-10).

C: x -> logits of y; G: z, y -> x, where z ~ U(0, 1); D: x, y -> one logit. The labels y are
one-hot.
"""

from __future__ import annotations

import math
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen import initializers as inits
from jax import Array

from ganjax.nets.cgan import joined
from ganjax.nets.dcgan import lrelu
from ganjax.nets.layers import BatchNorm, Conv, ConvTranspose, Dropout, max_pool

WEIGHTS = inits.normal(0.05)
# Weight norm to kernels of length 1 for each output; where nn.WeightNorm stands, in output layers,
# the length is learned from 1.
unit = partial(nn.WeightNorm, use_scale=False)


class Noise(nn.Module):
    """Adds noise N(0, sd²) to each entry; without a key it passes."""

    @nn.compact
    def __call__(self, x: Array, sd: float) -> Array:
        if not self.has_rng("dropout"):
            return x
        flat = jax.random.normal(self.make_rng("dropout"), (x.size,), x.dtype)  # as in Dropout
        return x + sd * flat.reshape(x.shape)


class Classifier(nn.Module):
    """Of digits: x [B, 28, 28, 1] -> [B, classes]."""

    classes: int = 10
    width: int = 32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        def conv(x: Array, features: int, kernel: int, padding: str) -> Array:
            return nn.relu(
                BatchNorm(1e-4)(
                    Conv(features, kernel, padding=padding, bias=False, kernel_init=WEIGHTS)(x)
                )
            )

        def pool(x: Array) -> Array:
            return Dropout()(max_pool(x), 0.5)

        x = pool(conv(x, self.width, 5, "VALID"))
        x = conv(x, 2 * self.width, 3, "SAME")
        x = pool(conv(x, 2 * self.width, 3, "VALID"))
        for _ in range(2):
            x = conv(x, 4 * self.width, 3, "SAME")
        out = nn.Dense(self.classes, kernel_init=inits.normal(0.01), name="out")
        return out(x.mean((1, 2)))


class Generator(nn.Module):
    """Of digits: z [B, Z], y [B, K] -> [B, *out] in (0, 1); y is joined at every layer."""

    out: tuple[int, ...] = (28, 28, 1)
    units: int = 500

    @nn.compact
    def __call__(self, z: Array, y: Array) -> Array:
        x, glorot = z, inits.glorot_uniform()
        for _ in range(2):
            x = nn.softplus(
                BatchNorm(1e-4)(
                    nn.Dense(self.units, use_bias=False, kernel_init=glorot)(joined(x, y))
                )
            )
        x = nn.WeightNorm(nn.Dense(math.prod(self.out), kernel_init=glorot))(joined(x, y))
        return nn.sigmoid(x.reshape(x.shape[0], *self.out))


class Discriminator(nn.Module):
    """Of digits: x [B, ...], y [B, K] -> [B] logits; y is joined at every layer, before the second
    one twice. `noise` scales the SD of the noise that each layer adds.
    """

    widths: tuple[int, ...] = (1000, 500, 250, 250, 250)
    noise: float = 1.0

    @nn.compact
    def __call__(self, x: Array, y: Array) -> Array:
        x = Noise()(x.reshape(x.shape[0], -1), 0.3 * self.noise)
        for i, width in enumerate(self.widths):
            x = nn.relu(unit(nn.Dense(width, kernel_init=inits.normal(0.1)))(joined(x, y)))
            x = Noise()(joined(x, y) if i == 0 else x, 0.5 * self.noise)
        return unit(nn.Dense(1, kernel_init=inits.normal(0.1)))(joined(x, y))[..., 0]


class MeanOnly(nn.Module):
    """Subtracts the mean of the batch, over all axes but the last, and learns a shift (Salimans and
    Kingma 2016, section 4).

    Standing statistics as of `ganjax.nets.layers.BatchNorm`.
    """

    @nn.compact
    def __call__(self, x: Array) -> Array:
        bias, wide = self.param("bias", inits.zeros, x.shape[-1:]), x.astype(jnp.float32)
        if self.has_variable("stats", "mean") and not self.is_mutable_collection("stats"):
            mean: Array = self.get_variable("stats", "mean")
        else:
            mean = wide.mean(range(x.ndim - 1))
            if self.is_mutable_collection("stats") and not self.is_initializing():
                self.put_variable("stats", "mean", mean)
        return (wide - mean + bias.astype(jnp.float32)).astype(x.dtype)


class CifarClassifier(nn.Module):
    """Of CIFAR-10: x [B, H, W, C], whitened, of 12 pixels or more -> [B, classes] (the net of Laine
    and Aila 2017).

    The authors set the lengths of kernels by a first batch; here each begins at He's gain, that of
    rectified inputs.
    """

    classes: int = 10
    width: int = 128

    @nn.compact
    def __call__(self, x: Array) -> Array:
        act = partial(nn.leaky_relu, negative_slope=0.1)
        gain = inits.constant(math.sqrt(2 / (1 + 0.1**2)))
        he = inits.he_normal()

        def conv(x: Array, features: int, kernel: int = 3, padding: str = "SAME") -> Array:
            layer = Conv(features, kernel, padding=padding, bias=False, kernel_init=he)
            return act(MeanOnly()(nn.WeightNorm(layer, scale_init=gain)(x)))

        x = Noise()(x, 0.15)
        for features in (self.width, 2 * self.width):
            for _ in range(3):
                x = conv(x, features)
            x = Dropout()(max_pool(x), 0.5)
        x = conv(x, 4 * self.width, padding="VALID")
        x = conv(conv(x, 2 * self.width, kernel=1), self.width, kernel=1).mean((1, 2))
        return MeanOnly()(nn.WeightNorm(nn.Dense(self.classes, use_bias=False, kernel_init=he))(x))


class ColourGenerator(nn.Module):
    """Of colour images: z [B, Z], y [B, K] -> [B, *out] in (-1, 1), of sides 8, 16, 24, ...; y is
    joined at every layer.
    """

    out: tuple[int, ...] = (32, 32, 3)
    width: int = 128

    @nn.compact
    def __call__(self, z: Array, y: Array) -> Array:
        def norm(x: Array) -> Array:
            return nn.relu(BatchNorm(1e-6, scale=None)(x))

        H, W, channels = self.out[0] // 8, self.out[1] // 8, self.out[2]
        x = nn.Dense(H * W * 4 * self.width, use_bias=False, kernel_init=WEIGHTS)(joined(z, y))
        x = norm(x).reshape(z.shape[0], H, W, -1)
        for features in (2 * self.width, self.width):
            x = norm(
                ConvTranspose(features, 5, 2, (2, 1), bias=False, kernel_init=WEIGHTS)(joined(x, y))
            )
        image = ConvTranspose(channels, 5, 2, (2, 1), kernel_init=WEIGHTS)
        return nn.tanh(nn.WeightNorm(image, feature_axes=-2)(joined(x, y)))


class ColourDiscriminator(nn.Module):
    """Of colour images: x [B, H, W, C] of 20 pixels or more, y [B, K] -> [B] logits; y is joined at
    every layer.
    """

    width: int = 32

    @nn.compact
    def __call__(self, x: Array, y: Array) -> Array:
        layers = (
            (1, 1, 1),
            (1, 2, 1),
            (2, 1, 1),
            (2, 2, 1),
            (4, 1, 0),
            (4, 1, 0),
        )  # width, stride, padding
        for i, (times, stride, padding) in enumerate(layers):
            x = Dropout()(x, 0.2) if i % 2 == 0 else x
            x = lrelu(
                unit(Conv(times * self.width, 3, stride, padding, kernel_init=WEIGHTS))(
                    joined(x, y)
                )
            )
        return nn.WeightNorm(nn.Dense(1, kernel_init=WEIGHTS))(joined(x.mean((1, 2)), y))[..., 0]
