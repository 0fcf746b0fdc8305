"""CGAN: both players see the label.

Mirza and Osindero 2014, "Conditional Generative Adversarial Nets", section 4.1: maxout critic,
dropout in both players, SGD with momentum. Initial weights, G's output bias and the simultaneous
update, which the paper does not state, are those of Goodfellow et al. 2014. Nor does it state
whether G drops units when it is sampled: here it does, as its dropout is the noise that G has
learnt to use. It stops at the best validation likelihood, here training has a fixed length.

    ganjax run cgan --data mnist
"""

from functools import partial
from typing import Any

import numpy as np
from jax import Array, nn, random

from ganjax import cli
from ganjax import data as sets
from ganjax import experiment as ex
from ganjax.experiment import Experiment, Table
from ganjax.figures.samples import image_grid
from ganjax.game import Bound, Game, Player
from ganjax.losses import non_saturating as payoff
from ganjax.nets import cgan, pixel_logits
from ganjax.optim import heavy_ball
from ganjax.protocols.conditional import evaluate, measure, sample

QUICK = {"steps": 300, "width": 120}
TABLES = {
    data: Table(
        rows={
            "CGAN": {"data": data, "noisy": False},
            "dropout in samples too": {"data": data},
            "no dropout in G": {"data": data, "dropout": 0.0},
        },
        columns=("parzen", "parzen_sigma", "one_nn_1k", "one_nn_10k", "one_nn_50k"),
        seeds=3,
        paper={"CGAN": {"parzen": 132.0}} if data == "mnist" else {},
        note="Errors of a nearest neighbour among 1,000, 10,000 and 50,000 samples, on the test images; Parzen in nats.",
    )
    for data in ("mnist", "fashion_mnist")
}


def losses(batch: Any, key: Array, *, G: Bound, D: Bound) -> dict[str, Array]:
    """V = E log D(x|y) + E log(1 - D(G(z|y)|y)), equation 2; G maximises log D."""
    x, y = batch["x"], nn.one_hot(batch["label"], G.player.inputs[1][0])  # [B, ...], [B, classes]
    noise_key, make_key, real_key, fake_key = random.split(key, 4)
    fake = G(G.noise(noise_key, len(x)), y, key=make_key)
    real_score, fake_score = D(x, y, key=real_key), D(fake, y, key=fake_key)  # [B]
    return {"D": payoff.d(real_score, fake_score).mean() / 2, "G": payoff.g(fake_score).mean()}


def game(
    found: sets.Dataset,
    x: np.ndarray,
    classes: int,
    width: int,
    dropout: float,
    batch: int,
    lr: float,
) -> Game:
    """The paper's nets, their layers in proportion to the last hidden one of G, 1200."""
    sgd = heavy_ball(lr, epoch=max(1, len(x) // batch), falls=1.00004)
    widths, units = (
        (max(1, width // 6), max(1, width * 5 // 6), width),
        (max(1, width // 5), max(1, width // 24), max(1, width // 5)),
    )
    net = cgan.Generator(found.shape, widths, bias=pixel_logits(x), rate=dropout)
    players = {
        "G": Player(net, sgd, ((100,), (classes,)), prior=random.uniform),
        "D": Player(cgan.Discriminator(units), sgd, (found.shape, (classes,))),
    }
    return Game(players, losses, [["D", "G"]], partial(sets.draw, n=batch, low=0.0, high=1.0))


def figures(data: Any, x: Any, rows: Any, *, G: Bound) -> dict[str, Any]:
    """Eight samples of each class, a column for each."""
    classes = G.player.inputs[1][0]
    return {"classes": image_grid(x[: 8 * classes], columns=classes)}


def experiment(
    data: str = "digits",
    data_dir: str | None = None,
    size: int | None = None,
    channels: int | None = None,
    crop: bool = False,
    width: int = 1200,
    dropout: float = 0.5,
    noisy: bool = True,
    batch: int = 100,
    lr: float = 0.1,
    steps: int = 50_000,
) -> Experiment:
    """The paper's setting on labelled images.

    data: digits, another labelled set of images, or a path
    data_dir: where prepared sets are
    size: pixels of a side that images are resized to; otherwise they stay as they are
    channels: 1 for grey images, 3 for colour
    crop: cut out the middle square before an image is resized
    width: units of G's last hidden layer; the others in proportion
    dropout: share of G's units that are dropped in training
    noisy: they are dropped in samples too
    batch: real samples a step
    lr: first learning rate of SGD
    steps: steps of training
    """
    ex.positive(width=width, batch=batch, lr=lr, steps=steps)
    parts = sets.find_splits(data, data_dir, size=size, channels=channels, crop=crop)
    found = sets.require(parts.train, (None, None, None), labels=True)
    arrays: Any = found.load()
    classes = found.classes or 0
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout is a share in 0..1, less than 1; got {dropout}")
    played, made = (
        game(found, arrays["x"], classes, width, dropout, batch, lr),
        partial(sample, dropout=noisy),
    )
    return Experiment(
        played,
        arrays,
        steps,
        made,
        partial(measure, sample=made),
        partial(evaluate, parts=parts, sample=made),
        figures,
    )


if __name__ == "__main__":
    cli.script()
