"""Nets of sequences: a fast LSTM, and C-RNN-GAN's generator and discriminator (Mogren 2016).

C-RNN-GAN has Flax's initial weights; the authors' dense layers begin at N(0, 1), for tones in hertz
and ticks. G has Flax's forget bias of 0, D that of 1, as in the authors' code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array, lax

from ganjax.data.sequences import mask
from ganjax.nets.layers import Dropout

SHUT = -1e4  # what a gate sees in padding: its sigmoid is 0, with a gradient of 0


def orthogonal(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
    """Flax's orthogonal initial weights, one matrix after another under vmap.

    A factorisation of several matrices at once, for a population of seeds, waits on a CPU of two
    cores for threads that wait for it (jaxlib 0.10.1).
    """
    draw = jax.custom_batching.sequential_vmap(
        lambda key: nn.initializers.orthogonal()(key, shape, dtype)
    )
    return draw(key)


@jax.custom_vjp
def recurrence(gates: Array, R: Array) -> Array:
    """The outputs [T, B, U] of an LSTM from what its gates get of the input, [T, B, 4U], and the
    kernel R [U, 4U] of its state; gates in the order input, forget, output, candidate.

    h_t = o tanh(c_t), c_t = f c_{t-1} + i g; h and c begin at 0. The gradient of R is one product
    over all steps, not a sum that a loop carries.
    """
    return _forwards(gates, R)[0]


def _forwards(gates: Array, R: Array) -> tuple[Array, Any]:
    U = len(R)

    def step(carry: tuple[Array, Array], given: Array) -> tuple[Any, Any]:
        h, c = carry
        a = given + h @ R
        opened, g = nn.sigmoid(a[:, : 3 * U]), nn.tanh(a[:, 3 * U :])
        i, f, o = jnp.split(opened, 3, -1)
        c = f * c + i * g
        h = o * nn.tanh(c)
        return (h, c), (h, c, jnp.concatenate([opened, g], -1))

    zeros = jnp.zeros((gates.shape[1], U), gates.dtype)
    h, c, opened = lax.scan(step, (zeros, zeros), gates)[1]
    return h, (h, c, opened, R)


def _backwards(kept: Any, dh: Array) -> tuple[Array, Array]:
    h, c, opened, R = kept
    U = len(R)
    before = jnp.concatenate([jnp.zeros_like(c[:1]), c[:-1]])

    def step(carry: tuple[Array, Array], given: Any) -> tuple[Any, Array]:
        dh, dc = carry
        from_above, c, before, opened = given
        i, f, o, g = jnp.split(opened, 4, -1)
        t = nn.tanh(c)
        dh = dh + from_above
        dc = dc + dh * o * (1 - t * t)
        slopes = (dc * g * i * (1 - i), dc * before * f * (1 - f), dh * t * o * (1 - o))
        da = jnp.concatenate([*slopes, dc * i * (1 - g * g)], -1)
        return (da @ R.T, dc * f), da

    zeros = jnp.zeros_like(c[0])
    da = lax.scan(step, (zeros, zeros), (dh, c, before, opened), reverse=True)[1]
    earlier = jnp.concatenate([jnp.zeros_like(h[:1]), h[:-1]]).reshape(-1, U)
    return da, earlier.T @ da.reshape(-1, 4 * U)


recurrence.defvjp(_forwards, _backwards)


class LSTM(nn.Module):
    """x [B, T, F], lengths [B] -> [B, T, units]; the input's product is taken for all steps at
    once.

    In padding, behind `lengths`, outputs are 0 and nothing is learnt; without lengths there is
    none. Reversed it begins at a sequence's last step. Hochreiter and Schmidhuber 1997 with forget
    gates, whose bias begins at `forget` (Jozefowicz et al. 2015: 1). The gradient is written by
    hand, so there is no forward-mode derivative (jvp).
    """

    units: int
    reverse: bool = False
    forget: float = 1.0
    start: Callable[..., Array] = nn.initializers.lecun_normal()  # of the recurrent weights

    @nn.compact
    def __call__(self, x: Array, lengths: Array | None = None) -> Array:
        U = self.units

        def bias(_: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
            return jnp.zeros(shape, dtype).at[U : 2 * U].set(self.forget)

        gates = nn.Dense(4 * U, bias_init=bias, name="input")(x)  # [B, T, 4U]
        R = self.param("state", self.start, (U, 4 * U)).astype(gates.dtype)
        if lengths is not None:
            gates = jnp.where(mask(lengths, x.shape[1])[..., None], gates, SHUT)
        gates = gates.swapaxes(0, 1)
        if self.reverse:
            return recurrence(gates[::-1], R)[::-1].swapaxes(0, 1)
        return recurrence(gates, R).swapaxes(0, 1)


class BidirectionalLSTM(nn.Module):
    """x [B, T, F], lengths [B] -> [B, T, 2 units]: both directions (Graves, Schmidhuber 2005)."""

    units: int

    @nn.compact
    def __call__(self, x: Array, lengths: Array | None = None) -> Array:
        ways = [LSTM(self.units, r, name=n) for r, n in ((False, "forward"), (True, "backward"))]
        return jnp.concatenate([way(x, lengths) for way in ways], -1)


class Step(nn.Module):
    """One tone: (states of the LSTMs, the tone before), (noise, the tone before if it is told) ->
    the same, the tone [B, k].
    """

    tone: int
    units: int
    rate: float

    @nn.compact
    def __call__(
        self, carry: tuple[Any, Array], given: tuple[Array, Array | None]
    ) -> tuple[tuple[Any, Array], Array]:
        (states, last), (u, told) = carry, given
        x = nn.relu(nn.Dense(self.units)(jnp.concatenate([u, last if told is None else told], -1)))
        moved = []
        for state in states:
            cell = nn.OptimizedLSTMCell(self.units, recurrent_kernel_init=orthogonal)
            state, x = cell(state, x)
            x = Dropout()(x, self.rate)
            moved.append(state)
        x = nn.Dense(self.tone, name="tone")(x)
        return (tuple(moved), x), x


class Generator(nn.Module):
    """z [B, 1 + T, k] -> tones [B, T, k]; each step sees its noise and the tone before. z[:, 0]
    stands for the tone before the first.

    Told the real tones x [B, T, k], each step sees the real one before it: their pre-training.
    """

    units: int = 350
    layers: int = 2
    rate: float = 0.5  # of dropout after each LSTM

    @nn.compact
    def __call__(self, z: Array, x: Array | None = None) -> Array:
        told = None if x is None else jnp.concatenate([z[:, :1], x[:, :-1]], 1)
        zeros = jnp.zeros((z.shape[0], self.units), z.dtype)
        steps = nn.scan(
            Step,
            variable_broadcast="params",
            split_rngs={"params": False, "dropout": True},
            in_axes=1,
            out_axes=1,
        )
        carry = (((zeros, zeros),) * self.layers, z[:, 0])
        return steps(z.shape[-1], self.units, self.rate, name="step")(carry, (z[:, 1:], told))[1]


class Discriminator(nn.Module):
    """Tones [B, T, k] -> [B, T] logits, one for each tone; the paper averages their probabilities
    over a sequence.

    `features` are the outputs of both directions, R of the paper's feature matching. Dropout as in
    the authors' code.
    """

    units: int = 350
    layers: int = 2
    rate: float = 0.5  # of dropout of the tones and after each LSTM

    def __call__(self, x: Array) -> Array:
        return self.features_and_score(x)[1]

    def features(self, x: Array) -> Array:
        """[B, T, 2 units]."""
        return self.features_and_score(x)[0]

    @nn.compact
    def features_and_score(self, x: Array) -> tuple[Array, Array]:
        """Both, of one pass: [B, T, 2 units] and [B, T]."""
        x, ways = Dropout()(x, self.rate), []
        for reverse in (False, True):
            way: Any = x
            for _ in range(self.layers):
                way = Dropout()(LSTM(self.units, reverse, start=orthogonal)(way), self.rate)
            ways.append(way)
        R = jnp.concatenate(ways, -1)
        return R, nn.Dense(1, name="score")(R)[..., 0]
