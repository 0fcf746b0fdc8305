"""Images against the images that they should be. Pure functions, one number an example, but for
`ranks`, which is host code.
"""

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from numpy.typing import ArrayLike
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.utils import gen_batches

from ganjax.metrics.vectors import rows


def l1(x: Array, y: Array, where: Array | None = None) -> Array:
    """Mean absolute difference of images x, y [n, ...], float32 [n]; where: bool, as large or
    broadcast, which pixels count.

    An image in which no pixel counts has 0.
    """
    return averaged(jnp.abs(x - y), where, 0.0)


def agreement(
    x: Array,
    y: Array,
    where: Array | None = None,
    tolerance: float | None = None,
    threshold: float = 0.5,
) -> Array:
    """The share of pixels that agree in images x, y [n, ...] in 0..1, float32 [n]; its mean is
    CoGAN's pixel agreement ratio (section 4).

    x is the true transform of one domain's image, y the other domain's image of the same z; the
    authors average 10 000 pairs and five trained systems, and do not state when pixels agree. Here
    they do if both are above the threshold or both are not, or, with a tolerance, if |x - y| <=
    tolerance (.1, say). where: which pixels count, `foreground` say; an image in which none does
    has 1.
    """
    same = (x > threshold) == (y > threshold) if tolerance is None else jnp.abs(x - y) <= tolerance
    return averaged(same.astype(jnp.float32), where, 1.0)


def foreground(x: Array, y: Array, background: float = 0.0, tolerance: float = 0.5) -> Array:
    """The pixels at which x or y [n, H, W, C] departs from the background by more than the
    tolerance in a channel: bool [n, H, W, 1].

    The background is 0 for digits and edges, 1 for negatives and for pictures on white.
    """
    return ((jnp.abs(x - background) > tolerance) | (jnp.abs(y - background) > tolerance)).any(
        -1, keepdims=True
    )


def ssim(x: Array, y: Array, span: float = 1.0) -> Array:
    """Structural similarity of images x, y [n, H, W, C], float32 [n], mean over pixels and channels
    (Wang et al. 2004, equation 13).

    Gaussian window of 11 x 11 pixels and SD 1.5, only where it lies inside the image; K1 = .01, K2
    = .03. Pixels are 0..span. Raises ValueError for images smaller than the window, or of two
    shapes.
    """
    if x.ndim != 4 or x.shape != y.shape or min(x.shape[1:3]) < 11:
        raise ValueError(
            f"images [n, H, W, C] of 11 x 11 pixels or more are wanted, not {list(x.shape)} and {list(y.shape)}"
        )
    x, y = (jnp.moveaxis(jnp.asarray(v, jnp.float32) / span, -1, 1) for v in (x, y))  # [n, C, H, W]
    # Covariances do not depend on the origin, and have more exact digits around the middle of the
    # range.
    x_mean, y_mean, xx, yy, xy = blurred(
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


def blurred(x: Array) -> Array:
    """Images [..., H, W] under the Gaussian window of SSIM: [..., H - 10, W - 10]."""
    weight = jnp.exp(-((jnp.arange(11) - 5) ** 2) / (2 * 1.5**2))
    weight = weight / weight.sum()
    for axis in (-2, -1):
        n = x.shape[axis] - 10
        x = sum(
            (weight[i] * lax.slice_in_dim(x, i, i + n, axis=axis) for i in range(11)), jnp.zeros(())
        )
    return x


def averaged(value: Array, where: Array | None, empty: float) -> Array:
    """The mean of value [n, ...] over all axes but the first, where `where` is true; `empty` where
    it is true nowhere: [n].
    """
    if where is None:
        return value.reshape(len(value), -1).mean(-1)
    flat = value.reshape(len(value), -1)
    counted = jnp.broadcast_to(where, value.shape).reshape(flat.shape)
    n = counted.sum(-1)
    return jnp.where(n > 0, jnp.where(counted, flat, 0).sum(-1) / jnp.maximum(n, 1), empty)


def ranks(x: ArrayLike, gallery: ArrayLike) -> np.ndarray:
    """The place of the right answer gallery[i] among all of the gallery by Euclidean distance from
    x[i], int [n]; 1 is the nearest.

    x [n, ...], gallery [m, ...] with m >= n. Retrieval accuracy is (ranks == 1).mean(), by chance 1
    / m. An answer that is as near as another has the better place. Raises ValueError for a gallery
    that is smaller than x, or of another size of image.
    """
    shelf = rows(gallery, "the gallery's images")
    asked = rows(x, "images", shelf)
    if len(asked) > len(shelf):
        raise ValueError(
            f"each of {len(asked)} images has its answer in the gallery, and the gallery has {len(shelf)}"
        )
    middle = shelf.mean(0)
    shelf, asked = shelf - middle, asked - middle
    place = np.empty(len(asked), int)
    for block in gen_batches(len(asked), 1024):
        distance = euclidean_distances(asked[block], shelf, squared=True)  # [block, m]
        right = distance[np.arange(len(distance)), np.arange(len(asked))[block]]
        place[block] = 1 + (distance < right[:, None]).sum(1)
    return place
