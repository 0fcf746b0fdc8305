"""cDCGAN: the conditional DCGAN on digits, judged by what a nearest neighbour learns from its
samples.

Radford, Metz and Chintala 2016, "Unsupervised Representation Learning with Deep Convolutional
Generative Adversarial Networks", appendix, table 3. Nets, L2 and schedule are those of the authors'
code (mnist/train_cond_dcgan.py): y joined at every layer, batch norm that learns nothing, no
biases; each minibatch trains one player. A step here is a turn of each.

    ganjax run cdcgan --data mnist
"""

from functools import partial
from typing import Any

import optax
from jax import Array, nn

from ganjax import cli
from ganjax import data as sets
from ganjax import experiment as ex
from ganjax.experiment import Experiment, Table
from ganjax.figures.samples import image_grid
from ganjax.game import Bound, Game, Player
from ganjax.losses import non_saturating as payoff
from ganjax.nets import dcgan, symmetric
from ganjax.protocols.conditional import evaluate, measure, sample

QUICK = {"steps": 60, "width": 8, "units": 64, "batch": 32}
TABLES = {
    data: Table(
        rows={"cDCGAN": {"data": data, "steps": 12_000}},
        columns=("one_nn_1k", "one_nn_10k", "one_nn_50k", "parzen"),
        seeds=3,
        paper={"cDCGAN": {"one_nn_50k": 0.0298}} if data == "mnist" else {},
        note="The paper's number is recalled, not read; its code judges validation images, this table test images.",
    )
    for data in ("mnist", "fashion_mnist")
}


def losses(batch: Any, key: Array, *, G: Bound, D: Bound) -> dict[str, Array]:
    """Mirza and Osindero's equation 2; G maximises log D."""
    x, y = (
        batch["x"],
        nn.one_hot(batch["label"], G.player.inputs[1][0]),
    )  # [B, H, W, C], [B, classes]
    fake = G(G.noise(key, len(x)), y)
    real_score, fake_score = D(x, y), D(fake, y)  # [B]
    return {"D": payoff.d(real_score, fake_score).mean(), "G": payoff.g(fake_score).mean()}


def game(
    found: sets.Dataset,
    width: int,
    units: int,
    z: int,
    batch: int,
    lr: float,
    l2: float,
    steps: int,
) -> Game:
    """The authors' nets; the rate is constant for half of the training, then falls to 0."""
    rate = optax.schedules.join_schedules(
        [optax.constant_schedule(lr), optax.linear_schedule(lr, 0.0, max(1, steps // 2))],
        [steps // 2],
    )
    adam = optax.chain(optax.add_decayed_weights(l2), optax.adam(rate, b1=0.5))
    classes = (found.classes or 0,)
    players = {
        "G": Player(
            dcgan.ConditionalGenerator(found.shape, width, units),
            adam,
            ((z,), classes),
            prior=symmetric(1.0),
        ),  # type: ignore[arg-type]
        "D": Player(dcgan.ConditionalDiscriminator(width, units), adam, (found.shape, classes)),
    }
    return Game(
        players,
        losses,
        [["D"], ["G"]],
        partial(sets.draw, n=batch, low=0.0, high=1.0),
        fresh="turn",
    )


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
    width: int = 64,
    units: int = 1024,
    z: int = 100,
    batch: int = 128,
    lr: float = 2e-4,
    l2: float = 2.5e-5,
    steps: int = 20_000,
) -> Experiment:
    """The authors' setting on labelled images whose sides are multiples of 4, a quarter of their
    steps.

    data: digits, another labelled set of images, or a path
    data_dir: where prepared sets are
    size: pixels of a side that images are resized to; otherwise they stay as they are
    channels: 1 for grey images, 3 for colour
    crop: cut out the middle square before an image is resized
    width: channels of G's last hidden layer
    units: units of the dense layer in each player
    z: entries of the noise
    batch: real samples a turn
    lr: first learning rate of Adam, its beta1 .5
    l2: weight decay
    steps: steps of training (the authors' 200 epochs are 39,000 of 50,000 images, each step two
    minibatches)
    """
    ex.positive(width=width, units=units, z=z, batch=batch, lr=lr, steps=steps)
    ex.positive(zero=True, l2=l2)
    parts = sets.find_splits(data, data_dir, size=size, channels=channels, crop=crop)
    found = sets.require(parts.train, (None, None, None), labels=True)
    if found.shape[0] % 4 or found.shape[1] % 4:
        raise ValueError(
            f"cDCGAN's images have sides that are multiples of 4; those of {found.name} are {list(found.shape)}: resize"
        )
    played = game(found, width, units, z, batch, lr, l2, steps)
    last = partial(evaluate, parts=parts)
    return Experiment(played, found.load(), steps, sample, measure, last, figures)


if __name__ == "__main__":
    cli.script()
