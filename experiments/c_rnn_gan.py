"""C-RNN-GAN: recurrent nets that write music tone by tone, against one that listens to the whole.

Mogren 2016, "C-RNN-GAN: Continuous recurrent neural networks with adversarial training". G feeds
its own tone back; D's probability is the mean over its cells. G matches D's features, and is first
told real tones: squared error of the next one, on sequences that grow by four. D or G rests while
its loss is below 70 % of the other's; the authors' code at its last state mistakes which one. Nets
and rates are theirs. Departures: tones are normalised, times whole sixteenths, and the chorales
have no intensity; windows of a piece, each as likely, in place of its beginning; L2 of 1e-4 on both
players, where the code has .1 on G; G's LSTMs have a forget bias of 0, where the code has 1. As in
the code L_G of the rule is -log D(G(z)). Means of features (Salimans et al. 2016) are our addition.

    ganjax run c_rnn_gan --data bach_chorales --tones 3
    ganjax sample runs/c_rnn_gan --out music/
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from jax import Array

from ganjax import Game, Player, cli
from ganjax.data import midi, music
from ganjax.data.sequences import mask
from ganjax.experiment import Experiment, option
from ganjax.figures.music import piano_rolls
from ganjax.game import Bound, Turn
from ganjax.keys import stream
from ganjax.nets.sequences import Discriminator, Generator
from ganjax.protocols import music as protocol

QUICK = {
    "cells": 16, "units": 32, "dropout": 0.1, "payoff": "means", "freeze": 0.0, "batch": 16,
    "pretrain": 300, "stage": 50, "adam": True, "lr": 2e-3, "steps": 3000,
}  # fmt: skip
Losses = dict[str, Array]


@dataclass(frozen=True)
class Options:
    """The paper's nets, on melodies that walk on scales."""

    data: str = option("walks", "walks, bach_chorales, a .mid file or a folder of them")
    data_dir: str | None = option(None, "where prepared data sets are")
    cells: int = option(100, "of a sequence", low=2)
    tones: int = option(1, "of a cell at most; 3: the paper's C-RNN-GAN-3", low=1)
    units: int = option(350, "of an LSTM", low=1)
    layers: int = option(2, "LSTMs, one on another", low=1)
    dropout: float = option(0.5, "share of outputs dropped after each LSTM", low=0, below=1)
    payoff: Literal["features", "means", "log"] = option("features", "G matches, or -log D(G(z))")
    freeze: float = option(0.7, "of the other's loss: a player below it rests", low=0, below=1)
    pretrain: int = option(1110, "steps of G alone; as many as `steps`: a language model", low=0)
    stage: int = option(185, "steps until the sequences of these grow by four cells", low=1)
    batch: int = option(20, "sequences a step", low=1)
    adam: bool = option(False, "Adam in place of gradient descent")
    lr: float = option(0.1, "learning rate of G; D has half of it", above=0)
    l2: float = option(1e-4, "weight of half the squared norm of the weights", low=0)
    steps: int = option(20_000, "steps of training", low=1)


def next_tone(batch: Any, key: Array, *, G: Bound, step: Array, o: Options) -> Losses:
    """The squared error of the next tone where G is told all before, on sequences that grow."""
    x = batch["x"]  # [B, T, k]
    y = protocol.told(G, G.noise(key, len(x)), x, stream(key, "dropout"))
    seen = mask(jnp.minimum(4 * (1 + step // o.stage), o.cells), o.cells)[:, None]  # [T, 1]
    return {"G": (seen * (y - x) ** 2).mean() / seen.mean()}


def losses(batch: Any, key: Array, *, G: Bound, D: Bound, step: Array, o: Options) -> Losses:
    """Equations 1 and 2, and feature matching in place of the latter, a mean over the batch."""
    x = batch["x"]  # [B, T, k]

    def play() -> Losses:
        fake = G(G.noise(key, len(x)), key=stream(key, "dropout"))
        R, score = D(jnp.concatenate([x, fake]), key=stream(key, "D"), method="features_and_score")
        log_d, log_not_d = protocol.log_probabilities(score)  # [2B]
        (real, made), B = jnp.split(R, 2), len(x)
        g = {
            "log": -log_d[B:].mean(),
            "features": ((real - made) ** 2).sum((1, 2)).mean(),
            "means": ((real.mean(0) - made.mean(0)) ** 2).sum(),
        }
        d = -log_d[:B].mean() - log_not_d[B:].mean()
        return {"D": d, "G": g[o.payoff], "adversarial": g["log"]}

    def alone() -> Losses:
        rest = dict.fromkeys(("D", "adversarial"), jnp.float32(0))
        return rest | next_tone(batch, key, G=G, step=step, o=o)

    return jax.lax.cond(step < o.pretrain, alone, play) if o.pretrain else play()


def game(k: int, o: Options) -> Game:
    """The paper's nets; a G that is only told has no D."""

    def tx(lr: float) -> optax.GradientTransformation:
        weights = lambda params: jax.tree.map(lambda leaf: leaf.ndim > 1, params)  # noqa: E731
        step = optax.adam(lr, b1=0.5) if o.adam else optax.sgd(lr)
        decay = optax.add_decayed_weights(o.l2, weights)
        return optax.chain(decay, optax.clip_by_global_norm(5.0), step)

    draw = partial(music.draw_windows, n=o.batch, T=o.cells)
    size = (o.units, o.layers, o.dropout)
    G = Player(Generator(*size), tx(o.lr), (1 + o.cells, k), prior=jax.random.uniform)
    if o.pretrain >= o.steps:
        return Game({"G": G}, partial(next_tone, o=o), [["G"]], draw)
    D = Player(Discriminator(*size), tx(o.lr / 2), (o.cells, k))
    turns = [
        Turn(("D",), lambda i, l: (i >= o.pretrain) & (l["D"] >= o.freeze * l["adversarial"])),
        Turn(("G",), lambda i, l: (i <= o.pretrain) | (l["adversarial"] >= o.freeze * l["D"])),
    ]
    return Game({"G": G, "D": D}, partial(losses, o=o), turns, draw)


SMALL = {"cells": 32, "units": 64, "pretrain": 150, "stage": 25}
TABLES = {
    "figure3": protocol.table(
        SMALL, 1000, 50, "Reduced: 64 units, 32 cells, 1000 steps; the paper has 350, 100 and "
        "about 120 epochs. Steps were lowered twice, and the last row added, after a look.",
    ),
    "full": protocol.table({"cells": 100}, 20_000, 500, "The paper's sizes."),
}  # fmt: skip


def experiment(o: Options) -> Experiment:
    """C-RNN-GAN on pieces of music."""
    pieces = music.find(o.data, o.data_dir)
    form = music.form_of(pieces, o.tones)
    arrays = music.training_arrays(pieces, form, o.cells, o.data)
    return Experiment(
        partial(game, form.size), o, arrays, partial(protocol.sample, form=form),
        partial(protocol.measure, form=form), partial(protocol.evaluate, form=form, T=o.cells),
        picture=lambda _, x: piano_rolls([music.notes_of(one, form) for one in x[:8]]), shown=8,
        files={".mid": lambda one, path: midi.write(music.notes_of(one, form), path)},
    )  # fmt: skip


if __name__ == "__main__":
    cli.script()
