"""Tiny: a line of one slope against a small judge, seconds from start to end; what the tests of the
command line play.

ganjax run tests/tiny.py
"""

from functools import partial
from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from ganjax import cli
from ganjax import data as sets
from ganjax import experiment as ex
from ganjax.experiment import Experiment, Table
from ganjax.game import Bound, Game, Player
from ganjax.losses import PAYOFFS, Payoff
from ganjax.nets import MLP

QUICK = {"steps": 4, "width": 2}
TABLES = {
    "pair": Table(
        rows={"narrow": {"width": 2, "steps": 4}, "wide": {"steps": 4}}, columns=("slope", "spread")
    )
}


def losses(
    batch: Any, key: Array, *, G: Bound, D: Bound, payoff: Payoff, steep: float
) -> dict[str, Array]:
    """A payoff, and for G a fourth power of its slope: down this, SGD diverges from where the slope
    is large.
    """
    x = batch["x"]
    real_score, fake_score = D(x), D(G(G.noise(key, len(x))))  # [B]
    wall = steep * slope(G) ** 4
    return {
        "D": payoff.d(real_score, fake_score).mean(),
        "G": payoff.g(fake_score, real_score).mean() + wall,
        "wall": wall,
    }


def slope(G: Bound) -> Array:
    """The one weight of G."""
    return jnp.sum(G.params["kernel"])


def game(payoff: Payoff, steep: float, width: int, lr: float, averaged: bool) -> Game:
    """G is a line, D has one hidden layer."""
    G = Player(nn.Dense(1), optax.sgd(lr), (1,), ema=0.5 if averaged else 0.0)
    D = Player(MLP((width,), ()), optax.adam(lr), (1,))
    return Game(
        {"G": G, "D": D},
        partial(losses, payoff=payoff, steep=steep),
        [["D"], ["G"]],
        partial(sets.draw, n=8),
    )


def sample(key: Array, n: int, *, G: Bound) -> Array:
    """n samples, [n, 1]."""
    return G(G.noise(key, n))


def measure(data: Any, key: Array, *, G: Bound) -> dict[str, Array]:
    """The slope of G, and the spread of 64 samples."""
    return {"slope": slope(G), "spread": sample(key, 64, G=G).std()}


def judge(data: Any, key: Array, *, G: Bound) -> dict[str, float]:
    """Where the line is at 0."""
    return {"mean": np.asarray(G.params["bias"]).item()}


def experiment(
    payoff: Literal["non-saturating", "hinge"] = "non-saturating",
    steep: float = 0.0,
    width: int = 4,
    lr: float = 0.1,
    averaged: bool = False,
    note: str | None = None,
    steps: int = 20,
) -> Experiment:
    """Numbers around 2.

    payoff: what D and G minimise
    steep: weight of the wall
    width: units of D
    lr: learning rate
    averaged: keep an average of G
    note: changes nothing, 100 % ignored
    steps: steps of training
    """
    ex.positive(width=width, lr=lr, steps=steps)
    data = {"x": np.random.default_rng(0).normal(2, 1, (256, 1)).astype(np.float32)}
    return Experiment(
        game(PAYOFFS[payoff], steep, width, lr, averaged), data, steps, sample, measure, judge
    )


if __name__ == "__main__":
    cli.script()
