"""How a Laplacian pyramid of generators G_0, G_1, …, finest first, is sampled, measured and
evaluated: Parzen-window log-likelihood level by level (Denton et al. 2015, section 4.1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, nn
from jaxtyping import Float, Float64

from ganjax.data.batches import scaled
from ganjax.data.dataset import Dataset
from ganjax.data.splits import Splits
from ganjax.data.transforms import band, resize
from ganjax.game import Bound
from ganjax.keys import stream
from ganjax.metrics.parzen import log_density
from ganjax.protocols import standard

VALID = 50  # images that the widths are chosen on
TEST = 200  # images whose likelihood is stated
SAMPLES = 500  # for each image and level
SIGMAS = tuple(10 ** (i / 9 - 2) for i in range(19))  # .01 to 1: residuals are smaller than images


def by_level(players: Mapping[str, Bound]) -> list[Bound]:
    """The generators G_0, G_1, …, finest first."""
    return [players[f"G_{k}"] for k in range(len(players) // 2)]


def labels(batch: Any, G: Bound) -> list[Array]:
    """The labels modulo K, one-hot [B, K], where the coarsest generator sees them; else none."""
    return [nn.one_hot(batch["label"] % classes, classes) for (classes,) in G.player.inputs[1:]]


class Level(NamedTuple):
    """Residuals h, or the coarsest images, of m validation and t test images, and s samples of
    each, conditioned on its own coarser image.
    """

    valid: np.ndarray  # [m, H, W, C]
    of_valid: np.ndarray  # [m, s, H, W, C]
    test: np.ndarray  # [t, H, W, C]
    of_test: np.ndarray  # [t, s, H, W, C]


def log_likelihood(levels: Sequence[Level], sigmas: Sequence[float] = SIGMAS) -> dict[str, float]:
    """{"parzen_levels": mean over test images of log p(I_K) + Σ log p(h_k | l_k) in nats,
    "parzen_levels_error": SD / √t}.

    Each term is a Parzen window over samples conditioned on that image, of the width under which
    the validation images of that level are likeliest. The levels hold more numbers than the image,
    so this is no density of images: compare it only with that of the same pyramid. Raises
    ValueError as `log_density` does.
    """
    each = np.zeros(len(levels[0].test))
    for level in levels:
        best = densities(level.valid, level.of_valid, sigmas).mean(1).argmax()
        each += densities(level.test, level.of_test, [sigmas[best]])[0]
    return {
        "parzen_levels": float(each.mean()),
        "parzen_levels_error": float(each.std() / np.sqrt(len(each))),
    }


def densities(
    x: Float[np.ndarray, "m ..."],
    samples: Float[np.ndarray, "m s ..."],
    sigmas: Sequence[float],
) -> Float64[np.ndarray, "sigmas m"]:
    """`log_density` of each example under its own samples."""
    return np.concatenate([log_density(x[i : i + 1], samples[i], sigmas) for i in range(len(x))], 1)


def level_likelihood(
    parts: Splits, levels: Sequence[Bound], key: Array, classes: int
) -> dict[str, float]:
    """`log_likelihood` of generators of images in -1..1, finest first, on held-out images; empty
    where no images are held out.

    A generator sees noise, the coarse image if there is one, and, with classes, the one-hot label.
    """
    if parts.test is None or parts.valid is None:
        return {}
    valid, test = (
        level_samples(part, n, levels, stream(key, "levels", n), classes)
        for part, n in ((parts.valid, VALID), (parts.test, TEST))
    )
    return log_likelihood([Level(*a, *b) for a, b in zip(valid, test)])


def level_samples(
    part: Dataset, n: int, levels: Sequence[Bound], key: Array, classes: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each level, that level of the first n images, [n, H, W, C], and samples of it, [n, s, H,
    W, C], conditioned on each image's own coarser image.
    """
    image = jnp.asarray(standard.images_of(part)[:n]) * 2 - 1
    found = []
    y = [jax.nn.one_hot(standard.labels_of(part)[:n], classes)] if classes else []
    for k, G in enumerate(levels):
        h, *l, image = band(image, image.shape[1] // 2) if k + 1 < len(levels) else (image, image)

        def samples(i: Array, G: Bound = G, given: Sequence[Array] = (*l, *y)) -> Array:
            z = G.noise(jax.random.fold_in(key, i), SAMPLES)
            return G(z, *(c[i][None].repeat(SAMPLES, 0) for c in given)) / 2

        compiled = jax.jit(samples)
        of_image = np.stack([np.asarray(compiled(i)) for i in range(len(h))])
        found.append((np.asarray(h / 2), of_image))
    return found


def nearest_distance(images: Array | np.ndarray, samples: Array | np.ndarray) -> Float[Array, ""]:
    """The mean over images [m, ...] of the Euclidean distance to the nearest of the samples [n,
    ...]; uint8 or 0..1. Pure.
    """
    x, y = (scaled(jnp.asarray(v), 0.0).reshape(len(v), -1) for v in (images, samples))
    square = (x**2).sum(1)[:, None] + (y**2).sum(1) - 2 * x @ y.T
    return jnp.sqrt(jnp.maximum(square.min(1), 0)).mean()


def nearest_detail(
    image: Float[Array, "m H W C"],
    y: Sequence[Float[Array, "m K"]],
    levels: Sequence[Bound],
    key: Array,
    samples: int = 128,
) -> dict[str, Float[Array, ""]]:
    """{"nearest_0", …}: for each level but the coarsest, the mean over images of the Euclidean
    distance to the nearest of its own samples. Images in -1..1, distances in units of 0..1. Pure.

    A sample is what G_k makes of the image's own coarse image and of its one-hot label, if y has
    one. The authors keep the net of the epoch at which this is least on 200 validation images,
    without labels (approxParzen of conditional_adversarial.lua); here nothing is kept.
    """
    found = {}
    for k, G in enumerate(levels[:-1]):
        h, l, image = band(image, image.shape[1] // 2)

        def least(i: Array, G: Bound = G, h: Array = h, l: Array = l) -> Array:
            z = G.noise(jax.random.fold_in(key, i), samples)
            own = G(z, *(v[i][None].repeat(samples, 0) for v in (l, *y)))  # [samples, H, W, C]
            return jnp.sqrt(((own - h[i]) ** 2).sum((1, 2, 3)).min())

        found[f"nearest_{k}"] = jax.lax.map(least, jnp.arange(len(h))).mean() / 2
    return found


def sample(key: Array, n: int, **players: Bound) -> Array:
    """The image after each level, coarse to fine and enlarged, [n, levels, H, W, C] in 0..1; the
    last is the sample. Sample i has class i mod K.
    """
    *finer, coarsest = by_level(players)
    y = labels({"label": jnp.arange(n)}, coarsest)
    chain = [coarsest(coarsest.noise(key, n), *y)]
    for G in reversed(finer):
        chain = [resize(image, G.player.inputs[0][0]) for image in chain]
        chain.append(chain[-1] + G(G.noise(key, n), chain[-1], *y))
    return (jnp.stack(chain, 1) + 1) / 2


def measure(data: Any, key: Array, *, valid: Any, **players: Bound) -> dict[str, Array]:
    """nearest: the mean distance of 200 training images to the nearest of 256 samples. nearest_k:
    of validation images, if there are any, to the nearest of their own samples of level k.
    """
    levels = by_level(players)
    found = {"nearest": nearest_distance(data["x"][:200], sample(key, 256, **players)[:, -1])}
    if valid:
        found |= nearest_detail(valid["x"], labels(valid, levels[-1]), levels, key)
    return found


def evaluate(data: Any, key: Array, *, splits: Splits, **players: Bound) -> dict[str, float]:
    """The Parzen log-likelihood of held-out images, at full size and level by level."""
    levels = by_level(players)
    classes = (splits.train.classes or 0) if levels[-1].player.inputs[1:] else 0
    finest = lambda key, n, **players: sample(key, n, **players)[:, -1]  # noqa: E731
    found = standard.parzen_likelihood(finest, key, splits, **players)
    return found | level_likelihood(splits, levels, key, classes)
