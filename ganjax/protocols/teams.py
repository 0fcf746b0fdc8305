"""How one generator, or a team of them, is sampled, measured and evaluated."""

from __future__ import annotations

from typing import Any

from jax import Array

from ganjax.game import Bound
from ganjax.metrics import stacked_mnist
from ganjax.protocols import classifier, standard


def sample(key: Array, n: int, *, G: Bound) -> Array:
    """n samples of a generator, [n, *shape], or of each of k, [n, k, *shape]; images in 0..1."""
    z = G.noise(key, n)
    x = G(z) if G.player.n is None else G.each(z)
    return x if x.ndim < 4 else (x + 1) / 2


def measure(data: Any, key: Array, *, G: Bound) -> dict[str, Array]:
    """On a mixture: modes, quality and divergences of about 2^14 samples, equally many from each
    generator. Pure.
    """
    return standard.measure(data, sample(key, 2**14 // (G.player.n or 1), G=G), key)


def evaluate(
    data: Any, key: Array, *, G: Bound, name: str, data_dir: str | None
) -> dict[str, int | float]:
    """On images of three digits, the modes that a classifier finds; on other data
    `standard.evaluate`. Host code.

    name: the dataset, as the user wrote it.
    """
    if name not in classifier.LABELS:
        return standard.evaluate(data, sample, key, G=G)
    n = stacked_mnist.MADGAN_SAMPLES // (G.player.n or 1)
    x = standard.draw_samples(sample, key, n, G=G)  # [n, (k,) H, W, C]
    return classifier.mode_coverage(name, data_dir, x.reshape(-1, *x.shape[-3:]))
