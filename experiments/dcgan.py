"""DCGAN: convolutions all the way, batch norm in both players.

Radford, Metz and Chintala 2016, "Unsupervised Representation Learning with Deep Convolutional
Generative Adversarial Networks", section 3 and figure 1: z of 100, 4x4x1024 up to 64x64x3 at width
128, Adam. L2 and "each minibatch trains one player" are those of the authors' code; a step here is
a turn of each. A linear SVM on few labels evaluates D's features, as in section 5.2.

    ganjax run dcgan --data mnist --size 32 --width 64
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import optax
from jax import Array, nn
from matplotlib.figure import Figure

from ganjax import Game, Player, cli
from ganjax.data import Splits, draw, require
from ganjax.experiment import Experiment, ImageOptions, Table, option
from ganjax.figures.samples import image_grid
from ganjax.figures.strips import strips
from ganjax.game import Bound
from ganjax.losses import non_saturating as payoff
from ganjax.nets import dcgan, symmetric
from ganjax.protocols import latent_arithmetic, standard

QUICK = {"steps": 5000, "width": 32, "batch": 64, "lr": 5e-4, "ema": 0.999}
SMALL = {"size": 32, "width": 64, "steps": 6_000}
SUMS = ("arithmetic", "arithmetic_plain", "arithmetic_chance")
TABLES = {
    data: Table(
        rows={"DCGAN": {"data": data, **SMALL}},
        columns=("svm", "svm_pixels", "parzen", "quality", *SUMS),
        seeds=3,
        note="Test errors of a linear SVM on D's features and on pixels, 1,000 labels; the paper "
        "has SVHN instead.",
    )
    for data in ("mnist", "fashion_mnist", "cifar10")
} | {
    "emoji": Table(
        rows={"DCGAN": {"data": "emoji_styles", **SMALL, "size": 64}},
        columns=("frechet_imagenet", "modes", "quality"),
        seeds=3,
        note="Fréchet distance by EfficientNet-Lite0 at 224 px, training images against as many "
        "samples; without its weights no such column.",
    )
}


@dataclass(frozen=True)
class Options:
    """The paper's setting on images whose sides are 8, 16, 32, 64 or more powers of two."""

    images: ImageOptions = ImageOptions("digits")
    width: int = option(
        128, "channels of the widest maps; each layer towards 4x4 has twice as many", above=0
    )
    kernel: int = option(5, "side of the filters, 4 or 5; 4 pads as the Torch port", low=4, high=5)
    z: int = option(100, "entries of the noise", above=0)
    batch: int = option(128, "real samples a turn", above=0)
    lr: float = option(2e-4, "learning rate of Adam, its beta1 .5", above=0)
    l2: float = option(1e-5, "weight decay", low=0)
    ema: float = option(0.0, "decay of the averaged G that is sampled; 0: none", low=0, below=1)
    steps: int = option(20_000, "steps of training", above=0)


def losses(batch: Any, key: Array, *, G: Bound, D: Bound) -> dict[str, Array]:
    """Goodfellow et al. 2014, equation 1; G maximises log D. Real and fake images pass D as two
    batches.
    """
    x = batch["x"]  # [B, H, W, C]
    real_score = D(x)  # [B]
    fake_score = D(G(G.noise(key, len(x))))
    return {"D": payoff.d(real_score, fake_score).mean(), "G": payoff.g(fake_score).mean()}


def game(shape: tuple[int, ...], o: Options) -> Game:
    """Figure 1; images in -1..1."""
    adam = optax.chain(optax.add_decayed_weights(o.l2), optax.adam(o.lr, b1=0.5))
    net = dcgan.Generator(shape, o.width, o.kernel)
    players = {
        "G": Player(net, adam, (o.z,), prior=symmetric(1.0), ema=o.ema),
        "D": Player(dcgan.Discriminator(o.width, o.kernel), adam, shape),
    }
    return Game(players, losses, [["D"], ["G"]], partial(draw, n=o.batch), fresh="turn")


def sample(key: Array, n: int, *, G: Bound) -> Array:
    """Images in 0..1, [n, *shape], normalised by the statistics of the batch."""
    return (G(G.noise(key, n)) + 1) / 2


def measure(data: Any, key: Array, *, G: Bound, D: Bound) -> dict[str, Array]:
    """D's probability of samples and of real images, on average."""
    real = draw(data, key, 256)["x"]
    fake = 2 * sample(key, 256, G=G) - 1
    return {"p_fake": nn.sigmoid(D(fake)).mean(), "p_real": nn.sigmoid(D(real)).mean()}


def evaluate(data: Any, key: Array, *, G: Bound, D: Bound, splits: Splits) -> dict[str, float]:
    """Classes, quality, Parzen row, sums of z; with held-out labels SVMs on D's features and on
    pixels, otherwise a distance.
    """
    numbers = (
        standard.evaluate(data, sample, key, G=G)
        | latent_arithmetic.evaluate(data, key, G)
        | standard.parzen_likelihood(sample, key, splits, G=G)
        | standard.few_label_errors(key, data, splits, D)
    )
    if "svm" in numbers:
        return numbers
    return numbers | standard.imagenet_distance(data, sample, key, G=G)


def figures(data: Any, x: Any, rows: Any, *, G: Bound) -> Mapping[str, Figure]:
    """Points on lines between random z, as in figure 4; sums of z, as in figure 7."""
    walk = image_grid(latent_arithmetic.interpolation(G), -1.0, columns=9)
    sums = latent_arithmetic.examples(data, G)
    if sums is None:
        return {"walk": walk}
    return {"walk": walk, "arithmetic": strips(sums, ("a+", "- a-", "+ b-", "= ?", "b+"))}


def experiment(o: Options) -> Experiment:
    """DCGAN on a set of images."""
    splits = o.images.find_splits()
    dataset = require(splits.train, (None, None, None))
    dcgan.halvings(dataset.shape[:-1])
    last = partial(evaluate, splits=splits)
    return Experiment(
        partial(game, dataset.shape), o, dataset.load(), sample, measure, last, figures
    )


if __name__ == "__main__":
    cli.script()
