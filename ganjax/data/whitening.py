"""ZCA whitening: decorrelated pixels of variance 1 that still look like images."""

from __future__ import annotations

import hashlib
import json

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ganjax.data import cache


def fit_zca(x: np.ndarray, eps: float = 1e-5) -> dict[str, np.ndarray]:
    """The mean [D] and the whitening matrix "zca" [D, D] of images, float32, D = H W C.

    x: uint8 [N, H, W, C], taken as -1 … 1. zca = U (S + eps)^-1/2 U^T, where U S U^T is the
    covariance (Krizhevsky 2009, appendix A); eps as in the code of Triple-GAN's authors. Host code;
    the result is cached.
    """
    stamp = json.dumps([1, eps, x.shape, hashlib.sha256(np.ascontiguousarray(x).data).hexdigest()])
    paths = cache.places(f"zca-{hashlib.sha256(stamp.encode()).hexdigest()[:16]}.npz")
    if (cached := cache.read(paths, stamp)) is not None:
        return cached
    # In place from here: of CIFAR-10 these are 1.2 GB.
    flat = x.reshape(len(x), -1).astype(np.float64)
    flat /= 127.5
    mean = flat.mean(0)
    flat -= mean
    S, U = np.linalg.eigh(flat.T @ flat / len(flat))
    matrix = (U / np.sqrt(np.maximum(S, 0) + eps)) @ U.T
    fitted = {"mean": (mean - 1).astype(np.float32), "zca": matrix.astype(np.float32)}
    cache.write(paths, stamp, fitted)
    return fitted


def whiten(x: Array, mean: Array | np.ndarray, zca: Array | np.ndarray) -> Array:
    """Images in -1 … 1, [..., H, W, C], whitened: the same shape. Pure."""
    flat = x.reshape(*x.shape[:-3], -1)
    # Small variances are divided by: a GPU's usual half of the digits would not do.
    return jnp.matmul(flat - mean, zca, precision=jax.lax.Precision.HIGHEST).reshape(x.shape)
