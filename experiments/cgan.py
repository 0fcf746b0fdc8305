"""CGAN: both players see the label.

Mirza and Osindero 2014, "Conditional Generative Adversarial Nets", section 4.1: maxout critic,
dropout in both players, SGD with momentum. Initial weights, G's output bias and the simultaneous
update, which the paper does not state, are those of Goodfellow et al. 2014. Nor does it state
whether G drops units when it is sampled: here it does, as its dropout is the noise that G has
learnt to use. It stops at the best validation likelihood, here training has a fixed length.

    ganjax run cgan --data mnist
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

from jax import Array, nn, random

from ganjax import Game, Player, cli
from ganjax.data import draw, require
from ganjax.experiment import Experiment, ImageOptions, Table, option
from ganjax.figures.samples import image_grid
from ganjax.game import Bound
from ganjax.keys import stream
from ganjax.losses import non_saturating as payoff
from ganjax.nets import cgan, pixel_logits
from ganjax.optim import heavy_ball
from ganjax.protocols.conditional import evaluate, measure, sample

QUICK = {"width": 240, "ema": 0.999, "steps": 6000}
TABLES = {
    data: Table(
        rows={
            "CGAN": {"data": data},
            "no dropout in samples": {"data": data, "noisy": False},
            "no dropout in G": {"data": data, "dropout": 0.0},
        },
        columns=("parzen", "parzen_sigma", "one_nn_1k", "one_nn_10k", "one_nn_50k"),
        seeds=3,
        paper={"CGAN": {"parzen": 132.0}} if data == "mnist" else {},
        note="Errors of a nearest neighbour among 1,000, 10,000 and 50,000 samples, on the test "
        "images; Parzen in nats. The paper does not say whether G drops units when it is sampled: "
        "in the first row it does.",
    )
    for data in ("mnist", "fashion_mnist")
}


@dataclass(frozen=True)
class Options:
    """The paper's setting on labelled images."""

    images: ImageOptions = ImageOptions("digits")
    width: int = option(1200, "units of G's last hidden layer; the others in proportion", above=0)
    dropout: float = option(0.5, "share of G's units that are dropped in training", low=0, below=1)
    noisy: bool = option(True, "they are dropped in samples too")
    batch: int = option(100, "real samples a step", above=0)
    lr: float = option(0.1, "first learning rate of SGD", above=0)
    ema: float = option(0.0, "decay of the averaged G that is sampled; 0: none", low=0, below=1)
    steps: int = option(50_000, "steps of training", above=0)


def losses(batch: Any, key: Array, *, G: Bound, D: Bound) -> dict[str, Array]:
    """V = E log D(x|y) + E log(1 - D(G(z|y)|y)), equation 2; G maximises log D."""
    x = batch["x"]  # [B, ...]
    y = nn.one_hot(batch["label"], G.player.inputs[1][0])  # [B, classes]
    fake = G(G.noise(key, len(x)), y, key=key)
    real_score = D(x, y, key=stream(key, "real"))  # [B]
    fake_score = D(fake, y, key=stream(key, "fake"))
    return {"D": payoff.d(real_score, fake_score).mean() / 2, "G": payoff.g(fake_score).mean()}


def game(shape: tuple[int, ...], classes: int, data: Any, o: Options) -> Game:
    """The paper's nets, their layers in proportion to the last hidden one of G, 1200.

    Both players move at once. G's output bias begins at the logits of the mean image.
    """
    sgd = heavy_ball(o.lr, epoch=max(1, len(data["x"]) // o.batch), falls=1.00004)
    widths = (max(1, o.width // 6), max(1, o.width * 5 // 6), o.width)
    units = (max(1, o.width // 5), max(1, o.width // 24), max(1, o.width // 5))
    net = cgan.Generator(shape, widths, bias=pixel_logits(data["x"]), rate=o.dropout)
    players = {
        "G": Player(net, sgd, ((100,), (classes,)), prior=random.uniform, ema=o.ema),
        "D": Player(cgan.Discriminator(units), sgd, (shape, (classes,))),
    }
    return Game(players, losses, [["D", "G"]], partial(draw, n=o.batch, low=0.0, high=1.0))


def figures(data: Any, x: Any, rows: Any, *, G: Bound) -> dict[str, Any]:
    """Eight samples of each class, a column for each."""
    classes = G.player.inputs[1][0]
    return {"classes": image_grid(x[: 8 * classes], columns=classes)}


def experiment(o: Options) -> Experiment:
    """CGAN on labelled images."""
    splits = o.images.find_splits()
    dataset = require(splits.train, (None, None, None), labels=True)
    data = dataset.load()
    draws = partial(sample, dropout=o.noisy)
    return Experiment(
        partial(game, dataset.shape, dataset.classes or 0, data),
        o,
        data,
        draws,
        partial(measure, sample=draws),
        partial(evaluate, parts=splits, sample=draws),
        figures,
        classes=dataset.classes or 0,
    )


if __name__ == "__main__":
    cli.script()
