"""Tiny: a line of one slope against a small discriminator, for tests of the command line.

ganjax run tests/tiny.py
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, random

from ganjax import cli
from ganjax.data import draw
from ganjax.experiment import Experiment, Table, option
from ganjax.game import Bound, Game, Player
from ganjax.keys import stream
from ganjax.losses import PAYOFFS
from ganjax.nets import MLP

QUICK = {"steps": 4, "width": 2}
TABLES = {
    "pair": Table(
        rows={"narrow": {"width": 2, "steps": 4}, "wide": {"steps": 4}}, columns=("slope", "spread")
    )
}


@dataclass(frozen=True)
class Options:
    payoff: Literal["non-saturating", "hinge"] = option("non-saturating", "what D and G minimise")
    steep: float = option(0.0, "weight of the wall")
    risk: float = option(0.0, "how often, of 1, the gradient of G is not finite, its loss is")
    width: int = option(4, "units of D", above=0)
    lr: float = option(0.1, "learning rate", above=0)
    averaged: bool = option(False, "keep an average of G")
    note: str | None = option(None, "changes nothing, 100 % ignored")
    steps: int = option(20, "steps of training", above=0)


def losses(batch: Any, key: Array, *, G: Bound, D: Bound, o: Options) -> dict[str, Array]:
    """A payoff, and for G a fourth power of its slope: down this, SGD diverges if that is large."""
    x = batch["x"]
    payoff = PAYOFFS[o.payoff]
    real_score, fake_score = D(x), D(G(G.noise(key, len(x))))  # [B]
    wall = o.steep * slope(G) ** 4
    if o.risk:
        fails = random.uniform(stream(key, "risk")) < o.risk
        wall += jnp.sqrt(jnp.where(fails, 0 * slope(G), 1.0))  # a root at 0 has no slope
    d, g = payoff.d(real_score, fake_score).mean(), payoff.g(fake_score, real_score).mean()
    return {"D": d, "G": g + wall, "wall": wall}


def slope(G: Bound) -> Array:
    """The one weight of G."""
    return jnp.sum(G.params["kernel"])


def game(o: Options) -> Game:
    """G is a line, D has one hidden layer."""
    G = Player(nn.Dense(1), optax.sgd(o.lr), (1,), ema=0.5 if o.averaged else 0.0)
    D = Player(MLP((o.width,), ()), optax.adam(o.lr), (1,))
    return Game({"G": G, "D": D}, partial(losses, o=o), [["D"], ["G"]], partial(draw, n=8))


def sample(key: Array, n: int, *, G: Bound) -> Array:
    """n samples, [n, 1]."""
    return G(G.noise(key, n))


def measure(data: Any, key: Array, *, G: Bound) -> dict[str, Array]:
    """The slope of G, and the spread of 64 samples."""
    return {"slope": slope(G), "spread": sample(key, 64, G=G).std()}


def evaluate(data: Any, key: Array, *, G: Bound) -> dict[str, float]:
    """Where the line is at 0."""
    return {"mean": np.asarray(G.params["bias"]).item()}


def write_text(x: np.ndarray, path: Path) -> None:
    """One sample as a number in a file. A path of another ending is refused, as many writers do."""
    if path.suffix not in (".txt", ".csv"):
        raise ValueError(f"{path} is no .txt")
    path.write_text(f"{x.item()!r}\n")


def experiment(o: Options) -> Experiment:
    """Numbers around 2."""
    numbers = np.random.default_rng(0).normal(2, 1, (256, 1)).astype(np.float32)
    files = {".txt": write_text, ".csv": write_text}
    return Experiment(game, o, {"x": numbers}, sample, measure, evaluate, files=files)


if __name__ == "__main__":
    cli.script()
