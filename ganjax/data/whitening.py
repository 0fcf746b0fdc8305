"""Whitening of images: decorrelated pixels of variance 1 that still look like images (ZCA)."""

from __future__ import annotations

import hashlib
import json

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ganjax.data import cache


def zca(x: np.ndarray, eps: float = 1e-5) -> dict[str, np.ndarray]:
    """How to whiten images as x: {"mean": [D], "zca": [D, D]} float32, of uint8 [N, H, W, C] as
    -1..1, D = H W C. Host; it is cached.

    zca = U (S + eps)^-1/2 U^T, where U S U^T is the covariance (Krizhevsky 2009, appendix A); eps
    as in the code of Triple-GAN's authors.
    """
    stamp = json.dumps([1, eps, x.shape, hashlib.sha256(np.ascontiguousarray(x).data).hexdigest()])
    path = cache.user_folder() / f"zca-{hashlib.sha256(stamp.encode()).hexdigest()[:16]}.npz"
    if (found := cache.read([path], stamp)) is not None:
        return found
    flat = x.reshape(len(x), -1).astype(
        np.float64
    )  # in place from here: of CIFAR-10 these are 1.2 GB
    flat /= 127.5
    mean = flat.mean(0)
    flat -= mean
    S, U = np.linalg.eigh(flat.T @ flat / len(flat))
    matrix = (U / np.sqrt(np.maximum(S, 0) + eps)) @ U.T
    made = {"mean": (mean - 1).astype(np.float32), "zca": matrix.astype(np.float32)}
    cache.write([path], stamp, made)
    return made


def whitened(x: Array, mean: Array, zca: Array) -> Array:
    """Images in -1..1, [..., H, W, C], whitened: the same shape. Pure."""
    flat = x.reshape(*x.shape[:-3], -1)
    # Small variances are divided by: a GPU's usual half of the digits would not do.
    return jnp.matmul(flat - mean, zca, precision=jax.lax.Precision.HIGHEST).reshape(x.shape)
