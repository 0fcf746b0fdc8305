"""DBN: RBMs one upon the other, learned greedily, a player a layer.

Hinton, Osindero and Teh 2006 (recalled, not read): the layers move one after another, each for an
equal part of the run, by CD-1 as in `rbm`. A layer passes the mean of its hidden units up, and the
next one draws its visible units from these, as the first draws pixels from grey values. No layer
takes the transposed weights of the one below, and there is no wake-sleep phase. With --tune all
layers and a softmax C then learn the labels together (Hinton and Salakhutdinov 2006; recalled),
after which the layers are features alone. Samples: Gibbs steps in the highest RBM from noise, then
one pass down by means.

    ganjax run dbn --data mnist --width 500 --tune .5
"""

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import jax.numpy as jnp
import optax
from jax import Array
from jax.lax import cond, stop_gradient

from ganjax import Game, Player, Turn, cli
from ganjax.data import Splits, require
from ganjax.experiment import Experiment, ImageOptions, Table, option
from ganjax.game import Bound
from ganjax.keys import stream
from ganjax.losses import ce
from ganjax.nets import MLP
from ganjax.nets.boltzmann import Boltzmann, draw_units, marginal_logits
from ganjax.protocols import boltzmann, deep_belief, standard

GROUP = "games of one player"
QUICK = {"gibbs": 500, "steps": 10_000}
MNIST: dict[str, Any] = {"data": "mnist", "steps": 40_000}
TABLES = {
    "digits": Table(
        {
            **{f"depth {n}": {"depth": n, "steps": 10_000 * n} for n in (1, 2, 3)},
            "depth 2, tuned": {"tune": 0.2, "steps": 25_000},
        },
        ("features", "pixels", "error", "reconstruction"), seeds=5,
        note="Test errors: of a linear SVM on the highest layer's means, and on pixels; of C. The "
        "steps were halved before the table was played, for the time they take",
    ),
    "mnist": Table(
        {
            "DBN": {**MNIST, "width": 2000},
            "RBM": {**MNIST, "experiment": "rbm", "hidden": 500, "persistent": True},
            "DBN, tuned": {**MNIST, "width": 500, "tune": 0.5},
        },
        ("parzen", "parzen_sigma", "features", "pixels", "error"), seeds=3,
        paper={"DBN": {"parzen": 138.0}, "DBN, tuned": {"error": 0.0125}},
        note="parzen as in gan/mnist. The paper's: Goodfellow et al. 2014, whose DBN's sizes are "
        "recalled; Hinton et al. 2006, recalled, three layers. SVMs learn from 10,000 images",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Options:
    """Two small layers for digits."""

    images: ImageOptions = ImageOptions("digits")
    depth: int = option(2, "layers", low=1)
    width: int = option(64, "hidden units of each layer", above=0)
    k: int = option(1, "Gibbs steps of CD-k", low=1)
    tune: float = option(0.0, "share of the run in which the layers learn labels", low=0, below=1)
    batch: int = option(50, "images a step", above=0)
    lr: float = option(0.01, "learning rate of SGD; it falls linearly to 0", above=0)
    tune_lr: float = option(0.1, "learning rate with labels; it falls linearly to 0", above=0)
    momentum: float = option(0.9, "of SGD", low=0, below=1)
    gibbs: int = option(1000, "Gibbs steps of a sample's chain, from noise", above=0)
    steps: int = option(20_000, "steps of training", above=0)

    @property
    def greedy(self) -> int:
        """Steps of all layers before labels are learned."""
        return self.steps - round(self.tune * self.steps)


def losses(
    batch: Any, key: Array, *, step: Array, o: Options, C: Bound | None = None, **layers: Bound
) -> dict[str, Array]:
    """CD-k of each layer on what the one below passes up; then all learn the labels."""
    x, seen = batch["x"], {}
    for name, R in layers.items():
        seen[name] = x
        x = R().up(x)

    def contrast(name: str) -> Array:
        machine, v = layers[name](), draw_units(stream(key, name), seen[name])
        end = stop_gradient(machine).gibbs(stream(key, name, "chain"), v, o.k)
        return machine.free_energy(v).mean() - machine.free_energy(end).mean()

    if C is None:
        return {name: contrast(name) for name in layers}
    cost = ce(C(x), batch["label"]).mean()
    own = {n: cond(step < o.greedy, partial(contrast, n), lambda: cost) for n in layers}
    return {**own, "C": cost}


def game(bias: Any, K: int, o: Options) -> Game:
    """The layers R1, R2, … and, where they are tuned, a softmax C."""
    starts = [o.greedy * i // o.depth for i in range(o.depth + 1)]
    tune = optax.linear_schedule(o.tune_lr, 0.0, max(1, o.steps - o.greedy))
    players: dict[str, Player] = {}
    turns = []
    for i, (first, end) in enumerate(pairwise(starts)):
        # A layer's optimiser counts its own updates: those of its turn, then those with labels.
        own = optax.linear_schedule(o.lr, 0.0, max(1, end - first))
        sgd = optax.sgd(optax.join_schedules([own, tune], [end - first]), o.momentum)
        b = jnp.zeros(o.width) if i else jnp.asarray(bias)
        net = Boltzmann(o.width if i else len(bias), o.width, lambda *_, b=b: b)
        players[f"R{i + 1}"] = Player(net, sgd, None)
        turns.append(Turn((f"R{i + 1}",), deep_belief.between(first, end)))
    if o.tune:
        players["C"] = Player(MLP((), (K,)), optax.sgd(tune, o.momentum), (o.width,))
        turns.append(Turn(tuple(players), deep_belief.between(o.greedy, o.steps)))
    return Game(players, partial(losses, o=o), turns, partial(boltzmann.draw, n=o.batch))


def evaluate(
    arrays: Any, key: Array, *, splits: Splits, sample: Any, **players: Bound
) -> dict[str, float]:
    """A linear classifier's errors, and the Parzen row of layers that are a model of images."""
    numbers = deep_belief.linear_errors(arrays, key, **players)
    parts = Splits(splits.train) if "C" in players else splits
    return numbers | standard.parzen_likelihood(sample, key, parts, **players)


def experiment(o: Options) -> Experiment:
    """A DBN on any set of images."""
    splits = o.images.find_splits()
    dataset = require(splits.train, (None, None, None), labels=o.tune > 0)
    arrays, shape, K = boltzmann.examples(splits), dataset.shape, dataset.classes or 0
    sample = partial(deep_belief.sample, steps=o.gibbs, shape=shape)

    def figures(arrays: Any, x: Any, rows: Any, *, R1: Bound) -> dict[str, Any]:
        return {"filters": boltzmann.filters(R1(), shape)}

    return Experiment(
        partial(game, marginal_logits(arrays["x"]), K), o, arrays, sample,
        deep_belief.measure, partial(evaluate, splits=splits, sample=sample), figures, shown=64
    )  # fmt: skip


if __name__ == "__main__":
    cli.script()
