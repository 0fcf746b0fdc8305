"""Payoffs compared: the same nets and steps under each payoff of D and G.

Minimax and non-saturating (Goodfellow et al. 2014), least squares (Mao et al. 2017), hinge (Lim and
Ye 2017), Wasserstein with a gradient penalty (Gulrajani et al. 2017), relativistic with R1 and R2
(Huang et al. 2024). Mixtures have the nets, first weights and data of the WGAN-GP authors' toy
(gan_toy.py); images DCGAN's nets, without batch norm in D, as penalties look at single samples.
Adam's beta1 is .5, and 0 for the relativistic payoff, as its authors', and for Wasserstein on
images (the paper's algorithm 1, recalled; the authors' MNIST file has .5). beta2 is the toy's .9 on
mixtures, .999 on images. Every turn draws its own batch and noise; an averaged G is sampled (ours).

    ganjax reproduce payoffs/ring
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import flax.linen as nn
import optax
from jax import Array

from ganjax import Game, Player, cli, penalties
from ganjax.data import draw
from ganjax.experiment import Experiment, ImageOptions, Table, option, with_defaults
from ganjax.game import Bound
from ganjax.keys import stream
from ganjax.losses import PAYOFFS
from ganjax.metrics import stacked_mnist
from ganjax.nets import MLP, dcgan
from ganjax.protocols import classifier, standard

QUICK = {"payoff": "relativistic", "r1": 0.1, "r2": 0.1, "width": 64, "lr": 1e-3, "steps": 6000}


def rows(gp: float, r: float, **data: Any) -> dict[str, dict[str, Any]]:
    """A row for each payoff, with the weights of its penalties."""
    weights = {"wasserstein": {"gp": gp}, "relativistic": {"r1": r, "r2": r}}
    return {name: {"payoff": name, **data, **weights.get(name, {})} for name in PAYOFFS}


STACKED = {"data": "stacked_mnist", "size": 32, "width": 32, "steps": 4000}
NOTE = (
    "Equal nets, rates and turns of G; Wasserstein's D has five turns a step, as its authors'. "
    "One weight of the penalties for all, not tuned."
)
TABLES = {
    data: Table(
        rows(0.1, 0.1, data=data), ("modes", "quality", "kl", "p_real", "p_fake"), 5, note=NOTE
    )
    for data in ("ring", "grid")
} | {
    "stacked": Table(
        rows=rows(10, 1, **STACKED)
        | {"non-saturating, R1": {"payoff": "non-saturating", "r1": 1, **STACKED}},
        columns=("modes", "kl"), seeds=2,
        anchors=partial(classifier.training_images, name="stacked_mnist", size=32),
        note=NOTE + " 25,600 samples, named by a classifier of ours.",
    )
}  # fmt: skip


@dataclass(frozen=True)
class Options:
    """One payoff on a mixture, or on images whose sides are 8, 16, 32, 64 or more powers of two."""

    images: ImageOptions = ImageOptions("ring")
    payoff: Literal[
        "minimax", "non-saturating", "least-squares", "hinge", "wasserstein", "relativistic"
    ] = option("non-saturating", "what D and G minimise")
    k: int = option(None, "turns of D a step (1; wasserstein 5)", above=0)
    gp: float = option(0.0, "weight of the gradient penalty between real and fake samples", low=0)
    r1: float = option(0.0, "weight of the squared gradient at real samples", low=0)
    r2: float = option(0.0, "weight of the squared gradient at fakes", low=0)
    width: int = option(None, "units of a hidden layer (512); image nets: channels (64)", above=0)
    z: int = option(None, "entries of the noise (2; image nets 100)", above=0)
    batch: int = option(None, "real samples a step (256; image nets 64)", above=0)
    lr: float = option(None, "learning rate of Adam (1e-4; image nets 2e-4)", above=0)
    steps: int = option(10_000, "steps of training", above=0)


def losses(batch: Any, key: Array, *, G: Bound, D: Bound, o: Options) -> dict[str, Array]:
    """The payoff; for D gp E(‖∇D‖ - 1)² between samples, r1/2 E‖∇D(x)‖² and r2/2 E‖∇D(G(z))‖²."""
    payoff = PAYOFFS[o.payoff]
    x = batch["x"]  # [B, ...]
    fake = G(G.noise(key, len(x)))
    real_score = D(x)  # [B]
    fake_score = D(fake)
    cost = payoff.d(real_score, fake_score).mean()
    if o.gp:
        cost = cost + o.gp * penalties.wgan_gp(D, x, fake, stream(key, "between")).mean()
    if o.r1:
        cost = cost + o.r1 / 2 * penalties.squared_norm(D, x).mean()
    if o.r2:
        cost = cost + o.r2 / 2 * penalties.squared_norm(D, fake).mean()
    p_real, p_fake = nn.sigmoid(real_score).mean(), nn.sigmoid(fake_score).mean()
    g = payoff.g(fake_score, real_score).mean()
    return {"D": cost, "G": g, "p_real": p_real, "p_fake": p_fake}


def game(shape: tuple[int, ...], o: Options) -> Game:
    """The nets of the WGAN-GP authors' toy on points, DCGAN's on images."""
    points = len(shape) == 1
    momentum = o.payoff != "relativistic" and (points or o.payoff != "wasserstein")
    adam = optax.adam(o.lr, 0.5 if momentum else 0.0, 0.9 if points else 0.999)
    nets: tuple[nn.Module, nn.Module]
    if points:
        he, glorot = nn.initializers.he_uniform(), nn.initializers.glorot_uniform()
        net = partial(MLP, (o.width,) * 3, kernel_init=he, last_init=glorot)
        nets = net(shape), net()
    else:
        nets = dcgan.Generator(shape, o.width, 4), dcgan.Discriminator(o.width, 4, norm=False)
    players = {"G": Player(nets[0], adam, (o.z,), ema=0.999), "D": Player(nets[1], adam, shape)}
    turns = [["D"]] * o.k + [["G"]]
    return Game(players, partial(losses, o=o), turns, partial(draw, n=o.batch), fresh="turn")


def sample(key: Array, n: int, *, G: Bound) -> Array:
    """Samples of the averaged G, [n, *shape]; images in 0..1."""
    x = G(G.noise(key, n))
    return x if x.ndim < 4 else (x + 1) / 2


def measure(data: Any, key: Array, *, G: Bound) -> dict[str, Array]:
    """Modes, quality and divergences of 2^14 samples, on a mixture."""
    return standard.measure(data, sample(key, 2**14, G=G), key)


def evaluate(data: Any, key: Array, *, G: Bound, images: ImageOptions) -> dict[str, float]:
    """By the full protocol; of stacked digits the modes that a classifier finds."""
    if images.data not in classifier.LABELS:
        return standard.evaluate(data, sample, key, G=G)
    x = standard.draw_samples(sample, key, stacked_mnist.MADGAN_SAMPLES, G=G)
    return classifier.mode_coverage(images.data, images.form.data_dir, x)


def experiment(o: Options) -> Experiment:
    """One payoff on any mixture or set of images."""
    dataset = o.images.find()
    o = with_defaults(o, k=5 if o.payoff == "wasserstein" else 1)
    if len(dataset.shape) == 1:
        o = with_defaults(o, width=512, z=2, batch=256, lr=1e-4)
    else:
        dcgan.halvings(dataset.shape[:-1])
        o = with_defaults(o, width=64, z=100, batch=64, lr=2e-4)
    last = partial(evaluate, images=o.images)
    return Experiment(partial(game, dataset.shape), o, dataset.load(), sample, measure, last)


if __name__ == "__main__":
    cli.script()
