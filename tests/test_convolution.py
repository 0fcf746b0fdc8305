"""Convolution, its transpose and its weight gradient: the same numbers in each form, each the
gradients of the other two.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from ganjax.nets import conv as c
from ganjax.nets import layers

CASES = [
    (k, s, pad, (9,) if k == 4 else (8, 7))
    for k, s, pads in (
        (3, 1, ("SAME",)),
        (3, 2, ((1, 0), "VALID")),
        (4, 2, ("SAME", 1)),
        (5, 2, ("SAME", (2, 1), 2)),
        (4, 4, ("SAME",)),
    )
    for pad in pads
] + [
    (4, 2, 1, (6, 8, 4)),
    (3, 2, (1, 0), (5, 4, 7)),
    (4, 2, (0, 3), (9, 6)),
    (6, 2, (2, 3), (7, 8)),
]


def far(a, b):
    """The largest ‖a - b‖ / ‖b‖ over leaves."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return max(float(np.linalg.norm(x - y) / np.linalg.norm(y)) for x, y in pairs)


def setting(k, s, padding, space, channels=(3, 5)):
    """(x, w, y, stride, pad) of a convolution."""
    keys, dims = random.split(random.key(0), 3), len(space)
    pad = c.pads(padding, k, s, dims)
    outputs = c.output_sizes(space, (k,) * dims, s, pad)
    shapes = (2, *space, channels[0]), (k,) * dims + channels, (2, *outputs, channels[1])
    x, w, y = (random.normal(key, shape) for key, shape in zip(keys, shapes))
    return x, w, y, s, pad


@pytest.mark.parametrize(("k", "s", "padding", "space"), CASES)
def test_forms_agree_and_the_three_are_adjoint(k, s, padding, space):
    x, w, y, s, pad = setting(k, s, padding, space)
    with jax.default_matmul_precision("highest"):
        forms = ["conv", "product", *(["slices"] if len(space) > 1 else [])]
        for form in forms + ["winograd"] * (k in (2 * s, 3 * s)):
            out = (
                c.convolve(x, w, s, pad, form),
                c.conv_transpose(y, w, s, pad, space, form),
                c.weight_gradient(x, y, s, pad, w.shape[:-2], form),
            )
            pull = jax.vjp(lambda x, w: c._conv(x, w, s, pad), x, w)
            assert far(out, (pull[0], *pull[1](y))) < 1e-5
            inner = [jnp.vdot(a, b) for a, b in zip(out, (y, x, w))]
            np.testing.assert_allclose(inner, inner[0], rtol=1e-4)


@pytest.mark.parametrize("form", ["conv", "product", "slices", "winograd"])
@pytest.mark.parametrize("transposed", [False, True])
def test_second_order_in_reverse_is_that_of_the_plain_convolution(form, transposed):
    x, w, y, s, pad = setting(4, 2, "SAME", (6, 6))
    space = x.shape[1:-1]

    def ours(a, w):
        return (
            c.conv_transpose(a, w, s, pad, space, form)
            if transposed
            else c.convolve(a, w, s, pad, form)
        )

    def plain(a, w):
        if not transposed:
            return c._conv(a, w, s, pad)
        return jax.lax.conv_transpose(a, w, (s, s), "SAME", transpose_kernel=True)

    def penalty(function):
        def slope(a, w):
            return jax.grad(lambda a: jnp.tanh(function(a, w)).sum())(a)

        return jax.grad(lambda a, w: (slope(a, w) ** 2).sum(), (0, 1))

    with jax.default_matmul_precision("highest"):
        assert (
            far(penalty(ours)(y if transposed else x, w), penalty(plain)(y if transposed else x, w))
            < 1e-5
        )


@pytest.mark.parametrize(
    ("k", "s", "padding", "n"), [(4, 2, 1, 8), (5, 2, (2, 1), 8), (4, 1, 0, 5)]
)
def test_a_weight_gradient_by_rows_is_the_weight_gradient(k, s, padding, n):
    x, _w, y, s, pad = setting(k, s, padding, (n, n))
    assert far(c._by_rows(x, y, s, pad, (k, k)), c.weight_gradient(x, y, s, pad, (k, k))) < 1e-5


def test_padding_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="SAME needs a kernel of at least the stride"):
        c.pads("SAME", 1, 2, 2)
    with pytest.raises(ValueError, match="padding is SAME, VALID, a number"):
        c.pads("FULL", 3, 1, 2)


def test_a_transposed_layer_undoes_the_sizes_of_a_layer():
    x = jnp.ones((1, 7, 7, 2))
    for k, s, padding, size in (
        (4, 2, "SAME", 14),
        (4, 2, 1, 14),
        (5, 2, (2, 1), 14),
        (3, 2, (1, 0), 14),
        (4, 1, "VALID", 10),
    ):
        y, _ = layers.ConvTranspose(3, k, s, padding).init_with_output(random.key(0), x)
        assert y.shape == (1, size, size, 3)
        assert layers.Conv(2, k, s, padding).init_with_output(random.key(0), y)[0].shape == x.shape


def test_batch_norm_has_the_gradients_of_its_definition_far_from_zero():
    x = 3 * random.normal(random.key(0), (8, 4, 6)) + 50
    scale, bias = 1 + 0.1 * random.normal(random.key(1), (6,)), random.normal(random.key(2), (6,))
    weight = random.normal(random.key(3), x.shape)

    def plain(x, scale, bias, eps):
        return (x - x.mean((0, 1))) * jax.lax.rsqrt(x.var((0, 1)) + eps) * scale + bias

    def first(function):
        return jax.grad(lambda *args: (jnp.tanh(function(*args, 1e-5)) * weight).sum(), (0, 1, 2))

    def second(function):
        return jax.grad(
            lambda *args: sum(((i + 1) * g**2).sum() for i, g in enumerate(first(function)(*args))),
            (0, 1, 2),
        )

    for order in (first, second):
        assert far(order(layers._batch_norm)(x, scale, bias), order(plain)(x, scale, bias)) < 1e-4


def test_instance_norm_is_of_each_sample_and_channel():
    x = 5 * random.normal(random.key(0), (3, 4, 4, 2)) + 7
    y, _ = layers.InstanceNorm().init_with_output(random.key(1), x)
    np.testing.assert_allclose(y.mean((1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(y.var((1, 2)), 1, rtol=1e-4)
    alone = np.asarray(layers.InstanceNorm().apply({}, x[:1]))
    np.testing.assert_allclose(y[:1], alone, rtol=1e-5, atol=1e-5)


def test_tied_pieces_of_maxout_pass_the_gradient_once():
    net = layers.Maxout(
        2, 3, kernel_init=lambda key, shape, dtype=jnp.float32: jnp.ones(shape, dtype)
    )
    variables = net.init(random.key(0), jnp.ones((1, 4)))
    slope = jax.grad(lambda x: jnp.asarray(net.apply(variables, x)).sum())(jnp.ones((1, 4)))
    np.testing.assert_array_equal(slope, 2 * np.ones((1, 4)))


@pytest.mark.parametrize(
    ("dtype", "channels", "plain"),
    [("float32", 64, False), ("float32", 63, True), ("bfloat16", 64, True)],
)
def test_wide_layers_of_full_precision_multiply_less_on_cpu(dtype, channels, plain):
    x, w, _, s, pad = setting(4, 2, "SAME", (16, 16), (64, channels))
    x = jnp.tile(x, (4, 1, 1, 1)).astype(dtype)

    def both(x, w):
        return jax.vjp(lambda x, w: c.convolve(x, w, s, pad), x, w)[1](
            jnp.ones((8, 8, 8, channels), dtype)
        )

    program = str(jax.make_jaxpr(both)(x, w.astype(dtype)))
    assert ("conv_general_dilated" in program) == plain == ("dot_general" not in program)


def test_winograds_form_of_many_kernels_is_that_of_each():
    x, w, _, s, pad = setting(6, 2, "SAME", (8, 8))
    many = jnp.stack([w, -2 * w, w[::-1]])
    together = jax.vmap(lambda w: c.convolve(x, w, s, pad, "winograd"))(many)
    each = [c.convolve(x, w, s, pad, "conv") for w in many]
    assert far(together, jnp.stack(each)) < 1e-5
