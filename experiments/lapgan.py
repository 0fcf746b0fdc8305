"""LAPGAN: a Laplacian pyramid of generators, each of which draws the detail that the coarser image
lacks.

Denton, Chintala, Szlam and Fergus 2015, "Deep Generative Image Models using a Laplacian Pyramid of
Adversarial Networks": section 3 and the nets of the authors' scripts as one game. Each level, G_0
the finest, plays its own GAN on real coarse images, all at once; the levels meet when they are
sampled. Half of D's batch is real, half fake. The authors' rate falls by the epoch, here by the
step. For the finer levels without labels the authors keep the net of the epoch at which `nearest_k`
is least: the mean distance of 200 validation images to the nearest of 128 samples given their own
coarse image. Here it is measured, nothing is kept and the last net is evaluated.

Images are in -1..1. The authors subtract each pixel's mean over the training images and divide by
its SD + 1e-7. The border pixels of grey datasets have SD 0, so that one lit test pixel would
outweigh all others. Momentum rises from .5 to .7, in three of their four scripts from 0.

    ganjax run lapgan --data mnist
    ganjax run lapgan --data mnist --levels 1
    ganjax run lapgan --data mnist --conditional
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax.numpy as jnp
import optax
from jax import Array

from ganjax import cli
from ganjax.data import draw, require, scaled
from ganjax.data.transforms import band
from ganjax.experiment import Experiment, ImageOptions, Table, option
from ganjax.figures.samples import image_grid
from ganjax.figures.strips import pyramid_strips
from ganjax.game import Bound, Game, Player
from ganjax.keys import stream
from ganjax.losses import non_saturating
from ganjax.nets import lapgan, symmetric
from ganjax.optim import heavy_ball
from ganjax.protocols.laplacian import by_level, evaluate, labels, measure, sample

SMALL = {"data": "digits", "size": 16, "levels": 2, "width": 8, "batch": 32, "steps": 1500}
QUICK = {**SMALL, "conditional": True, "adam": True, "lr": 2e-4, "ema": 0.99}
SETTINGS: dict[str, dict[str, Any]] = {
    "parzen": {"width": 32, "steps": 4000},
    "adam": {"width": 32, "adam": True, "lr": 5e-4, "steps": 4000},
    "cifar10": {"data": "cifar10", "width": 32, "steps": 20_000},
}
PARZEN = ("parzen", "parzen_error", "parzen_sigma", "parzen_levels", "parzen_levels_error")
TABLES = {
    name: Table(
        rows={
            "GAN": {**own, "levels": 1},
            "LAPGAN": own,
            "CC-LAPGAN": {**own, "conditional": True},
        },
        columns=(*PARZEN, "nearest", "nearest_0", "nearest_1"),
        seeds=3,
        note="Fashion-MNIST, or CIFAR-10; finer levels of half the width. parzen_levels sums over "
        "the levels: no density of images.",
    )
    for name, own in SETTINGS.items()
}


@dataclass(frozen=True)
class Options:
    """Clothing of 28 pixels by way of 7 and 14."""

    images: ImageOptions = ImageOptions("fashion_mnist")
    levels: int = option(3, "levels of the pyramid, each of half the side", low=1, high=3)
    conditional: bool = option(False, "show every player the label")
    width: int = option(64, "channels of the finer levels", above=0)
    batch: int = option(128, "images a step", above=0)
    adam: bool = option(False, "Adam with beta1 .5 in the place of SGD")
    lr: float = option(0.02, "learning rate", above=0)
    ema: float = option(0.0, "decay of the averaged G that is sampled; 0: none", low=0, below=1)
    steps: int = option(50_000, "steps of training", above=0)


def losses(batch: Any, key: Array, **players: Bound) -> dict[str, Array]:
    """Section 3.2 at every level: h_k = I_k - u(I_{k+1}) against G_k(z_k, l_k), both given l_k =
    u(I_{k+1}).
    """
    image = batch["x"]  # [B, H, W, C]
    half = (len(image) + 1) // 2
    generators = by_level(players)
    y = labels(batch, generators[-1])
    out = {}
    for k, G in enumerate(generators):
        D = players[f"D_{k}"]
        last = k + 1 == len(generators)
        h, *l, image = (image, image) if last else band(image, image.shape[1] // 2)
        given = [*l, *y]
        fake = G(G.noise(key, len(h)), *given)
        fake_score = D(fake, *given, key=stream(key, "fake"))  # [B]
        real_score = D(*(v[:half] for v in (h, *given)), key=stream(key, "real"))  # [B / 2]
        out[f"D_{k}"] = non_saturating.d(real_score, fake_score[-half:]).mean() / 2
        out[f"G_{k}"] = non_saturating.g(fake_score).mean()
    return out


def game(shape: tuple[int, ...], classes: int, examples: int, o: Options) -> Game:
    """Convolutions for the finer levels, dense nets for the coarsest; 0 classes: no labels."""
    epoch = max(1, examples // o.batch)
    tx = optax.adam(o.lr, b1=0.5) if o.adam else heavy_ball(o.lr, epoch)
    common: Any = {"prior": symmetric(1.0), "ema": o.ema}
    y = [(classes,)] if classes else []
    players: dict[str, Player] = {}
    for k in range(o.levels):
        side = shape[0] >> k
        image = (side, side, shape[2])
        if k + 1 < o.levels:
            G = Player(lapgan.Generator(o.width), tx, ((side, side, 1), image, *y), **common)
            D = Player(lapgan.Discriminator(o.width), tx, (image, image, *y))
        else:
            of_g = lapgan.coarse_generator(image, conditional=o.conditional)
            of_d = lapgan.coarse_discriminator(conditional=o.conditional)
            G = Player(of_g, tx, ((100,), *y), **common)
            D = Player(of_d, tx, (image, *y), per={"rate": 0.5})
        players |= {f"G_{k}": G, f"D_{k}": D}
    return Game(players, losses, [list(players)], partial(draw, n=o.batch))


def figures(data: Any, x: Any, rows: Any) -> dict[str, Any]:
    """Samples, and twelve of them level by level."""
    return {"samples": image_grid(x[:64, -1]), "chain": pyramid_strips(x[:12])}


def experiment(o: Options) -> Experiment:
    """LAPGAN on square images whose side the levels halve."""
    splits = o.images.find_splits()
    train = require(splits.train, (None, None, None), labels=o.conditional)
    side, width, _ = train.shape
    sides = [side >> k for k in range(o.levels - 1)]  # of the finer levels, which are halved
    if side != width or any(s % 2 or s < 13 for s in sides):
        raise ValueError(
            f"1 to 3 levels halve a square of 13 pixels or more; {o.levels} of "
            f"{[side, width]} do not: ask for a size"
        )
    K = (train.classes or 0) if o.conditional else 0
    play_on = partial(game, train.shape, K, train.examples or 0)
    arrays: Any = splits.valid.read() if splits.valid else {}
    valid = {name: scaled(jnp.asarray(values[:200])) for name, values in arrays.items()}
    measured, evaluated = partial(measure, valid=valid), partial(evaluate, splits=splits)
    return Experiment(play_on, o, train.load(), sample, measured, evaluated, figures, classes=K)


if __name__ == "__main__":
    cli.script()
