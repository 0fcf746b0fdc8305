"""MAD-GAN: k generators that share their first layers, and a D that must also tell them apart.

Ghosh et al. 2018, "Multi-Agent Diverse Generative Adversarial Networks": equations 1 and 2. Nets,
priors and rates are those of the authors' 1-D toy (madgan.py); images of 32 and 64 pixels get the
nets of their image code (heads_classify_gen_n_alter.lua), which share all layers but the last two.
The generators see the same noise while they train, and are sampled with noise of their own. G's
turn draws new noise in the toy, and has D's on such images, as in these codes. The image code
weighs real samples k times; here once, as in equation 1 and the toy. MA-GAN weighs real samples as
much as all others; a generator makes a full batch, weighed 1/k, where the toy makes a k-th of one.

    ganjax run mad_gan
    ganjax run mad_gan --data ring --k 8 --lr 1e-3 --beta1 0 --steps 4000
    ganjax run mad_gan --data stacked_mnist --size 32
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax.numpy as jnp
import optax
from jax import Array

from ganjax import Game, Player, cli
from ganjax.data import draw
from ganjax.experiment import Experiment, ImageOptions, Table, option, with_defaults
from ganjax.game import Bound
from ganjax.losses import ce
from ganjax.nets import mad_gan
from ganjax.protocols import classifier, digits
from ganjax.protocols.overlay import overlay
from ganjax.protocols.teams import evaluate, measure, sample

EQUAL = {"data": "ring", "width": 64, "batch": 64, "lr": 1e-3, "steps": 2000}
RING = {**EQUAL, "beta1": 0.0}
QUICK = {**EQUAL, "k": 8, "ema": 0.99}
DIGITS = {"data": "digits", "width": 192, "lr": 4e-4, "ema": 0.998, "steps": 4000}
STACKED = {"data": "stacked_mnist", "size": 32, "steps": 12_000}
TOY: dict[str, dict[str, Any]] = {
    "GAN": {"experiment": "gan", "data": "mixture1d"},
    "MAD-GAN": {"k": 4},
}
WGAN_GP = {
    "experiment": "payoffs", "data": "mixture1d", "payoff": "wasserstein", "gp": 10.0,
    "width": 128, "z": 64, "batch": 128, "steps": 200_000,
}  # fmt: skip
RIVALS = {**TOY, "MA-GAN": {"k": 4, "binary": True}, "WGAN-GP": WGAN_GP}
PAPER = {
    "GAN": {"chi2": 0.90e5, "kl": 0.322}, "MAD-GAN": {"chi2": 0.24e5, "kl": 0.145},
    "MA-GAN": {"chi2": 1.39e5, "kl": 0.526},
}  # fmt: skip
SHARES = tuple(f"share_{i}" for i in range(5))
TABLES = {
    name: Table(
        rows=rows,
        columns=("chi2", "chi2_rare", "kl", "modes", "quality", "share_min", *SHARES),
        seeds=5,
        paper={row: PAPER[row] for row in rows if row in PAPER},
        note="chi2_rare: chi2's part of bins of under 5 real samples. The paper's are recalled.",
    )
    for name, rows in (("mixture1d", TOY), ("rivals", RIVALS))
} | {
    "k": Table(
        rows={f"k = {k}": {**RING, "k": k} for k in (1, 2, 4, 8)},
        columns=("modes", "quality", "kl"), seeds=5, note="Equal steps and rates",
    ),
    "stacked": Table(
        rows={f"k = {k}": {**STACKED, "k": k} for k in (1, 4)}, columns=("modes", "kl"), seeds=3,
        paper={"k = 1": {"modes": 712, "kl": 2.15}, "k = 4": {"modes": 890, "kl": 0.91}},
        anchors=partial(classifier.training_images, name="stacked_mnist", size=32),
        note="The paper's numbers are recalled, k = 1 is its DCGAN; 25,600 samples, read by our C.",
    ),
    "demo": Table(
        rows={
            "GAN, ring": {"experiment": "gan", **EQUAL, "batch": 128},
            "MAD-GAN, ring": QUICK,
            "GAN, digits": {
                "experiment": "gan", "data": "digits", "width": 128, "lr": 0.2, "steps": 3000},
            "GAN, averaged, digits": {**DIGITS, "k": 1, "batch": 64},
            "MAD-GAN, digits": {**DIGITS, "k": 3, "batch": 32},
        }, columns=("modes", "quality", "sure", "rarest", "commonest"), seeds=4,
        anchors=digits.real_digits, after=digits.at_a_glance, note=digits.NOTE,
    ),
    "lanes": Table(
        {"GAN": {"experiment": "gan", **EQUAL}, "MAD-GAN": {**EQUAL, "k": 8},
         "GMAN": {"experiment": "gman", **EQUAL}}, ("modes", "quality", "kl"), seeds=16,
        after=partial(overlay, measures={"modes": None, "quality": None}, quartiles=True),
        note="GMAN learns nothing of the ring in so few steps: its modes are those of a cloud.",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Options:
    """The authors' 1-D toy; their image code where images have 32 or 64 pixels."""

    images: ImageOptions = ImageOptions("mixture1d")
    k: int = option(4, "generators", above=0)
    width: int = option(None, "units of a hidden layer (128; image nets 64)", above=0)
    z: int = option(None, "entries of the noise (64; image nets 100)", above=0)
    batch: int = option(
        None, "real samples a step, and samples of each generator (128; image nets 64)", above=0
    )
    lr: float = option(None, "learning rate of Adam (1e-4; image nets 2e-4)", above=0)
    beta1: float = option(0.5, "Adam's momentum", low=0, below=1)
    ema: float = option(0.0, "decay of the averaged G that is sampled; 0: none", low=0, below=1)
    binary: bool = option(False, "D only tells real samples from fakes (the paper's MA-GAN)")
    steps: int = option(None, "steps of training (200000; image nets 20000)", above=0)


def losses(batch: Any, key: Array, *, G: Bound, D: Bound) -> dict[str, Array]:
    """D names the generator of a sample: classes 0 … k-1 are the generators, the last is "real".

    A D of two classes, MA-GAN's, has one class for all generators, and takes the mean over them.
    """
    x = batch["x"]  # [B, ...]
    z = G.noise(key, len(x), each=False)  # [B, Z], the same for all generators
    named = D(G(z))  # [B, k, k+1], or [B, k, 2]
    real = named.shape[-1] - 1
    maker = jnp.arange(G.n) % real
    told = ce(named, maker).mean(0)  # [k]
    d = ce(D(x), real).mean() + (told.mean() if real == 1 else told.sum())
    return {"D": d, "G": ce(named, real).mean(0).sum()}


def game(shape: tuple[int, ...], o: Options) -> Game:
    """The authors' nets of images, or those of their toy."""
    adam = optax.adam(o.lr, b1=o.beta1)
    net, shared, prior = mad_gan.generator(shape, o.width)
    classes = 2 if o.binary else o.k + 1
    players = {
        "G": Player(net, adam, (o.z,), n=o.k, shared=shared, prior=prior, ema=o.ema),
        "D": Player(mad_gan.discriminator(shape, o.width, classes), adam, shape),
    }
    fresh: Any = "step" if mad_gan.is_convolutional(shape) else "turn"
    return Game(players, losses, [["D"], ["G"]], partial(draw, n=o.batch), fresh=fresh)


def experiment(o: Options) -> Experiment:
    """MAD-GAN on any mixture or set of images."""
    dataset = o.images.find()
    o = with_defaults(o, **mad_gan.default_options(dataset.shape))
    last = partial(evaluate, name=o.images.data, data_dir=o.images.form.data_dir)
    return Experiment(
        partial(game, dataset.shape), o, dataset.load(), sample, measure, evaluate=last
    )


if __name__ == "__main__":
    cli.script()
