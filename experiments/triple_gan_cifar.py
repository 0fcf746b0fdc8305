"""Triple-GAN on CIFAR-10: C agrees with itself on unlabelled images, and sees them whitened.

Li, Xu, Zhu and Zhang 2017, "Triple Generative Adversarial Nets": equations 3 to 5; losses, nets and
rates as in the authors' CIFAR-10 code, whose 1000 epochs are scaled to the run. In place of the
entropy and the balance of `triple_gan` C has the consistency of the Pi model (Laine and Aila 2017).
A run's seed draws the labelled examples. Departures: C's kernels begin at fixed lengths, not those
of a first batch; C is tested with the mean of 2,000 training images, or as many as have labels, not
a running one; D's labelled images are some of C's; as in `triple_gan`, the turns of a step share z
and the noise of D and C, and C's adversarial loss is the mean of p cost, not mean(p) mean(cost).

    ganjax run triple_gan_cifar
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import optax
from jax import Array, random
from jax.nn import softplus as sp

from ganjax import Game, Player, cli
from ganjax.data import require
from ganjax.data.whitening import fit_zca, whiten
from ganjax.experiment import Experiment, ImageOptions, Table, option
from ganjax.game import Bound
from ganjax.keys import stream
from ganjax.losses import ce
from ganjax.nets import triple_gan
from ganjax.protocols import conditional, semi_supervised

SMALL = {"data": "digits", "size": 24, "labels": 100}
NETS = {"width": 8, "d_width": 16, "eps": 1e-2, "consistency": 2.0}
QUICK = {**SMALL, **NETS, "batch": 10, "lr": 2e-3, "steps": 700}
TABLES = {
    "cifar4000": Table(
        rows={"Triple-GAN": {}, "C alone": {"alone": True}},
        columns=("error",),
        seeds=3,
        paper={"Triple-GAN": {"error": 0.1699}},
        note="The paper's number: recalled, not read, 500,000 steps. A seed also draws the labels",
    ),
}


@dataclass(frozen=True)
class Options:
    """The authors' CIFAR-10 setting, in fewer steps."""

    images: ImageOptions = ImageOptions("cifar10")  # of 24, 32, 40, ... pixels a side
    labels: int = option(4000, "labelled examples, equally many of each class", above=0)
    alone: bool = option(False, "C trains without G and D, which stay as they began")
    width: int = option(128, "channels of C's first layer and G's last, others by it", above=0)
    d_width: int | None = option(None, "channels of D's first layer (a quarter of width)", above=0)
    eps: float = option(1e-5, "added to the variances that whitening divides by", above=0)
    consistency: float = option(100.0, "weight of C's agreement with itself, in the end", low=0)
    batch: int = option(100, "labelled and unlabelled images a step for C; twice for G", above=0)
    lr: float = option(3e-4, "learning rate of Adam for G and D; C's is ten times that", above=0)
    steps: int = option(50_000, "steps of training", above=0)


def losses(
    batch: Any, key: Array, *, G: Bound, D: Bound, C: Bound, L: Bound, step: Array, K: int,
    o: Options,
) -> dict[str, Array]:  # fmt: skip
    """Equations 3 to 5, alpha = 1/2; C is moved through the probability of its likeliest label."""
    B, epoch = o.batch, 1000 * step / o.steps
    x_l, y_l = semi_supervised.draw_labelled(batch["all"], L(), key, B, low=-1.0)
    x_u, x_d = batch["x_u"], batch["x_d"]
    white = partial(whiten, mean=batch["all"]["mean"], zca=batch["all"]["zca"])
    logits = C(white(jnp.stack([x_l, x_u, x_u], 1)), key=stream(key, "real"))  # [B, 3, K]
    R_L = ce(logits[:, 0], y_l).mean()
    p, again = nn.softmax(logits[:, 1]), nn.softmax(logits[:, 2])  # [B, K], under other noise
    R_U = ((p - again) ** 2).mean()
    rise = jnp.where(epoch < 1, 0, jnp.exp(-5 * jnp.maximum(1 - epoch / 80, 0) ** 2))
    own = R_L + o.consistency * rise * R_U
    if o.alone:
        return {"C": own, "R_L": R_L, "R_U": R_U}
    y = partial(nn.one_hot, num_classes=K)
    y_g = jnp.arange(2 * B) % K
    x_g = G(G.noise(key, 2 * B), y(y_g))  # [2B, ...]
    few = len(x_d) // 4
    x_p = jnp.concatenate([x_l[:few], x_d])
    y_p = jnp.concatenate([y_l[:few], C(white(x_d), key=stream(key, "x_d")).argmax(-1)])
    real = D(x_p, y(y_p), key=stream(key, "real"))
    by_g = D(x_g, y(y_g), key=stream(key, "by_g"))
    by_c = D(x_u, y(p.argmax(-1)), key=stream(key, "by_c"))
    R_P = ce(C(white(x_g), key=stream(key, "x_g")), y_g).mean()
    own += 0.01 * 0.5 * (p.max(-1) * sp(-by_c)).mean() + jnp.where(epoch < 200, 0, 0.1) * R_P
    L_D = sp(-real).mean() + 0.5 * sp(by_g).mean() + 0.5 * sp(by_c).mean()
    return {"D": L_D, "G": 0.5 * sp(-by_g).mean(), "C": own, "R_L": R_L, "R_U": R_U, "R_P": R_P}


def game(shape: tuple[int, ...], K: int, L: Player, o: Options) -> Game:
    """All rates fall after 300 of 1000 epochs; C's beta1 falls from .9 to .5 in the 50 before."""

    def beta(t: Array) -> Array:
        return 0.5 + 0.4 * jnp.exp(-(jnp.maximum(1000 * t / o.steps - 250, 0) ** 2) / 200)

    def falling(rate: float, to: float) -> optax.Schedule:
        falls = 3 * o.steps // 10
        return optax.exponential_decay(rate, max(1, o.steps - falls), to, falls)

    adam = optax.adam(falling(o.lr, 0.995**700), b1=0.5)
    for_c = optax.inject_hyperparams(optax.adam)(falling(10 * o.lr, 0.99**700), b1=beta)
    G = triple_gan.ColourGenerator(shape, o.width)
    D = triple_gan.ColourDiscriminator(o.d_width or max(1, o.width // 4))
    players = {
        "G": Player(G, adam, ((100,), (K,)), prior=random.uniform),
        "D": Player(D, adam, (shape, (K,))),
        "C": Player(triple_gan.CifarClassifier(K, o.width), for_c, shape, ema=0.99),
        "L": L,
    }
    turns = [["C"]] if o.alone else [["D"], ["G"], ["C"]]
    sizes = {"x_u": o.batch, "x_d": max(1, 8 * o.batch // 5)}
    draw = partial(semi_supervised.draw_batches, sizes=sizes, low=-1.0)
    return Game(players, partial(losses, K=K, o=o), turns, draw)


def sample(key: Array, n: int, *, G: Bound) -> Array:
    """n samples in 0..1, [n, *shape], by class; the classes share each noise."""
    return (conditional.sample_styles(key, n, G=G) + 1) / 2


def measure(arrays: Any, key: Array, *, C: Bound, n: int) -> dict[str, Array]:
    """The test error of C, its parameters averaged, with the mean of n training images."""
    white = partial(whiten, mean=arrays["mean"], zca=arrays["zca"])
    return {"error": semi_supervised.error_rate(arrays, key, C, n, -1.0, white, at_once=1000)}


def experiment(o: Options) -> Experiment:
    """Triple-GAN on colour images with labels."""
    dataset = require(o.images.find(), (None, None, None), labels=True)
    height, width = dataset.shape[:2]
    if any(side % 8 or side < 24 for side in (height, width)):
        sides = f"{height} x {width}; the sides are 24, 32, 40, ...: ask for a size"
        raise ValueError(f"{dataset.name} has images of {sides}")
    arrays = semi_supervised.labelled_examples(dataset)
    K = dataset.classes or 0
    L = semi_supervised.known_labels(arrays["label"], o.labels, K)
    arrays |= fit_zca(arrays["x"], o.eps)
    this, measured = partial(game, dataset.shape, K, L), partial(measure, n=min(2000, o.labels))
    return Experiment(this, o, arrays, sample, measured, figures=conditional.styles, classes=K)


if __name__ == "__main__":
    cli.script()
