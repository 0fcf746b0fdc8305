"""Recognisers for CTC: frames of sound -> scores of characters, by recurrent layers."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from ganjax.data.sequences import mask, strided
from ganjax.nets.layers import Dropout
from ganjax.nets.sequences import BidirectionalLSTM


class Recogniser(nn.Module):
    """x [B, T, F], lengths [B] -> logits [B, ceil(T / stride), symbols].

    Frames are stacked by `stride` and seen by bidirectional LSTMs (Graves et al. 2006). With
    `convolutions` two come before: 11 frames wide with the stride, then 5 wide. Each is a product
    of stacked frames, then layer normalisation (Ba et al. 2016) and a rectifier. What is behind the
    lengths changes nothing before them.
    """

    symbols: int
    units: int = 128  # of each direction, and channels of a convolution
    layers: int = 1
    stride: int = 3
    convolutions: bool = False
    rate: float = 0.1  # of dropout after each layer

    @nn.compact
    def __call__(self, x: Array, lengths: Array) -> Array:
        kept = jnp.asarray(strided(lengths, self.stride))
        if self.convolutions:
            for width, stride, length in ((11, self.stride, lengths), (5, 1, kept)):
                x = stacked(x * mask(length, x.shape[1])[..., None], width, stride)
                x = nn.relu(nn.LayerNorm()(nn.Dense(self.units)(x)))
                x = Dropout()(x, self.rate)
        else:
            x = stacked(x * mask(lengths, x.shape[1])[..., None], self.stride, self.stride)
        for _ in range(self.layers):
            x = Dropout()(BidirectionalLSTM(self.units)(x, kept), self.rate)
        return nn.Dense(self.symbols, name="score")(x)


def stacked(x: Array, width: int, stride: int) -> Array:
    """x [B, T, F] -> [B, ceil(T / stride), width F]: every `stride`-th frame with its neighbours,
    as many before as behind, zeros beyond the ends.

    With stride = width each frame is seen once.
    """
    T = x.shape[1]
    out, left = strided(T, stride), (width - stride) // 2
    right = max(0, (out - 1) * stride + width - left - T)
    x = jnp.pad(x, [(0, 0), (left, right), (0, 0)])
    last = (out - 1) * stride + 1
    return jnp.concatenate([x[:, j : j + last : stride] for j in range(width)], -1)
