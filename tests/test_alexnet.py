"""AlexNet: its sizes by hand, its layers against others' code, and nets of equal size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import alexnet
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random
from runs import build, call

from ganjax.data.transforms import shift_and_flip
from ganjax.nets import MLP
from ganjax.nets import classifiers as nets
from ganjax.nets.layers import Conv, Dropout, local_response_norm, max_pool
from ganjax.nets.operations import needed
from ganjax.protocols import image_classifiers

# (side of the kernel, channels that it sees, its own) of each convolution, and places it works at
CONVOLUTIONS = ((11, 3, 96), (5, 48, 256), (3, 256, 384), (3, 192, 384), (3, 192, 256))
PLACES = (55**2, 27**2, 13**2, 13**2, 13**2)
DENSE = ((6 * 6 * 256, 4096), (4096, 4096), (4096, 1000))
WHOLE = (3, 96, 256, 384, 384)  # channels where nothing is halved


def shapes_of(net: nn.Module, size: int, channels: int = 3) -> tuple[dict[str, Any], list[Any]]:
    """The shapes of the parameters by layer, and of every layer's output; nothing is computed."""
    outputs: list[Any] = []

    def note(call: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
        y = call(*args, **kwargs)
        if isinstance(context.module, (Conv, nn.Dense)):
            outputs.append(y.shape[1:])
        return y

    def init(key: jax.Array) -> Any:
        with nn.intercept_methods(note):
            return net.init(key, jnp.zeros((1, size, size, channels)))

    return jax.eval_shape(init, random.key(0))["params"], outputs


def test_alexnet_has_the_shapes_and_the_parameters_of_its_paper() -> None:
    params, outputs = shapes_of(nets.alexnet(), 224)
    by_hand = sum(k * k * seen * own + own for k, seen, own in CONVOLUTIONS)
    by_hand += sum(seen * own + own for seen, own in DENSE)
    assert by_hand == 60_965_224
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == by_hand
    ungrouped = [(k, seen, own) for (k, _, own), seen in zip(CONVOLUTIONS, WHOLE)]
    halves = sum(k * k * (whole - seen) * own for (k, whole, own), (_, seen, _)
                 in zip(ungrouped, CONVOLUTIONS))  # fmt: skip
    assert by_hand + halves == 62_378_344
    assert outputs == [
        (55, 55, 96), (27, 27, 256), (13, 13, 384), (13, 13, 384), (13, 13, 256),
        (4096,), (4096,), (1000,),
    ]  # fmt: skip
    convolutions = sorted(name for name in params if name.startswith("Conv"))
    kernels = [params[name]["kernel"].shape for name in convolutions]
    assert kernels == [(k, k, seen, own) for k, seen, own in CONVOLUTIONS]


def test_alexnet_needs_the_operations_that_are_counted_by_hand() -> None:
    each = [2 * n * k * k * seen * own for (k, seen, own), n in zip(CONVOLUTIONS, PLACES)]
    each += [2 * seen * own for seen, own in DENSE]
    assert needed(nets.alexnet(), (224, 224, 3)) == each
    assert round(sum(each) / 2e6) == 724  # million multiply-adds


@pytest.mark.parametrize(("size", "stride"), [(32, 1), (64, 2)])
def test_the_narrow_form_has_the_same_layers(size: int, stride: int) -> None:
    net = nets.narrow_alexnet(size)
    params, outputs = shapes_of(net, size)
    assert outputs == [
        (32, 32, 24), (15, 15, 64), (7, 7, 96), (7, 7, 96), (7, 7, 64), (480,), (480,), (10,),
    ]  # fmt: skip
    assert net.stride == stride
    by_hand = 5 * 5 * 3 * 24 + 24 + 5 * 5 * 12 * 64 + 64 + 3 * 3 * 64 * 96 + 96
    by_hand += 3 * 3 * 48 * 96 + 96 + 3 * 3 * 48 * 64 + 64
    by_hand += 3 * 3 * 64 * 480 + 480 + 480 * 480 + 480 + 480 * 10 + 10
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == by_hand


@pytest.mark.parametrize(("groups", "stride", "padding"), [(2, 1, "SAME"), (3, 2, (1, 2))])
def test_a_convolution_in_groups_is_flaxs(groups: int, stride: int, padding: Any) -> None:
    x = random.normal(random.key(0), (2, 9, 9, 6))
    ours = Conv(12, 3, stride, padding, groups=groups)
    pads = padding if padding == "SAME" else [padding, padding]
    flax = nn.Conv(12, (3, 3), stride, pads, feature_group_count=groups)
    variables = ours.init(random.key(1), x)
    theirs = flax.init(random.key(1), x)
    assert jax.tree.map(jnp.shape, variables) == jax.tree.map(jnp.shape, theirs)

    def value(net: nn.Module, params: Any) -> jax.Array:
        return (jnp.sin(jnp.asarray(net.apply(params, x)))).sum()

    y, other = (jnp.asarray(net.apply(variables, x)) for net in (ours, flax))
    np.testing.assert_allclose(y, other, atol=1e-5)
    grads = [jax.grad(lambda p, net=net: value(net, p))(variables) for net in (ours, flax)]
    for a, b in zip(*map(jax.tree.leaves, grads), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_groups_that_do_not_divide_are_refused() -> None:
    x = jnp.zeros((1, 4, 4, 6))
    for features, groups in ((8, 4), (9, 2)):
        with pytest.raises(ValueError, match=f"{groups} groups divide"):
            Conv(features, 3, groups=groups).init(random.key(0), x)


@pytest.mark.parametrize(("window", "stride"), [(3, 2), (2, 2), (2, 3), (3, 1)])
@pytest.mark.parametrize("side", [7, 8])
def test_an_overlapping_max_pool_and_its_gradient_are_flaxs(
    window: int, stride: int, side: int
) -> None:
    """Without ties: with them, the first maximum of a window gets the gradient."""
    x = random.permutation(random.key(0), 2.0 * jnp.arange(2 * side * side * 3))
    x = x.reshape(2, side, side, 3)
    y, back = jax.vjp(lambda x: max_pool(x, window, stride), x)
    other, other_back = jax.vjp(lambda x: nn.max_pool(x, (window,) * 2, (stride,) * 2), x)
    np.testing.assert_array_equal(y, other)
    g = random.normal(random.key(1), y.shape)
    np.testing.assert_allclose(back(g)[0], other_back(g)[0], rtol=1e-6)


def test_response_normalisation_is_the_papers_formula_channel_by_channel() -> None:
    a = np.random.default_rng(0).normal(size=(2, 3, 8)) * 30
    k, n, alpha, beta = 2, 5, 1e-2, 0.75
    expected = np.empty_like(a)
    for i in range(8):
        near = range(max(0, i - n // 2), min(7, i + n // 2) + 1)
        expected[..., i] = a[..., i] / (k + alpha * sum(a[..., j] ** 2 for j in near)) ** beta
    found = local_response_norm(jnp.asarray(a, jnp.float32), k, n, alpha, beta)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    alike = local_response_norm(jnp.full((1, 8), 100.0))  # the paper's constants: 2 + 1e-4 5 100²
    np.testing.assert_allclose(alike[0, 4], 100 / 7**0.75, rtol=1e-4)


def test_dropout_follows_both_dense_layers_and_no_other() -> None:
    dropped = []

    def note(call: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
        if isinstance(context.module, Dropout):
            dropped.append((args[0].shape, args[1]))
        return call(*args, **kwargs)

    with nn.intercept_methods(note):
        shapes_of(nets.narrow_alexnet(32, width=6, rate=0.3), 32)
        shapes_of(nets.alexnet(), 224)
    assert dropped == [((1, 120), 0.3)] * 2 + [((1, 4096), 0.5)] * 2


def test_nets_of_equal_size_are_the_nearest() -> None:
    def net(width: int) -> nn.Module:
        return MLP((width, width), (10,))

    wanted = 5000
    found = image_classifiers.of_equal_size(net, (8, 8, 1), wanted)
    counts = {w: 65 * w + w * w + w + 10 * w + 10 for w in range(1, 200)}
    assert image_classifiers.parameters(net(7), (8, 8, 1)) == counts[7]
    assert found == net(min(counts, key=lambda w: abs(counts[w] - wanted)))
    assert image_classifiers.of_equal_size(net, (8, 8, 1), 1) == net(1)


def test_the_three_nets_of_the_table_have_equally_many_parameters() -> None:
    rows = alexnet.TABLES["why"].rows.values()
    counts = [
        image_classifiers.parameters(
            alexnet.network((32, 32, 3), 10, alexnet.Options(**row)), (32, 32, 3)
        )
        for row in rows
    ]
    assert max(counts) / min(counts) < 1.01


def test_shifted_images_are_windows_of_the_padded_ones_mirrored_or_not() -> None:
    x = np.arange(1, 1 + 64 * 5 * 4 * 1, dtype=np.float32).reshape(64, 5, 4, 1)
    moved = np.asarray(shift_and_flip(jnp.asarray(x), random.key(0), 2))
    padded = np.pad(x, [(0, 0), (2, 2), (2, 2), (0, 0)])
    seen = set()
    for image, around in zip(moved, padded):
        fits = [
            (i, j, step)
            for i in range(5)
            for j in range(5)
            for step in (1, -1)
            if (around[i : i + 5, j : j + 4][:, ::step] == image).all()
        ]
        assert len(fits) == 1
        seen.add(fits[0])
    assert {i for i, _, _ in seen} == {j for _, j, _ in seen} == set(range(5))
    assert {step for _, _, step in seen} == {1, -1}


def test_what_is_evaluated_is_the_error_on_the_test_images() -> None:
    experiment = build(alexnet, **{**alexnet.QUICK, "net": "mlp"})
    player = experiment.played.players["C"]
    C = player.bind(*player.init(random.key(0)))
    arrays = experiment.data
    found = experiment.evaluate(arrays, random.key(0), C=C)
    label = np.asarray(C(arrays["test_x"] / np.float32(127.5) - 1)).argmax(-1)
    assert found["error"] == pytest.approx((label != arrays["test_label"]).mean())
    assert found["parameters"] == sum(leaf.size for leaf in jax.tree.leaves(C.params))
    assert found["operations"] == sum(needed(player.net, (32, 32, 1)))
    assert image_classifiers.filters(arrays, None, [], C=C) == {}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--data=digits"], "the narrow AlexNet sees 32 or 64 pixels a side, not 8"),
        (["--data=digits", "--size=32", "--width=8"], "width is a multiple of 6"),
        (["--data=digits", "--size=32", "--dropout=1"], "dropout must be 0 or more and below 1"),
        (["--data=ring"], "ring has points of 2 numbers"),
        (["--net=vgg"], "vgg"),
    ],
)
def test_bad_options_are_refused_in_one_line(options: list[str], said: str) -> None:
    status, out, err = call("run", "experiments/alexnet.py", *options)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert said in err
