"""Boltzmann machine: units of which any two may be connected, by the exact gradient of its
likelihood.

Ackley, Hinton and Sejnowski 1985 (recalled, not read) estimate this gradient by simulated
annealing; here all states are visited, so the machine is small. What B minimises is the mean
negative log-likelihood of a batch, log Z included. With --restricted units of one layer are not
connected, and the machine is an RBM; `rbm` learns the same machine by contrastive divergence.
Pixels are made white or black, as the grey values of so small images hardly depend on each other
once they are drawn.

    ganjax run boltzmann
    ganjax reproduce boltzmann/digits3
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax.numpy as jnp
import optax
from jax import Array, random
from jax.nn import logsumexp

from ganjax import Game, Player, cli
from ganjax.data import require
from ganjax.experiment import Experiment, ImageForm, ImageOptions, Table, option
from ganjax.figures.states import shares_of_states
from ganjax.game import Bound
from ganjax.metrics.partition import check_countable, states
from ganjax.nets.boltzmann import Boltzmann, Machine, marginal_logits
from ganjax.protocols import boltzmann

GROUP = "games of one player"
QUICK = {"steps": 5000}
CD: dict[str, Any] = {
    "experiment": "rbm", "size": 3, "sharp": True, "hidden": 3, "steps": 20_000,
}  # fmt: skip
TABLES = {
    "digits3": Table(
        rows={
            "Boltzmann machine, exact": {},
            "RBM, exact": {"restricted": True},
            "RBM, PCD": {**CD, "persistent": True},
            "RBM, CD-10": {**CD, "k": 10},
            "RBM, CD-1": CD,
        },
        columns=("log_likelihood",),
        seeds=5,
        anchors=lambda _: boltzmann.independent_pixels(
            boltzmann.examples(Options().images.find_splits(), sharp=True)
        ),
        note="Nats a test image of 3 x 3 pixels, each white where it is above its mean; log Z is "
        "exact. 3 hidden units; equal batches, rates and steps. Independent pixels: no weights. "
        "Sharp pixels were chosen after a look: drawn from grey values, nine pixels hold next to "
        "no structure",
    )
}  # fmt: skip


@dataclass(frozen=True)
class Options:
    """Twelve units on digits of nine pixels."""

    images: ImageOptions = ImageOptions("digits", ImageForm(size=3))
    sharp: bool = option(True, "pixels above their mean are white, others black; or grey values")
    hidden: int = option(3, "hidden units", above=0)
    restricted: bool = option(False, "no connections within a layer: an RBM")
    batch: int = option(50, "images a step", above=0)
    lr: float = option(0.1, "learning rate of SGD; it falls linearly to 0", above=0)
    steps: int = option(20_000, "steps of training", above=0)


def log_marginal(machine: Machine) -> Array:
    """log p(v) of all visible states, exact, [2^V]."""
    V, H = machine.W.shape
    E = machine.energy(states(V)[:, None], states(H))  # [2^V, 2^H]
    return logsumexp(-E, 1) - logsumexp(-E)


def log_prob(machine: Machine, v: Array) -> Array:
    """log p(v) of some visible states [B, V], exact, [B]."""
    number = (v @ 2.0 ** jnp.arange(v.shape[1])).astype(int)
    return log_marginal(machine)[number]


def losses(batch: Any, key: Array, *, B: Bound) -> dict[str, Array]:
    """The negative log-likelihood of the batch."""
    return {"B": -log_prob(B(), boltzmann.visible(batch, key)).mean()}


def game(bias: Any, o: Options) -> Game:
    """A machine whose visible biases begin at `bias`."""
    sgd = optax.sgd(optax.linear_schedule(o.lr, 0.0, o.steps))
    net = Boltzmann(len(bias), o.hidden, lambda *_: jnp.asarray(bias), restricted=o.restricted)
    draw = partial(boltzmann.draw, n=o.batch)
    return Game({"B": Player(net, sgd, None)}, losses, [["B"]], draw)


def sample(key: Array, n: int, *, B: Bound, shape: tuple[int, ...]) -> Array:
    """n exact samples of p(v), [n, *shape]."""
    machine = B()
    number = random.categorical(key, log_marginal(machine), shape=(n,))
    return states(len(machine.b), number).reshape(n, *shape)


def measure(arrays: Any, key: Array, *, B: Bound) -> dict[str, Array]:
    """The mean log-likelihood of the test images, exact."""
    return {"log_likelihood": log_prob(B(), boltzmann.test_units(arrays)).mean()}


def figures(arrays: Any, x: Any, rows: Any, *, B: Bound, shape: tuple[int, ...]) -> dict[str, Any]:
    """The commonest training images: how often they are, and how likely to the machine and to
    pixels that know nothing of each other.
    """
    v = boltzmann.units(arrays["x"])  # [N, V]
    seen, count = jnp.unique(v, axis=0, return_counts=True)
    most = jnp.argsort(-count)[:20]
    seen, mean = seen[most], v.mean(0)
    shares = {
        "training images": count[most] / len(v),
        "machine": jnp.exp(log_prob(B(), seen)),
        "independent pixels": jnp.prod(jnp.where(seen > 0, mean, 1 - mean), 1),
    }
    return {"states": shares_of_states(seen.reshape(-1, *shape)[..., 0], shares)}


def experiment(o: Options) -> Experiment:
    """A Boltzmann machine on images of a few pixels."""
    splits = o.images.find_splits()
    shape = require(splits.train, (None, None, None)).shape
    pixels = shape[0] * shape[1] * shape[2]
    check_countable(pixels + o.hidden, "visible and hidden units")
    arrays = boltzmann.examples(splits, o.sharp)
    bias = marginal_logits(arrays["x"])
    return Experiment(
        partial(game, bias), o, arrays, partial(sample, shape=shape), measure,
        figures=partial(figures, shape=shape), shown=256,
    )  # fmt: skip


if __name__ == "__main__":
    cli.script()
