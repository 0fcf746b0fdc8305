"""AlexNet: why convolutions. Three nets of equally many parameters classify the same images.

Krizhevsky, Sutskever and Hinton 2012, "ImageNet Classification with Deep Convolutional Neural
Networks": section 3, in the narrow form for images of 32 or 64 pixels (`nets.classifiers`; there
the full net stands as well). Against it play the LeNet of Caffe's examples, as it is, and a dense
net of two equal layers that is as wide as AlexNet's parameters allow. Departures: the paper's
stochastic gradient descent, weight decay and falling rate are Adam here, whose rate falls to 0 as a
cosine; images are moved by up to 4 pixels in place of larger crops; colours are not shifted; one
crop is tested, not ten.

    ganjax run alexnet --quick
    ganjax reproduce alexnet/few
    ganjax reproduce alexnet/why
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import flax.linen as nn
import optax
from jax import Array

from ganjax import Game, Player, cli
from ganjax.data import require
from ganjax.experiment import Experiment, ImageOptions, Table, option
from ganjax.game import Bound
from ganjax.losses import ce
from ganjax.nets import MLP
from ganjax.nets.classifiers import lenet, narrow_alexnet
from ganjax.protocols import image_classifiers, semi_supervised

GROUP = "games of one player"
QUICK = {
    "data": "digits", "size": 32, "width": 6, "dropout": 0.0, "augment": False, "batch": 16,
    "steps": 400,
}  # fmt: skip
NETS = {"AlexNet, narrow": "alexnet", "LeNet": "lenet", "MLP": "mlp"}
COLUMNS = ("error", "parameters", "operations")
COUNTED = "operations: of one forward pass of one image, a multiply-add being two"
FEW = {"dropout": 0.0, "augment": False, "batch": 32, "steps": 1000}
TABLES = {
    "why": Table({row: {"net": net} for row, net in NETS.items()}, COLUMNS, seeds=3, note=COUNTED),
    "few": Table(
        {row: {"net": net, **FEW} for row, net in NETS.items()}, COLUMNS, seeds=3,
        note="32,000 images in all, two thirds of a pass, neither moved nor dropped out; "
        + COUNTED,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Options:
    """CIFAR-10, the narrow net."""

    images: ImageOptions = ImageOptions("cifar10")  # of 32 or 64 pixels a side
    net: Literal["alexnet", "lenet", "mlp"] = option("alexnet", "the net that classifies")
    width: int = option(24, "channels of AlexNet's first layer, a multiple of 6", low=6)
    dropout: float = option(0.5, "rate in AlexNet's dense layers", low=0, below=1)
    augment: bool = option(True, "move and mirror the training images")
    batch: int = option(128, "images a step", above=0)
    lr: float = option(1e-3, "first learning rate of Adam; it falls to 0", above=0)
    steps: int = option(20_000, "steps of training", above=0)


def network(shape: tuple[int, ...], classes: int, o: Options) -> nn.Module:
    """The net that is asked for. Raises ValueError for sizes that AlexNet does not see."""
    alexnet = narrow_alexnet(shape[0], classes, o.width, o.dropout)
    if o.net == "alexnet":
        return alexnet
    if o.net == "lenet":
        return lenet(classes)
    wanted = image_classifiers.parameters(alexnet, shape)
    return image_classifiers.of_equal_size(
        lambda width: MLP((width, width), (classes,)), shape, wanted
    )


def losses(batch: Any, key: Array, *, C: Bound) -> dict[str, Array]:
    """Cross entropy; beside it the error on the batch."""
    logits = C(batch["x"], key=key)
    wrong = logits.argmax(-1) != batch["label"]
    return {"C": ce(logits, batch["label"]).mean(), "batch_error": wrong.mean()}


def game(shape: tuple[int, ...], classes: int, o: Options) -> Game:
    """One player, who learns to name images."""
    adam = optax.adam(optax.cosine_decay_schedule(o.lr, o.steps))
    draw = partial(image_classifiers.draw, n=o.batch, augment=o.augment)
    return Game({"C": Player(network(shape, classes, o), adam, shape)}, losses, [["C"]], draw)


def experiment(o: Options) -> Experiment:
    """A classifier of any labelled images of 32 or 64 pixels."""
    dataset = require(o.images.find(), (None, None, None), labels=True)
    height, width = dataset.shape[:2]
    if height != width:
        raise ValueError(f"{dataset.name} has images of {height} x {width}: ask for a size")
    classes = dataset.classes or 0
    network(dataset.shape, classes, o)  # refuses other sizes
    arrays = semi_supervised.labelled_examples(dataset)
    this = partial(game, dataset.shape, classes)
    return Experiment(
        this, o, arrays, evaluate=image_classifiers.evaluate, figures=image_classifiers.figures
    )


if __name__ == "__main__":
    cli.script()
