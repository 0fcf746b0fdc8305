"""Layers whose behaviour is a function of their inputs alone: nothing in them changes while a game is played."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike


class Dropout(nn.Module):
    """Drops each entry with probability `rate`, which may be traced, and scales the rest by 1/(1-rate); without a key it passes."""

    @nn.compact
    def __call__(self, x: Array, rate: ArrayLike) -> Array:
        if not self.has_rng("dropout"):
            return x
        keep = 1.0 - jnp.asarray(rate, x.dtype)
        kept = jax.random.bernoulli(self.make_rng("dropout"), keep, x.shape)
        return jnp.where(kept, x / jnp.where(keep > 0, keep, 1), 0)


class BatchNorm(nn.Module):
    """Normalises by the mean and variance of the batch, over all axes but the last, in float32 (Ioffe and Szegedy 2015).

    Given standing statistics (collection "stats") it uses those; it writes the batch's own where that collection is mutable.
    """

    eps: float = 1e-5
    scale: Callable[..., Array] | None = nn.initializers.ones  # None: no learned scale
    shift: bool = True

    @nn.compact
    def __call__(self, x: Array) -> Array:
        features, dtype = x.shape[-1], x.dtype
        mean: Array
        var: Array
        x = x.astype(jnp.float32)
        if self.has_variable("stats", "mean") and not self.is_mutable_collection("stats"):
            mean, var = (self.get_variable("stats", name) for name in ("mean", "var"))
        else:
            axes = tuple(range(x.ndim - 1))
            mean, var = x.mean(axes), x.var(axes)
            if self.is_mutable_collection("stats") and not self.is_initializing():
                self.put_variable("stats", "mean", mean)
                self.put_variable("stats", "var", var)
        y = (x - mean) * jax.lax.rsqrt(var + self.eps)
        if self.scale is not None:
            y = y * self.param("scale", self.scale, (features,))
        if self.shift:
            y = y + self.param("bias", nn.initializers.zeros, (features,))
        return y.astype(dtype)


class SpectralNorm(nn.Module):
    """A Dense or Conv layer whose kernel is divided by its largest singular value, the kernel seen as [inputs, outputs].

    One power iteration from a vector u in the collection "aux", which moves only where that is mutable
    (Miyato et al. 2018, Algorithm 1).
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
        u = self.variable("aux", "u", lambda: _unit(jax.random.normal(self.make_rng("params"), (W.shape[1],))))
        v = _unit(fixed @ u.value)
        moved = _unit(v @ fixed)
        if self.is_mutable_collection("aux") and not self.is_initializing():
            u.value = moved
        return v @ W @ moved


def _unit(x: Array) -> Array:
    return x / (jnp.linalg.norm(x) + 1e-12)


class Maxout(nn.Module):
    """The largest of `pieces` affine maps, unit by unit: [..., in] -> [..., units] (Goodfellow et al. 2013)."""

    units: int
    pieces: int
    kernel_init: Callable[..., Array] = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: Array) -> Array:
        x = nn.Dense(self.units * self.pieces, kernel_init=self.kernel_init)(x)
        return x.reshape(*x.shape[:-1], self.units, self.pieces).max(-1)
