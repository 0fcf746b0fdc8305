"""Payoffs compared: the same nets and steps under each thing that D and G may minimise.

Minimax and non-saturating (Goodfellow et al. 2014), least squares (Mao et al. 2017), hinge (Lim and Ye 2017), Wasserstein with a gradient
penalty (Gulrajani et al. 2017), relativistic with R1 and R2 (Huang et al. 2024). Nets and data as in the toy of the WGAN-GP authors: three
hidden layers of 512, z of 2; every payoff has one turn of each player a step, Adam with beta1 .5 (0 for the last two).

    ganjax reproduce payoffs/ring
"""

from functools import partial
from typing import Any, Literal

import jax
import optax
from jax import Array, random

from ganjax import cli, penalties
from ganjax import data as sets
from ganjax import experiment as ex
from ganjax.experiment import Experiment, Table
from ganjax.game import Bound, Game, Player
from ganjax.losses import PAYOFFS, Payoff
from ganjax.metrics import protocols
from ganjax.nets import MLP

QUICK = {"width": 64, "steps": 300}
ROWS = {
    "minimax": {},
    "non-saturating": {},
    "least-squares": {},
    "hinge": {},
    "wasserstein": {"gp": 0.1},
    "relativistic": {"r1": 0.1, "r2": 0.1},
}
TABLES = {
    data: Table(
        rows={name: {"payoff": name, "data": data, **more} for name, more in ROWS.items()},
        columns=("modes", "quality", "kl", "p_real", "p_fake"),
        seeds=5,
        note="Equal nets, steps and rates; one rate and one weight of the penalties for all, none tuned.",
    )
    for data in ("ring", "grid")
}


def losses(batch: Any, key: Array, *, G: Bound, D: Bound, payoff: Payoff, gp: float, r1: float, r2: float) -> dict[str, Array]:
    """The payoff's pair on scores, and what keeps D flat: gp E(‖∇D‖ - 1)² between samples, r1/2 E‖∇D(x)‖², r2/2 E‖∇D(G(z))‖²."""
    noise_key, between_key = random.split(key)
    x = batch["x"]  # [B, D]
    fake = G(G.noise(noise_key, len(x)))
    real_score, fake_score = D(x), D(fake)  # [B]
    cost = payoff.d(real_score, fake_score).mean()
    if gp:
        cost = cost + gp * penalties.wgan_gp(D, x, fake, between_key).mean()
    if r1:
        cost = cost + r1 / 2 * penalties.squared_norm(D, x).mean()
    if r2:
        cost = cost + r2 / 2 * penalties.squared_norm(D, fake).mean()
    p = jax.nn.sigmoid(real_score).mean(), jax.nn.sigmoid(fake_score).mean()
    return {"D": cost, "G": payoff.g(fake_score, real_score).mean(), "p_real": p[0], "p_fake": p[1]}


def game(dim: int, payoff: str, gp: float, r1: float, r2: float, width: int, z: int, batch: int, lr: float) -> Game:
    """Dense nets; payoffs on unbounded critics do without momentum, as their papers."""
    adam = optax.adam(lr, b1=0.0 if payoff in ("wasserstein", "relativistic") else 0.5, b2=0.9)
    players = {"G": Player(MLP((width,) * 3, (dim,)), adam, (z,), ema=0.999), "D": Player(MLP((width,) * 3), adam, (dim,))}
    rule = partial(losses, payoff=PAYOFFS[payoff], gp=gp, r1=r1, r2=r2)
    return Game(players, rule, [["D"], ["G"]], partial(sets.draw, n=batch))


def sample(key: Array, n: int, *, G: Bound) -> Array:
    """What the averaged G makes, [n, dim]."""
    return G(G.noise(key, n))


def measure(data: Any, key: Array, *, G: Bound) -> dict[str, Array]:
    """Modes, quality and divergences of 2^14 samples."""
    return protocols.measure(data, sample(key, 2**14, G=G), key)


def judge(data: Any, key: Array, *, G: Bound) -> dict[str, float]:
    """The same by the full protocol."""
    return protocols.judge(data, sample, key, G=G)


def experiment(
    data: Literal["ring", "grid", "spiral", "mixture1d", "mixture1d_20", "ring_imbalanced"] = "ring",
    payoff: Literal["minimax", "non-saturating", "least-squares", "hinge", "wasserstein", "relativistic"] = "non-saturating",
    gp: float = 0.0,
    r1: float = 0.0,
    r2: float = 0.0,
    width: int = 512,
    z: int = 2,
    batch: int = 256,
    lr: float = 1e-4,
    steps: int = 10_000,
) -> Experiment:
    """One payoff on a mixture.

    data: a mixture
    payoff: what D and G minimise
    gp: weight of the gradient penalty between real and fake samples
    r1: weight of the squared gradient at real samples
    r2: weight of the squared gradient at fakes
    width: units of a hidden layer
    z: entries of the noise
    batch: real samples a step
    lr: learning rate of Adam
    steps: steps of training
    """
    ex.positive(width=width, z=z, batch=batch, lr=lr, steps=steps)
    ex.positive(zero=True, gp=gp, r1=r1, r2=r2)
    found = sets.points_or_images(data)
    played = game(found.shape[0], payoff, gp, r1, r2, width, z, batch, lr)
    return Experiment(played, found.load(), steps, sample, measure, judge)


if __name__ == "__main__":
    cli.script()
