"""DCGAN's nets (Radford, Metz and Chintala 2016), of one, two or three spatial axes, and the
authors' conditional ones for digits.

Initial weights N(0, .02), gains of batch norm N(1, .02), no biases but its shifts. Padding of the
Theano code (kernel 5), or of the Torch port (kernel 4).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax.numpy as jnp
from flax.linen import initializers as inits
from jax import Array, random
from jax.typing import DTypeLike

from ganjax.nets.cgan import joined
from ganjax.nets.layers import BatchNorm, Conv, ConvTranspose

WEIGHTS = inits.normal(0.02)
lrelu = partial(nn.leaky_relu, negative_slope=0.2)


def gain(key: Array, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> Array:
    """An initialiser of batch norm's scale, N(1, .02)."""
    return 1 + 0.02 * random.normal(key, shape, dtype)


def down(features: int, kernel: int = 5, bias: bool = False) -> Conv:
    """A convolution to half the size."""
    return Conv(features, kernel, 2, (kernel - 1) // 2, bias=bias, kernel_init=WEIGHTS)


def up(features: int, kernel: int = 5, name: str | None = None) -> ConvTranspose:
    """A transposed convolution to twice the size."""
    low = (kernel - 1) // 2
    return ConvTranspose(
        features, kernel, 2, (low, kernel - 2 - low), bias=False, kernel_init=WEIGHTS, name=name
    )


def halvings(space: tuple[int, ...]) -> int:
    """How often the sides are halved down to 4. Raises ValueError where they are not alike, or not
    8, 16, 32, ...
    """
    n = max(space, default=0).bit_length() - 3
    if n < 1 or set(space) != {4 << n}:
        raise ValueError(f"DCGAN's nets take sides of 8, 16, 32, 64, ..., all alike; got {space}")
    return n


class Layer(nn.Module):
    """One layer of the generator, from z [B, Z] or from maps of half the size, to [B, *space,
    features].
    """

    features: int
    kernel: int
    axes: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        if x.ndim == 2:
            x = nn.Dense(4**self.axes * self.features, use_bias=False, kernel_init=WEIGHTS)(x)
            x = x.reshape(x.shape[0], *[4] * self.axes, self.features)
        else:
            x = up(self.features, self.kernel)(x)
        return nn.relu(BatchNorm(scale=gain)(x))


class Generator(nn.Module):
    """Figure 1: z [B, Z] -> [B, *out], in submodules "layer0", "layer1", ..., "image".

    A team shares its first layers by name: MAD-GAN's image nets have kernel=4 and width=64, and
    share "layer0", "layer1", "layer2". The first batch norm is by channel, as in the Torch port; in
    the Theano code it is by unit. Its eps is 1e-5 (Theano: 1e-8). Raises ValueError where the sides
    of `out` are not 8, 16, 32, ...
    """

    out: tuple[int, ...] = (64, 64, 3)
    width: int = 128  # channels of the last hidden layer; each one before has twice as many
    kernel: int = 5
    last: Callable[[Array], Array] = nn.tanh

    @nn.compact
    def __call__(self, z: Array) -> Array:
        x, n = z, halvings(self.out[:-1])
        for i in range(n):
            x = Layer(self.width << (n - 1 - i), self.kernel, len(self.out) - 1, name=f"layer{i}")(
                x
            )
        return self.last(up(self.out[-1], self.kernel, name="image")(x))


class Discriminator(nn.Module):
    """The discriminator: x [B, *space, C] -> [B] logits, or [B, classes]; convolutions down to 4
    points a side, then one dense layer.

    The first convolution has no batch norm. norm=False leaves it out everywhere, for biases: a
    penalty on the gradient at each sample wants a score that no other sample enters. Raises
    ValueError where the sides of x are not 8, 16, 32, ...
    """

    width: int = 128
    kernel: int = 5
    classes: int | None = None
    norm: bool = True

    def __call__(self, x: Array) -> Array:
        return self._maps_and_score(x)[1]

    def features(self, x: Array) -> tuple[Array, ...]:
        """The maps of every layer, [B, *space / 2, width], [B, *space / 4, 2 width], ..."""
        return self._maps_and_score(x)[0]

    @nn.compact
    def _maps_and_score(self, x: Array) -> tuple[tuple[Array, ...], Array]:
        maps: list[Array] = []
        for i in range(halvings(x.shape[1:-1])):
            x = down(self.width << i, self.kernel, bias=not self.norm)(x)
            x = lrelu(BatchNorm(scale=gain)(x) if i and self.norm else x)
            maps.append(x)
        score = nn.Dense(self.classes or 1, use_bias=False, kernel_init=WEIGHTS)(
            x.reshape(x.shape[0], -1)
        )
        return tuple(maps), score if self.classes else score[..., 0]


# Of the conditional nets: batch norm that learns nothing, with the authors' eps.
bare = partial(BatchNorm, 1e-8, scale=None, shift=False)
dense = partial(nn.Dense, use_bias=False, kernel_init=WEIGHTS)


class ConditionalGenerator(nn.Module):
    """The authors' generator of labelled digits, y joined at every layer: z [B, Z], y [B, K] -> [B,
    *out]; sides are multiples of 4.
    """

    out: tuple[int, ...] = (28, 28, 1)
    width: int = 64
    units: int = 1024
    last: Callable[[Array], Array] = nn.sigmoid

    @nn.compact
    def __call__(self, z: Array, y: Array) -> Array:
        H, W, C = self.out[0] // 4, self.out[1] // 4, 2 * self.width
        if self.out[:2] != (4 * H, 4 * W):
            raise ValueError(
                f"the conditional DCGAN makes images whose sides are multiples of 4; got {self.out}"
            )
        x = nn.relu(bare()(dense(self.units)(joined(z, y))))
        x = nn.relu(bare()(dense(H * W * C)(joined(x, y)))).reshape(x.shape[0], H, W, C)
        x = nn.relu(bare()(up(self.width)(joined(x, y))))
        return self.last(up(self.out[-1])(joined(x, y)))


class ConditionalDiscriminator(nn.Module):
    """Its opponent: x [B, H, W, C], y [B, K] -> [B] logits."""

    width: int = 64
    units: int = 1024

    @nn.compact
    def __call__(self, x: Array, y: Array) -> Array:
        x = lrelu(down(self.width)(joined(x, y)))
        x = lrelu(bare()(down(2 * self.width)(joined(x, y))))
        x = lrelu(bare()(dense(self.units)(joined(x.reshape(x.shape[0], -1), y))))
        return dense(1)(joined(x, y))[..., 0]
