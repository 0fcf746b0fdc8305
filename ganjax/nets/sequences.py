"""C-RNN-GAN's nets (Mogren 2016): LSTMs that generate and discriminate sequences of tones.

Flax's initial weights and its forget bias of 0; the authors' dense layers begin at N(0, 1), for
tones in hertz and ticks, and the forget bias at 1.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from ganjax.nets.layers import Dropout


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
            state, x = nn.OptimizedLSTMCell(self.units)(state, x)
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
        zeros = jnp.zeros((len(z), self.units), z.dtype)
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
        return self._outputs_and_score(x)[1]

    def features(self, x: Array) -> Array:
        """[B, T, 2 units]."""
        return self._outputs_and_score(x)[0]

    @nn.compact
    def _outputs_and_score(self, x: Array) -> tuple[Array, Array]:
        x, ways = Dropout()(x, self.rate), []
        for reverse in (False, True):
            way: Any = x
            for _ in range(self.layers):
                cell = nn.OptimizedLSTMCell(self.units)
                way = nn.RNN(cell, reverse=reverse, keep_order=True)(way)
                way = Dropout()(way, self.rate)
            ways.append(way)
        R = jnp.concatenate(ways, -1)
        return R, nn.Dense(1, name="score")(R)[..., 0]
