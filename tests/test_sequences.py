"""Sequences: padding changes nothing, and the fast LSTM is Flax's."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from ganjax.data.sequences import mask, pad, strided
from ganjax.losses import ctc
from ganjax.nets.ctc import Recogniser, stacked
from ganjax.nets.sequences import LSTM, recurrence

B, T, F, U = 3, 11, 5, 4


def test_pad_and_mask():
    rows = [np.ones((n, 2), np.float32) for n in (3, 1, 4)]
    x, lengths = pad(rows, 6)
    assert x.shape == (3, 6, 2)
    np.testing.assert_array_equal(lengths, [3, 1, 4])
    np.testing.assert_array_equal(x[..., 0], mask(lengths, 6))
    assert pad(rows)[0].shape == (3, 4, 2)
    with pytest.raises(ValueError, match="a sequence of 4 does not fit into 3"):
        pad(rows, 3)
    np.testing.assert_array_equal(strided(np.arange(7), 3), [len(range(0, n, 3)) for n in range(7)])


def flax_weights(params):
    """The same weights in the layout of Flax's OptimizedLSTMCell."""
    kernel, bias = params["input"]["kernel"], params["input"]["bias"]
    own = {"i": 0, "f": 1, "o": 2, "g": 3}

    def part(a, gate):
        return a[..., own[gate] * U : (own[gate] + 1) * U]

    return {
        **{f"i{g}": {"kernel": part(kernel, g)} for g in own},
        **{f"h{g}": {"kernel": part(params["state"], g), "bias": part(bias, g)} for g in own},
    }


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", [None, [11, 4, 1]])
def test_the_lstm_and_its_gradients_are_flaxs(reverse, lengths):
    net, x = LSTM(U, reverse), random.normal(random.key(0), (B, T, F))
    n = None if lengths is None else jnp.array(lengths)
    params = net.init(random.key(1), x, n)["params"]
    theirs = nn.RNN(nn.OptimizedLSTMCell(U), reverse=reverse, keep_order=True)
    weights = random.normal(random.key(2), (B, T, U))
    if n is not None:
        weights = weights * mask(n, T)[..., None]

    def ours_summed(params, x):
        out: Any = net.apply({"params": params}, x, n)
        return (weights * out).sum()

    def theirs_summed(params, x):
        cell = {"params": {"cell": flax_weights(params)}}
        out: Any = theirs.apply(cell, x, seq_lengths=n)
        return (weights * out).sum()

    ours = jax.jit(jax.value_and_grad(ours_summed, (0, 1)))(params, x)
    flax = jax.jit(jax.value_and_grad(theirs_summed, (0, 1)))(params, x)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(flax), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_the_lstm_is_zero_in_padding_and_its_forget_bias_begins_at_one():
    x = random.normal(random.key(0), (B, T, F))
    net = LSTM(U, reverse=True)
    params: Any = net.init(random.key(1), x)["params"]
    out: Any = net.apply({"params": params}, x, jnp.array([5, 11, 0]))
    assert not out[0, 5:].any()
    assert not out[2].any()
    assert out[0, :5].all()
    np.testing.assert_array_equal(params["input"]["bias"].reshape(4, U)[:, 0], [0, 1, 0, 0])


def test_the_lstm_can_be_differentiated_twice():
    """A gradient penalty does it: the gradient of a gradient, against finite differences."""
    gates, R = random.normal(random.key(0), (4, 2, 4 * U)), random.normal(random.key(1), (U, 4 * U))
    tangent = random.normal(random.key(2), gates.shape)

    def slope(gates):
        return (jax.grad(lambda g: (recurrence(g, R) ** 2).sum())(gates) ** 2).sum()

    second = (jax.jit(jax.grad(slope))(gates) * tangent).sum()
    e = 1e-2
    by_steps = (slope(gates + e * tangent) - slope(gates - e * tangent)) / (2 * e)
    np.testing.assert_allclose(second, by_steps, rtol=2e-2)


def test_stacked_frames_are_windows_around_each_kept_frame():
    x = jnp.arange(1.0, 8.0)[None, :, None]  # 7 frames of one band
    np.testing.assert_array_equal(stacked(x, 3, 3)[0], [[1, 2, 3], [4, 5, 6], [7, 0, 0]])
    np.testing.assert_array_equal(
        stacked(x, 5, 3)[0], [[0, 1, 2, 3, 4], [3, 4, 5, 6, 7], [6, 7, 0, 0, 0]]
    )
    np.testing.assert_array_equal(stacked(x, 3, 1)[0, :2], [[0, 1, 2], [1, 2, 3]])


@pytest.mark.parametrize("convolutions", [False, True])
def test_padding_changes_neither_the_loss_nor_its_gradients(convolutions):
    """Padding of any content and length; the strides fall on other frames if it is counted in."""
    net = Recogniser(symbols=5, units=6, layers=2, convolutions=convolutions)
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=(n, F)).astype(np.float32) for n in (31, 20, 13)]
    labels = [rng.integers(1, 5, n).astype(np.int32) for n in (4, 3, 1)]
    params = net.init(random.key(0), jnp.zeros((1, 31, F)), jnp.array([31]))["params"]

    @jax.jit
    def loss(params, x, n, y, m):
        logits: Any = net.apply({"params": params}, x, n)
        return (ctc(logits, strided(n, net.stride), y, m)).sum()

    found = []
    for longer, L in ((31, 4), (38, 7), (60, 4)):
        (x, n), (y, m) = pad(rows, longer), pad(labels, L)
        x = np.where(mask(n, longer)[..., None], x, 1e3)  # what is there must not matter
        found.append(jax.value_and_grad(loss)(params, x, n, y, m))
    for other in found[1:]:
        for a, b in zip(jax.tree.leaves(found[0]), jax.tree.leaves(other), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6 * np.abs(a).max())
