"""Images against the images that they should be, one number an example. Pure functions, but for
`ranks`, which is host code.
"""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Bool, Float, Int, Shaped
from numpy.typing import ArrayLike

from ganjax.metrics import distances
from ganjax.metrics.inputs import as_rows


def l1(
    x: Shaped[Array | np.ndarray, "*images"],
    y: Shaped[Array | np.ndarray, "*images"],
    where: Bool[Array, "*mask"] | None = None,
) -> Float[Array, " n"]:
    """The mean absolute difference of each pair of images, in their units (levels of uint8).

    where: the pixels that count, broadcast to the images; an image in which none counts has 0.
    """
    return _pixel_mean(jnp.abs(_float(x) - _float(y)), where, 0.0)


def agreement(
    x: Shaped[Array | np.ndarray, "*images"],
    y: Shaped[Array | np.ndarray, "*images"],
    where: Bool[Array, "*mask"] | None = None,
    tolerance: float | None = None,
    threshold: float = 0.5,
) -> Float[Array, " n"]:
    """The share of pixels that agree in each pair of images in 0..1; its mean is CoGAN's pixel
    agreement ratio (section 4).

    x is the true transform of one domain's image, y the other domain's image of the same z. The
    authors average 10,000 pairs and five trained systems, and do not state when pixels agree. Here
    they agree if both are above the threshold or both are not, or, with a tolerance, if |x - y| <=
    tolerance. where: the pixels that count, for example those of `foreground`, broadcast to the
    images; an image in which none counts has 1.
    """
    x, y = _float(x), _float(y)
    same = (x > threshold) == (y > threshold) if tolerance is None else jnp.abs(x - y) <= tolerance
    return _pixel_mean(same.astype(jnp.float32), where, 1.0)


def agreement_ratios(
    x: Float[Array, "n 2 H W C"], transform: Callable[[Array], Array], background: float = 0.0
) -> dict[str, Float[Array, ""]]:
    """Mean `agreement` of pairs x in 0..1 of which the second image should be `transform` of the
    first (CoGAN, section 4).

    par: all pixels, black or white; par_foreground: the pixels that are not background in both
    images; par_tolerance: all pixels, within .1. ink_1 and ink_2 are the mean pixels of the two
    domains: a generator of empty images agrees with everything.
    """
    wanted, got = transform(x[:, 0]), x[:, 1]
    found = {
        "par": agreement(wanted, got),
        "par_foreground": agreement(wanted, got, foreground(wanted, got, background)),
        "par_tolerance": agreement(wanted, got, tolerance=0.1),
        "ink_1": x[:, 0],
        "ink_2": got,
    }
    return {name: number.mean() for name, number in found.items()}


def foreground(
    x: Float[Array, "n H W C"],
    y: Float[Array, "n H W C"],
    background: float = 0.0,
    tolerance: float = 0.5,
) -> Bool[Array, "n H W 1"]:
    """The pixels at which x or y differs from the background by more than the tolerance in a
    channel.

    The background is 0 for digits and edges, 1 for negatives and for pictures on white.
    """
    inked = (jnp.abs(v - background) > tolerance for v in (x, y))
    return jnp.logical_or(*inked).any(-1, keepdims=True)


def ssim(x: Array | np.ndarray, y: Array | np.ndarray, span: float = 1.0) -> Float[Array, " n"]:
    """The structural similarity of each pair of images x, y [n, H, W, C], the mean over pixels and
    channels (Wang et al. 2004, equation 13).

    Gaussian window of 11 x 11 pixels and SD 1.5, only where it lies inside the image; K1 = .01, K2
    = .03. Pixels are 0..span. Raises ValueError for images smaller than the window, or of two
    shapes.
    """
    if x.ndim != 4 or x.shape != y.shape or min(x.shape[1:3]) < 11:
        raise ValueError(
            "images [n, H, W, C] of 11 x 11 pixels or more are wanted, "
            f"not {list(x.shape)} and {list(y.shape)}"
        )
    x, y = (jnp.moveaxis(jnp.asarray(v, jnp.float32) / span, -1, 1) for v in (x, y))  # [n, C, H, W]
    # Covariances do not depend on the origin, and have more exact digits around the middle of the
    # range.
    x_mean, y_mean, xx, yy, xy = _blurred(
        jnp.stack([x - 0.5, y - 0.5, (x - 0.5) ** 2, (y - 0.5) ** 2, (x - 0.5) * (y - 0.5)])
    )
    x_var, y_var, cov = xx - x_mean**2, yy - y_mean**2, xy - x_mean * y_mean
    x_mean, y_mean = x_mean + 0.5, y_mean + 0.5
    C1, C2 = 0.01**2, 0.03**2
    similar = (
        (2 * x_mean * y_mean + C1)
        * (2 * cov + C2)
        / ((x_mean**2 + y_mean**2 + C1) * (x_var + y_var + C2))
    )
    return similar.mean((1, 2, 3))


def _blurred(x: Array) -> Array:
    """The Gaussian window of SSIM: [..., H, W] -> [..., H - 10, W - 10]."""
    weight = jnp.exp(-((jnp.arange(11) - 5) ** 2) / (2 * 1.5**2))
    weight = weight / weight.sum()
    for axis in (-2, -1):
        n = x.shape[axis] - 10
        x = sum(
            (weight[i] * lax.slice_in_dim(x, i, i + n, axis=axis) for i in range(11)), jnp.zeros(())
        )
    return x


def _float(x: Array | np.ndarray) -> Array:
    """The same array, integers as float32: differences of unsigned ones would wrap around."""
    x = jnp.asarray(x)
    return x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.float32)


def _pixel_mean(value: Array, where: Array | None, empty: float) -> Array:
    """The mean of value [n, ...] over all axes but the first, where `where` is true; `empty` where
    it is true nowhere.
    """
    if where is None:
        return value.reshape(len(value), -1).mean(-1)
    flat = value.reshape(len(value), -1)
    counted = jnp.broadcast_to(where, value.shape).reshape(flat.shape)
    n = counted.sum(-1)
    return jnp.where(n > 0, jnp.where(counted, flat, 0).sum(-1) / jnp.maximum(n, 1), empty)


def ranks(x: ArrayLike, gallery: ArrayLike) -> Int[np.ndarray, " n"]:
    """The rank of the right answer gallery[i] among all of the gallery, by Euclidean distance from
    x[i]; 1 is the nearest.

    x [n, ...], gallery [m, ...] with m >= n. Retrieval accuracy is (ranks == 1).mean(), by chance 1
    / m. Equal distances, as `distances.CLOSE` has them, share the better rank. Raises ValueError
    for a gallery that is smaller than x, or of another size of image.
    """
    answers = as_rows(gallery, "the gallery's images")
    queries = as_rows(x, "images", answers)
    if len(queries) > len(answers):
        raise ValueError(
            f"each of {len(queries)} images has its answer in the gallery, "
            f"and the gallery has {len(answers)}"
        )
    rank = np.empty(len(queries), int)
    for rows, distance in distances.blocks(queries, answers):
        right = distance[np.arange(len(distance)), np.arange(len(queries))[rows]]
        rank[rows] = 1 + distances.below(distance, right[:, None]).sum(1)
    return rank
