"""Transforms of images, and choices of rows: pure functions on the device.

Images are [..., H, W, C]: uint8 0 … 255, or floats from `low` to `high`.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax, random
from jaxtyping import Float, Int, Shaped

Given = Shaped[Array | np.ndarray, "*batch H W C"]
Images = Shaped[Array, "*batch H W C"]
Squares = Shaped[Array, "*batch {side} {side} C"]
ROLES = ("equal", "resolutions", "bands")


def edge(x: Given, low: float = 0.0) -> Images:
    """The outlines of images: 3 x 3 grey dilation minus the image (CoGAN, section 4).

    low: of the range of floats; it stands where nothing changes.
    """
    window = (1,) * (x.ndim - 3) + (3, 3, 1)
    least = np.array(0 if x.dtype == jnp.uint8 else -np.inf, x.dtype)
    dilated = lax.reduce_window(x, least, lax.max, window, (1,) * x.ndim, "SAME")
    return dilated - x if x.dtype == jnp.uint8 else dilated - x + low


def negative(x: Given, low: float = 0.0, high: float = 1.0) -> Images:
    """Images with light and dark exchanged: 1 - x for pixels in [0, 1] (CoGAN, section 4)."""
    x = jnp.asarray(x)
    return 255 - x if x.dtype == jnp.uint8 else low + high - x


def halves(key: Array, n: int) -> tuple[Int[Array, " first"], Int[Array, " second"]]:
    """Two disjoint halves of the rows 0 … n - 1, in random order: [n - n // 2], [n // 2]."""
    rows = random.permutation(key, n)
    return rows[n // 2 :], rows[: n // 2]


def resize(x: Given, side: int) -> Squares:
    """Float images as [..., side, side, C]: bilinear, with a blur before decimation.

    These are d and u of LAPGAN.
    """
    return jax.image.resize(x, (*x.shape[:-3], side, side, x.shape[-1]), "linear", antialias=True)


def pad(x: Given, side: int, value: float = 0.0) -> Squares:
    """Images in the middle of [..., side, side, C], `value` around them: 28 to 32, say.

    Raises ValueError where they do not fit.
    """
    rest = [side - size for size in x.shape[-3:-1]]
    if min(rest) < 0:
        raise ValueError(f"images of {x.shape[-3]} x {x.shape[-2]} do not fit into {side} x {side}")
    margins = [(0, 0)] * (x.ndim - 3) + [(gap // 2, gap - gap // 2) for gap in rest] + [(0, 0)]
    return jnp.pad(x, margins, constant_values=value)


def band(x: Images, side: int) -> tuple[Images, Images, Squares]:
    """One level of the Laplacian pyramid (LAPGAN, section 2.2): (h, l, coarse) with x = h + l.

    coarse = d(x), [..., side, side, C]; l = u(coarse) and the band-pass image h = x - l are as
    large as x.
    """
    coarse = resize(x, side)
    low_pass = resize(coarse, x.shape[-2])
    return x - low_pass, low_pass, coarse


def labelled_rows(
    key: Array, label: np.ndarray, per_class: int, classes: int
) -> Int[Array, " labelled"]:
    """`per_class` random rows of each class, [classes * per_class], class by class (Triple-GAN).

    label: concrete integers [N]. Raises ValueError where a class has fewer examples.
    """
    counts = np.bincount(np.asarray(label), minlength=classes)
    if not 0 < per_class <= counts.min():
        raise ValueError(
            f"{per_class} labelled examples of each class are asked for, and the smallest class "
            f"has {counts.min()}"
        )
    order = random.permutation(key, len(label))
    # By class, in random order within each.
    order = order[jnp.argsort(jnp.asarray(label)[order], stable=True)]
    first = np.cumsum(counts) - counts
    return order[(first[:classes, None] + np.arange(per_class)).reshape(-1)]


def views(x: Float[Array, "B N *image"], roles: str) -> Float[Array, "B N *image"]:
    """What each of N discriminators sees of its images [H, W, C], by its role.

    equal: the images.
    resolutions: member i sees the means of squares of 2^i pixels.
    bands: member i < N - 1 sees resolution i minus resolution i + 1, the last one the coarsest.
    Raises ValueError for other roles, and unless H and W are multiples of 2^(N - 1).
    """
    N = x.shape[1]
    if roles not in ROLES:
        raise ValueError(f"roles are {', '.join(ROLES)}; got {roles}")
    if roles == "equal":
        return x
    if x.ndim != 5 or any(side % 2 ** (N - 1) for side in x.shape[2:4]):
        raise ValueError(
            f"{N} roles take images whose sides are multiples of {2 ** (N - 1)}, "
            f"not {list(x.shape[2:])}"
        )
    seen = [coarsen(x[:, i], i) for i in range(N)]
    if roles == "bands":
        seen = [seen[i] - coarsen(x[:, i], i + 1) for i in range(N - 1)] + seen[-1:]
    return jnp.stack(seen, 1)


def coarsen(x: Float[Array, "B H W C"], halvings: int) -> Float[Array, "B H W C"]:
    """Every square of 2^halvings pixels replaced by its mean."""
    side = 2**halvings
    B, H, W, C = x.shape
    squares = x.reshape(B, H // side, side, W // side, side, C)
    return squares.mean((2, 4)).repeat(side, 1).repeat(side, 2)


def shift_and_flip(x: Float[Array, "B H W C"], key: Array, most: int = 4) -> Images:
    """Images moved by at most `most` pixels along each axis, every second one mirrored, by chance.

    Zeros come in at the edge. Crops of padded images and horizontal reflections (Krizhevsky et al.
    2012, section 4.1, whose crops are of 224 of 256 pixels).
    """
    B, H, W, C = x.shape
    padded = jnp.pad(x, [(0, 0), (most, most), (most, most), (0, 0)])
    corners = random.randint(random.fold_in(key, 0), (B, 2), 0, 2 * most + 1)

    def cut(image: Array, corner: Array) -> Array:
        return lax.dynamic_slice(image, (corner[0], corner[1], 0), (H, W, C))

    mirrored = random.bernoulli(random.fold_in(key, 1), 0.5, (B, 1, 1, 1))
    moved = jax.vmap(cut)(padded, corners)
    return jnp.where(mirrored, moved[:, :, ::-1], moved)
