"""DCGAN: convolutions all the way, batch norm in both players.

Radford, Metz and Chintala 2016, "Unsupervised Representation Learning with Deep Convolutional
Generative Adversarial Networks", section 3 and figure 1: z of 100, 4x4x1024 up to 64x64x3 at width
128, Adam. L2 and "each minibatch trains one player" are those of the authors' code; a step here is
a turn of each. D's features are judged by a linear SVM on few labels, as in section 5.2.

    ganjax run dcgan --data mnist --size 32 --width 64
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import optax
from jax import Array
from matplotlib.figure import Figure

from ganjax import cli
from ganjax import data as sets
from ganjax import experiment as ex
from ganjax.experiment import Experiment, Table
from ganjax.figures.samples import image_grid
from ganjax.figures.strips import strips
from ganjax.game import Bound, Game, Player
from ganjax.losses import non_saturating as payoff
from ganjax.nets import dcgan, symmetric
from ganjax.protocols import latent_arithmetic, standard

QUICK = {"steps": 60, "width": 16, "batch": 32}
SMALL = {"size": 32, "width": 64, "steps": 6_000}
TABLES = {
    data: Table(
        rows={"DCGAN": {"data": data, **SMALL}},
        columns=(
            "svm",
            "svm_pixels",
            "parzen",
            "quality",
            "arithmetic",
            "arithmetic_plain",
            "arithmetic_chance",
        ),
        seeds=3,
        note="Test errors of a linear SVM on D's features and on pixels, 1,000 labels; the paper has SVHN instead.",
    )
    for data in ("mnist", "fashion_mnist", "cifar10")
}
TABLES["emoji"] = Table(
    rows={"DCGAN": {"data": "emoji_styles", **SMALL, "size": 64}},
    columns=("frechet_imagenet", "modes", "quality"),
    seeds=3,
    note="Fréchet distance by EfficientNet-Lite0 at 224 px, training images against as many samples; without its weights no such column.",
)


def losses(batch: Any, key: Array, *, G: Bound, D: Bound) -> dict[str, Array]:
    """Goodfellow et al. 2014, equation 1; G maximises log D. Real and fake images pass D as two
    batches.
    """
    x = batch["x"]  # [B, H, W, C]
    real_score, fake_score = D(x), D(G(G.noise(key, len(x))))  # [B]
    return {"D": payoff.d(real_score, fake_score).mean(), "G": payoff.g(fake_score).mean()}


def game(
    shape: tuple[int, ...], width: int, kernel: int, z: int, batch: int, lr: float, l2: float
) -> Game:
    """Figure 1; images in -1..1."""
    adam = optax.chain(optax.add_decayed_weights(l2), optax.adam(lr, b1=0.5))
    players = {
        "G": Player(dcgan.Generator(shape, width, kernel), adam, (z,), prior=symmetric(1.0)),
        "D": Player(dcgan.Discriminator(width, kernel), adam, shape),
    }
    return Game(players, losses, [["D"], ["G"]], partial(sets.draw, n=batch), fresh="turn")


def sample(key: Array, n: int, *, G: Bound) -> Array:
    """Images in 0..1, [n, *shape], normalised by the statistics of the batch."""
    return (G(G.noise(key, n)) + 1) / 2


def measure(data: Any, key: Array, *, G: Bound, D: Bound) -> dict[str, Array]:
    """D's probability of samples and of real images, on average."""
    fake, real = 2 * sample(key, 256, G=G) - 1, sets.draw(data, key, 256)["x"]
    return {"p_fake": jax.nn.sigmoid(D(fake)).mean(), "p_real": jax.nn.sigmoid(D(real)).mean()}


def evaluate(data: Any, key: Array, *, G: Bound, D: Bound, parts: sets.Splits) -> dict[str, float]:
    """Classes, quality, Parzen row, sums of z; with held-out labels SVMs on D's features and on
    pixels, otherwise a distance.
    """
    held = standard.parzen_likelihood(sample, key, parts, G=G) | standard.few_label_svm(
        key, data, parts, D
    )
    far = {} if "svm" in held else standard.imagenet_distance(data, sample, key, G=G)
    return (
        standard.evaluate(data, sample, key, G=G)
        | latent_arithmetic.evaluate(data, key, G)
        | held
        | far
    )


def figures(data: Any, x: Any, rows: Any, *, G: Bound) -> Mapping[str, Figure]:
    """Points on lines between random z, as in figure 4; sums of z, as in figure 7."""
    walk = image_grid(latent_arithmetic.interpolation(G), -1.0, columns=9)
    sums = latent_arithmetic.examples(data, G)
    if sums is None:
        return {"walk": walk}
    return {"walk": walk, "arithmetic": strips(sums, ("a+", "- a-", "+ b-", "= ?", "b+"))}


def experiment(
    data: str = "digits",
    data_dir: str | None = None,
    size: int | None = None,
    channels: int | None = None,
    crop: bool = False,
    width: int = 128,
    kernel: int = 5,
    z: int = 100,
    batch: int = 128,
    lr: float = 2e-4,
    l2: float = 1e-5,
    steps: int = 20_000,
) -> Experiment:
    """The paper's setting on images whose sides are 8, 16, 32, 64 or more powers of two.

    data: digits, another set of images, or a path
    data_dir: where prepared sets are
    size: pixels of a side that images are resized to; otherwise they stay as they are
    channels: 1 for grey images, 3 for colour
    crop: cut out the middle square before an image is resized
    width: channels of the widest maps; each layer towards 4x4 has twice as many
    kernel: side of the filters; 4 pads as the Torch port
    z: entries of the noise
    batch: real samples a turn
    lr: learning rate of Adam, its beta1 .5
    l2: weight decay
    steps: steps of training
    """
    ex.positive(width=width, z=z, batch=batch, lr=lr, steps=steps)
    ex.positive(zero=True, l2=l2)
    parts = sets.find_splits(data, data_dir, size=size, channels=channels, crop=crop)
    found = sets.require(parts.train, (None, None, None))
    dcgan.halvings(found.shape[:-1])
    if kernel not in (4, 5):
        raise ValueError(f"kernel is 4 or 5; got {kernel}")
    played = game(found.shape, width, kernel, z, batch, lr, l2)
    return Experiment(
        played, found.load(), steps, sample, measure, partial(evaluate, parts=parts), figures
    )


if __name__ == "__main__":
    cli.script()
