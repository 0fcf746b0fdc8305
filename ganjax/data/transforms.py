"""Sets made from other sets, as pure functions on the device: edges, negatives, halves, stacks,
pyramids, few labels.

Images are [..., H, W, C]: uint8 0..255, or floats from `low` to `high` (a batch of `draw`, say:
low=-1, high=1).
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax, random
from jax.typing import ArrayLike

from ganjax.data import batches
from ganjax.data.dataset import Arrays

# stacked and compositional MNIST of MAD-GAN's authors: fixed images from all 70 000 digits
MADGAN_TRIPLES = 25_600
PACGAN_TRIPLES = 128_000  # stacked MNIST of PacGAN's authors


def edge(x: Array, low: float = 0.0) -> Array:
    """The outlines of images: 3x3 grey dilation minus the image, `low` where nothing changes
    (CoGAN, section 4).
    """
    window = (1,) * (x.ndim - 3) + (3, 3, 1)
    least = np.array(0 if x.dtype == jnp.uint8 else -np.inf, x.dtype)
    dilated = lax.reduce_window(x, least, lax.max, window, (1,) * x.ndim, "SAME")
    return dilated - x if x.dtype == jnp.uint8 else dilated - x + low


def negative(x: Array, low: float = 0.0, high: float = 1.0) -> Array:
    """Images with light and dark exchanged: 1 - x for pixels in [0, 1] (CoGAN, section 4)."""
    return 255 - x if x.dtype == jnp.uint8 else low + high - x


def halves(key: Array, n: int) -> tuple[Array, Array]:
    """Two disjoint sets of rows that together are 0 … n-1, in random order: int32 [n - n // 2], [n
    // 2] (CoGAN's two domains).
    """
    rows = random.permutation(key, n)
    return rows[n // 2 :], rows[: n // 2]


def triples(key: Array, n: int, size: int) -> Array:
    """n times three independent rows of a set of `size` examples, int32 [n, 3]: the images of a
    stacked or compositional set.
    """
    return random.randint(key, (n, 3), 0, size)


def stacked(x: ArrayLike, label: ArrayLike, rows: Array) -> dict[str, Array]:
    """Stacked MNIST: three grey images as red, green and blue; 1000 modes.

    x [N, H, W, 1], label [N] of 0..9, rows [B, 3] -> x [B, H, W, 3], label int32 [B] = 100 red + 10
    green + blue. The fixed training set of MAD-GAN's authors is rows = triples(key, MADGAN_TRIPLES,
    70000) of MNIST's training and test digits, PacGAN's has PACGAN_TRIPLES rows.
    """
    images = jnp.moveaxis(jnp.asarray(x)[rows][..., 0], 1, -1)  # [B, H, W, 3]
    return {"x": images, "label": thousands(label, rows)}


def compositional(x: ArrayLike, label: ArrayLike, rows: Array) -> dict[str, Array]:
    """Compositional MNIST: three images in a 2x2 grid, the lower right cell empty; 1000 modes.

    x [N, H, W, C], label [N] of 0..9, rows [B, 3] -> x [B, 2H, 2W, C], label int32 [B] = 100 upper
    left + 10 lower left + upper right. The cells are fixed, as in the code of MAD-GAN's authors.
    Empty is 0: compose uint8 or [0, 1] images, and rescale afterwards.
    """
    cells = jnp.asarray(x)[rows]  # [B, 3, H, W, C]
    left = jnp.concatenate([cells[:, 0], cells[:, 1]], axis=1)
    right = jnp.concatenate([cells[:, 2], jnp.zeros_like(cells[:, 0])], axis=1)
    return {"x": jnp.concatenate([left, right], axis=2), "label": thousands(label, rows)}


def thousands(label: ArrayLike, rows: Array) -> Array:
    """Three digits as one number of 0..999, int32 [B]."""
    return (jnp.asarray(label)[rows] * jnp.array([100, 10, 1])).sum(-1).astype(jnp.int32)


def resize(x: Array, side: int) -> Array:
    """Float images [..., H, W, C] as [..., side, side, C]: bilinear, with a blur before decimation
    (LAPGAN's d and u).
    """
    return jax.image.resize(x, (*x.shape[:-3], side, side, x.shape[-1]), "linear", antialias=True)


def pad(x: Array, side: int, value: float = 0.0) -> Array:
    """Images [..., H, W, C] in the middle of [..., side, side, C], `value` around them: 28 to 32,
    say. ValueError where they do not fit.
    """
    rest = [side - size for size in x.shape[-3:-1]]
    if min(rest) < 0:
        raise ValueError(f"images of {x.shape[-3]} x {x.shape[-2]} do not fit into {side} x {side}")
    margins = [(0, 0)] * (x.ndim - 3) + [(gap // 2, gap - gap // 2) for gap in rest] + [(0, 0)]
    return jnp.pad(x, margins, constant_values=value)


def band(x: Array, side: int) -> tuple[Array, Array, Array]:
    """One level of the Laplacian pyramid (LAPGAN, section 2.2): (h, l, coarse) with x = h + l.

    coarse = d(x), [..., side, side, C]; l = u(coarse) and the band-pass image h = x - l are as
    large as x.
    """
    coarse = resize(x, side)
    low_pass = resize(coarse, x.shape[-2])
    return x - low_pass, low_pass, coarse


def pyramid(x: Array, sides: Sequence[int]) -> list[Array]:
    """The Laplacian pyramid of square float images: [h_0, h_1, …, I_K], finest first; sides are
    those of I_1 … I_K (14, 7).
    """
    bands = []
    for side in sides:
        h, _, x = band(x, side)
        bands.append(h)
    return [*bands, x]


def reconstruct(bands: Sequence[Array]) -> Array:
    """The images of a Laplacian pyramid: I_k = u(I_{k+1}) + h_k."""
    x = bands[-1]
    for h in reversed(bands[:-1]):
        x = resize(x, h.shape[-2]) + h
    return x


def labelled(key: Array, label: np.ndarray, per_class: int, classes: int) -> Array:
    """The rows of `per_class` examples of each class, chosen by key, int32 [classes * per_class],
    class by class (Triple-GAN).

    label: concrete integers [N]. Raises ValueError where a class has fewer examples.
    """
    counts = np.bincount(np.asarray(label), minlength=classes)
    if not 0 < per_class <= counts.min():
        raise ValueError(
            f"{per_class} labelled examples of each class are asked for, and the smallest class has {counts.min()}"
        )
    order = random.permutation(key, len(label))
    order = order[
        jnp.argsort(jnp.asarray(label)[order], stable=True)
    ]  # by class, in random order within each
    first = np.cumsum(counts) - counts
    return order[(first[:classes, None] + np.arange(per_class)).reshape(-1)]


def unpaired(
    data_x: Arrays, data_y: Arrays, key: Array, n: int, low: float = -1.0, high: float = 1.0
) -> dict[str, Array]:
    """n examples of each of two domains, drawn independently of each other: {"x": [n, …], "y": [n,
    …]} (CycleGAN). Pure, jittable.
    """
    x_key, y_key = random.split(key)
    return {
        "x": batches.draw(data_x, x_key, n, low, high)["x"],
        "y": batches.draw(data_y, y_key, n, low, high)["x"],
    }
