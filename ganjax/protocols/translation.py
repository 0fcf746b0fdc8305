"""Translators of images between two domains, against the true partners of the images."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float32, UInt8
from numpy.typing import ArrayLike

from ganjax.data.batches import scaled
from ganjax.data.domains import Domains
from ganjax.losses import l1
from ganjax.metrics import pairs

COLUMNS = tuple(  # of `evaluate`
    f"{name}_{domain}" for domain in "yx" for name in ("l1", "l1_inside", "ssim", "top1", "rank")
)


def scores(fake: ArrayLike, true: ArrayLike) -> dict[str, float]:
    """How far images [n, H, W, C] are from their true partners, and how often these are retrieved;
    0..1 or uint8. Host code.

    l1: mean absolute difference; l1_inside: the same over pixels at which the true image differs by
    more than 1/2 from the background, which is white or black as most pixels are; ssim: structural
    similarity, of images of 11 pixels or more; top1: the share of images whose nearest true image
    is their partner, 1/n by chance; rank: the mean rank of the partner.
    """
    x, y = (scaled(jnp.asarray(v), 0.0) for v in (fake, true))
    background = float(np.median(np.asarray(y)) > 0.5)
    inside = pairs.foreground(y, y, background)
    found = {"l1": pairs.l1(x, y), "l1_inside": pairs.l1(x, y, inside)}
    if min(x.shape[1:3]) >= 11:
        found["ssim"] = jax.jit(pairs.ssim)(x, y)
    ranks = pairs.ranks(np.asarray(x), np.asarray(y))
    means = {name: float(value.mean()) for name, value in found.items()}
    return means | {"top1": float((ranks == 1).mean()), "rank": float(ranks.mean())}


def evaluate(
    G: Callable[[Array], Array], F: Callable[[Array], Array], x: np.ndarray, y: np.ndarray
) -> dict[str, float]:
    """`scores_both_ways` of translators G: x -> y and F: y -> x of images in -1..1, on the first
    thousand pairs x, y, uint8 [n, H, W, C]. Host code.
    """
    x, y = x[:1000], y[:1000]
    return scores_both_ways(translated(G, x), translated(F, y), x, y)


def translated(
    P: Callable[[Array], Array], x: UInt8[np.ndarray, "n H W C"]
) -> Float32[np.ndarray, "n H W c"]:
    """The translations P(x) in 0..1, where P takes and gives images in -1..1."""
    translate = jax.jit(lambda x: (P(scaled(x)) + 1) / 2)
    return np.concatenate([translate(x[i : i + 64]) for i in range(0, len(x), 64)])


def scores_both_ways(
    fake_y: ArrayLike, fake_x: ArrayLike, x: ArrayLike, y: ArrayLike
) -> dict[str, float]:
    """`scores` of fake_y against y, named l1_y and so on, and of fake_x against x, named l1_x."""
    found = {"y": scores(fake_y, y), "x": scores(fake_x, x)}
    return {f"{name}_{domain}": v for domain, by in found.items() for name, v in by.items()}


def baselines(x: ArrayLike, y: ArrayLike) -> dict[str, dict[str, float]]:
    """The scores that a translator of pairs x, y should beat: those of the untranslated image, and
    those of another real image of the other domain.
    """
    order = np.random.default_rng(0).permutation(len(np.asarray(x)))
    return {
        "identity": scores_both_ways(x, y, x, y),
        "shuffled": scores_both_ways(np.asarray(y)[order], np.asarray(x)[order], x, y),
    }


def measure(
    G: Callable[[Array], Array], F: Callable[[Array], Array], found: Domains
) -> dict[str, Array]:
    """{"off_y", "off_x"}: the mean absolute differences between G(x) and y and between F(y) and x,
    in units of 0..1, of sixteen pairs. Pure.

    Empty where partners are not known.
    """
    x, y = found.test_images(16)
    return {"off_y": l1(G(x), y) / 2, "off_x": l1(F(y), x) / 2} if found.paired else {}
