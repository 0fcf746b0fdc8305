"""cDCGAN: the conditional DCGAN on digits; a nearest neighbour that learns from its samples
evaluates it.

Radford, Metz and Chintala 2016, "Unsupervised Representation Learning with Deep Convolutional
Generative Adversarial Networks", appendix, table 3. Nets, L2 and schedule are those of the authors'
code (mnist/train_cond_dcgan.py): y joined at every layer, batch norm that learns nothing, no
biases; each minibatch trains one player. A step here is a turn of each.

    ganjax run cdcgan --data mnist
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import optax
from jax import Array, nn

from ganjax import Game, Player, cli
from ganjax.data import draw, require
from ganjax.experiment import Experiment, ImageOptions, Table, option
from ganjax.figures.samples import image_grid
from ganjax.game import Bound
from ganjax.losses import non_saturating as payoff
from ganjax.nets import dcgan, symmetric
from ganjax.protocols.conditional import evaluate, measure, sample

QUICK = {"steps": 1500, "width": 16, "units": 64, "batch": 32, "lr": 1e-3, "ema": 0.99}
TABLES = {
    data: Table(
        rows={"cDCGAN": {"data": data, "steps": 12_000}},
        columns=("one_nn_1k", "one_nn_10k", "one_nn_50k", "parzen"),
        seeds=3,
        paper={"cDCGAN": {"one_nn_50k": 0.0298}} if data == "mnist" else {},
        note="12,000 steps, 31 % of the authors'. The paper's number is recalled, not read; its "
        "code evaluates on validation images and draws labels at random, this table has test "
        "images and as many samples of each class.",
    )
    for data in ("mnist", "fashion_mnist")
}


@dataclass(frozen=True)
class Options:
    """The authors' setting on labelled images whose sides are multiples of 4; by default half of
    their 39,000 steps.
    """

    images: ImageOptions = ImageOptions("digits")
    width: int = option(64, "channels of G's last hidden layer", above=0)
    units: int = option(1024, "units of the dense layer in each player", above=0)
    z: int = option(100, "entries of the noise", above=0)
    batch: int = option(128, "real samples a turn", above=0)
    lr: float = option(2e-4, "first learning rate of Adam, its beta1 .5", above=0)
    l2: float = option(2.5e-5, "weight decay", low=0)
    ema: float = option(0.0, "decay of the averaged G that is sampled; 0: none", low=0, below=1)
    steps: int = option(
        20_000,
        "steps of training (the authors' 200 epochs are 39,000 of 50,000 images, each step two "
        "minibatches)",
        above=0,
    )


def losses(batch: Any, key: Array, *, G: Bound, D: Bound) -> dict[str, Array]:
    """Mirza and Osindero's equation 2; G maximises log D."""
    x = batch["x"]  # [B, H, W, C]
    y = nn.one_hot(batch["label"], G.player.inputs[1][0])  # [B, classes]
    real_score = D(x, y)  # [B]
    fake_score = D(G(G.noise(key, len(x)), y), y)
    return {"D": payoff.d(real_score, fake_score).mean(), "G": payoff.g(fake_score).mean()}


def game(shape: tuple[int, ...], classes: int, o: Options) -> Game:
    """The authors' nets; the rate is constant for half of the training, then falls to 0."""
    half = o.steps // 2
    falling = optax.linear_schedule(o.lr, 0.0, max(1, half))
    rate = optax.schedules.join_schedules([optax.constant_schedule(o.lr), falling], [half])
    adam = optax.chain(optax.add_decayed_weights(o.l2), optax.adam(rate, b1=0.5))
    net = dcgan.ConditionalGenerator(shape, o.width, o.units)
    players = {
        "G": Player(net, adam, ((o.z,), (classes,)), prior=symmetric(1.0), ema=o.ema),
        "D": Player(dcgan.ConditionalDiscriminator(o.width, o.units), adam, (shape, (classes,))),
    }
    draws = partial(draw, n=o.batch, low=0.0, high=1.0)
    return Game(players, losses, [["D"], ["G"]], draws, fresh="turn")


def figures(data: Any, x: Any, rows: Any, *, G: Bound) -> dict[str, Any]:
    """Eight samples of each class, a column for each."""
    classes = G.player.inputs[1][0]
    return {"classes": image_grid(x[: 8 * classes], columns=classes)}


def experiment(o: Options) -> Experiment:
    """cDCGAN on labelled images."""
    splits = o.images.find_splits()
    dataset = require(splits.train, (None, None, None), labels=True)
    if dataset.shape[0] % 4 or dataset.shape[1] % 4:
        raise ValueError(
            "cDCGAN's images have sides that are multiples of 4; those of "
            f"{dataset.name} are {list(dataset.shape)}: resize"
        )
    rules = partial(game, dataset.shape, dataset.classes or 0)
    last = partial(evaluate, parts=splits)
    return Experiment(
        rules, o, dataset.load(), sample, measure, last, figures, classes=dataset.classes or 0
    )


if __name__ == "__main__":
    cli.script()
