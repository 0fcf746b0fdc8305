"""Dense networks."""

from __future__ import annotations

import math
from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from flax.linen import initializers as inits
from jax import Array, random
from jax.typing import ArrayLike

from ganjax.nets.layers import Dropout, Maxout

Activation = Callable[[Array], Array]


def identity(x: Array) -> Array:
    """x itself."""
    return x


class MLP(nn.Module):
    """Dense layers of the given widths, then one to `out`: [B, ...] inputs, flattened and joined,
    -> [B, *out].

    `rate` is the dropout rate after each hidden layer; a team may have one for each member.
    """

    widths: tuple[int, ...]
    out: tuple[int, ...] = ()  # () gives one score a sample
    act: Activation = nn.relu
    last: Activation = identity
    kernel_init: Callable[..., Array] = inits.lecun_normal()
    bias: Callable[..., Array] = inits.zeros  # of the output layer
    last_init: Callable[..., Array] | None = None  # kernel of the output layer; None: as the others

    @nn.compact
    def __call__(self, *xs: Array, rate: ArrayLike | None = None) -> Array:
        x = jnp.concatenate([x.reshape(x.shape[0], -1) for x in xs], -1)
        for width in self.widths:
            x = self.act(nn.Dense(width, kernel_init=self.kernel_init)(x))
            if rate is not None:
                x = Dropout()(x, rate)
        init = self.last_init or self.kernel_init
        x = nn.Dense(math.prod(self.out), kernel_init=init, bias_init=self.bias, name="out")(x)
        return self.last(x.reshape(x.shape[0], *self.out))


class TrunkAndHead(nn.Module):
    """An MLP in two submodules, "trunk" and "head", of which a team may share the first: [B, ...]
    -> [B, *out].
    """

    trunk: tuple[int, ...]
    head: tuple[int, ...] = ()
    out: tuple[int, ...] = (1,)
    act: Activation = nn.relu
    last: Activation = identity
    kernel_init: Callable[..., Array] = inits.lecun_normal()

    @nn.compact
    def __call__(self, z: Array) -> Array:
        *first, width = self.trunk
        x = self.act(
            MLP(tuple(first), (width,), self.act, kernel_init=self.kernel_init, name="trunk")(z)
        )
        return MLP(
            self.head, self.out, self.act, self.last, kernel_init=self.kernel_init, name="head"
        )(x)


class MaxoutNet(nn.Module):
    """Two maxout layers with dropout on the input and on each of them, [B, ...] -> [B, *out].

    The discriminator of Goodfellow et al. 2014 on MNIST, and with out=(10,) the classifier of
    Goodfellow et al. 2013. The initial weights U(-.005, .005) are theirs: with larger ones this
    discriminator wins at once.
    """

    units: int = 240
    pieces: int = 5
    out: tuple[int, ...] = ()  # () gives one score a sample

    @nn.compact
    def __call__(self, x: Array) -> Array:
        small = symmetric_init(0.005)
        x = Dropout()(x.reshape(x.shape[0], -1), 0.2)
        for _ in range(2):
            x = Dropout()(Maxout(self.units, self.pieces, small)(x), 0.5)
        x = nn.Dense(math.prod(self.out), kernel_init=small)(x)
        return x.reshape(x.shape[0], *self.out)


class Positive(nn.Module):
    """One number above 0, softplus of its only parameter: a player that is a softness λ, or a
    weight.
    """

    start: float = -2.0  # before the softplus

    @nn.compact
    def __call__(self) -> Array:
        return nn.softplus(self.param("raw", nn.initializers.constant(self.start), ()))


class Point(nn.Module):
    """The same point of d numbers whatever the noise, [B, Z] -> [B, d]: a generator of a Dirac
    distribution.
    """

    d: int = 1
    start: Callable[..., Array] = inits.normal(1.0)

    @nn.compact
    def __call__(self, z: Array) -> Array:
        return jnp.broadcast_to(self.param("point", self.start, (self.d,)), (len(z), self.d))


class Linear(nn.Module):
    """A score without a bias, [B, d] -> [B]."""

    start: Callable[..., Array] = inits.normal(1.0)

    @nn.compact
    def __call__(self, x: Array) -> Array:
        return x @ self.param("weight", self.start, (x.shape[-1],))


class Weights(nn.Module):
    """n weights that sum to 1, even at first: a player that is a mixture."""

    n: int

    @nn.compact
    def __call__(self) -> Array:
        return nn.softmax(self.param("logits", inits.zeros, (self.n,)))


def symmetric(scale: float) -> Callable[..., Array]:
    """A prior of noise, U(-scale, scale) entry by entry: (key, shape) -> float32."""
    return lambda key, shape: random.uniform(key, shape, minval=-scale, maxval=scale)


def symmetric_init(scale: float) -> Callable[..., Array]:
    """An initialiser of weights, U(-scale, scale)."""
    return lambda key, shape, dtype=jnp.float32: random.uniform(key, shape, dtype, -scale, scale)


def pixel_logits(x: np.ndarray) -> Callable[..., Array]:
    """An initialiser of G's output bias before a sigmoid: the logit of the mean image of x, uint8
    [N, *shape] -> float32 [prod(shape)].

    The mean is clipped to 1e-7 … 1 - 1e-7, as in the authors' code of Goodfellow et al. 2014
    (pylearn2's init_sigmoid_bias_from_marginals).
    """
    mean = np.clip(x.mean(0, dtype=np.float64).ravel() / 255, 1e-7, 1 - 1e-7)
    return lambda key, shape, dtype=jnp.float32: jnp.asarray(np.log(mean / (1 - mean)), dtype)
