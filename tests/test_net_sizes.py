"""Nets: the shapes and the numbers of parameters that the papers' layers have."""

from __future__ import annotations

import itertools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
import pytest
from jax import random

from ganjax.game import Player
from ganjax.nets import (
    cgan,
    classifiers,
    cogan,
    cyclegan,
    dcgan,
    gman,
    lapgan,
    sequences,
    triple_gan,
    voxels,
)

SGD = optax.sgd(0.1)


def conv(kernel, i, o, bias=0, axes=2):
    """Parameters of a convolution, or of its transpose; bias=2 for a normalisation's scale and
    shift, with no bias beside them.
    """
    return kernel**axes * i * o + bias * o


def dense(i, o, bias=1):
    return i * o + bias * o


def lstm(i, units):
    """Four gates: kernels of the input and of the state, one bias."""
    return 4 * (i * units + units * units + units)


def up_3d(*widths):
    return sum(conv(4, a, b, 2, axes=3) for a, b in itertools.pairwise(widths))


# Each: the net, what it sees, what it gives, its parameters.
NETS: dict[str, tuple[nn.Module, list[tuple[int, ...]], tuple[int, ...], int]] = {
    "dcgan G 64": (
        dcgan.Generator(),
        [(100,)],
        (64, 64, 3),
        100 * 16 * 1024
        + 2 * 1024
        + conv(5, 1024, 512, 2)
        + conv(5, 512, 256, 2)
        + conv(5, 256, 128, 2)
        + conv(5, 128, 3),
    ),
    "dcgan G 32": (
        dcgan.Generator((32, 32, 1)),
        [(100,)],
        (32, 32, 1),
        100 * 16 * 512 + 2 * 512 + conv(5, 512, 256, 2) + conv(5, 256, 128, 2) + conv(5, 128, 1),
    ),
    "dcgan G 128, Torch": (
        dcgan.Generator((128, 128, 3), width=64, kernel=4),
        [(100,)],
        (128, 128, 3),
        100 * 16 * 1024
        + 2 * 1024
        + sum(conv(4, 2 * c, c, 2) for c in (512, 256, 128, 64))
        + conv(4, 64, 3),
    ),
    "dcgan D 64": (
        dcgan.Discriminator(),
        [(64, 64, 3)],
        (),
        conv(5, 3, 128)
        + conv(5, 128, 256, 2)
        + conv(5, 256, 512, 2)
        + conv(5, 512, 1024, 2)
        + dense(4 * 4 * 1024, 1, 0),
    ),
    "mad-gan D 64": (
        dcgan.Discriminator(64, kernel=4, classes=4),
        [(64, 64, 3)],
        (4,),
        conv(4, 3, 64)
        + conv(4, 64, 128, 2)
        + conv(4, 128, 256, 2)
        + conv(4, 256, 512, 2)
        + conv(4, 512, 4),
    ),
    "cdcgan G": (
        dcgan.ConditionalGenerator(),
        [(100,), (10,)],
        (28, 28, 1),
        110 * 1024 + (1024 + 10) * 7 * 7 * 128 + conv(5, 128 + 10, 64) + conv(5, 64 + 10, 1),
    ),
    "cdcgan D": (
        dcgan.ConditionalDiscriminator(),
        [(28, 28, 1), (10,)],
        (),
        conv(5, 1 + 10, 64) + conv(5, 64 + 10, 128) + (7 * 7 * 128 + 10) * 1024 + 1024 + 10,
    ),
    "cgan G": (
        cgan.Generator(),
        [(100,), (10,)],
        (28, 28, 1),
        dense(100, 200) + dense(10, 1000) + dense(200 + 1000, 1200) + dense(1200, 784),
    ),
    "cgan D": (
        cgan.Discriminator(),
        [(28, 28, 1), (10,)],
        (),
        dense(784, 5 * 240) + dense(10, 5 * 50) + dense(240 + 50, 4 * 240) + dense(240, 1),
    ),
    "gman G": (
        gman.Generator(),
        [(100,)],
        (32, 32, 1),
        conv(3, 100, 512, 2) + conv(5, 512, 256, 2) + conv(5, 256, 128, 2) + conv(5, 128, 1, 1),
    ),
    "gman D": (
        gman.Discriminator(),
        [(32, 32, 1)],
        (),
        conv(3, 1, 128, 1) + conv(3, 128, 256, 1) + conv(3, 256, 512, 1) + dense(8 * 8 * 512, 1),
    ),
    "lapgan coarse G": (
        lapgan.coarse_generator(),
        [(100,), (10,)],
        (8, 8, 3),
        dense(110, 1200) + dense(1200, 1200) + dense(1200, 192),
    ),
    "lapgan coarse D": (
        lapgan.coarse_discriminator(),
        [(8, 8, 3)],
        (),
        dense(192, 600) + dense(600, 600) + dense(600, 1),
    ),
    "lapgan G": (
        lapgan.Generator(),
        [(28, 28, 1), (28, 28, 3)],
        (28, 28, 3),
        conv(7, 1 + 3, 64, 1) + conv(7, 64, 64, 1) + conv(5, 64, 3, 1),
    ),
    "cc-lapgan G": (
        lapgan.Generator(),
        [(16, 16, 1), (16, 16, 3), (10,)],
        (16, 16, 3),
        dense(10, 256) + conv(7, 1 + 3 + 1, 64, 1) + conv(7, 64, 64, 1) + conv(5, 64, 3, 1),
    ),
    "cc-lapgan D": (
        lapgan.Discriminator(),
        [(16, 16, 3), (16, 16, 3), (10,)],
        (),
        dense(10, 256) + conv(5, 3 + 1, 64, 1) + conv(5, 64, 64, 1) + dense(4 * 4 * 64, 1),
    ),
    # The authors' net has 11 378 179: also a bias before each instance norm.
    "cyclegan 9 blocks": (
        cyclegan.ResNet(),
        [(256, 256, 3)],
        (256, 256, 3),
        11_378_179 - (64 + 128 + 256 + 9 * 2 * 256 + 128 + 64),
    ),
    "cyclegan 6 blocks": (
        cyclegan.ResNet(blocks=6),
        [(64, 64, 3)],
        (64, 64, 3),
        conv(7, 3, 64)
        + 2 * (conv(3, 64, 128) + conv(3, 128, 256))
        + 6 * 2 * conv(3, 256, 256)
        + conv(7, 64, 3, 1),
    ),
    "patch 70": (
        cyclegan.PatchGAN(),
        [(256, 256, 3)],
        (30, 30),
        conv(4, 3, 64, 1)
        + conv(4, 64, 128)
        + conv(4, 128, 256)
        + conv(4, 256, 512)
        + conv(4, 512, 1, 1),
    ),
    "patch 34, paired": (
        cyclegan.PatchGAN(depth=2),
        [(64, 64, 3), (64, 64, 1)],
        (14, 14),
        conv(4, 4, 64, 1) + conv(4, 64, 128) + conv(4, 128, 256) + conv(4, 256, 1, 1),
    ),
    "cogan G": (
        cogan.Generator(),
        [(100,)],
        (28, 28, 1),
        conv(4, 100, 1024)
        + conv(3, 1024, 512)
        + conv(3, 512, 256)
        + conv(3, 256, 128)
        + 4
        + conv(6, 128, 1, 1),
    ),
    "cogan D": (
        cogan.Discriminator(classes=10),
        [(28, 28, 1)],
        (),
        conv(5, 1, 20, 1)
        + conv(5, 20, 50, 1)
        + dense(4 * 4 * 50, 500)
        + 1
        + dense(500, 1)
        + dense(500, 10),
    ),
    "3d-gan G 64": (
        voxels.generator(),
        [(200,)],
        (64, 64, 64, 1),
        conv(4, 200, 512, 2, axes=3) + up_3d(512, 256, 128, 64) + conv(4, 64, 1, axes=3),
    ),
    "3d-gan G 32": (
        voxels.generator(32),
        [(200,)],
        (32, 32, 32, 1),
        conv(4, 200, 256, 2, axes=3) + up_3d(256, 128, 64) + conv(4, 64, 1, axes=3),
    ),
    "3d-gan D 64": (
        voxels.discriminator(),
        [(64, 64, 64, 1)],
        (),
        conv(4, 1, 64, axes=3) + up_3d(64, 128, 256, 512) + conv(4, 512, 1, axes=3),
    ),
    "lenet": (
        classifiers.lenet(),
        [(28, 28, 1)],
        (10,),
        conv(5, 1, 20, 1) + conv(5, 20, 50, 1) + dense(4 * 4 * 50, 500) + dense(500, 10),
    ),
    "tanh lenet": (
        classifiers.tanh_lenet(),
        [(32, 32, 1)],
        (10,),
        conv(5, 1, 32, 1) + conv(5, 32, 64, 1) + dense(3 * 3 * 64, 200) + dense(200, 10),
    ),
    "small alexnet": (
        classifiers.small_alexnet(),
        [(32, 32, 3)],
        (10,),
        conv(5, 3, 64, 1)
        + conv(5, 64, 64, 1)
        + dense(8 * 8 * 64, 384)
        + dense(384, 192)
        + dense(192, 10),
    ),
    "triple-gan C": (
        triple_gan.Classifier(),
        [(28, 28, 1)],
        (10,),
        conv(5, 1, 32, 2)
        + conv(3, 32, 64, 2)
        + conv(3, 64, 64, 2)
        + conv(3, 64, 128, 2)
        + conv(3, 128, 128, 2)
        + dense(128, 10),
    ),
    "triple-gan G": (
        triple_gan.Generator(),
        [(100,), (10,)],
        (28, 28, 1),
        dense(110, 500, 2) + dense(510, 500, 2) + dense(510, 784) + 784,
    ),
    "triple-gan D": (
        triple_gan.Discriminator(),
        [(28, 28, 1), (10,)],
        (),
        dense(794, 1000)
        + dense(1000 + 20, 500)
        + dense(510, 250)
        + 2 * dense(260, 250)
        + dense(260, 1),
    ),
    "triple-gan C, whitened": (
        triple_gan.CifarClassifier(),
        [(32, 32, 3)],
        (10,),
        conv(3, 3, 128, 2)
        + 2 * conv(3, 128, 128, 2)
        + conv(3, 128, 256, 2)
        + 2 * conv(3, 256, 256, 2)
        + conv(3, 256, 512, 2)
        + dense(512, 256, 2)
        + dense(256, 128, 2)
        + dense(128, 10, 2),
    ),
    "triple-gan G, 24 px": (
        triple_gan.ColourGenerator((24, 24, 1), 8),
        [(100,), (10,)],
        (24, 24, 1),
        110 * 9 * 32 + 9 * 32 + conv(5, 42, 16, 1) + conv(5, 26, 8, 1) + conv(5, 18, 1, 2),
    ),
    "triple-gan G, colour": (
        triple_gan.ColourGenerator(),
        [(100,), (10,)],
        (32, 32, 3),
        110 * 16 * 512
        + 16 * 512
        + conv(5, 522, 256, 1)
        + conv(5, 266, 128, 1)
        + conv(5, 138, 3, 2),
    ),
    "triple-gan D, colour": (
        triple_gan.ColourDiscriminator(),
        [(32, 32, 3), (10,)],
        (),
        conv(3, 13, 32, 1)
        + conv(3, 42, 32, 1)
        + conv(3, 42, 64, 1)
        + conv(3, 74, 64, 1)
        + conv(3, 74, 128, 1)
        + conv(3, 138, 128, 1)
        + dense(138, 1, 2),
    ),
    "c-rnn-gan G": (
        sequences.Generator(),
        [(101, 4)],
        (100, 4),
        dense(8, 350) + 2 * lstm(350, 350) + dense(350, 4),
    ),
    "c-rnn-gan D": (
        sequences.Discriminator(),
        [(100, 4)],
        (100,),
        2 * (lstm(4, 350) + lstm(350, 350)) + dense(700, 1),
    ),
}


def blank(*shapes, B=3):
    return [jax.ShapeDtypeStruct((B, *shape), jnp.float32) for shape in shapes]


@pytest.mark.parametrize("name", NETS)
def test_a_net_has_the_shape_and_the_parameters_of_its_paper(name):
    net, sees, out, count = NETS[name]
    variables = jax.eval_shape(net.init, random.key(0), *blank(*sees))
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables["params"])) == count
    assert set(variables) == {"params"}
    assert jax.eval_shape(net.apply, variables, *blank(*sees)).shape == (3, *out)


HALVED = [
    "dcgan G 32",
    "cdcgan D",
    "patch 34, paired",
    "triple-gan C, whitened",
    "triple-gan D, colour",
    "c-rnn-gan G",
    "c-rnn-gan D",
]


@pytest.mark.parametrize("name", HALVED)
def test_a_net_computes_in_half_precision(name):
    net, sees, out, _ = NETS[name]
    player = Player(net, SGD, tuple(sees), dtype=jnp.bfloat16)
    score = jax.eval_shape(
        lambda key, *xs: player.bind(*player.init(key))(*xs, key=key), random.key(0), *blank(*sees)
    )
    assert score.shape == (3, *out)
    assert score.dtype == jnp.float32
