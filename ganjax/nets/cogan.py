"""CoGAN's nets for 28 pixels (Liu and Tuzel 2016), of which a team of two shares layers by name.

The paper shares "layer0" to "layer3" of the generators, all but "image", and all but "layer0" of
the discriminators. Its baseline is a single pair of nets that are told the domain (`WithDomain`).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
from flax.linen import initializers as inits
from jax import Array

from ganjax.nets.cgan import joined
from ganjax.nets.layers import BatchNorm, Conv, ConvTranspose, max_pool
from ganjax.nets.mlp import symmetric_init
from ganjax.player import Bound

WEIGHTS = inits.variance_scaling(2.0, "fan_avg", "uniform")
BIAS = inits.constant(0.1)


class Up(nn.Module):
    """Transposed convolution, batch norm with nothing learned, one PReLU."""

    features: int
    kernel: int
    stride: int
    padding: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        x = ConvTranspose(
            self.features, self.kernel, self.stride, self.padding, bias=False, kernel_init=WEIGHTS
        )(x)
        return nn.PReLU(negative_slope_init=0.25)(BatchNorm(scale=None, shift=False)(x))


class Generator(nn.Module):
    """z [B, Z] -> [B, 28, 28, channels] in (0, 1), in submodules "layer0" to "layer3", "image".

    The bias of "image" begins at 0, the authors' at .1.
    """

    channels: int = 1
    width: int = 128  # channels of the last hidden layer; each one before has twice as many

    @nn.compact
    def __call__(self, z: Array) -> Array:
        x = Up(8 * self.width, 4, 4, 0, name="layer0")(z[:, None, None])  # [B, 4, 4, 8 width]
        for i in (1, 2, 3):  # 7, 13 and 25 points a side
            x = Up(self.width << (3 - i), 3, 2, 1, name=f"layer{i}")(x)
        return nn.sigmoid(
            ConvTranspose(self.channels, 6, 1, 1, kernel_init=WEIGHTS, name="image")(x)
        )


class Hidden(nn.Module):
    """A dense layer with one PReLU."""

    units: int
    kernel_init: Callable[..., Array] = WEIGHTS

    @nn.compact
    def __call__(self, x: Array) -> Array:
        return nn.PReLU(negative_slope_init=0.25)(
            nn.Dense(self.units, kernel_init=self.kernel_init, bias_init=BIAS)(x)
        )


def widths(n: int) -> tuple[int, int, int]:
    """Of a discriminator's layers, in the proportions of the paper, whose n is 50."""
    return max(1, 2 * n // 5), n, 10 * n


class Discriminator(nn.Module):
    """x [B, 28, 28, C] -> [B] logits, in submodules "layer0" to "layer2" and "score"; with classes,
    "label" is a classifier's head.

    The convolutions have no nonlinearity but the pooling. "layer2" is the authors' convolution over
    the whole 4 x 4 map, written as a matrix whose first weights have that convolution's fans. The
    authors' two-way softmax is one logit here, and biases of convolutions begin at 0, not .1.
    """

    classes: int | None = None
    widths: tuple[int, int, int] = (20, 50, 500)

    def __call__(self, x: Array) -> Array:
        return self._all(x)[1]

    def features(self, x: Array) -> Array:
        """The units of "layer2", [B, 500]: tied between the domains by the paper's adaptation."""
        return self._all(x)[0]

    def label(self, x: Array) -> Array:
        """The logits of the classes, [B, classes]. Raises ValueError where there are none."""
        logits = self._all(x)[2]
        if logits is None:
            raise ValueError("this discriminator has no head for classes: give it their number")
        return logits

    @nn.compact
    def _all(self, x: Array) -> tuple[Array, Array, Array | None]:
        for i in (0, 1):
            x = Conv(self.widths[i], 5, padding="VALID", kernel_init=WEIGHTS, name=f"layer{i}")(x)
            x = max_pool(x)
        _, height, width, channels = x.shape
        bound = math.sqrt(12 / (height * width * (channels + self.widths[2])))
        flat = x.reshape(x.shape[0], -1)
        x = Hidden(self.widths[2], symmetric_init(bound), name="layer2")(flat)
        score = nn.Dense(1, kernel_init=WEIGHTS, bias_init=BIAS, name="score")(x)[..., 0]
        if not self.classes:
            return x, score, None
        label = nn.Dense(self.classes, kernel_init=WEIGHTS, bias_init=BIAS, name="label")(x)
        return x, score, label


class WithDomain(nn.Module):
    """A net that is told the domain, one-hot, as a second input: x [B, ...], domain [B, 2]."""

    net: nn.Module

    def __call__(self, x: Array, domain: Array) -> Array:
        return self.net(joined(x, domain))


def apply_pair(P: Bound, x: Array, y: Array) -> Array:
    """A team of two on x and y, [B, ...] each, a domain for each member: [B, 2, *out].

    A single player, whose net is a `WithDomain`, is given both in one batch. In batches of their
    own its normalisation would subtract the domain again.
    """
    if P.player.n:
        return P.each(jnp.stack([x, y], 1))
    domain = jnp.repeat(jnp.eye(2), len(x), 0)  # [2B, 2]
    return jnp.stack(jnp.split(P(jnp.concatenate([x, y]), domain), 2), 1)
