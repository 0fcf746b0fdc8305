"""CoGAN, adaptation: it classifies the images of a dataset of which it sees no label, with the
labels of another dataset.

Liu and Tuzel 2016, "Coupled Generative Adversarial Networks", section 4, unsupervised domain
adaptation; weights, nets and rates of the authors' PyTorch code. The game is that of `cogan`, with
all layers shared that the paper shares, and two more losses of D: a softmax on its shared features
classifies the first dataset, and the two images of a generated pair have the same features. The
accuracy is that on test images, which no run trains on.

    ganjax run cogan_adapt --x mnist --y optdigits
    ganjax run cogan_adapt --x mnist --y optdigits --alone
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import optax
from jax import Array

from ganjax import cli
from ganjax.data.domains import unpaired
from ganjax.experiment import Experiment, ImageForm, Table, option
from ganjax.figures.strips import strips
from ganjax.game import Bound, Game, Player
from ganjax.losses import ce, non_saturating
from ganjax.nets import cogan
from ganjax.protocols import domain_adaptation

SMALL = {"width": 8, "width_d": 10, "batch": 16, "lr": 1e-3, "steps": 400}
QUICK = {"x": "digits", "y": "digits", **SMALL}
WAYS = (("mnist", "optdigits"), ("optdigits", "mnist"))
PAPER = {"mnist to optdigits": {"accuracy": 0.912}, "optdigits to mnist": {"accuracy": 0.891}}
TABLES = {
    "adapt": Table(
        rows={
            f"{x} to {y}{', alone' if alone else ''}": {
                "x": x, "y": y, "alone": alone, "width": 32, "steps": 10_000,
            }
            for x, y in WAYS
            for alone in (True, False)
        },
        columns=("accuracy",),
        seeds=3,
        paper=PAPER,
        note="The paper's numbers, as ADDA's table quotes them, are of USPS in place of optdigits "
        "and of 2000 and 1800 images. G is 4 times narrower than the authors'. alone: no GAN, no "
        "second set.",
    )
}  # fmt: skip


@dataclass(frozen=True)
class Options:
    """From MNIST to smaller digits, put into the middle of 28 pixels."""

    x: str = option("mnist", "a set of grey digits, or a path, of which the labels are known")
    y: str = option("optdigits", "the set, or path, of which they are not")
    images: ImageForm = ImageForm()
    alone: bool = option(False, "a classifier of x alone, with no GAN and no image of y")
    width: int = option(128, "channels of G's last hidden layer; each before has twice", above=0)
    width_d: int = option(50, "channels of D's second convolution; others in proportion", above=0)
    batch: int = option(64, "real images of each set a turn", above=0)
    lr: float = option(2e-4, "learning rate of Adam, beta1 .5", above=0)
    steps: int = option(10_000, "steps of training", above=0)


def losses(batch: Any, key: Array, *, G: Bound, D: Bound, alone: bool) -> dict[str, Array]:
    """Equation 3, and for D the cross entropy of x's labels and the squared distance of the
    features of generated pairs. Each cross entropy is one mean over both domains, as the authors'.
    """
    x, y = batch["x"], batch["y"]  # [B, H, W, 1]
    named = ce(D(x, method="label")[:, 0], batch["label"]).mean()  # by the first member
    if alone:
        return {"D": 10 * named, "named": named}
    z = G.noise(key, len(x), each=False)  # [B, Z]
    fake = cogan.apply_pair(G, z, z)  # [B, 2, H, W, 1]
    real_score, fake_score = cogan.apply_pair(D, x, y), D.each(fake)  # [B, 2]
    features = D.each(fake, method="features")  # [B, 2, F]
    tie = ((features[:, 0] - features[:, 1]) ** 2).sum(-1).mean()
    V = non_saturating.d(real_score, fake_score).mean()
    return {
        "D": V + 10 * named + 0.01 * tie,
        "G": non_saturating.g(fake_score).mean(),
        "named": named,
        "tie": tie,
    }


def game(classes: int, o: Options) -> Game:
    """All layers are shared but G's last and D's first; alone, D moves by itself."""
    adam = optax.chain(optax.add_decayed_weights(5e-4), optax.adam(o.lr, b1=0.5))
    generator = cogan.Generator(1, o.width)
    critic = cogan.Discriminator(classes, cogan.widths(o.width_d))
    first = tuple(f"layer{i}" for i in range(4))
    last = ("layer1", "layer2", "score", "label")
    players = {
        "G": Player(generator, adam, (100,), n=2, shared=first),
        "D": Player(critic, adam, (28, 28, 1), n=2, shared=last),
    }
    turns = [["D"]] if o.alone else [["D"], ["G"]]
    draw = partial(unpaired, n=o.batch, low=0.0)
    return Game(players, partial(losses, alone=o.alone), turns, draw, fresh="turn")


def sample(key: Array, n: int, *, G: Bound) -> Array:
    """n pairs, [n, 2, 28, 28, 1]."""
    z = G.noise(key, n, each=False)
    return cogan.apply_pair(G, z, z)


def measure(data: Any, key: Array, *, D: Bound, member: int) -> dict[str, Array]:
    """The accuracy of a member of D on 500 test images of the second dataset."""
    x, label = data["test_y"][:500], data["test_label"][:500]
    return {"accuracy": domain_adaptation.correct(D, x, label, member).mean()}


def evaluate(data: Any, key: Array, *, D: Bound, member: int) -> dict[str, float]:
    """Its accuracy on all of them."""
    return {"accuracy": domain_adaptation.accuracy(D, data["test_y"], data["test_label"], member)}


def figures(data: Any, x: np.ndarray, rows: Any) -> dict[str, Any]:
    """Sixteen pairs."""
    return {"pairs": strips(x[:16], ["G1", "G2"])}


def experiment(o: Options) -> Experiment:
    """CoGAN from a dataset with labels to one without, or the classifier of the first alone."""
    arrays, classes = domain_adaptation.load_pair(o.x, o.y, **o.images.how)
    member = 0 if o.alone else 1  # without images of y the second member has not learnt
    return Experiment(
        partial(game, classes),
        o,
        arrays,
        sample,
        partial(measure, member=member),
        partial(evaluate, member=member),
        figures,
    )


if __name__ == "__main__":
    cli.script()
