"""Triple-GAN on CIFAR-10: C agrees with itself on unlabelled images, and sees them whitened.

Li, Xu, Zhu and Zhang 2017, "Triple Generative Adversarial Nets": equations 3 to 5; losses, nets,
rates as in the authors' CIFAR-10 code, whose 1000 epochs are here the run, however long. In place
of the entropy and the balance of `triple_gan` C has the consistency of the Pi model (Laine and Aila
2017). Which examples are labelled is drawn by the seed of the run. C's kernels begin at lengths of
their own, not at those of a first batch, and it is judged by means of 2,000 training images, not
running ones; D's labelled images are some of C's.

    ganjax run triple_gan_cifar
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, random
from jax.nn import softplus as sp

from ganjax import cli
from ganjax import data as sets
from ganjax import experiment as ex
from ganjax.data.whitening import whitened, zca
from ganjax.experiment import Experiment, Table
from ganjax.figures.samples import image_grid
from ganjax.game import Bound, Game, Player
from ganjax.losses import ce
from ganjax.nets import triple_gan
from ganjax.protocols import semi_supervised

QUICK = {"data": "digits", "size": 24, "labels": 100, "width": 4, "batch": 10, "steps": 40}
TABLES = {
    "cifar4000": Table(
        {"Triple-GAN": {}, "C alone": {"alone": True}},
        columns=("error",),
        seeds=3,
        paper={"Triple-GAN": {"error": 0.1699}},
        note="The paper's number is recalled, not read, and of 500,000 steps; a seed is also a draw of the labels",
    ),
}


def losses(
    batch: Any,
    key: Array,
    *,
    G: Bound,
    D: Bound,
    C: Bound,
    L: Bound,
    step: Array,
    B: int,
    K: int,
    alone: bool,
    steps: int,
) -> dict[str, Array]:
    """Equations 3 to 5, alpha = 1/2; D sees C's likeliest label, and the gradient reaches C by the
    probability of that one.
    """
    rows_key, noise_key, *keys = random.split(key, 8)
    rows, epoch = random.permutation(rows_key, L())[:B], 1000 * step / steps
    x_l, y_l = sets.scaled(batch["all"]["x"][rows]), batch["all"]["label"][rows]
    x_u, x_d, few = batch["x_u"], batch["x_d"], len(batch["x_d"]) // 4
    white = partial(whitened, mean=batch["mean"], zca=batch["zca"])
    seen = C(white(jnp.stack([x_l, x_u, x_u], 1)), key=keys[0])  # [B, 3, K]
    R_L, p, again = ce(seen[:, 0], y_l).mean(), nn.softmax(seen[:, 1]), nn.softmax(seen[:, 2])
    R_U = ((p - again) ** 2).mean()
    rise = jnp.where(epoch < 1, 0, jnp.exp(-5 * jnp.maximum(1 - epoch / 80, 0) ** 2))
    own = R_L + 100 * rise * R_U
    if alone:
        return {"C": own, "R_L": R_L, "R_U": R_U}
    y, y_g = partial(nn.one_hot, num_classes=K), jnp.arange(2 * B) % K
    x_g = G(G.noise(noise_key, 2 * B), y(y_g))  # [2B, ...]
    x_p, y_p = (
        jnp.concatenate([x_l[:few], x_d]),
        jnp.concatenate([y_l[:few], C(white(x_d), key=keys[1]).argmax(-1)]),
    )
    real, by_g, by_c = (
        D(x_p, y(y_p), key=keys[2]),
        D(x_g, y(y_g), key=keys[3]),
        D(x_u, y(p.argmax(-1)), key=keys[4]),
    )
    R_P = ce(C(white(x_g), key=keys[5]), y_g).mean()
    return {
        "D": sp(-real).mean() + 0.5 * sp(by_g).mean() + 0.5 * sp(by_c).mean(),
        "G": 0.5 * sp(-by_g).mean(),
        "C": own
        + 0.01 * 0.5 * (p.max(-1) * sp(-by_c)).mean()
        + jnp.where(epoch < 200, 0, 0.1) * R_P,
    } | {"R_L": R_L, "R_U": R_U, "R_P": R_P}


def game(
    shape: tuple[int, ...],
    K: int,
    label: np.ndarray,
    labels: int,
    alone: bool,
    width: int,
    batch: int,
    lr: float,
    steps: int,
) -> Game:
    """C's rate is ten times that of G and D; after 300 of 1000 epochs they fall. C's beta1 falls
    from .9 to .5 in the 50 before.
    """

    def beta(t: Array) -> Array:
        return 0.5 + 0.4 * jnp.exp(-(jnp.maximum(1000 * t / steps - 250, 0) ** 2) / 200)

    def falling(rate: float, to: float) -> optax.Schedule:
        return optax.exponential_decay(rate, max(1, steps - 3 * steps // 10), to, 3 * steps // 10)

    adam, for_c = (
        optax.adam(falling(lr, 0.995**700), b1=0.5),
        optax.inject_hyperparams(optax.adam)(falling(10 * lr, 0.99**700), b1=beta),
    )
    players = {
        "G": Player(
            triple_gan.ColourGenerator(shape, width), adam, ((100,), (K,)), prior=random.uniform
        ),
        "D": Player(triple_gan.ColourDiscriminator(max(1, width // 4)), adam, (shape, (K,))),
        "C": Player(triple_gan.CifarClassifier(K, width), for_c, shape, ema=0.99),
        "L": semi_supervised.known_labels(label, labels // K, K),
    }
    how = partial(draw, sizes={"x_u": batch, "x_d": max(1, 8 * batch // 5)})
    return Game(
        players,
        partial(losses, B=batch, K=K, alone=alone, steps=steps),
        [["C"]] if alone else [["D"], ["G"], ["C"]],
        how,
    )


def draw(data: Any, key: Array, sizes: dict[str, int]) -> dict[str, Any]:
    """Images in -1..1 without their labels, every example as it is, and how to whiten."""
    return semi_supervised.draw_batches(data, key, sizes, -1.0) | {
        "mean": data["mean"],
        "zca": data["zca"],
    }


def sample(key: Array, n: int, *, G: Bound) -> Array:
    """What G makes, in 0..1, [n, *shape], sample i of class i mod K; the classes share each noise."""
    K = G.player.inputs[1][0]
    return (G(G.noise(key, -(-n // K)).repeat(K, 0)[:n], nn.one_hot(jnp.arange(n) % K, K)) + 1) / 2


def measure(data: Any, key: Array, *, C: Bound) -> dict[str, Array]:
    """The test error of C, its parameters averaged."""
    white = partial(whitened, mean=data["mean"], zca=data["zca"])
    return {
        "error": semi_supervised.error_rate(data, key, C, low=-1.0, transform=white, at_once=1000)
    }


def experiment(
    data: str = "cifar10",
    data_dir: str | None = None,
    size: int | None = None,
    labels: int = 4000,
    alone: bool = False,
    width: int = 128,
    batch: int = 100,
    lr: float = 3e-4,
    steps: int = 50_000,
) -> Experiment:
    """The authors' CIFAR-10 setting, in fewer steps.

    data: cifar10, another labelled set of images, or a path
    data_dir: where prepared sets are
    size: pixels of a side that images are resized to: 24, 32, 40, ...; otherwise they stay as they
    are
    labels: labelled examples, equally many of each class
    alone: C learns without G and D, which stay as they began
    width: channels of C's first convolution and of G's last; all other widths are in proportion,
    the authors' at 128
    batch: labelled and as many unlabelled images a step for C; G makes twice as many, D sees twice
    as many real ones
    lr: learning rate of Adam for G and D; C's is ten times that; they fall to 3 and to .09 in 100
    steps: steps of training
    """
    ex.positive(labels=labels, width=width, batch=batch, lr=lr, steps=steps)
    found = sets.require(sets.find(data, data_dir, size=size), (None, None, None), labels=True)
    if any(side % 8 or side < 24 for side in found.shape[:2]):
        raise ValueError(
            f"{found.name} has images of {found.shape[0]} x {found.shape[1]}; the sides are 24, 32, 40, ...: ask for a size"
        )
    arrays, K = semi_supervised.held_out(found, data_dir, size=size), found.classes or 0
    if labels % K:
        raise ValueError(f"labels is a multiple of the number of classes, {K}; got {labels}")
    played, arrays = (
        game(found.shape, K, arrays["label"], labels, alone, width, batch, lr, steps),
        arrays | zca(arrays["x"]),
    )
    # A noise in each row, a class in each column.
    return Experiment(
        played,
        arrays,
        steps,
        sample,
        measure,
        figures=lambda data, x, rows: {"styles": image_grid(x[: K * K])},
    )


if __name__ == "__main__":
    cli.script()
