"""Payoffs compared: the same nets and steps under each thing that D and G may minimise.

Minimax and non-saturating (Goodfellow et al. 2014), least squares (Mao et al. 2017), hinge (Lim and
Ye 2017), Wasserstein with a gradient penalty (Gulrajani et al. 2017), relativistic with R1 and R2
(Huang et al. 2024). Mixtures have the nets and data of the toy of the WGAN-GP authors: three hidden
layers of 512, z of 2. Images have DCGAN's, without batch norm in D, as penalties look at single
samples.

    ganjax reproduce payoffs/ring
"""

from functools import partial
from typing import Any, Literal

import optax
from jax import Array, nn, random

from ganjax import cli, penalties
from ganjax import data as sets
from ganjax import experiment as ex
from ganjax.experiment import Experiment, Table
from ganjax.game import Bound, Game, Player
from ganjax.losses import PAYOFFS, Payoff
from ganjax.metrics import stacked_mnist
from ganjax.nets import MLP, dcgan
from ganjax.protocols import classifier, standard

QUICK = {"width": 64, "steps": 300}
ROWS: dict[str, dict[str, Any]] = {
    "minimax": {},
    "non-saturating": {},
    "least-squares": {},
    "hinge": {},
}
POINTS = ROWS | {"wasserstein": {"gp": 0.1}, "relativistic": {"r1": 0.1, "r2": 0.1}}
IMAGES = ROWS | {
    "wasserstein": {"gp": 10},
    "relativistic": {"r1": 1, "r2": 1},
    "non-saturating, R1": {"payoff": "non-saturating", "r1": 1},
}
TABLES = {
    data: Table(
        rows={name: {"payoff": name, "data": data, **more} for name, more in POINTS.items()},
        columns=("modes", "quality", "kl", "p_real", "p_fake"),
        seeds=5,
        note="Equal nets, steps and rates; one rate and one weight of the penalties for all, none tuned.",
    )
    for data in ("ring", "grid")
}
TABLES["stacked"] = Table(
    {
        name: {
            "payoff": name,
            "data": "stacked_mnist",
            "size": 32,
            "width": 32,
            "steps": 4000,
            **more,
        }
        for name, more in IMAGES.items()
    },
    columns=("modes", "kl"),
    seeds=2,
    anchors=partial(classifier.training_images, name="stacked_mnist", size=32),
    note="Equal nets, steps and rates; penalties not tuned. 25,600 samples, named by a classifier of ours.",
)


def losses(
    batch: Any, key: Array, *, G: Bound, D: Bound, payoff: Payoff, gp: float, r1: float, r2: float
) -> dict[str, Array]:
    """The payoff's pair on scores, and what keeps D flat: gp E(‖∇D‖ - 1)² between samples, r1/2
    E‖∇D(x)‖², r2/2 E‖∇D(G(z))‖².
    """
    noise_key, between_key = random.split(key)
    x = batch["x"]  # [B, ...]
    fake = G(G.noise(noise_key, len(x)))
    real_score, fake_score = D(x), D(fake)  # [B]
    cost = payoff.d(real_score, fake_score).mean()
    if gp:
        cost = cost + gp * penalties.wgan_gp(D, x, fake, between_key).mean()
    if r1:
        cost = cost + r1 / 2 * penalties.squared_norm(D, x).mean()
    if r2:
        cost = cost + r2 / 2 * penalties.squared_norm(D, fake).mean()
    p = nn.sigmoid(real_score).mean(), nn.sigmoid(fake_score).mean()
    return {"D": cost, "G": payoff.g(fake_score, real_score).mean(), "p_real": p[0], "p_fake": p[1]}


def game(
    shape: tuple[int, ...],
    payoff: str,
    gp: float,
    r1: float,
    r2: float,
    width: int,
    z: int,
    batch: int,
    lr: float,
) -> Game:
    """One turn of each player a step; payoffs on unbounded critics do without momentum, as their
    papers.
    """
    adam = optax.adam(
        lr,
        0.0 if payoff in ("wasserstein", "relativistic") else 0.5,
        b2=0.9 if len(shape) == 1 else 0.999,
    )
    points = MLP((width,) * 3, shape), MLP((width,) * 3)
    makes, judges = (
        points
        if len(shape) == 1
        else (dcgan.Generator(shape, width, 4), dcgan.Discriminator(width, 4, norm=False))
    )
    players = {"G": Player(makes, adam, (z,), ema=0.999), "D": Player(judges, adam, shape)}
    return Game(
        players,
        partial(losses, payoff=PAYOFFS[payoff], gp=gp, r1=r1, r2=r2),
        [["D"], ["G"]],
        partial(sets.draw, n=batch),
    )


def sample(key: Array, n: int, *, G: Bound) -> Array:
    """What the averaged G makes, [n, *shape]; images in 0..1."""
    x = G(G.noise(key, n))
    return x if x.ndim < 4 else (x + 1) / 2


def measure(data: Any, key: Array, *, G: Bound) -> dict[str, Array]:
    """Modes, quality and divergences of 2^14 samples, on a mixture."""
    return standard.measure(data, sample(key, 2**14, G=G), key)


def evaluate(
    data: Any, key: Array, *, G: Bound, name: str, data_dir: str | None
) -> dict[str, float]:
    """The same by the full protocol; of three digits the modes that a classifier finds; of other
    images what nearest neighbours say.
    """
    if name not in classifier.LABELS:
        return standard.evaluate(data, sample, key, G=G)
    x = standard.draw_samples(sample, key, stacked_mnist.MADGAN_SAMPLES, G=G)
    return classifier.mode_coverage(name, data_dir, x)


def experiment(
    data: str = "ring",
    data_dir: str | None = None,
    size: int | None = None,
    payoff: Literal[
        "minimax", "non-saturating", "least-squares", "hinge", "wasserstein", "relativistic"
    ] = "non-saturating",
    gp: float = 0.0,
    r1: float = 0.0,
    r2: float = 0.0,
    width: int | None = None,
    z: int | None = None,
    batch: int | None = None,
    lr: float | None = None,
    steps: int = 10_000,
) -> Experiment:
    """One payoff on a mixture, or on images whose sides are 8, 16, 32, 64 or more powers of two.

    data: a mixture, digits, another set of images, or a path
    data_dir: where prepared sets are
    size: pixels of a side that images are resized to; otherwise they stay as they are
    payoff: what D and G minimise
    gp: weight of the gradient penalty between real and fake samples
    r1: weight of the squared gradient at real samples
    r2: weight of the squared gradient at fakes
    width: units of a hidden layer (512); of image nets the channels of the widest maps (64)
    z: entries of the noise (2; image nets 100)
    batch: real samples a step (256; image nets 64)
    lr: learning rate of Adam (1e-4; image nets 2e-4)
    steps: steps of training
    """
    ex.positive(width=width, z=z, batch=batch, lr=lr, steps=steps)
    ex.positive(zero=True, gp=gp, r1=r1, r2=r2)
    found = sets.points_or_images(data, data_dir, size=size)
    if not (dense := len(found.shape) == 1):
        dcgan.halvings(found.shape[:-1])
    width, z, batch = (
        width or (512 if dense else 64),
        z or (2 if dense else 100),
        batch or (256 if dense else 64),
    )
    played = game(found.shape, payoff, gp, r1, r2, width, z, batch, lr or (1e-4 if dense else 2e-4))
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
