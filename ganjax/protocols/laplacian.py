"""The Parzen-window log-likelihood of a Laplacian pyramid, level by level (Denton et al. 2015,
section 4.1). Host code, float64.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ganjax.data.batches import scaled
from ganjax.data.dataset import Dataset
from ganjax.data.splits import Splits
from ganjax.data.transforms import band
from ganjax.game import Bound
from ganjax.keys import stream
from ganjax.metrics.parzen import log_density
from ganjax.protocols import standard

VALID, TEST, SAMPLES = (
    50,
    200,
    500,
)  # images that widths are chosen on and that are judged, samples for each of them
SIGMAS = tuple(
    10 ** (i / 9 - 2) for i in range(19)
)  # of 0.01 to 1: residuals are smaller than images


class Level(NamedTuple):
    """Residuals h, or the coarsest images, of m validation and t test images, and s samples of
    each, given what is coarser in it.
    """

    valid: np.ndarray  # [m, H, W, C]
    of_valid: np.ndarray  # [m, s, H, W, C]
    test: np.ndarray  # [t, H, W, C]
    of_test: np.ndarray  # [t, s, H, W, C]


def log_likelihood(levels: Sequence[Level], sigmas: Sequence[float] = SIGMAS) -> dict[str, float]:
    """{"parzen_levels": mean over test images of log p(I_K) + Σ log p(h_k | l_k) in nats,
    "parzen_levels_error": SD / √t}.

    Each term is a Parzen window over the samples made for that very image, its width the one under
    which the validation images of that level are likeliest. The levels hold more numbers than the
    image, so this is no density of images: compare it with that of the same pyramid alone. Raises
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


def densities(x: np.ndarray, samples: np.ndarray, sigmas: Sequence[float]) -> np.ndarray:
    """`log_density` of each example x [m, ...] under its own samples [m, s, ...]: float64
    [len(sigmas), m].
    """
    return np.concatenate([log_density(x[i : i + 1], samples[i], sigmas) for i in range(len(x))], 1)


def judge(parts: Splits, levels: Sequence[Bound], key: Array, classes: int) -> dict[str, float]:
    """`log_likelihood` of generators of images in -1..1, finest first, on held-out images; nothing
    where none are held out.

    Each sees noise, the coarse image if there is one, and, with classes, the label, one-hot.
    """
    if parts.test is None or parts.valid is None:
        return {}
    valid, test = (
        pyramid(part, n, levels, stream(key, "levels", n), classes)
        for part, n in ((parts.valid, VALID), (parts.test, TEST))
    )
    return log_likelihood([Level(*a, *b) for a, b in zip(valid, test)])


def pyramid(
    part: Dataset, n: int, levels: Sequence[Bound], key: Array, classes: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """What each level of the first n images should be, [n, H, W, C], and samples of it, [n, s, H,
    W, C], given their own coarser image.
    """
    image, found = jnp.asarray(standard.images(part)[:n]) * 2 - 1, []
    y = [jax.nn.one_hot(standard.labels(part)[:n], classes)] if classes else []
    for k, G in enumerate(levels):
        h, *l, image = band(image, image.shape[1] // 2) if k + 1 < len(levels) else (image, image)

        def drawn(i: Array, G: Bound = G, given: Sequence[Array] = (*l, *y)) -> Array:
            return (
                G(
                    G.noise(jax.random.fold_in(key, i), SAMPLES),
                    *(c[i][None].repeat(SAMPLES, 0) for c in given),
                )
                / 2
            )

        made = jax.jit(drawn)
        found.append((np.asarray(h / 2), np.stack([np.asarray(made(i)) for i in range(len(h))])))
    return found


def nearest(real: Array, x: Array) -> Array:
    """The mean over real images [m, ...], uint8 or 0..1, of the distance to the nearest of x [n,
    ...]: the authors' stopping rule. Pure.
    """
    a, b = (scaled(jnp.asarray(v), 0.0).reshape(len(v), -1) for v in (real, x))
    square = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    return jnp.sqrt(jnp.maximum(square.min(1), 0)).mean()
