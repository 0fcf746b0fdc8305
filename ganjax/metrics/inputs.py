"""How metrics on the host check their arrays and bring them into one form."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float64, Shaped
from numpy.typing import ArrayLike


def as_rows(
    x: ArrayLike, what: str, like: Shaped[np.ndarray, "m d"] | None = None
) -> Float64[np.ndarray, "n d"]:
    """Examples x [n, ...] as the rows of a matrix [n, d]; uint8 is scaled to 0..1.

    Raises ValueError, which calls x `what`, for no example, a number that is not finite, or another
    d than that of `like`.
    """
    array = np.asarray(x)
    scale = 255 if array.dtype == np.uint8 else 1
    if not array.ndim or not array.size:
        raise ValueError(f"{what} are wanted as [n, ...] with n >= 1, not {list(array.shape)}")
    flat = array.reshape(len(array), -1).astype(np.float64) / scale
    if like is not None and flat.shape[1] != like.shape[1]:
        raise ValueError(
            f"{what} are wanted with {like.shape[1]} numbers each, not {flat.shape[1]}"
        )
    if not np.isfinite(flat).all():
        raise ValueError(f"{what} hold numbers that are not finite")
    return flat


def finite_rows(x: ArrayLike, what: str) -> Bool[np.ndarray, " n"]:
    """Which examples of x [n, ...] hold finite numbers only: a generator's samples may not.

    Raises ValueError, which calls x `what`, where none does.
    """
    array = np.asarray(x)
    kept = np.isfinite(array.reshape(len(array), -1)).all(1) if array.size else np.zeros(0, bool)
    if not kept.any():
        raise ValueError(f"not one of the {what} is finite")
    return kept


def as_labels(labels: ArrayLike, n: int) -> Shaped[np.ndarray, " n"]:
    """The labels of n examples as an array. Raises ValueError for another shape."""
    array = np.asarray(labels)
    if array.shape != (n,):
        raise ValueError(f"{n} examples have a label each, not labels {list(array.shape)}")
    return array


def as_images(x: ArrayLike) -> Shaped[np.ndarray, "n H W C"]:
    """Images as uint8 or float32 in 0..1.

    Raises ValueError for another shape, for no image, and for floats outside 0..1.
    """
    images = np.asarray(x)
    if images.ndim != 4 or not images.size:
        raise ValueError(f"images are wanted as [n, H, W, C], not {list(images.shape)}")
    if images.dtype == np.uint8:
        return images
    finite = np.isfinite(images)
    low, high = (float(end(images, initial=0.5, where=finite)) for end in (np.min, np.max))
    if low < -1e-3 or high > 1 + 1e-3:
        raise ValueError(
            f"pixels are wanted as uint8, or floats in 0..1; these go from {low:.3g} to {high:.3g}"
        )
    return images.astype(np.float32)


def in_unit_range(x: Shaped[np.ndarray, "*shape"]) -> Shaped[np.ndarray, "*shape"]:
    """uint8 0..255 as float32 0..1; another dtype as it is."""
    return x / np.float32(255) if x.dtype == np.uint8 else x


def in_batches(
    function: Callable[[Array], Array], x: Shaped[np.ndarray, "n ..."], size: int = 512
) -> Shaped[np.ndarray, "n ..."]:
    """function(x), batch by batch; all batches have one size, so that it is compiled once."""
    padded = np.concatenate([x, np.zeros((-len(x) % size, *x.shape[1:]), x.dtype)])
    starts = range(0, len(x), size)
    return np.concatenate(
        [np.asarray(function(jnp.asarray(padded[i : i + size]))) for i in starts]
    )[: len(x)]
