"""Triple-GAN: a generator and a classifier against a discriminator of pairs (x, y), few labels.

Li, Xu, Zhu and Zhang 2017, "Triple Generative Adversarial Nets": equations 3 to 5; losses, nets and
rates as in the authors' MNIST code. There C trains alone for 30 epochs, and two terms of its loss
come in at epoch 300 of 1000. Here G and D train from the first step on, and the terms come in after
a tenth and three tenths of the run. The turns of a step share z and the noise of D and C; the
authors draw them anew. C's adversarial loss is the mean of p cost over examples, as in equation 3;
in their code the two broadcast to an N x N table, whose mean, mean(p) mean(cost), pushes every
example alike. A run's seed draws the labelled examples. Images below 20 pixels get a dense C.

    ganjax run triple_gan --data mnist --labels 100 --steps 20000
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
from ganjax.experiment import Experiment, ImageOptions, Table, option
from ganjax.game import Bound
from ganjax.keys import stream
from ganjax.losses import ce
from ganjax.nets import MLP, triple_gan
from ganjax.protocols import semi_supervised
from ganjax.protocols.conditional import sample_styles, styles

QUICK = {"labels": 100, "width": 16, "batch": 50, "noise": 0.1, "steps": 1500}
MNIST: dict[str, Any] = {"data": "mnist", "steps": 8000}
ROWS = {
    "Triple-GAN": MNIST,
    "Triple-GAN, centred and mismatched": MNIST | {"centred": True, "mismatched": True},
    "C alone": MNIST | {"alone": True},
    "C alone, labelled images alone": MNIST | {"supervised": True},
}
FEW: dict[str, Any] = {"labels": 50}
TABLES = {
    "mnist100": Table(
        ROWS,
        ("error",),
        seeds=3,
        paper={"Triple-GAN": {"error": 0.0091}},
        note="The paper's number: recalled, not read, 600,000 steps. A seed also draws the labels",
    ),
    "digits50": Table({"Triple-GAN": FEW, "C alone": FEW | {"alone": True}}, ("error",), seeds=5),
}


@dataclass(frozen=True)
class Options:
    """The authors' MNIST setting, in fewer steps."""

    images: ImageOptions = ImageOptions("digits")
    labels: int = option(100, "labelled examples, equally many of each class", above=0)
    alone: bool = option(False, "C trains without G and D, which stay as they began")
    supervised: bool = option(False, "C trains alone, and on the labelled images alone")
    centred: bool = option(False, "C's adversarial costs have mean 0, so D moves no certainty")
    mismatched: bool = option(False, "to D real images with wrong labels are fakes (Reed 2016)")
    late: float = option(0.3, "share of the run before C trains on G's samples", low=0, high=1)
    width: int = option(32, "channels of C's first layer, the others in proportion", above=0)
    batch: int = option(100, "unlabelled images a step for C; twice from G, four times D", above=0)
    noise: float = option(1.0, "times the SD of the authors' noise in D, for 784 pixels", low=0)
    lr: float = option(1e-3, "learning rate of Adam, beta1 .5; it falls to 3 %", above=0)
    steps: int = option(20_000, "steps of training", above=0)


def losses(
    batch: Any, key: Array, *, G: Bound, D: Bound, C: Bound, L: Bound, step: Array, K: int,
    o: Options,
) -> dict[str, Array]:  # fmt: skip
    """Equations 3 to 5, alpha = 1/2; C is moved through the probability of its likeliest label."""
    B = o.batch
    x_l, y_l = semi_supervised.draw_labelled(batch["all"], L(), key, B)
    x_u, x_d = batch["x_u"], batch["x_d"]
    log_p = nn.log_softmax(C(x_u, key=stream(key, "x_u")))  # [B, K]
    p = jnp.exp(log_p)
    R_L = ce(C(x_l, key=stream(key, "x_l")), y_l).mean()
    entropy = -(p * log_p).sum(-1).mean()
    pre, late = o.steps // 10, o.late * o.steps
    own = R_L + 1e-4 * (C.params["out"]["kernel"] ** 2).sum()
    if not o.supervised:
        own += 0.3 * entropy - jnp.where(step < pre, 0.3, 1e-3) * jnp.log(p.mean(0) + 1e-6).mean()
    if o.alone or o.supervised:
        return {"C": own, "R_L": R_L, "entropy": entropy}
    y = partial(nn.one_hot, num_classes=K)
    y_g = jnp.arange(2 * B) % K
    x_g = G(G.noise(key, 2 * B), y(y_g))  # [2B, ...]
    few = max(1, len(L()) // 100)
    x_p = jnp.concatenate([x_l[:few], x_d])
    y_p = jnp.concatenate([y_l[:few], C(x_d, key=stream(key, "x_d")).argmax(-1)])
    real = D(x_p, y(y_p), key=stream(key, "real"))
    by_g = D(x_g, y(y_g), key=stream(key, "by_g"))
    by_c = D(x_u, y(p.argmax(-1)), key=stream(key, "by_c"))
    R_P = ce(C(x_g, key=stream(key, "x_g")), y_g).mean()
    doubt = sp(-by_c)  # [B]
    fooled = p.max(-1) * (doubt - doubt.mean() if o.centred else doubt)
    L_D = sp(-real).mean() + 0.5 * sp(by_g).mean() + 0.5 * sp(by_c).mean()
    if o.mismatched:
        wrong = (y_p + random.randint(stream(key, "wrong"), y_p.shape, 1, K)) % K
        L_D += 0.5 * sp(D(x_p, y(wrong), key=stream(key, "fake"))).mean()
    own += jnp.where(step < pre, 0, 0.5) * fooled.mean() + jnp.where(step < late, 0, 0.1) * R_P
    seen = {"R_L": R_L, "R_P": R_P, "entropy": entropy}
    return {"D": L_D, "G": 0.5 * sp(-by_g).mean(), "C": own, **seen}


def game(shape: tuple[int, ...], K: int, L: Player, o: Options) -> Game:
    """The nets for digits. L names the labelled examples."""
    falls = 3 * o.steps // 10
    rate = optax.exponential_decay(o.lr, max(1, o.steps - falls), 0.03, falls)
    adam = optax.adam(rate, b1=0.5)
    units = 2 * max(1, 125 * o.width // 16)
    widths = (2 * units, units, *[units // 2] * 3)
    if min(shape[:2]) < 20:
        C = Player(MLP((8 * o.width,) * 2, (K,)), adam, shape, per={"rate": 0.5}, ema=0.99)
    else:
        C = Player(triple_gan.Classifier(K, o.width), adam, shape, ema=0.99)
    G = Player(triple_gan.Generator(shape, units), adam, ((100,), (K,)), prior=random.uniform)
    D = Player(triple_gan.Discriminator(widths, o.noise), adam, (shape, (K,)))
    turns = [["C"]] if o.alone or o.supervised else [["D"], ["G"], ["C"]]
    sizes = {"x_u": max(o.batch, 100 * o.batch // o.labels), "x_d": 4 * o.batch}
    draw = partial(semi_supervised.draw_batches, sizes=sizes)
    return Game({"G": G, "D": D, "C": C, "L": L}, partial(losses, K=K, o=o), turns, draw)


def measure(arrays: Any, key: Array, *, C: Bound) -> dict[str, Array]:
    """The test error of C, its parameters averaged."""
    return {"error": semi_supervised.error_rate(arrays, key, C)}


def experiment(o: Options) -> Experiment:
    """Triple-GAN on images with labels."""
    about_d = [name for name in ("centred", "mismatched") if getattr(o, name)]
    if about_d and (o.alone or o.supervised):
        raise ValueError(f"{about_d[0]} is about D, which neither alone nor supervised plays")
    dataset = require(o.images.find(), (None, None, None), labels=True)
    arrays = semi_supervised.labelled_examples(dataset)
    K = dataset.classes or 0
    L = semi_supervised.known_labels(arrays["label"], o.labels, K)
    this = partial(game, dataset.shape, K, L)
    return Experiment(this, o, arrays, sample_styles, measure, figures=styles, classes=K)


if __name__ == "__main__":
    cli.script()
