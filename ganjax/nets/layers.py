"""Layers that compute a function of their inputs alone: they keep no running statistics."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from ganjax.nets import conv
from ganjax.player import Player, Tree

Padding = str | int | tuple[int, int]  # SAME, VALID, at both ends, or (low, high)


class Conv(nn.Module):
    """A convolution in any number of dimensions, [B, *space, in] -> [B, *space', features].

    With `groups` the channels are cut into as many equal parts, and each part of the features sees
    one of them; the kernel is [*kernel, in / groups, features]. Raises ValueError for an unknown
    padding, for SAME where the kernel is smaller than the stride, and for channels or features that
    are no multiple of the groups.
    """

    features: int
    kernel: int
    stride: int = 1
    padding: Padding = "SAME"
    bias: bool = True
    kernel_init: Callable[..., Array] = nn.initializers.lecun_normal()
    form: conv.Form = "auto"
    groups: int = 1

    @nn.compact
    def __call__(self, x: Array) -> Array:
        dims = x.ndim - 2
        pad = conv.pads(self.padding, self.kernel, self.stride, dims)
        if x.shape[-1] % self.groups or self.features % self.groups:
            raise ValueError(
                f"{self.groups} groups divide the channels and the features; "
                f"got {x.shape[-1]} and {self.features}"
            )
        shape = (x.shape[-1] // self.groups, self.features)
        w = _param(self, "kernel", self.kernel_init, (self.kernel,) * dims + shape).astype(x.dtype)
        parts = zip(*(jnp.split(each, self.groups, -1) for each in (x, w)))
        y = [conv.convolve(*part, self.stride, pad, self.form) for part in parts]
        return _with_bias(self, jnp.concatenate(y, -1) if len(y) > 1 else y[0])


class ConvTranspose(nn.Module):
    """The transpose of a Conv with the same kernel, stride and padding.

    A side of n becomes (n - 1) stride + kernel - low - high; with SAME that is n stride. Its kernel
    is stored as [*kernel, features, in].
    """

    features: int
    kernel: int
    stride: int = 1
    padding: Padding = "SAME"
    bias: bool = True
    kernel_init: Callable[..., Array] = nn.initializers.variance_scaling(
        1.0, "fan_out", "truncated_normal"
    )
    form: conv.Form = "auto"

    @nn.compact
    def __call__(self, x: Array) -> Array:
        dims = x.ndim - 2
        pad = conv.pads(self.padding, self.kernel, self.stride, dims)
        shape = (self.kernel,) * dims + (self.features, x.shape[-1])
        w = _param(self, "kernel", self.kernel_init, shape)
        space = tuple(
            (n - 1) * self.stride + self.kernel - sum(p) for n, p in zip(x.shape[1:-1], pad)
        )
        y = conv.conv_transpose(x, w.astype(x.dtype), self.stride, pad, space, self.form)
        return _with_bias(self, y)


def _with_bias(layer: Conv | ConvTranspose, y: Array) -> Array:
    if not layer.bias:
        return y
    return y + _param(layer, "bias", nn.initializers.zeros, (layer.features,)).astype(y.dtype)


def _param(layer: nn.Module, name: str, init: Callable[..., Array], shape: tuple[int, ...]) -> Any:
    """`layer.param`; where it is there, without a trace of `init` in each call to see its shape."""
    there = layer.has_variable("params", name)
    return layer.get_variable("params", name) if there else layer.param(name, init, shape)


def max_pool(x: Array, window: int = 2, stride: int = 2) -> Array:
    """The maximum of each full window of window x window, [B, H, W, C] -> [B, H', W', C] with
    H' = (H - window) // stride + 1.

    The gradient goes to the first maximum of a window, as that of `nn.max_pool`. There it is a
    scatter; here it is a selection, with which XLA can fuse other operations.
    """
    H, W = ((side - window) // stride * stride + 1 for side in x.shape[1:3])
    each = range(window)
    corners = (x[:, i : i + H : stride, j : j + W : stride] for i in each for j in each)
    return reduce(lambda a, b: jnp.where((a >= b) | jnp.isnan(a), a, b), corners)


def local_response_norm(
    x: Array, k: float = 2.0, n: int = 5, alpha: float = 1e-4, beta: float = 0.75
) -> Array:
    """Each channel divided by (k + alpha Σ x²)^beta, the sum over the n channels around it at the
    same place, [..., C] -> [..., C].

    Krizhevsky, Sutskever and Hinton 2012, section 3.3. Beyond the first and the last channel the
    sum has no term.
    """
    channel = jnp.arange(x.shape[-1])
    # A product with a band of ones: sums of shifted arrays, and a power, are slow on CPU.
    near = (abs(channel[:, None] - channel) <= n // 2).astype(x.dtype)
    return x * jnp.exp(-beta * jnp.log(k + alpha * (x**2 @ near)))


class Dropout(nn.Module):
    """Drops each entry with probability `rate` and scales the rest by 1 / (1 - rate).

    The rate may be traced. Without a key the input passes unchanged.
    """

    @nn.compact
    def __call__(self, x: Array, rate: ArrayLike) -> Array:
        if not self.has_rng("dropout"):
            return x
        keep = 1.0 - jnp.asarray(rate, x.dtype)
        # The bits of x.shape itself; on CPU XLA compiles draws of many axes for ten times as long.
        kept = jax.random.bernoulli(self.make_rng("dropout"), keep, (x.size,)).reshape(x.shape)
        return jnp.where(kept, x / jnp.where(keep > 0, keep, 1), 0)


class BatchNorm(nn.Module):
    """Normalises by the mean and variance of the batch over all axes but the last, in float32.

    Ioffe and Szegedy 2015. Where the collection "stats" holds standing statistics it uses those;
    where that collection is mutable it writes the batch's own.
    """

    eps: float = 1e-5
    scale: Callable[..., Array] | None = nn.initializers.ones  # None: no learned scale
    shift: bool = True

    @nn.compact
    def __call__(self, x: Array) -> Array:
        features = x.shape[-1:]
        scale = _param(self, "scale", self.scale, features) if self.scale else jnp.ones(features)
        bias = (
            _param(self, "bias", nn.initializers.zeros, features)
            if self.shift
            else jnp.zeros(features)
        )
        scale, bias = scale.astype(jnp.float32), bias.astype(jnp.float32)
        if self.has_variable("stats", "mean") and not self.is_mutable_collection("stats"):
            rstd = jax.lax.rsqrt(self.get_variable("stats", "var") + self.eps)
            return _affine(x, self.get_variable("stats", "mean"), rstd, scale, bias)
        if self.is_mutable_collection("stats") and not self.is_initializing():
            for name, value in zip(("mean", "var"), _moments(x)):
                self.put_variable("stats", name, value)
        return _batch_norm(x, scale, bias, self.eps)


def _moments(x: Array) -> tuple[Array, Array]:
    """Mean and variance over all axes but the last, in one pass.

    They are taken of the differences from one sample, so a large mean costs no digits.
    """
    axes = tuple(range(x.ndim - 1))
    around = jax.lax.stop_gradient(x[(0,) * len(axes)]).astype(jnp.float32)
    off = x.astype(jnp.float32) - around
    mean, square = off.mean(axes), jnp.square(off).mean(axes)
    return mean + around, jnp.maximum(square - jnp.square(mean), 0)


def _affine(x: Array, mean: ArrayLike, rstd: ArrayLike, scale: Array, bias: Array) -> Array:
    return ((x.astype(jnp.float32) - mean) * rstd * scale + bias).astype(x.dtype)


# Its own gradient takes two sums over the batch, where automatic differentiation takes four.
@partial(jax.custom_vjp, nondiff_argnums=(3,))
def _batch_norm(x: Array, scale: Array, bias: Array, eps: float) -> Array:
    mean, var = _moments(x)
    return _affine(x, mean, jax.lax.rsqrt(var + eps), scale, bias)


def _batch_norm_back(eps: float, kept: tuple[Array, Array], g: Array) -> tuple[Array, Array, Array]:
    x, scale = kept
    axes = tuple(range(x.ndim - 1))
    mean, var = _moments(x)
    rstd = jax.lax.rsqrt(var + eps)
    unit, wide = (x.astype(jnp.float32) - mean) * rstd, g.astype(jnp.float32)
    to_bias, to_scale = wide.sum(axes), (wide * unit).sum(axes)
    n = x.size // x.shape[-1]
    return (
        (scale * rstd * (wide - to_bias / n - unit * (to_scale / n))).astype(x.dtype),
        to_scale,
        to_bias,
    )


_batch_norm.defvjp(
    lambda x, scale, bias, eps: (_batch_norm(x, scale, bias, eps), (x, scale)), _batch_norm_back
)


class InstanceNorm(nn.Module):
    """Normalises each sample and channel over space, [B, *space, C], in float32.

    Ulyanov et al. 2016.
    """

    eps: float = 1e-5

    @nn.compact
    def __call__(self, x: Array) -> Array:
        dtype = x.dtype
        axes = tuple(range(1, x.ndim - 1))
        x = x.astype(jnp.float32)
        # Not keepdims: with it XLA does not merge the equal passes of several movers.
        mean, rstd = (
            jnp.expand_dims(s, axes) for s in (x.mean(axes), jax.lax.rsqrt(x.var(axes) + self.eps))
        )
        return ((x - mean) * rstd).astype(dtype)


class SpectralNorm(nn.Module):
    """A Dense or Conv layer whose kernel, as a matrix [inputs, outputs], is divided by its largest
    singular value.

    Miyato et al. 2018, algorithm 1: one power iteration from a vector u in the collection "aux",
    which is updated only where that is mutable.
    """

    layer: nn.Dense | nn.Conv

    @nn.compact
    def __call__(self, x: Array) -> Array:
        name = "conv_general_dilated" if isinstance(self.layer, nn.Conv) else "dot_general"
        product = getattr(jax.lax, name)

        def normalised(x: Array, kernel: Array, *args: Any, **kwargs: Any) -> Array:
            return product(x, kernel / self._sigma(kernel).astype(kernel.dtype), *args, **kwargs)

        changed: dict[str, Any] = {name: normalised}
        return self.layer.clone(parent=self, name="normalised", **changed)(x)

    def _sigma(self, kernel: Array) -> Array:
        W = kernel.reshape(-1, kernel.shape[-1]).astype(jnp.float32)
        fixed = jax.lax.stop_gradient(W)
        u = self.variable(
            "aux", "u", lambda: _unit(jax.random.normal(self.make_rng("params"), (W.shape[1],)))
        )
        v = _unit(fixed @ u.value)
        moved = _unit(v @ fixed)
        if self.is_mutable_collection("aux") and not self.is_initializing():
            u.value = moved
        return v @ W @ moved


def _unit(x: Array) -> Array:
    return x / (jnp.linalg.norm(x) + 1e-12)


class Maxout(nn.Module):
    """The maximum of `pieces` affine maps for each unit, [..., in] -> [..., units].

    Goodfellow et al. 2013.
    """

    units: int
    pieces: int
    kernel_init: Callable[..., Array] = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: Array) -> Array:
        x = nn.Dense(self.units * self.pieces, kernel_init=self.kernel_init)(x)
        x = x.reshape(*x.shape[:-1], self.units, self.pieces)
        # The gradient of jnp.max divides by the count of ties, which rounding can make 0.
        largest = jnp.arange(self.pieces) == x.argmax(-1, keepdims=True)
        return jnp.where(largest, x, 0).sum(-1)


def standing(player: Player, params: Tree, aux: Tree | None, *batches: ArrayLike) -> Tree:
    """Standing statistics of the player's normalisation layers, for `Player.bind`.

    They are the means of the statistics of several batches; each input is [batches, B, *sees].
    """
    collected = jax.lax.map(lambda xs: player.collect(params, aux or {}, "stats", *xs), batches)
    return jax.tree.map(lambda x: x.mean(0), collected)
