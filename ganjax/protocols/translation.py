"""Images translated from one domain to another, against the true partners of what they were made
from. Host code.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from ganjax.data.batches import scaled
from ganjax.data.domains import Domains
from ganjax.losses import l1
from ganjax.metrics import pairs

COLUMNS = tuple(
    f"{name}_{way}" for way in "yx" for name in ("l1", "l1_inside", "ssim", "top1", "rank")
)  # of `judge`


def scores(made: ArrayLike, true: ArrayLike) -> dict[str, float]:
    """Of images made [n, H, W, C] that should be true [n, H, W, C], 0..1 or uint8: how far off they
    are, and how often they are recognised.

    l1: mean absolute difference; l1_inside: of the pixels alone at which the true image departs by
    more than 1/2 from its background,
    white or black, whichever most pixels are; ssim: structural similarity, of images of 11 pixels
    or more; top1: the share whose nearest true image is the right one, 1/n by chance; rank: the
    mean place of the right one.
    """
    x, y = (scaled(jnp.asarray(v), 0.0) for v in (made, true))
    white = float(np.median(np.asarray(y)) > 0.5)
    found = {"l1": pairs.l1(x, y), "l1_inside": pairs.l1(x, y, pairs.foreground(y, y, white))}
    if min(x.shape[1:3]) >= 11:
        found["ssim"] = jax.jit(pairs.ssim)(x, y)
    ranks = pairs.ranks(np.asarray(x), np.asarray(y))
    means = {name: float(value.mean()) for name, value in found.items()}
    return means | {"top1": float((ranks == 1).mean()), "rank": float(ranks.mean())}


def judge(
    G: Callable[[Array], Array], F: Callable[[Array], Array], x: np.ndarray, y: np.ndarray
) -> dict[str, float]:
    """`both_ways` of the first thousand pairs x, y, uint8 [n, H, W, C], by translators of images in
    -1..1.
    """
    x, y = x[:1000], y[:1000]
    return both_ways(translated(G, x), translated(F, y), x, y)


def translated(P: Callable[[Array], Array], x: np.ndarray) -> np.ndarray:
    """Images x, uint8 [n, H, W, C], by a translator of images in -1..1: float32 in 0..1."""
    translate = jax.jit(lambda x: (P(scaled(x)) + 1) / 2)
    return np.concatenate([translate(x[i : i + 64]) for i in range(0, len(x), 64)])


def both_ways(made_y: ArrayLike, made_x: ArrayLike, x: ArrayLike, y: ArrayLike) -> dict[str, float]:
    """`scores` of G(x) against y, named l1_y and so on, and of F(y) against x, named l1_x."""
    ways = {"y": scores(made_y, y), "x": scores(made_x, x)}
    return {f"{name}_{way}": value for way, found in ways.items() for name, value in found.items()}


def baselines(x: ArrayLike, y: ArrayLike) -> dict[str, dict[str, float]]:
    """What no translator must fall short of, on pairs x, y: the image left as it is, and another
    real image of the other domain.
    """
    order = np.random.default_rng(0).permutation(len(np.asarray(x)))
    return {
        "identity": both_ways(x, y, x, y),
        "shuffled": both_ways(np.asarray(y)[order], np.asarray(x)[order], x, y),
    }


def near(
    G: Callable[[Array], Array], F: Callable[[Array], Array], found: Domains
) -> dict[str, Array]:
    """{"off_y", "off_x"}: the mean absolute difference of sixteen G(x) from their y and F(y) from
    their x, in units of 0..1. Pure.

    Nothing where partners are not known.
    """
    x, y = found.test_images(16)
    return {"off_y": l1(G(x), y) / 2, "off_x": l1(F(y), x) / 2} if found.paired else {}
