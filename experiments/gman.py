"""GMAN: one generator against N discriminators, whose values are mixed by a softness λ.

Durugkar, Gemp and Mahadevan 2017, "Generative Multi-Adversarial Networks", sections 3 and 4: each
D_i maximises V_i on its own part of the minibatch (boosted, on all of it), and G minimises F(V) of
the original, saturating objective. Rates and the squashed sigmoid are those of the authors' code.
That code never moves λ; here GMAN* learns it, with the paper's term -cλ. It weighs D_i by G's part
of V_i, E log(1 - D_i(G(z))); the paper and this file weigh by all of V_i. `G_value` is F of G's
part, the quantity of figures 3 and 4; `value` is F(V). Images of 32 pixels get the paper's nets.

    ganjax run gman --data mnist --pad 32 --width 128
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import optax
from jax import Array

from ganjax import Game, Player, aggregates, cli
from ganjax.data import draw, require
from ganjax.data.transforms import pad
from ganjax.experiment import Experiment, ImageOptions, Table, option
from ganjax.game import Bound
from ganjax.keys import stream
from ganjax.metrics import convergence
from ganjax.nets import Positive, gman, symmetric
from ganjax.protocols import standard
from ganjax.protocols.overlay import overlay
from ganjax.protocols.teams import measure, sample
from ganjax.protocols.tournament import tournament

QUICK = {"n": 5, "width": 128, "lr": 5e-4, "batch": 20, "ema": 0.999, "steps": 5000}
MNIST = {"data": "mnist", "pad": 32, "width": 128, "steps": 6000}
SIZES = {"steady": MNIST, "small": {**MNIST, "width": 32, "batch": 25, "steps": 2500}}
CURVES = {"G_value": None, "sd": convergence.LIMIT, "lambda": None}
VARIANTS: dict[str, dict[str, Any]] = {
    "GMAN*": {}, "GMAN-0": {"aggregate": "mean"}, "GMAN-1": {"aggregate": "soft"},
    "GMAN-max": {"aggregate": "max"}, "mod-GAN": {"n": 1, "aggregate": "mean", "modified": True},
}  # fmt: skip
SCORES: dict[str, dict[str, float | None]] = {  # the paper's, of its table 1 and figure 7
    "gmam": {"GMAN*": 0.127, "GMAN-0": 0.007, "GMAN-max": -0.034, "mod-GAN": -0.122},
    "lambda": {"GMAN*": 0.028, "GMAN-1": 0.001, "GMAN-0": -0.025},
    "boost": {"GMAN-0": None, "F-boost": None, "P-boost": None},
}
TABLES = {
    name: Table(
        rows={row: MNIST | VARIANTS.get(row, {"aggregate": row}) for row in scores},
        columns=("value", "quality"), seeds=3, after=tournament,
        paper={row: {"score": score} for row, score in scores.items() if score},
        note="Against a row above 0: the better generator by GMAM; score: the sum over opponents",
    )
    for name, scores in SCORES.items()
} | {
    name: Table(
        rows={f"N = {n}": {**size, "n": n} for n in (1, 2, 5)}, seeds=3, every=10,
        columns=("steady", "G_value", "sd", "lambda"), after=partial(overlay, measures=CURVES),
        note="GMAN*, figures 3, 4 and 6; in figure 4 N = 5 is steady about twice as soon as N = 1",
    )
    for name, size in SIZES.items()
}  # fmt: skip


@dataclass(frozen=True)
class Options:
    """GMAN* with five discriminators; all players move at once."""

    images: ImageOptions = ImageOptions("digits")
    pad: int | None = option(None, "side in pixels with a black border (the paper: 32)", low=1)
    n: int = option(5, "discriminators", above=0)
    aggregate: Literal[
        "max", "mean", "soft", "learned", "geometric", "harmonic", "F-boost", "P-boost"
    ] = option("learned", "F: learned is GMAN*, mean GMAN-0, soft with lam 1 GMAN-1; or boosted D")
    lam: float = option(1.0, "softness of the soft, geometric, harmonic mean; 0: plain", low=0)
    c: float = option(1e-3, "reward of a learned softness", low=0)
    modified: bool = option(False, "G maximises log D(G(z)), not minimises log(1 - D(G(z)))")
    width: int = option(512, "units of a hidden layer; channels of the nets of images", above=0)
    batch: int = option(100, "real samples a step for each discriminator", above=0)
    lr: float = option(2e-4, "learning rate of Adam, beta1 .5", above=0)
    ema: float = option(0.0, "decay of the averaged G that is sampled; 0: none", low=0, below=1)
    steps: int = option(12_000, "steps of training", above=0)


def losses(
    batch: Any, key: Array, *, G: Bound, D: Bound, L: Bound | None = None, A: Bound | None = None,
    step: Array, memory: Any, o: Options,
) -> dict[str, Any]:  # fmt: skip
    """G minimises F(V; λ), and λ, where it is learned, F(V; λ) - cλ."""
    x, fake_x = batch["x"], G(G.noise(key, len(batch["x"])))  # [B N, ...]
    if A is None:
        part = (-1, D.n, *x.shape[1:])  # each D_i has its own part of the batch
        real = D.each(x.reshape(part), key=stream(key, "real"))  # [B, N]
        fake = D.each(fake_x.reshape(part), key=stream(key, "fake"))
        costs = {"D": -aggregates.values(real, fake).sum()}
    else:
        real, fake = D(x, key=stream(key, "real")), D(fake_x, key=stream(key, "fake"))  # [B N, N]
        costs = aggregates.boosting_losses(real, fake, A)
        if o.aggregate == "F-boost":
            real, fake = (aggregates.boosted_score(score, A)[:, None] for score in (real, fake))
    F = aggregates.AGGREGATES[o.aggregate]
    softness: Any = o.lam if L is None else L()
    value = F(aggregates.values(real, fake), softness)
    G_value = F(aggregates.generator_values(fake, o.modified), softness)
    cost = G_value if o.modified else value
    if L is not None:
        costs |= {"L": cost - o.c * softness, "lambda": softness}
    memory, settled = convergence.update(memory, G_value, step)
    return {**costs, "G": cost, "value": value, "G_value": G_value, "memory": memory, **settled}


def game(shape: tuple[int, ...], o: Options) -> Game:
    """The paper's nets, with the authors' dropout rate for each discriminator."""
    adam = optax.adam(o.lr, b1=0.5)
    generator, discriminator = gman.pair(shape, o.width)
    players = {
        "G": Player(generator, adam, (100,), prior=symmetric(1.0), ema=o.ema),
        "D": Player(discriminator, adam, shape, n=o.n, per={"rate": gman.rates(o.n)}),
    }
    if o.aggregate == "learned":
        players["L"] = Player(Positive(), adam, None)
    if o.aggregate in ("F-boost", "P-boost"):
        players["A"] = aggregates.boosting_player(o.n)
    draw_batch = partial(draw, n=o.batch * o.n)
    return Game(players, partial(losses, o=o), [list(players)], draw_batch, convergence.init)


def evaluate(data: Any, key: Array, *, G: Bound) -> dict[str, float]:
    """`standard.evaluate`: on images classes and quality by the nearest neighbour."""
    return standard.evaluate(data, sample, key, G=G)


def experiment(o: Options) -> Experiment:
    """GMAN on points or images."""
    if o.modified and o.aggregate in ("geometric", "harmonic"):
        raise ValueError(
            f"the {o.aggregate} mean is of negative values, and modified makes them positive: "
            "choose max, mean, soft or learned"
        )
    dataset = o.images.find()
    arrays: Any = dataset.load()
    if o.pad is not None:
        require(dataset, (None, None, None))
        arrays = {**arrays, "x": np.asarray(pad(arrays["x"], o.pad))}
    shape = dataset.shape if o.pad is None else arrays["x"].shape[1:]
    return Experiment(partial(game, shape), o, arrays, sample, measure, evaluate)


if __name__ == "__main__":
    cli.script()
