"""MAD-GAN's nets (Ghosh et al. 2018), as in the authors' code: those of images of 32 and 64 pixels,
and those of their toy.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import flax.linen as nn
from flax.linen import initializers as inits
from jax import Array, random

from ganjax.nets import dcgan
from ganjax.nets.mlp import MLP, TrunkAndHead, identity, symmetric

Shape = tuple[int, ...]


def is_convolutional(shape: Shape) -> bool:
    """Whether inputs of this shape get convolutions."""
    return shape[:-1] in ((32, 32), (64, 64))


def default_options(shape: Shape) -> dict[str, float]:
    """The options of the authors' image code, or those of their toy."""
    if is_convolutional(shape):
        return {"width": 64, "z": 100, "batch": 64, "lr": 2e-4, "steps": 20_000}
    return {"width": 128, "z": 64, "batch": 128, "lr": 1e-4, "steps": 200_000}


def generator(
    shape: Shape, width: int
) -> tuple[nn.Module, tuple[str, ...], Callable[[Array, Shape], Array]]:
    """(net, what a team of it shares, the prior of its noise). On other images it ends in tanh,
    with a hidden layer of its own.
    """
    if is_convolutional(shape):
        shared = tuple(
            f"layer{i}" for i in range(dcgan.halvings(shape[:2]) - 1)
        )  # all but the last two layers
        return (
            dcgan.Generator((shape[0], shape[1], shape[2]), width, kernel=4),
            shared,
            random.normal,
        )
    head, last = ((width,), nn.tanh) if len(shape) > 1 else ((), identity)
    return (
        TrunkAndHead((width, width), head, shape, nn.elu, last, inits.xavier_normal()),
        ("trunk",),
        symmetric(1.0),
    )


def discriminator(shape: Shape, width: int, classes: int) -> nn.Module:
    """[B, *shape] -> logits [B, classes]."""
    if is_convolutional(shape):
        return dcgan.Discriminator(width, kernel=4, classes=classes)
    return MLP(
        (width,) * 3,
        (classes,),
        partial(nn.leaky_relu, negative_slope=0.1),
        kernel_init=inits.xavier_normal(),
    )


class Critic(nn.Module):
    """The toy's discriminator with one logit, [B, *shape] -> [B]; `features`: its last hidden layer
    alone, [B, width].
    """

    width: int

    def setup(self) -> None:
        act, xavier = partial(nn.leaky_relu, negative_slope=0.1), inits.xavier_normal()
        self.body = MLP((self.width,) * 2, (self.width,), act, act, xavier)
        self.score = nn.Dense(1, kernel_init=xavier)

    def features(self, x: Array) -> tuple[Array]:
        return (self.body(x),)

    def __call__(self, x: Array) -> Array:
        return self.score(self.body(x))[..., 0]


def critic(shape: Shape, width: int) -> nn.Module:
    """The discriminator with one logit and a method `features`, of which the last are what the
    logit is made of.
    """
    return dcgan.Discriminator(width, kernel=4) if is_convolutional(shape) else Critic(width)
