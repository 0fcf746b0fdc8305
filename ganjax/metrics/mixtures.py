"""Samples against a mixture whose modes and density are known. Pure functions."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array
from jax.scipy.special import rel_entr
from jaxtyping import Bool, Float, Int

from ganjax.data.mixtures import Mixture

# The n that chi2 is stated for: MAD-GAN's authors compare this many samples with as many real ones.
SAMPLES = 1_048_576
# With the margin of `bounds`, MAD-GAN's five modes get its authors' 280 bins of width .5 from -10
# to 130.
BINS_PER_MODE = 56


def nearest_mode(
    mixture: Mixture, x: Float[Array, "n d"]
) -> tuple[Int[Array, " n"], Float[Array, " n"]]:
    """The mode of each sample, and the sample's distance from that mode's mean in its SDs.

    Nearest is the mode that is the fewest of its own SDs away (Euclidean distance / SD).
    """
    sd = jnp.asarray(mixture.sd)[:, None]
    offset = (x[:, None] - jnp.asarray(mixture.mean)) / sd  # [n, M, d]
    distance = jnp.sqrt((offset**2).sum(-1))  # [n, M]
    mode = distance.argmin(-1)
    return mode, jnp.take_along_axis(distance, mode[:, None], 1)[:, 0]


def mode_counts(mixture: Mixture, x: Float[Array, "n d"]) -> Int[Array, " M"]:
    """For each mode, how many samples belong to it and lie within 3 SD of it."""
    mode, distance = nearest_mode(mixture, x)
    return counts(mode, distance <= 3, mixture.modes)


def mode_shares(mixture: Mixture, x: Float[Array, "n d"]) -> Float[Array, " M"]:
    """For each mode, the share of all samples that belong to it and lie within 3 SD of it."""
    return mode_counts(mixture, x) / len(x)


def coverage(mixture: Mixture, x: Float[Array, "n d"]) -> dict[str, Array]:
    """{"modes": modes with at least one sample within 3 SD, "quality": share of the samples that
    lie within 3 SD of a mode}.

    The protocol of VEEGAN and PacGAN, also MAD-GAN's "high-quality ratio". Within 3 SD is Euclidean
    distance <= 3 SD, so that samples of the mixture itself have quality .9973 in one dimension and
    .9889 in two. `modes` can only grow with the number of samples: compare at equal n.
    """
    count = mode_counts(mixture, x)
    return {"modes": (count > 0).sum(), "quality": count.sum() / len(x)}


def mode_kl(mixture: Mixture, x: Float[Array, "n d"]) -> Float[Array, ""]:
    """KL(shares of the modes among the samples within 3 SD || the mixture's weights), in
    nats: PacGAN's and VEEGAN's reverse KL.

    A perfect generator has about (M - 1) / 2n from n samples within 3 SD. Without such a sample it
    is -log of the least weight, its maximum.
    """
    return divergence(mode_counts(mixture, x), jnp.asarray(mixture.weight))


def bounds(mixture: Mixture) -> tuple[Array, Array]:
    """(low, high) of the histogram of a 1-D mixture: the range of its means, with a margin of a
    fifth of that range, at least 5 SD.

    For MAD-GAN's five Gaussians these are its authors' -10 and 130.
    """
    mean = jnp.asarray(mixture.mean)[:, 0]
    margin = jnp.maximum((mean.max() - mean.min()) / 5, 5 * jnp.max(mixture.sd))
    return mean.min() - margin, mean.max() + margin


def histogram_divergences(
    x: Float[Array, " n"],
    real: Float[Array, " m"],
    low: Array | float = -10.0,
    high: Array | float = 130.0,
    bins: int = 280,
) -> dict[str, Array]:
    """{"chi2", "chi2_rare", "kl", "outside"} between histograms of samples x and of real samples:
    MAD-GAN's protocol (authors' metric.py), and what of it the rare bins decide.

    Only bins that hold a real sample are kept. chi2 = sum (x - real)² / real over their counts,
    both counts scaled to 1,048,576 samples; chi2_rare = the share of it that is of bins of fewer
    than 5 real samples, where a sample more is worth most (Cochran's rule); kl = KL(x || real) in
    nats on the kept bins, each side summing to 1 there; outside = the share of x in no kept bin,
    which chi2 and kl do not see. The authors take n = m = 1,048,576, 280 bins (width .5; 1400 in
    their plots) and fresh real samples.

    Floors: two independent draws of one density give chi2 of about 1,048,576 (1/n + 1/m) times the
    number of kept bins, so 2 a bin at the authors' n, and kl of about (1/n + 1/m) / 2 times that
    number; less where bins hold few samples. Without one sample in a kept bin, kl is -log of the
    least kept share, its maximum.
    """
    generated, true = (histogram(values, low, high, bins) for values in (x, real))
    kept = true > 0
    generated = jnp.where(kept, generated, 0)
    g, r = generated * (SAMPLES / len(x)), true * (SAMPLES / len(real))
    terms = jnp.where(kept, (g - r) ** 2 / jnp.where(kept, r, 1), 0)
    chi2 = terms.sum()
    return {
        "chi2": chi2,
        "chi2_rare": jnp.where(true < 5, terms, 0).sum() / jnp.where(chi2 > 0, chi2, 1),
        "kl": divergence(generated, true / jnp.maximum(true.sum(), 1)),
        "outside": (len(x) - generated.sum()) / len(x),
    }


def histogram(
    x: Float[Array, " n"], low: Array | float, high: Array | float, bins: int
) -> Int[Array, " bins"]:
    """Counts of x in equal bins from low to high; what lies outside, or is not a number, does not
    count.
    """
    inside = (x >= low) & (x < high)
    place = jnp.floor(jnp.where(inside, (x - low) / (high - low) * bins, 0)).astype(jnp.int32)
    return counts(jnp.minimum(place, bins - 1), inside, bins)


def counts(index: Int[Array, " n"], kept: Bool[Array, " n"], length: int) -> Int[Array, " length"]:
    """How often each of 0 … length - 1 is in index where kept is true."""
    return jnp.bincount(jnp.where(kept, index, length), length=length + 1)[:length]


def divergence(count: Int[Array, " M"], weight: Float[Array, " M"]) -> Float[Array, ""]:
    """KL(count / its sum || weight) in nats, for a count that is zero where weight is; without any
    count, the maximum of KL.
    """
    total = count.sum()
    kl = rel_entr(count / jnp.maximum(total, 1), weight).sum()
    return jnp.where(total > 0, kl, -jnp.log(jnp.where(weight > 0, weight, 1).min()))


def measure(mixture: Mixture, x: Float[Array, "n d"], key: Array) -> dict[str, Array]:
    """The metrics that an experiment logs: modes, quality, kl; for d = 1 also chi2, chi2_rare and
    outside.

    For d = 1 all but the first two are those of `histogram_divergences` with as many real samples,
    drawn by key, and 56 bins a mode within `bounds`; otherwise kl is `mode_kl`.
    """
    if mixture.dim > 1:
        return coverage(mixture, x) | {"kl": mode_kl(mixture, x)}
    real = mixture.draw(key, len(x))[:, 0]
    return coverage(mixture, x) | histogram_divergences(
        x[:, 0], real, *bounds(mixture), bins=BINS_PER_MODE * mixture.modes
    )
