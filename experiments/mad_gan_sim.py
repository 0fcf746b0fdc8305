"""MAD-GAN-Sim: k generators that are pushed apart where D finds their samples similar.

Ghosh et al. 2018, "Multi-Agent Diverse Generative Adversarial Networks", appendix: G_i shall have
D(G_i(z)) >= D(G_j(z)) + Δ_ij, where Δ_ij is the similarity of G_i(z) and G_j(z). What is missing,
on average over j, is added to the generators' loss of a binary GAN. The paper leaves the
similarity to the user. Here it is the cosine of the authors' code (compete_avg_gen_n_alter.lua)
between features of D's last hidden layer, for points too: on a line two samples differ in their
sign alone. As in that code the scores and features of the other generators are constants to G_i.
Unlike there, G_i descends its own part of Δ_ij, of which that code has no gradient. Real and
generated samples weigh the same, and G moves on the samples that D has just seen, as in that code.
Nets, noise and rates are those of `mad_gan`.

    ganjax run mad_gan_sim --quick
    ganjax reproduce mad_gan_sim/ring
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax.numpy as jnp
import optax
from jax import Array
from jax.lax import stop_gradient
from jax.nn import relu, sigmoid
from jax.nn import softplus as sp

from ganjax import Game, Player, cli
from ganjax.data import draw
from ganjax.experiment import Experiment, ImageOptions, Table, option, with_defaults
from ganjax.game import Bound
from ganjax.nets import mad_gan
from ganjax.protocols.teams import evaluate, measure, sample

QUICK: dict[str, Any] = {
    "data": "ring", "k": 8, "width": 64, "batch": 64, "lr": 1e-3, "beta1": 0.0, "steps": 2000,
}  # fmt: skip
ROWS: dict[str, dict[str, Any]] = {
    "GAN": {"experiment": "mad_gan", "k": 1},
    "MA-GAN": {"lam": 0.0},
    "MAD-GAN": {"experiment": "mad_gan"},
    "MAD-GAN-Sim, lam = 0.1": {"lam": 0.1},
    "MAD-GAN-Sim, lam = 1": {"lam": 1.0},
}
TABLES = {
    "ring": Table(
        rows={row: QUICK | own for row, own in ROWS.items()},
        columns=("modes", "quality", "kl", "similarity"),
        seeds=3,
        note="Equal hidden layers, steps and rates; similarity: mean cosine between the features "
        "of two generators in the last batch.",
    )
}


@dataclass(frozen=True)
class Options:
    """MAD-GAN's toy; its image nets where images have 32 or 64 pixels."""

    images: ImageOptions = ImageOptions("mixture1d")
    k: int = option(4, "generators", low=2)
    lam: float = option(1.0, "weight of what a generator lacks (the authors' code: 1e-4)", low=0)
    width: int = option(None, "units of a hidden layer (128; image nets 64)", above=0)
    z: int = option(None, "entries of the noise (64; image nets 100)", above=0)
    batch: int = option(None, "real samples a step, and each G's (128; image nets 64)", above=0)
    lr: float = option(None, "learning rate of Adam (1e-4; image nets 2e-4)", above=0)
    beta1: float = option(0.5, "Adam's momentum", low=0, below=1)
    steps: int = option(None, "steps of training (200000; image nets 20000)", above=0)


def similarity(f: Array) -> Array:
    """Δ_ij, the cosine between features of generators i and j: [B, k, ...] -> [B, k, k].

    The features of j are constants.
    """
    f = f.reshape(*f.shape[:2], -1)
    return optax.cosine_similarity(f[:, :, None], stop_gradient(f)[:, None], epsilon=1e-12)


def shortfall(p: Array, alike: Array) -> Array:
    """max(0, mean over j != i of p_j + Δ_ij - p_i), what generator i lacks, [B, k].

    p: D's probabilities, [B, k]. alike: Δ, [B, k, k].
    """
    others = 1 - jnp.eye(p.shape[-1])
    missing = stop_gradient(p)[..., None, :] + alike - p[..., None]  # [B, i, j]
    return relu((missing * others).sum(-1) / others.sum(-1))


def losses(batch: Any, key: Array, *, G: Bound, D: Bound, lam: float) -> dict[str, Array]:
    """A binary GAN; G_i minimises -log D(G_i(z)), and lam times what it lacks."""
    x = batch["x"]  # [B, ...]
    fake = G(G.noise(key, len(x), each=False))  # [B, k, ...], of the same z
    real_score = D(x)  # [B]
    fake_score = D(fake)  # [B, k]
    alike = similarity(D(fake, method="features")[-1])  # [B, k, k]
    short = shortfall(sigmoid(fake_score), alike)  # [B, k]
    return {
        "D": sp(-real_score).mean() + sp(fake_score).mean(),
        "G": (sp(-fake_score) + lam * short).mean(0).sum(),
        "similarity": (alike.sum((-2, -1)) - G.n).mean() / (G.n * (G.n - 1)),
        "short": short.mean(),
    }


def game(shape: tuple[int, ...], o: Options) -> Game:
    """MAD-GAN's nets; D has a single logit."""
    adam = optax.adam(o.lr, b1=o.beta1)
    net, shared, prior = mad_gan.generator(shape, o.width)
    players = {
        "G": Player(net, adam, (o.z,), n=o.k, shared=shared, prior=prior),
        "D": Player(mad_gan.critic(shape, o.width), adam, shape),
    }
    return Game(players, partial(losses, lam=o.lam), [["D"], ["G"]], partial(draw, n=o.batch))


def experiment(o: Options) -> Experiment:
    """MAD-GAN-Sim on any mixture or set of images."""
    dataset = o.images.find()
    o = with_defaults(o, **mad_gan.default_options(dataset.shape))
    last = partial(evaluate, name=o.images.data, data_dir=o.images.form.data_dir)
    return Experiment(
        partial(game, dataset.shape), o, dataset.load(), sample, measure, evaluate=last
    )


if __name__ == "__main__":
    cli.script()
