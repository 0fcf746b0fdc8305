"""CoGAN, adaptation: it learns to name the images of a set of which it sees no label, from another
set that has them.

Liu and Tuzel 2016, "Coupled Generative Adversarial Networks", section 4, unsupervised domain
adaptation; weights, nets and rates of the authors' PyTorch code. To the game of `cogan`, with all
shared that the paper shares, come two losses of D: a softmax on its shared features names the first
set, and the two images of a generated pair have the same features. Judged on test images, which are
never seen.

    ganjax run cogan_adapt --x mnist --y optdigits      (the classifier of the first set, as it is: --alone)
"""

from functools import partial
from typing import Any

import numpy as np
import optax
from jax import Array

from ganjax import cli
from ganjax import experiment as ex
from ganjax.data.domains import unpaired
from ganjax.experiment import Experiment, Table
from ganjax.figures.strips import strips
from ganjax.game import Bound, Game, Player
from ganjax.losses import ce, non_saturating
from ganjax.nets import cogan
from ganjax.protocols import domain_adaptation

QUICK = {
    "x": "digits",
    "y": "digits",
    "width": 4,
    "width_d": 15,
    "batch": 32,
    "lr": 1e-3,
    "steps": 200,
}
WAYS = (("mnist", "optdigits"), ("optdigits", "mnist"))
TABLES = {
    "adapt": Table(
        rows={
            f"{x} to {y}{', alone' if alone else ''}": {
                "x": x,
                "y": y,
                "alone": alone,
                "width": 32,
                "steps": 10_000,
            }
            for x, y in WAYS
            for alone in (True, False)
        },
        columns=("accuracy",),
        seeds=3,
        paper={
            "mnist to optdigits": {"accuracy": 0.912},
            "optdigits to mnist": {"accuracy": 0.891},
        },
        note="The paper's numbers are of USPS in place of optdigits and of 2000 and 1800 images. alone: no GAN, no second set.",
    )
}


def losses(batch: Any, key: Array, *, G: Bound, D: Bound, alone: bool) -> dict[str, Array]:
    """Equation 3, and for D the cross entropy of x's labels and the squared distance of the
    features of generated pairs.
    """
    x, y, z = batch["x"], batch["y"], G.noise(key, len(batch["x"]), each=False)
    named = ce(D(x, method="label")[:, 0], batch["label"]).mean()  # by the first member
    if alone:
        return {"D": 10 * named, "named": named}
    fake = cogan.apply_pair(G, z, z)  # [B, 2, H, W, C]
    real_score, fake_score = cogan.apply_pair(D, x, y), D.each(fake)  # [B, 2]
    features = D.each(fake, method="features")  # [B, 2, F]
    tie = ((features[:, 0] - features[:, 1]) ** 2).sum(-1).mean()
    V = non_saturating.d(real_score, fake_score).mean(0).sum()
    return {
        "D": V + 10 * named + 0.01 * tie,
        "G": non_saturating.g(fake_score).mean(0).sum(),
        "named": named,
        "tie": tie,
    }


def game(classes: int, alone: bool, width: int, width_d: int, batch: int, lr: float) -> Game:
    """All layers are shared but the generators' last and the discriminators' first; alone, D moves
    by itself.
    """
    adam = optax.chain(optax.add_decayed_weights(5e-4), optax.adam(lr, b1=0.5))
    G = Player(
        cogan.Generator(1, width), adam, (100,), n=2, shared=tuple(f"layer{i}" for i in range(4))
    )
    critic, shared = (
        cogan.Discriminator(classes, cogan.widths(width_d)),
        ("layer1", "layer2", "score", "label"),
    )
    D = Player(critic, adam, (28, 28, 1), n=2, shared=shared)
    turns = [["D"]] if alone else [["D"], ["G"]]
    return Game(
        {"G": G, "D": D},
        partial(losses, alone=alone),
        turns,
        partial(unpaired, n=batch, low=0.0),
        fresh="turn",
    )


def sample(key: Array, n: int, *, G: Bound) -> Array:
    """n pairs, [n, 2, 28, 28, 1]."""
    z = G.noise(key, n, each=False)
    return cogan.apply_pair(G, z, z)


def measure(data: Any, key: Array, *, D: Bound, member: int) -> dict[str, Array]:
    """The share of 500 test images of the second set that a member of D names rightly."""
    return {
        "accuracy": domain_adaptation.correct(
            D, data["test_y"][:500], data["test_label"][:500], member
        ).mean()
    }


def evaluate(data: Any, key: Array, *, D: Bound, member: int) -> dict[str, float]:
    """The same of all of them."""
    return {"accuracy": domain_adaptation.accuracy(D, data["test_y"], data["test_label"], member)}


def figures(data: Any, x: np.ndarray, rows: Any) -> dict[str, Any]:
    """Sixteen pairs."""
    return {"pairs": strips(x[:16], ["G1", "G2"])}


def experiment(
    x: str = "mnist",
    y: str = "optdigits",
    data_dir: str | None = None,
    alone: bool = False,
    width: int = 128,
    width_d: int = 50,
    batch: int = 64,
    lr: float = 2e-4,
    steps: int = 10_000,
) -> Experiment:
    """From MNIST to smaller digits, put into the middle of 28 pixels.

    x: a set of grey digits, or a path, of which the labels are known
    y: the set, or path, of which they are not
    data_dir: where prepared sets are
    alone: a classifier of x, with no GAN and no image of y, judged on y
    width: channels of the generators' last hidden layer; each one before has twice as many
    width_d: channels of the discriminators' second convolution; the other layers are in proportion
    batch: real images of each set a turn
    lr: learning rate of Adam, its beta1 .5
    steps: steps of training
    """
    ex.positive(width=width, width_d=width_d, batch=batch, lr=lr, steps=steps)
    arrays, classes = domain_adaptation.load_pair(x, y, data_dir)
    member = 0 if alone else 1  # without images of y the second member has not learnt
    played = game(classes, alone, width, width_d, batch, lr)
    on = partial(partial, member=member)
    return Experiment(played, arrays, steps, sample, on(measure), on(evaluate), figures)


if __name__ == "__main__":
    cli.script()
