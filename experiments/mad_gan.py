"""MAD-GAN: k generators that share their first layers against one discriminator that must also tell
them apart.

Ghosh et al. 2018, "Multi-Agent Diverse Generative Adversarial Networks": equations 1 and 2. Nets,
priors and rates are those of the authors' 1-D toy (madgan.py): the generators see the same noise
while they train, and are sampled with noise of their own. Images of 32 and 64 px get the nets of
their image code (heads_classify_gen_n_alter.lua), of which all layers but the last two are shared.

    ganjax run mad_gan
    ganjax run mad_gan --data ring --k 8 --lr 1e-3 --beta1 0 --steps 4000
    ganjax run mad_gan --data stacked_mnist --size 32
"""

from functools import partial
from typing import Any

import jax.numpy as jnp
import optax
from jax import Array

from ganjax import cli
from ganjax import data as sets
from ganjax import experiment as ex
from ganjax.experiment import Experiment, Table
from ganjax.game import Bound, Game, Player
from ganjax.losses import ce
from ganjax.nets import mad_gan
from ganjax.protocols import by_classifier
from ganjax.protocols.teams import judge, measure, sample

RING = {"data": "ring", "width": 64, "batch": 64, "lr": 1e-3, "beta1": 0.0, "steps": 2000}
QUICK = {**RING, "k": 8}
WGAN_GP = {
    "experiment": "payoffs",
    "data": "mixture1d",
    "payoff": "wasserstein",
    "gp": 10.0,
    "width": 128,
    "z": 64,
    "batch": 128,
}
TOY: dict[str, dict[str, Any]] = {
    "GAN": {"experiment": "gan", "data": "mixture1d"},
    "MAD-GAN": {"k": 4},
}
RIVALS = {**TOY, "MA-GAN": {"k": 4, "binary": True}, "WGAN-GP": {**WGAN_GP, "steps": 200_000}}
PAPER = {
    "GAN": {"chi2": 0.90e5, "kl": 0.322},
    "MAD-GAN": {"chi2": 0.24e5, "kl": 0.145},
    "MA-GAN": {"chi2": 1.39e5, "kl": 0.526},
}
TABLES = {
    name: Table(
        rows=rows,
        columns=("chi2", "kl", "modes", "quality", "share_min", *(f"share_{i}" for i in range(5))),
        seeds=5,
        paper={row: PAPER[row] for row in rows if row in PAPER},
        note="the paper's numbers are recalled, not read.",
    )
    for name, rows in (("mixture1d", TOY), ("rivals", RIVALS))
} | {
    "k": Table(
        {f"k = {k}": {**RING, "k": k} for k in (1, 2, 4, 8)},
        ("modes", "quality", "kl"),
        seeds=5,
        note="Equal steps and rates",
    ),
    "stacked": Table(
        rows={
            f"k = {k}": {"data": "stacked_mnist", "size": 32, "k": k, "steps": 12_000}
            for k in (1, 4)
        },
        columns=("modes", "kl"),
        seeds=3,
        paper={"k = 1": {"modes": 712, "kl": 2.15}, "k = 4": {"modes": 890, "kl": 0.91}},
        note="The paper's numbers are recalled, not read, k = 1 being its DCGAN; 25,600 samples, named by a classifier of ours.",
        anchors=partial(by_classifier.anchor, name="stacked_mnist", size=32),
    ),
    "demo": Table(
        rows={
            "GAN, ring": {
                "experiment": "gan",
                "data": "ring",
                "width": 64,
                "lr": 1e-3,
                "steps": 2000,
            },
            "MAD-GAN, ring": QUICK,
            "GAN, digits": {
                "experiment": "gan",
                "data": "digits",
                "width": 128,
                "lr": 0.2,
                "steps": 3000,
            },
            "MAD-GAN, digits": {
                "data": "digits",
                "k": 3,
                "width": 192,
                "batch": 32,
                "lr": 4e-4,
                "steps": 2000,
            },
        },
        columns=("modes", "quality"),
        seeds=4,
    ),
}


def losses(batch: Any, key: Array, *, G: Bound, D: Bound) -> dict[str, Array]:
    """D names the generator a sample came from; classes 0 … k-1 are the generators, or class 0 is
    all of them, and the last is "real".
    """
    x = batch["x"]  # [B, ...]
    z = G.noise(key, len(x), each=False)  # [B, Z], the same for all generators
    named = D(G(z))  # [B, k, k+1], or [B, k, 2]
    real = named.shape[-1] - 1
    maker = jnp.arange(G.n) % real
    return {
        "D": ce(D(x), real).mean() + ce(named, maker).mean(0).sum(),
        "G": ce(named, real).mean(0).sum(),
    }


def game(
    shape: tuple[int, ...],
    k: int,
    width: int,
    z: int,
    batch: int,
    lr: float,
    beta1: float = 0.5,
    ema: float = 0.0,
    binary: bool = False,
) -> Game:
    """The authors' nets of images, or those of their toy."""
    adam, (generator, shared, prior) = optax.adam(lr, b1=beta1), mad_gan.generator(shape, width)
    G = Player(generator, adam, (z,), n=k, shared=shared, prior=prior, ema=ema)
    D = Player(mad_gan.discriminator(shape, width, 2 if binary else k + 1), adam, shape)
    return Game({"G": G, "D": D}, losses, [["D"], ["G"]], partial(sets.draw, n=batch))


def experiment(
    data: str = "mixture1d",
    data_dir: str | None = None,
    size: int | None = None,
    channels: int | None = None,
    crop: bool = False,
    k: int = 4,
    width: int | None = None,
    z: int | None = None,
    batch: int | None = None,
    lr: float | None = None,
    beta1: float = 0.5,
    ema: float = 0.0,
    binary: bool = False,
    steps: int | None = None,
) -> Experiment:
    """The authors' 1-D toy, on any mixture or set of images; their image code where images have 32
    or 64 px.

    data: a mixture, digits, another set of images, or a path
    data_dir: where prepared sets are
    size: pixels of a side that images are resized to; otherwise they stay as they are
    channels: 1 for grey images, 3 for colour
    crop: cut out the middle square before an image is resized
    k: generators
    width: units of a hidden layer (128); channels of the last hidden layer of an image net (64)
    z: entries of the noise (64; image nets 100)
    batch: real samples a step, and samples of each generator (128; image nets 64)
    lr: learning rate of Adam (1e-4; image nets 2e-4)
    beta1: Adam's momentum
    ema: decay of the averaged generators that are judged and sampled; 0 takes the newest
    binary: D only tells real samples from made ones (the paper's MA-GAN)
    steps: steps of training (200000; image nets 20000)
    """
    ex.positive(k=k, width=width, z=z, batch=batch, lr=lr, steps=steps)
    if not 0 <= beta1 < 1:
        raise ValueError(f"beta1 is a decay from 0 up to 1, not {beta1}")
    found = sets.points_or_images(data, data_dir, size=size, channels=channels, crop=crop)
    usual, rate = (
        ((64, 100, 64, 20_000), 2e-4)
        if mad_gan.is_convolutional(found.shape)
        else ((128, 64, 128, 200_000), 1e-4)
    )
    width, z, batch, steps = (given or one for given, one in zip((width, z, batch, steps), usual))
    played = game(found.shape, k, width, z, batch, lr or rate, beta1, ema, binary)
    return Experiment(
        played, found.load(), steps, sample, measure, partial(judge, name=data, data_dir=data_dir)
    )


if __name__ == "__main__":
    cli.script()
