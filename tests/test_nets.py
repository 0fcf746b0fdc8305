"""Nets: what holds whatever their weights are, and what a team shares of them."""

from __future__ import annotations

import functools
import math
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
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


def blank(*shapes, B=3):
    return [jax.ShapeDtypeStruct((B, *shape), jnp.float32) for shape in shapes]


def shapes(net, *sees, method=None):
    """The shapes of what a method gives, without the batch axis."""
    variables = jax.eval_shape(net.init, random.key(0), *blank(*sees))
    return jax.tree.map(
        lambda out: out.shape[1:],
        jax.eval_shape(partial(net.apply, method=method), variables, *blank(*sees)),
    )


# Small ones that are run: a net and what it sees, its label, if any, last.
RUN: dict[str, tuple[nn.Module, list[tuple[int, ...]]]] = {
    "dcgan G": (dcgan.Generator((8, 8, 3), width=4), [(6,)]),
    "dcgan D": (dcgan.Discriminator(width=4), [(16, 16, 3)]),
    "cdcgan G": (dcgan.ConditionalGenerator((8, 8, 1), width=4, units=16), [(6,), (3,)]),
    "cdcgan D": (dcgan.ConditionalDiscriminator(width=4, units=16), [(8, 8, 1), (3,)]),
    "cgan G": (cgan.Generator((4, 4), (6, 7, 8)), [(6,), (3,)]),
    "cgan D": (cgan.Discriminator((6, 5, 6)), [(4, 4), (3,)]),
    "gman G": (gman.Generator(width=8), [(6,)]),
    "gman D": (gman.Discriminator(width=8), [(8, 8, 1)]),
    "cc-lapgan G": (lapgan.Generator(width=4), [(8, 8, 1), (8, 8, 3), (3,)]),
    "cc-lapgan D": (lapgan.Discriminator(width=4), [(10, 10, 3), (10, 10, 3), (3,)]),
    "cyclegan G": (cyclegan.ResNet(blocks=1, width=4), [(16, 16, 3)]),
    "patch": (cyclegan.PatchGAN(depth=2, width=4), [(16, 16, 3)]),
    "cogan G": (cogan.Generator(width=4), [(6,)]),
    "cogan D": (cogan.Discriminator(widths=(4, 4, 8)), [(28, 28, 1)]),
    "3d-gan G": (voxels.generator(8, width=4), [(6,)]),
    "3d-gan D": (voxels.discriminator(width=4), [(8, 8, 8, 1)]),
    "convnet": (classifiers.Convnet(((4, 4), (4,)), units=(8,), kernel=3), [(16, 16, 1)]),
    "triple-gan C": (triple_gan.Classifier(width=4), [(28, 28, 1)]),
    "triple-gan G": (triple_gan.Generator((4, 4), units=8), [(6,), (3,)]),
    "triple-gan D": (triple_gan.Discriminator((8, 8)), [(4, 4), (3,)]),
    "triple-gan G, colour": (triple_gan.ColourGenerator(width=4), [(6,), (3,)]),
    "triple-gan D, colour": (triple_gan.ColourDiscriminator(width=4), [(32, 32, 3), (3,)]),
    "c-rnn-gan G": (sequences.Generator(units=8), [(7, 4)]),
    "c-rnn-gan D": (sequences.Discriminator(units=8), [(6, 4)]),
}


@functools.cache
def ready(name, B=4):
    """Variables, inputs (a label is one of three one-hot vectors), and the net compiled:
    (variables, key, *inputs) -> output.
    """
    net, sees = RUN[name]
    rng = np.random.default_rng(0)
    # Drawn here, as compiling the initial weights of so many nets takes most of the time.
    variables = jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(0, 0.2, leaf.shape), leaf.dtype),
        jax.eval_shape(net.init, random.key(0), *blank(*sees)),
    )
    xs = [jnp.asarray(rng.normal(size=(B, *shape)), jnp.float32) for shape in sees]
    if sees[-1] == (3,):
        xs[-1] = jax.nn.one_hot(jnp.arange(B) % 3, 3)
    per: dict[str, Any] = {"rate": 0.5} if name == "gman D" else {}
    apply = jax.jit(
        lambda variables, key, *xs: net.apply(
            variables, *xs, **per, rngs=None if key is None else {"dropout": key}
        )
    )
    return variables, xs, apply


@pytest.mark.parametrize("name", RUN)
def test_outputs_are_finite_vary_and_see_the_label(name):
    variables, xs, apply = ready(name)
    out = np.asarray(apply(variables, None, *xs))
    assert np.isfinite(out).all()
    assert out.std(0).max() > 1e-3
    if xs[-1].shape[1:] == (3,):
        other = apply(variables, None, *xs[:-1], jnp.roll(xs[-1], 1, 1))
        assert np.abs(out - other).max() > 1e-3


def test_initial_weights_of_dcgan():
    params = dcgan.Discriminator(width=16).init(random.key(0), jnp.zeros((1, 16, 16, 3)))["params"]
    by_name = {
        path[-1].key: np.asarray(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(params)
    }
    assert by_name["kernel"].std() == pytest.approx(0.02, rel=0.15)
    assert by_name["scale"].mean() == pytest.approx(1, abs=0.02)
    assert 0.01 < by_name["scale"].std() < 0.03
    assert not by_name["bias"].any()


@pytest.mark.parametrize(
    "name",
    [
        "cgan G",
        "gman D",
        "triple-gan D",
        "triple-gan D, colour",
        "c-rnn-gan G",
        "c-rnn-gan D",
    ],
)
def test_a_key_drops_out_and_no_key_does_not(name):
    variables, xs, apply = ready(name)
    still, one, other = (apply(variables, key, *xs) for key in (None, random.key(2), random.key(3)))
    assert not np.allclose(still, one, rtol=1e-5, atol=0)
    assert not np.allclose(one, other, rtol=1e-5, atol=0)


def test_the_conditional_dcgan_has_kernels_and_nothing_else():
    for name in ("cdcgan G", "cdcgan D"):
        paths = jax.tree_util.tree_leaves_with_path(ready(name)[0]["params"])
        assert {path[-1].key for path, _ in paths} == {"kernel"}


def test_features_of_discriminators_are_the_maps_of_every_layer():
    # The nets of the papers' linear classifiers: SVHN's, and the voxels' of 7168 features after
    # pooling to 2 x 2 x 2.
    svhn = shapes(dcgan.Discriminator(width=64), (32, 32, 3), method="features")
    assert svhn == ((16, 16, 64), (8, 8, 128), (4, 4, 256))
    solid = shapes(voxels.discriminator(), (64, 64, 64, 1), method="features")
    assert [maps[0] for maps in solid] == [32, 16, 8, 4]
    assert sum(2**3 * maps[-1] for maps in solid[1:]) == 7168


def test_features_are_what_the_last_layer_sees():
    assert shapes(classifiers.lenet(), (28, 28, 1), method="features") == (500,)
    assert shapes(cogan.Discriminator(), (28, 28, 1), method="features") == (500,)
    assert shapes(sequences.Discriminator(), (100, 4), method="features") == (100, 700)


@pytest.mark.parametrize("side", [4, 12, 28])
def test_dcgan_names_the_sides_it_takes(side):
    for net, shape in (
        (dcgan.Generator((side, side, 1)), (6,)),
        (dcgan.Discriminator(), (side, side, 1)),
    ):
        with pytest.raises(ValueError, match="sides of 8, 16, 32, 64"):
            shapes(net, shape)


def leading(tree):
    return {name: {leaf.shape[0] for leaf in jax.tree.leaves(sub)} for name, sub in tree.items()}


@pytest.mark.parametrize("k", range(5))
def test_cogan_shares_its_first_layers_of_g_and_its_last_of_d(k):
    """Figure 4 of the paper: 0 to 4 layers of G, 0 to 3 of D, one copy each."""
    of_g = tuple(f"layer{i}" for i in range(k))
    of_d = ("score", "layer2", "layer1")[:k]
    for net, sees, shared in (
        (cogan.Generator(), (100,), of_g),
        (cogan.Discriminator(), (28, 28, 1), of_d),
    ):
        team, single = Player(net, SGD, sees, n=2, shared=shared), Player(net, SGD, sees)
        ours, theirs = (jax.eval_shape(player.init, random.key(0))[0] for player in (team, single))
        for name in theirs:
            copies = 1 if name in shared else 2
            count = [
                sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree[name]))
                for tree in (ours, theirs)
            ]
            assert count[0] == copies * count[1]


def test_mad_gan_shares_a_trunk_of_dcgan_to_16_pixels():
    net = dcgan.Generator(width=4, kernel=4)
    player = Player(net, SGD, (6,), n=3, shared=("layer0", "layer1", "layer2"))
    params, _ = jax.eval_shape(player.init, random.key(0))
    assert set(params) == {"layer0", "layer1", "layer2", "layer3", "image"}
    assert leading({name: params[name] for name in ("layer3", "image")}) == {
        "layer3": {3},
        "image": {3},
    }
    assert jax.eval_shape(
        lambda key, z: player.bind(*player.init(key))(z), random.key(0), *blank((6,))
    ).shape == (3, 3, 64, 64, 3)


def test_cogan_classifies_only_with_classes():
    with pytest.raises(ValueError, match="no head for classes"):
        shapes(cogan.Discriminator(), (28, 28, 1), method="label")
    assert shapes(cogan.Discriminator(classes=7), (28, 28, 1), method="label") == (7,)


def test_lapgan_sees_the_sum_of_residual_and_coarse_image():
    variables, (h, l, y), apply = ready("cc-lapgan D")
    np.testing.assert_allclose(
        apply(variables, None, h, l, y),
        apply(variables, None, l + h, jnp.zeros_like(l), y),
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.parametrize("name", ["cyclegan G", "patch"])
def test_a_translator_treats_each_image_by_itself(name):
    variables, (x,), apply = ready(name)
    mixed = jnp.stack([x[1], x[0], x[0], 5 * x[3]])
    one, two = (apply(variables, None, images) for images in (x, mixed))
    np.testing.assert_allclose(one[0], two[1], atol=1e-5)


def test_weight_norm_forgets_the_length_of_a_kernel():
    variables, xs, apply = ready("triple-gan D")
    longer = jax.tree.map(lambda leaf: 7 * leaf if leaf.ndim > 1 else leaf, variables)
    np.testing.assert_allclose(
        apply(longer, None, *xs), apply(variables, None, *xs), rtol=1e-4, atol=1e-6
    )


def test_weight_norm_of_a_transposed_convolution_is_by_output_channel():
    variables, (z, y), apply = ready("triple-gan G, colour")
    long = jnp.array([1.0, 3.0, 9.0])[:, None]
    longer = jax.tree.map(
        lambda leaf: long * leaf if leaf.shape[:3] == (5, 5, 3) else leaf, variables
    )
    np.testing.assert_allclose(apply(longer, None, z, y), apply(variables, None, z, y), atol=1e-5)


def test_a_tone_depends_on_the_noise_before_it_alone():
    variables, (z,), apply = ready("c-rnn-gan G")
    x = apply(variables, None, z)
    late = apply(variables, None, z.at[:, 4].add(1.0))  # the noise of tone 3
    np.testing.assert_array_equal(x[:, :3], late[:, :3])
    assert (np.abs(x - late)[:, 3:].max((0, 2)) > 0).all()


def test_told_its_own_tones_a_generator_repeats_them():
    variables, (z,), apply = ready("c-rnn-gan G")
    x = apply(variables, None, z)
    np.testing.assert_allclose(apply(variables, None, z, x), x, atol=1e-6)
    assert np.abs(apply(variables, None, z, x + 1.0) - x)[:, 1:].max() > 1e-3


def test_a_sequence_is_scored_in_both_directions():
    variables, (x,), apply = ready("c-rnn-gan D")
    score = apply(variables, None, x)
    for t in (0, 5):
        assert (np.abs(apply(variables, None, x.at[:, t].add(1.0)) - score).max(0) > 0).all()


def test_labels_are_joined_at_every_point():
    x, y = random.normal(random.key(0), (2, 3, 5, 2)), jnp.eye(4)[:2]
    x_and_y = cgan.joined(x, y)
    np.testing.assert_array_equal(x_and_y[..., :2], x)
    np.testing.assert_array_equal(
        x_and_y[..., 2:], jnp.broadcast_to(y[:, None, None], (2, 3, 5, 4))
    )


@pytest.mark.parametrize(
    ("net", "sees", "sd"),
    [
        (lapgan.coarse_generator(), [(100,)], 0.05),
        (lapgan.coarse_discriminator(), [(8, 8, 3)], 0.005),
        (lapgan.coarse_generator(conditional=True), [(100,), (10,)], 0.0550482),
        (lapgan.coarse_discriminator(conditional=True), [(8, 8, 3), (10,)], 0.0406222),
    ],
)
def test_coarse_lapgan_nets_begin_as_in_the_authors_scripts(net, sees, sd):
    """N(.05) and N(.005), or with labels Torch's U(±1/√fan_in), of SD 1/√(3 fan_in)."""
    params = net.init(random.key(0), *(jnp.zeros((1, *shape)) for shape in sees))["params"]
    kernel = np.asarray(params["Dense_0"]["kernel"])
    assert kernel.std() == pytest.approx(sd, rel=0.02)
    if len(sees) == 2:
        assert np.abs(kernel).max() <= len(kernel) ** -0.5
    assert all((np.asarray(layer["bias"]) == 0).all() for layer in params.values())
