"""Strided convolution, its transpose and its weight gradient, differentiable to any order.

    x [B, *space, I]    w [*kernel, I, O]    y [B, *sizes, O]

    <y, convolve(x, w)> = <conv_transpose(y, w), x> = <weight_gradient(x, y), w>

The three maps are bilinear, and the gradients of each are the other two, so reverse mode of any
order meets only these. Each is computed in the form that is fast on the backend; the numbers agree
to rounding. The form "conv" is XLA's own convolution; "product" is one matrix product of windows,
for an x of few channels; "slices" is a convolution of one axis less, whose channels are those of
the slices that a window holds on the first axis; "winograd" multiplies about half as often.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import Array, lax

from ganjax.nets import winograd
from ganjax.nets.winograd import Pads

Form = Literal["auto", "conv", "product", "slices", "winograd"]

# On a GPU a matrix product is faster than a convolution of at most this many channels.
FEW = 4


def pads(padding: str | int | tuple[int, int], kernel: int, stride: int, dims: int) -> Pads:
    """The padding (low, high) of each axis. SAME divides kernel - stride between both ends.

    Raises ValueError for an unknown padding, and for SAME where the kernel is smaller than the
    stride.
    """
    if padding == "SAME":
        if kernel < stride:
            raise ValueError(
                f"SAME needs a kernel of at least the stride; got kernel {kernel}, stride {stride}"
            )
        low = (kernel - stride) // 2
        padding = (low, kernel - stride - low)
    elif padding == "VALID":
        padding = (0, 0)
    elif isinstance(padding, str):
        raise ValueError(f"padding is SAME, VALID, a number or (low, high); got {padding!r}")
    return (((padding, padding) if isinstance(padding, int) else (padding[0], padding[1])),) * dims


def output_sizes(
    space: tuple[int, ...], kernel: tuple[int, ...], stride: int, pad: Pads
) -> tuple[int, ...]:
    """The sizes after a strided convolution."""
    return tuple(
        (n + low + high - k) // stride + 1 for n, k, (low, high) in zip(space, kernel, pad)
    )


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def convolve(x: Array, w: Array, stride: int, pad: Pads, form: Form = "auto") -> Array:
    """y[i] = Σ_t x[stride·i + t - low] w[t]."""
    size = output_sizes(x.shape[1:-1], w.shape[:-2], stride, pad)
    form = _form(form, (x.shape[0], *size), w, stride)
    if form == "conv":
        return _conv(x, w, stride, pad)
    if form == "winograd":
        return winograd.convolve(x, w, stride, pad, size)
    if form == "slices":
        slices = _slices(x, w.shape[0], stride, pad)
        y = convolve(slices, _joined(w, stride), stride, pad[1:], "conv")
        return y.reshape(x.shape[0], -1, *y.shape[1:])
    return _patches(x, w.shape[:-2], stride, pad) @ _blocked(w, stride).reshape(-1, w.shape[-1])


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4, 5))
def conv_transpose(
    y: Array, w: Array, stride: int, pad: Pads, space: tuple[int, ...], form: Form = "auto"
) -> Array:
    """The transpose of `convolve` in x: x[stride·i + t - low] += y[i] w[t].

    space: the sizes of x, of which several give the same y
    """
    if form == "auto" and jax.default_backend() == "cpu":
        # At stride 1 a convolution works at each place of x, and a product at each place of y.
        fewer = 2 * math.prod(y.shape[1:-1]) <= math.prod(space) or w.shape[-2] == 1
        if (stride == 1 and fewer) or len(pad) == 3:
            form = "product"
    form = _form(form, y.shape[:-1], w, stride)
    if form == "winograd":
        return winograd.conv_transpose(y, w, stride, pad, space)
    x = jax.ShapeDtypeStruct((y.shape[0], *space, w.shape[-2]), y.dtype)
    if form == "conv":
        return jax.linear_transpose(lambda x: _conv(x, w, stride, pad), x)(y)[0]
    if form == "slices":
        flat = y.reshape(-1, *y.shape[2:])
        slices = conv_transpose(flat, _joined(w, stride), stride, pad[1:], space[1:], "conv")
        return jax.linear_transpose(lambda x: _slices(x, w.shape[0], stride, pad), x)(slices)[0]
    patches = y @ _blocked(w, stride).reshape(-1, w.shape[-1]).T
    return jax.linear_transpose(lambda x: _patches(x, w.shape[:-2], stride, pad), x)(patches)[0]


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4, 5))
def weight_gradient(
    x: Array, y: Array, stride: int, pad: Pads, kernel: tuple[int, ...], form: Form = "auto"
) -> Array:
    """The transpose of `convolve` in w. kernel: the sizes of w's window."""
    w = jax.ShapeDtypeStruct((*kernel, x.shape[-1], y.shape[-1]), y.dtype)
    form = _form(form, y.shape[:-1], w, stride)
    if form == "winograd":
        return winograd.weight_gradient(x, y, stride, pad, kernel)
    if form == "slices":
        slices, flat = _slices(x, kernel[0], stride, pad), y.reshape(-1, *y.shape[2:])
        joined = weight_gradient(slices, flat, stride, pad[1:], kernel[1:], "conv")
        return jax.linear_transpose(partial(_joined, stride=stride), w)(joined)[0]
    if form == "conv":
        if jax.default_backend() == "gpu" and all(
            1 < n <= k for n, k in zip(y.shape[1:-1], kernel)
        ):
            return _by_rows(x, y, stride, pad, kernel)
        return jax.linear_transpose(lambda w: _conv(x, w, stride, pad), w)(y)[0]
    patches = _patches(x, kernel, stride, pad)
    product = patches.reshape(-1, patches.shape[-1]).T @ y.reshape(-1, y.shape[-1])
    blocked = jax.eval_shape(partial(_blocked, stride=stride), w)
    return jax.linear_transpose(partial(_blocked, stride=stride), w)(
        product.reshape(blocked.shape)
    )[0]


def _by_rows(x: Array, y: Array, stride: int, pad: Pads, kernel: tuple[int, ...]) -> Array:
    """`weight_gradient` for a few rows of the kernel at a time, fewer than y has.

    XLA mistakes a weight gradient that is no smaller than y for a forward convolution, whose result
    has another layout than the weights; the optimiser's state would be transposed in every step.
    """
    (low, _), *others = pad
    parts = []
    for first in range(0, kernel[0], y.shape[1] - 1):
        rows = min(y.shape[1] - 1, kernel[0] - first)
        end = (y.shape[1] - 1) * stride + rows
        part = lax.pad(
            x,
            jnp.zeros((), x.dtype),
            [
                (0, 0, 0),
                (low - first, end + first - low - x.shape[1], 0),
                *[(0, 0, 0)] * len(kernel),
            ],
        )
        parts.append(
            weight_gradient(part, y, stride, ((0, 0), *others), (rows, *kernel[1:]), "conv")
        )
    return jnp.concatenate(parts)


def _form(form: Form, y: tuple[int, ...], w: Array | jax.ShapeDtypeStruct, stride: int) -> Form:
    """The form that is fast. y: batch and sizes of the output."""
    backend = jax.default_backend()
    if form != "auto":
        return form
    if backend == "gpu" and w.shape[-2] <= FEW:
        return "product"
    if backend != "cpu":
        return "conv"
    # XLA has no fast program of a 3-D convolution's gradients there.
    if len(w.shape) == 5:
        return "slices"
    exact = jnp.finfo(w.dtype).bits >= 32
    return "winograd" if exact and winograd.pays(y, w.shape, stride) else "conv"


def _conv(x: Array, w: Array, stride: int, pad: Pads) -> Array:
    dims = x.ndim - 2
    space = "DHW"[-dims:]
    return lax.conv_general_dilated(
        x, w, (stride,) * dims, pad, dimension_numbers=(f"N{space}C", f"{space}IO", f"N{space}C")
    )


def _patches(x: Array, kernel: tuple[int, ...], stride: int, pad: Pads) -> Array:
    """The windows of x, [B, *sizes, taps · stride^d · I].

    x is cut into blocks of side `stride`, so that a window is some consecutive blocks.
    """
    dims, size = len(kernel), output_sizes(x.shape[1:-1], kernel, stride, pad)
    taps = [-(-k // stride) for k in kernel]
    blocks = [n + m - 1 for n, m in zip(size, taps)]
    around = [(low, stride * q - n - low, 0) for q, n, (low, _) in zip(blocks, x.shape[1:-1], pad)]
    x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *around, (0, 0, 0)])
    x = _to_blocks(x, stride, range(1, dims + 1)).reshape(x.shape[0], *blocks, -1)
    windows = [
        lax.slice(x, (0, *at, 0), (x.shape[0], *(a + n for a, n in zip(at, size)), x.shape[-1]))
        for at in itertools.product(*map(range, taps))
    ]
    return jnp.concatenate(windows, -1)


def _slices(x: Array, kernel: int, stride: int, pad: Pads) -> Array:
    """The windows on the first axis alone, [B · size, *space[1:], taps · stride · I]."""
    _, n, *rest = x.shape
    windows = _patches(x.reshape(x.shape[0], n, -1), (kernel,), stride, pad[:1])
    windows = jnp.moveaxis(windows.reshape(-1, -(-kernel // stride) * stride, *rest), 1, -2)
    return windows.reshape(*windows.shape[:-2], -1)


def _joined(w: Array, stride: int) -> Array:
    """The kernel of slices, [*kernel[1:], taps · stride · I, O], zero-padded to full blocks."""
    w = jnp.pad(w, [(0, -len(w) % stride), *[(0, 0)] * (w.ndim - 1)])
    return jnp.moveaxis(w, 0, -3).reshape(*w.shape[1:-2], -1, w.shape[-1])


def _blocked(w: Array, stride: int) -> Array:
    """The kernel in the windows' order, [*taps, *stride, I, O], zero-padded to full blocks."""
    w = jnp.pad(w, [*((0, -k % stride) for k in w.shape[:-2]), (0, 0), (0, 0)])
    return _to_blocks(w, stride, range(w.ndim - 2))


def _to_blocks(x: Array, stride: int, axes: range) -> Array:
    """Consecutive axes split into blocks of `stride`: first the blocks, then the places within."""
    first, last = axes[0], axes[-1] + 1
    x = x.reshape(
        *x.shape[:first],
        *(n for a in axes for n in (x.shape[a] // stride, stride)),
        *x.shape[last:],
    )
    end = first + 2 * len(axes)
    return x.transpose(
        *range(first), *range(first, end, 2), *range(first + 1, end, 2), *range(end, x.ndim)
    )


def _keep(function: Callable[..., Array]) -> Callable[..., tuple[Array, tuple[Array, Array]]]:
    return lambda a, b, *rest: (function(a, b, *rest), (a, b))


def _convolve_back(
    stride: int, pad: Pads, form: Form, kept: tuple[Array, Array], y: Array
) -> tuple[Array, Array]:
    x, w = kept
    to_x = conv_transpose(y, w, stride, pad, x.shape[1:-1], form)
    return to_x, weight_gradient(x, y, stride, pad, w.shape[:-2], form)


def _conv_transpose_back(
    stride: int, pad: Pads, _: Any, form: Form, kept: tuple[Array, Array], x: Array
) -> tuple[Array, Array]:
    y, w = kept
    return convolve(x, w, stride, pad, form), weight_gradient(x, y, stride, pad, w.shape[:-2], form)


def _weight_gradient_back(
    stride: int, pad: Pads, _: Any, form: Form, kept: tuple[Array, Array], w: Array
) -> tuple[Array, Array]:
    x, y = kept
    return conv_transpose(y, w, stride, pad, x.shape[1:-1], form), convolve(x, w, stride, pad, form)


convolve.defvjp(_keep(convolve), _convolve_back)
conv_transpose.defvjp(_keep(conv_transpose), _conv_transpose_back)
weight_gradient.defvjp(_keep(weight_gradient), _weight_gradient_back)
