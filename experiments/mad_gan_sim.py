"""MAD-GAN-Sim: k generators that are pushed apart by how alike D finds their samples, against one
plain discriminator.

Ghosh et al. 2018, "Multi-Agent Diverse Generative Adversarial Networks", appendix: G_i shall have
D(G_i(z)) >= D(G_j(z)) + Δ_ij, with Δ_ij the similarity of G_i(z) and G_j(z); what is missing, on
average over j, is added to the generators' loss of a binary GAN. The similarity is left to the
user. Here it is the authors' cosine (compete_avg_gen_n_alter.lua) between features of D's last
hidden layer, on points too: on a line samples themselves differ in sign alone. The others' scores
and features are constants to G_i, as in that code; G_i descends its own part of Δ_ij, of which the
code has no gradient. Nets, noise and rates are those of `mad_gan`.

    ganjax run mad_gan_sim --quick
    ganjax reproduce mad_gan_sim/ring
"""

from functools import partial
from typing import Any

import jax.numpy as jnp
import optax
from jax import Array
from jax.lax import stop_gradient
from jax.nn import relu, sigmoid
from jax.nn import softplus as sp

from ganjax import cli
from ganjax import data as sets
from ganjax import experiment as ex
from ganjax.experiment import Experiment, Table
from ganjax.game import Bound, Game, Player
from ganjax.nets import mad_gan
from ganjax.protocols.teams import evaluate, measure, sample

QUICK: dict[str, Any] = {
    "data": "ring",
    "k": 8,
    "width": 64,
    "batch": 64,
    "lr": 1e-3,
    "beta1": 0.0,
    "steps": 2000,
}
OTHERS: dict[str, Any] = {
    "GAN": {"experiment": "mad_gan", "k": 1},
    "MA-GAN": {"lam": 0.0},
    "MAD-GAN": {"experiment": "mad_gan"},
}
ROWS = OTHERS | {f"MAD-GAN-Sim, lam = {lam:g}": {"lam": lam} for lam in (0.1, 1.0)}
NOTE = "Equal hidden layers, steps and rates; similarity: mean cosine between the features of two generators in the last batch."
TABLES = {
    "ring": Table(
        {row: QUICK | own for row, own in ROWS.items()},
        ("modes", "quality", "kl", "similarity"),
        seeds=3,
        note=NOTE,
    )
}


def similarity(f: Array) -> Array:
    """Δ_ij, the cosine between the features of generators i and j, which to i is a constant: [B, k,
    ...] -> [B, k, k].
    """
    f = f.reshape(*f.shape[:2], -1)
    return optax.cosine_similarity(f[:, :, None], stop_gradient(f)[:, None], epsilon=1e-12)


def shortfall(p: Array, alike: Array) -> Array:
    """max(0, mean over j != i of p_j + Δ_ij - p_i), 0 where i does what it shall: [B, k]
    probabilities, [B, k, k] -> [B, k].
    """
    others = 1 - jnp.eye(p.shape[-1])
    missing = stop_gradient(p)[..., None, :] + alike - p[..., None]  # [B, i, j]
    return relu((missing * others).sum(-1) / others.sum(-1))


def losses(batch: Any, key: Array, *, G: Bound, D: Bound, lam: float) -> dict[str, Array]:
    """D tells real samples from made ones; G_i minimises -log D(G_i(z)) and, lam times, what it
    falls short of its rivals.
    """
    x = batch["x"]  # [B, ...]
    fake = G(G.noise(key, len(x), each=False))  # [B, k, ...], of the same z
    real_score, fake_score = D(x), D(fake)  # [B], [B, k]
    alike = similarity(D(fake, method="features")[-1])  # [B, k, k]
    short = shortfall(sigmoid(fake_score), alike)  # [B, k]
    costs = {
        "D": sp(-real_score).mean() + sp(fake_score).mean(0).sum(),
        "G": (sp(-fake_score) + lam * short).mean(0).sum(),
    }
    return {
        **costs,
        "similarity": (alike.sum((-2, -1)) - G.n).mean() / (G.n * (G.n - 1)),
        "short": short.mean(),
    }


def game(
    shape: tuple[int, ...],
    k: int,
    lam: float,
    width: int,
    z: int,
    batch: int,
    lr: float,
    beta1: float,
) -> Game:
    """MAD-GAN's nets, D with a single logit."""
    adam, (generator, shared, prior) = optax.adam(lr, b1=beta1), mad_gan.generator(shape, width)
    G = Player(generator, adam, (z,), n=k, shared=shared, prior=prior)
    D = Player(mad_gan.critic(shape, width), adam, shape)
    return Game(
        {"G": G, "D": D}, partial(losses, lam=lam), [["D"], ["G"]], partial(sets.draw, n=batch)
    )


def experiment(
    data: str = "mixture1d",
    data_dir: str | None = None,
    size: int | None = None,
    k: int = 4,
    lam: float = 1.0,
    width: int | None = None,
    z: int | None = None,
    batch: int | None = None,
    lr: float | None = None,
    beta1: float = 0.5,
    steps: int | None = None,
) -> Experiment:
    """MAD-GAN's toy, on any mixture or set of images; its image nets where images have 32 or 64 px.

    data: a mixture, digits, another set of images, or a path
    data_dir: where prepared sets are
    size: pixels of a side that images are resized to; otherwise they stay as they are
    k: generators, 2 or more
    lam: weight of what a generator falls short of its rivals (the authors' code: 1e-4)
    width: units of a hidden layer (128); channels of the last hidden layer of an image net (64)
    z: entries of the noise (64; image nets 100)
    batch: real samples a step, and samples of each generator (128; image nets 64)
    lr: learning rate of Adam (1e-4; image nets 2e-4)
    beta1: Adam's momentum
    steps: steps of training (200000; image nets 20000)
    """
    ex.positive(k=k, width=width, z=z, batch=batch, lr=lr, steps=steps)
    ex.positive(zero=True, lam=lam)
    if k < 2:
        raise ValueError(f"a generator needs a rival: k must be 2 or more; got {k}")
    if not 0 <= beta1 < 1:
        raise ValueError(f"beta1 is a decay from 0 up to 1, not {beta1}")
    found = sets.points_or_images(data, data_dir, size=size)
    usual, rate = (
        ((64, 100, 64, 20_000), 2e-4)
        if mad_gan.is_convolutional(found.shape)
        else ((128, 64, 128, 200_000), 1e-4)
    )
    width, z, batch, steps = (given or one for given, one in zip((width, z, batch, steps), usual))
    played = game(found.shape, k, lam, width, z, batch, lr or rate, beta1)
    return Experiment(
        played,
        found.load(),
        steps,
        sample,
        measure,
        partial(evaluate, name=data, data_dir=data_dir),
    )


if __name__ == "__main__":
    cli.script()
