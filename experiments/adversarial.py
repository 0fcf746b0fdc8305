"""Adversarial examples: a classifier against an attacker who changes each pixel a little.

Goodfellow, Shlens and Szegedy 2015, "Explaining and Harnessing Adversarial Examples": FGSM, and
training with half of the loss on its images, alpha = 1/2. Madry et al. 2018, "Towards Deep Learning
Models Resistant to Adversarial Attacks", equation 2.1: C minimises what PGD, from a random start,
maximises, and sees its images alone. The attacker's move is computed anew for every batch, from C
without dropout. Both know the true labels. The classifiers are a softmax layer, the maxout net of
Goodfellow et al. 2013, Caffe's LeNet and a narrow AlexNet; Adam, its rate falling to 0 as a cosine,
takes the place of the papers' optimisers. The attacks are in `ganjax.attacks`, their protocol in
`ganjax.protocols.robustness`.

    ganjax run adversarial --data mnist --net lenet --train pgd --steps 3000
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import flax.linen as nn
import jax
import optax
from jax import Array

from ganjax import Game, Player, attacks, cli
from ganjax.data import draw, require
from ganjax.experiment import Experiment, ImageOptions, Table, option
from ganjax.game import Bound
from ganjax.keys import stream
from ganjax.losses import ce
from ganjax.nets import MLP, MaxoutNet, classifiers
from ganjax.protocols import robustness, semi_supervised

QUICK = {
    "net": "maxout", "train": "pgd", "pgd_eps": 0.15, "attack_steps": 5, "attack_rate": 0.05,
    "pgd_steps": 10, "cw_images": 10, "cw_steps": 100, "steps": 500,
}  # fmt: skip
MNIST: dict[str, Any] = {"data": "mnist"}
MAXOUT = {**MNIST, "net": "maxout", "steps": 12_000}
LENET = {**MNIST, "net": "lenet", "steps": 3000}
ROWS = {
    "softmax": {**MNIST, "net": "softmax"},
    "maxout": MAXOUT,
    "LeNet": LENET,
    "maxout, trained with FGSM": {**MAXOUT, "train": "fgsm"},
    "LeNet, trained with FGSM": {**LENET, "train": "fgsm"},
    "LeNet, trained with PGD": {**LENET, "train": "pgd", "batch": 50},
}
PAPER = {
    "softmax": {"fgsm": 0.999, "fgsm_confidence": 0.793},
    "maxout": {"clean": 0.0094, "fgsm": 0.894, "fgsm_confidence": 0.976},
    "maxout, trained with FGSM": {"clean": 0.0084, "fgsm": 0.179, "fgsm_confidence": 0.814},
    "LeNet, trained with PGD": {"clean": 0.012, "pgd": 0.068},
}
COLUMNS = (
    "clean", "noise", "fgsm", "fgsm_confidence", "pgd", "cw_l2", "cw_fooled", "deepfool",
)  # fmt: skip
NOTE = (
    "Shares of test images that are misread: FGSM .25 and noise of its L2 norm on all, PGD .3 on "
    "1,000; Carlini and Wagner's mean L2 on 100 (--cw-images), DeepFool's ρ on 500."
)
TABLES = {
    "mnist": Table(ROWS, COLUMNS, seeds=3, paper=PAPER, note=f"{NOTE} The paper's: recalled."),
    "fashion_mnist": Table(
        {row: {**o, "data": "fashion_mnist"} for row, o in ROWS.items()},
        COLUMNS, seeds=3, note=NOTE,
    ),
    "alexnet": Table(
        {
            f"AlexNet{how}": {"data": data, "size": 32, "net": "alexnet", "steps": 20_000, **more}
            for data in ("mnist", "cifar10")
            for how, more in ((f", {data}", {}), (f", {data}, FGSM", {"train": "fgsm"}))
        },
        COLUMNS, seeds=3, note=NOTE,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Options:
    """A classifier, what it learns from, and the attacks on it."""

    images: ImageOptions = ImageOptions("digits")
    net: Literal["softmax", "maxout", "lenet", "alexnet"] = option("softmax", "the classifier")
    train: Literal["clean", "fgsm", "pgd"] = option(
        "clean", "what C learns from: images, these and FGSM's, or PGD's alone"
    )
    fgsm_eps: float = option(0.25, "size of FGSM, in pixel values of 0..1", low=0, high=1)
    pgd_eps: float = option(0.3, "size of PGD, in pixel values of 0..1", low=0, high=1)
    alpha: float = option(0.5, "weight of the images as they are beside FGSM's", low=0, high=1)
    attack_rate: float = option(0.01, "step of PGD in training, in pixel values", above=0)
    attack_steps: int = option(40, "steps of PGD in training", above=0)
    pgd_steps: int = option(40, "steps of PGD that C is tested with", above=0)
    cw_images: int = option(100, "test images that Carlini and Wagner's attack has", above=0)
    cw_steps: int = option(1000, "steps of that attack in each of 9 searches", above=0)
    batch: int = option(100, "images a step", above=0)
    lr: float = option(1e-3, "learning rate of Adam; it falls to 0", above=0)
    steps: int = option(3000, "steps of training", above=0)


def losses(batch: Any, key: Array, *, C: Bound, o: Options) -> dict[str, Array]:
    """The cross entropy of images and of what the attacker makes of them."""
    x, y = batch["x"], batch["label"]
    clean = ce(C(x, key=stream(key, "clean")), y).mean()
    if o.train == "clean":
        return {"C": clean}
    known = jax.lax.stop_gradient(C)  # the attacker knows C, and C does not see through him
    if o.train == "fgsm":
        near = attacks.fgsm(known, x, y, o.fgsm_eps)
    else:
        start = stream(key, "start")
        near = attacks.pgd(known, x, y, o.pgd_eps, o.attack_rate, o.attack_steps, start)
    attacked = ce(C(near, key=stream(key, "attacked")), y).mean()
    alpha = o.alpha if o.train == "fgsm" else 0.0
    return {"C": alpha * clean + (1 - alpha) * attacked, "clean": clean, "attacked": attacked}


def game(shape: tuple[int, ...], classes: int, o: Options) -> Game:
    """One player, C; the attacker is part of its losses."""
    nets: dict[str, nn.Module] = {
        "softmax": MLP((), (classes,)),
        "maxout": MaxoutNet(out=(classes,)),
        "lenet": classifiers.lenet(classes, min(shape[:2])),
        "alexnet": classifiers.small_alexnet(classes),
    }
    adam = optax.adam(optax.cosine_decay_schedule(o.lr, o.steps))
    draw_batch = partial(draw, n=o.batch, low=0.0)
    return Game({"C": Player(nets[o.net], adam, shape)}, partial(losses, o=o), [["C"]], draw_batch)


def experiment(o: Options) -> Experiment:
    """Attacks on any images with labels."""
    dataset = require(o.images.find(), (None, None, None), labels=True)
    arrays = semi_supervised.labelled_examples(dataset)
    p = robustness.Protocol(
        fgsm_eps=o.fgsm_eps, pgd_eps=o.pgd_eps, pgd_steps=o.pgd_steps,
        cw_images=o.cw_images, cw_steps=o.cw_steps,
    )  # fmt: skip
    return Experiment(
        partial(game, dataset.shape, dataset.classes or 0),
        o,
        arrays,
        measure=partial(robustness.measure, p=p),
        evaluate=partial(robustness.evaluate, p=p),
        figures=partial(robustness.draw, p=p),
        attackers=robustness.attackers(p),
    )


if __name__ == "__main__":
    cli.script()
