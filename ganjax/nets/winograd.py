"""Convolutions with fewer multiplications: Winograd's F(2, m) on each axis.

A convolution whose kernel has m strides is one of stride 1 with m taps, between the places of a
stride as channels. Two outputs side by side see m + 1 inputs, and cost m + 1 multiplications in
place of 2m: with the m + 1 combinations B of the inputs, G of the taps and A of the products,

    (y_0, y_1) = A [(G w) * (B x)].

On two axes that is 16 / 9 times fewer for m = 2 and 36 / 16 for m = 3. All combinations have the
factors ±1 and ±1/2, so the numbers agree with the plain convolution's to rounding. The products,
summed over channels, are a batch of (m + 1)^d matrix products for d axes.

Lavin and Gray 2016 (arXiv:1509.09308), sections 3 and 4; F(2, 2) and the strides are ours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

Pads = tuple[tuple[int, int], ...]
Rows = tuple[tuple[float, ...], ...]

A: dict[int, Rows] = {2: ((1, 1, 0), (0, 1, -1)), 3: ((1, 1, 1, 0), (0, 1, -1, -1))}
B: dict[int, Rows] = {
    2: ((1, -1, 0), (0, 1, 0), (0, 1, -1)),
    3: ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)),
}
G: dict[int, Rows] = {
    2: ((1, 0), (1, 1), (0, 1)),
    3: ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1)),
}
# By m, where it pays on CPU. Combinations cost as much for few channels as for many, and their
# programs some seconds to compile.
LEAST_CHANNELS = {2: 64, 3: 128}
LEAST_TILES = {2: 128, 3: 256}


def pays(y: tuple[int, ...], w: tuple[int, ...], stride: int) -> bool:
    """Is this form the fast one on CPU? y: batch and sizes of the output; w: the kernel's shape."""
    if not isinstance(y[0], int):  # a net that is exported for any batch
        return False
    tiles = y[0] * math.prod(-(-n // 2) for n in y[1:])
    m = w[0] // stride
    square = len(w) == 4 and w[0] == w[1] == m * stride and m in A
    return square and min(w[2:]) >= LEAST_CHANNELS[m] and tiles >= LEAST_TILES[m]


def convolve(x: Array, w: Array, stride: int, pad: Pads, size: Sequence[int]) -> Array:
    """`conv.convolve` to the sizes `size`. All sides of the kernel are 2 or 3 strides long."""
    m = len(w) // stride
    inputs = _inputs(x, m, stride, pad, size)
    products = lax.dot_general(inputs, _taps(w, stride), (((2,), (1,)), ((0,), (0,))))
    return _outputs(products, m, len(x), size)


def conv_transpose(y: Array, w: Array, stride: int, pad: Pads, space: Sequence[int]) -> Array:
    """`conv.conv_transpose` to the sizes `space`."""
    m = len(w) // stride
    back = _outputs_back(y, m)
    back = lax.dot_general(back, _taps(w, stride), (((2,), (2,)), ((0,), (0,))))
    return _inputs_back(back, m, stride, pad, y, space)


def weight_gradient(x: Array, y: Array, stride: int, pad: Pads, kernel: Sequence[int]) -> Array:
    """`conv.weight_gradient` of a kernel of these sizes."""
    m, (channels, features) = kernel[0] // stride, (x.shape[-1], y.shape[-1])
    inputs, back = _inputs(x, m, stride, pad, y.shape[1:-1]), _outputs_back(y, m)
    back = lax.dot_general(inputs, back, (((1,), (1,)), ((0,), (0,))))
    w = jax.ShapeDtypeStruct((*kernel, channels, features), y.dtype)
    return jax.linear_transpose(lambda w: _taps(w, stride), w)(back)[0]


def _inputs(x: Array, m: int, stride: int, pad: Pads, size: Sequence[int]) -> Array:
    """B x on each axis, [(m + 1)^d, tiles, stride^d · I]."""
    tiles = [-(-n // 2) for n in size]
    full = _full(tiles, stride)
    around = [(low, n - low - old, 0) for (low, _), n, old in zip(pad, full, x.shape[1:])]
    x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *around, (0, 0, 0)])
    x = _made(x).reshape(len(x), *(n for t in tiles for n in (t + 1, 2, stride)), -1)
    x = x.transpose(0, *_pairs_first(len(size)), x.ndim - 1)
    for axis in range(len(size)):
        x = _made(jnp.stack(_combined(B[m], _windows(x, 2 * axis + 1, m + 1)), axis))
    return x.reshape((m + 1) ** len(size), -1, math.prod(x.shape[2 * len(size) + 1 :]))


def _inputs_back(
    both: Array, m: int, stride: int, pad: Pads, y: Array, space: Sequence[int]
) -> Array:
    """The transpose of `_inputs`, [B, *space, I]. y: of the output's batch and sizes."""
    dims, tiles = len(space), [-(-n // 2) for n in y.shape[1:-1]]
    x = both.reshape(*[m + 1] * dims, len(y), *tiles, *[stride] * dims, -1)
    for axis in reversed(range(dims)):
        x = _made(_overlapped(_combined(_turned(B[m]), _parts(x, axis)), 2 * axis + 1))
    back = np.argsort(_pairs_first(dims)) + 1
    x = x.transpose(0, *back.tolist(), x.ndim - 1).reshape(len(y), *_full(tiles, stride), -1)
    around = [(-low, low + n - full, 0) for (low, _), n, full in zip(pad, space, x.shape[1:])]
    return lax.pad(_made(x), jnp.zeros((), x.dtype), [(0, 0, 0), *around, (0, 0, 0)])


def _taps(w: Array, stride: int) -> Array:
    """G w on each axis, [(m + 1)^d, stride^d · I, O]."""
    dims, m = w.ndim - 2, len(w) // stride
    split = w.reshape(*(n for _ in range(dims) for n in (m, stride)), *w.shape[-2:])
    taps = split.transpose(*range(0, 2 * dims, 2), *range(1, 2 * dims, 2), 2 * dims, 2 * dims + 1)
    for axis in range(dims):
        taps = jnp.stack(_combined(G[m], _parts(taps, axis)), axis)
    return taps.reshape((m + 1) ** dims, -1, w.shape[-1])


def _outputs(products: Array, m: int, batch: int, size: Sequence[int]) -> Array:
    """A of the products on each axis, [batch, *size, O]."""
    dims, tiles = len(size), [-(-n // 2) for n in size]
    y = products.reshape(*[m + 1] * dims, batch, *tiles, -1)
    for axis in reversed(range(dims)):
        y = jnp.stack(_combined(A[m], _parts(y, axis)), 2 * axis + 2)
    y = y.reshape(batch, *(2 * t for t in tiles), -1)
    return y[(slice(None), *(slice(n) for n in size))]


def _outputs_back(y: Array, m: int) -> Array:
    """The transpose of `_outputs`, [(m + 1)^d, tiles, O]."""
    batch, *size, features = y.shape
    y = _made(jnp.pad(y, [(0, 0), *((0, n % 2) for n in size), (0, 0)]))
    y = y.reshape(batch, *(n for full in y.shape[1:-1] for n in (full // 2, 2)), features)
    for axis in range(len(size)):
        y = jnp.stack(_combined(_turned(A[m]), _parts(y, 2 * axis + 2)), axis)
    return y.reshape((m + 1) ** len(size), -1, features)


def _made(x: Array) -> Array:
    # Fused with what reads it, an array is computed again for each of the combinations.
    return lax.optimization_barrier(x)


def _full(tiles: Sequence[int], stride: int) -> list[int]:
    # the sizes of x, with a pair of outputs more than there are tiles
    return [2 * stride * (t + 1) for t in tiles]


def _pairs_first(dims: int) -> list[int]:
    """The order that takes (tile, 2, stride) of each axis to all (tile, 2), then all strides."""
    return [i + 1 for i in range(3 * dims) if i % 3 < 2] + list(range(3, 3 * dims + 1, 3))


def _combined(rows: Rows, parts: Sequence[Array]) -> list[Array]:
    """Each row's sum of the parts."""
    sums = []
    for row in rows:
        first, *others = [part if c == 1 else c * part for c, part in zip(row, parts) if c]
        sums.append(sum(others, first))
    return sums


def _turned(rows: Rows) -> Rows:
    return tuple(zip(*rows))


def _parts(x: Array, axis: int) -> list[Array]:
    return [lax.index_in_dim(x, i, axis, False) for i in range(x.shape[axis])]


def _windows(x: Array, axis: int, side: int) -> list[Array]:
    """Place i of every tile, for i < side ≤ 4. The axis has pairs of places, of one tile more than
    there are; those of a tile are in its own pair and in the next.
    """
    tiles = x.shape[axis] - 1
    pairs = [lax.slice_in_dim(x, i // 2, i // 2 + tiles, axis=axis) for i in range(side)]
    return [lax.index_in_dim(pair, i % 2, axis + 1, False) for i, pair in enumerate(pairs)]


def _overlapped(parts: Sequence[Array], axis: int) -> Array:
    """The transpose of `_windows`."""

    def placed(part: Array, first: int) -> Array:
        around = [(first, 1 - first, 0) if i == axis else (0, 0, 0) for i in range(part.ndim)]
        return lax.pad(part, jnp.zeros((), part.dtype), around)

    pair = [sum(placed(parts[i], i // 2) for i in range(p, len(parts), 2)) for p in range(2)]
    return jnp.stack(pair, axis + 1)
