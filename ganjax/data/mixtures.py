"""Toy data with an exact density: mixtures of isotropic Gaussians in one or two dimensions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, random
from jax.scipy.special import logsumexp
from jaxtyping import Float

Numbers = Array | np.ndarray | Sequence | float | int


class Mixture(NamedTuple):
    """M isotropic Gaussians in d dimensions, sum_m weight_m N(mean_m, sd_m² I). A pytree.

    All fields are float32; the weights sum to 1.
    """

    mean: Array | np.ndarray  # [M, d]
    sd: Array | np.ndarray  # [M]
    weight: Array | np.ndarray  # [M]

    @property
    def modes(self) -> int:
        """M, the number of Gaussians."""
        return self.mean.shape[0]

    @property
    def dim(self) -> int:
        """d, the length of one sample."""
        return self.mean.shape[1]

    def draw(self, key: Array, n: int) -> Float[Array, "n d"]:
        """n independent samples, float32 [n, d]."""
        mode_key, noise_key = random.split(key)
        mode = random.choice(mode_key, self.modes, (n,), p=jnp.asarray(self.weight))  # [n]
        noise = random.normal(noise_key, (n, self.dim))  # [n, d]
        return jnp.asarray(self.mean)[mode] + jnp.asarray(self.sd)[mode, None] * noise

    def log_prob(self, x: Array | np.ndarray) -> Float[Array, "*points"]:
        """Exact log density in nats, [...], at the points x [..., d]."""
        sd = jnp.asarray(self.sd)
        z = (jnp.asarray(x)[..., None, :] - jnp.asarray(self.mean)) / sd[:, None]  # [..., M, d]
        normaliser = self.dim * (jnp.log(self.sd) + 0.5 * np.log(2 * np.pi))  # [M]
        log_normal = -0.5 * (z**2).sum(-1) - normaliser  # [..., M]
        return logsumexp(log_normal + jnp.log(self.weight), axis=-1)


def mixture(mean: Numbers, sd: Numbers, weight: Numbers | None = None) -> Mixture:
    """A Mixture from numbers: mean [M, d], sd [M] or one for all, weight [M] (default: equal).

    Weights may have any scale. Host code: the fields are NumPy arrays. Raises ValueError for other
    shapes, and for an sd or a weight that is not positive.
    """
    means = np.asarray(mean, np.float32)
    if means.ndim != 2 or not means.size or not np.isfinite(means).all():
        raise ValueError(
            "mean of a mixture must be finite numbers of shape [modes, dimensions], "
            f"not of shape {list(means.shape)}"
        )
    rows = {
        "sd": np.asarray(sd, np.float64),
        "weight": np.asarray(1.0 if weight is None else weight, np.float64),
    }
    for name, row in rows.items():
        if row.shape not in ((), (len(means),)) or not (np.isfinite(row) & (row > 0)).all():
            raise ValueError(
                f"{name} of a mixture must be one positive number, or one for each of its "
                f"{len(means)} modes"
            )
    sds, weights = (np.broadcast_to(row, len(means)) for row in rows.values())
    return Mixture(means, sds.astype(np.float32), (weights / weights.sum()).astype(np.float32))


def ring(modes: int = 8, radius: float = 2 / 1.414, sd: float = 0.02 / 1.414) -> Mixture:
    """Gaussians in equal steps on a circle, the first at angle 0.

    Defaults: the "8 Gaussians" of the WGAN-GP authors' code, gan_toy.py (radius 2, SD .02, all
    divided by 1.414). VEEGAN and PacGAN use radius=1, sd=.01 instead.
    """
    angle = 2 * np.pi * np.arange(modes) / modes  # [M]
    return mixture(radius * np.stack([np.cos(angle), np.sin(angle)], -1), sd)


def grid(side: int = 5, extent: float = 4 / 2.828, sd: float = 0.05 / 2.828) -> Mixture:
    """side x side Gaussians on a square grid from -extent to extent.

    Defaults: the "25 Gaussians" of the WGAN-GP authors' code, gan_toy.py. It adds twice the grid
    point (-2 … 2 in steps of 1) to noise of SD .05 and divides the sum by 2.828. So modes lie at
    -1.414 … 1.414, .707 apart, with SD .0177; all samples have SD 1.000 an axis.
    """
    line = np.linspace(-extent, extent, side)
    return mixture(np.stack(np.meshgrid(line, line, indexing="ij"), -1).reshape(-1, 2), sd)


def grid16() -> Mixture:
    """16 Gaussians at ±.5 and ±1.5 on both axes, SD .02: the toy data of the authors' code of
    Balduzzi et al. 2018, "The Mechanics of n-Player Differentiable Games".
    """
    return grid(4, 1.5, 0.02)


def spiral(modes: int = 20, sd: float = 0.25 / 7.5) -> Mixture:
    """Gaussians along an Archimedean spiral, about equally far apart.

    The curve and SD are those of the "swiss roll" of the WGAN-GP authors' code, gan_toy.py: radius
    = angle from 1.5 pi to 4.5 pi, SD .25, all divided by 7.5. There samples lie all along the
    curve; here they lie at `modes` points of it, so that modes can be counted.
    """
    # An arc of an Archimedean spiral grows nearly as the square of its angle.
    angle = np.sqrt(np.linspace((1.5 * np.pi) ** 2, (4.5 * np.pi) ** 2, modes))  # [M]
    return mixture(angle[:, None] * np.stack([np.cos(angle), np.sin(angle)], -1) / 7.5, sd)


def mixture1d() -> Mixture:
    """Five Gaussians on a line, means 10, 20, 60, 80, 110, SD 3, 3, 2, 2, 1.

    MAD-GAN's toy data (authors' code, specs1D_diffDist_1).
    """
    return mixture([[10], [20], [60], [80], [110]], [3, 3, 2, 2, 1])


def mixture1d_20() -> Mixture:
    """Twenty Gaussians on a line, means 20, 40, …, 400, SD 2.

    The harder one-dimensional data of MAD-GAN's authors' code.
    """
    return mixture(20.0 * np.arange(1, 21)[:, None], 2)


def hills() -> Mixture:
    """Three Gaussians on a line, means -2, 0, 1.5, SD .5, .4, .6 (ours).

    No gap lies between them, so that a plain GAN comes to rest.
    """
    return mixture([[-2.0], [0.0], [1.5]], [0.5, 0.4, 0.6])


def imbalanced(balanced: Mixture, ratio: float = 10.0) -> Mixture:
    """The same Gaussians with geometric weights: the first is `ratio` times as likely as the last.

    Raises ValueError unless ratio is a positive number.
    """
    if not 0 < ratio < np.inf:
        raise ValueError(f"ratio of an imbalanced mixture must be a positive number, not {ratio}")
    return mixture(balanced.mean, balanced.sd, ratio ** -np.linspace(0, 1, balanced.modes))


MIXTURES: dict[str, Callable[[], Mixture]] = {
    "ring": ring,
    "grid": grid,
    "grid16": grid16,
    "spiral": spiral,
    "mixture1d": mixture1d,
    "mixture1d_20": mixture1d_20,
    "hills": hills,
    "ring_imbalanced": lambda: imbalanced(ring()),
}
