"""3D-GAN: DCGAN on voxels, with a discriminator that waits while it is right too often.

Wu, Zhang, Xue, Freeman and Tenenbaum 2016, "Learning a Probabilistic Latent Space of Object Shapes
via 3D Generative-Adversarial Modeling", equation 1 and section 3.1: z of 200 entries from U(0, 1),
4^3 x 512 up to 64^3 at width 64, no biases, Adam with beta1 .5 and rates .0025 of G and 1e-5 of D,
batches of 100; D moves only where its accuracy on the last batch was at most 80 %. Rates and gate
were read in notes and ports, as the authors released no code of training. G is non-saturating, as
in the ports. D's first convolution has no batch norm, as in DCGAN. At 32^3, 16^3 or 8^3 the nets
have fewer layers. Ours: shapes are turned and mirrored, and are of all kinds, not of one.

    ganjax run gan3d --data furniture_voxels --width 16 --batch 32 --steps 2000
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import optax
from jax import Array, random

from ganjax import Game, Player, Turn, cli
from ganjax.data import voxels
from ganjax.experiment import Experiment, Table, option
from ganjax.figures.meshes import write_obj
from ganjax.figures.voxels import picture
from ganjax.game import Bound
from ganjax.losses import non_saturating as payoff
from ganjax.nets import symmetric
from ganjax.nets import voxels as nets
from ganjax.protocols import voxel_features
from ganjax.protocols import voxels as protocol

QUICK = {
    "data": "blocks", "size": 8, "turns": False, "centred": True, "width": 32, "batch": 32,
    "lr_g": 1e-3, "lr_d": 1e-3, "ema": 0.998, "steps": 5000,
}  # fmt: skip
NARROW = {"width": 16, "batch": 32, "lr_g": 5e-4, "lr_d": 2e-4, "steps": 300}
COLUMNS = ("moves", "right", "iou_samples", "iou_shapes", "coverage", "empty", "occupancy")
GATES = {f"at most {gate}": gate for gate in (0.6, 0.7, 0.8, 0.9)} | {"no gate": 1.0}
IOU = "Samples against as many held-out shapes, by IoU; right: D's accuracy on fresh batches."
SVM = "Errors of 6 kinds by labels of each, 4 draws; D saw, without labels, most tested shapes."
SMALL = (
    "Reduced to 16^3, width 16, batch 32, 300 steps: G makes one shape or few. Rates were chosen "
    "after a look: this D hardly learns at 1e-5, and this G makes specks at .0025."
)
compare = partial(voxel_features.compare, kinds=6)
TABLES = {
    "gate": Table(
        {row: {**NARROW, "data": "blocks", "turns": False, "gate": g} for row, g in GATES.items()},
        COLUMNS, seeds=3, note=f"{IOU} {SMALL}",
        anchors=partial(protocol.training_shapes, name="blocks"),
    ),
    "features": Table(
        {"3D-GAN": {**NARROW, "size": 16}}, COLUMNS[:2], 3, after=compare, note=f"{SVM} {SMALL}"
    ),
    "full": Table(
        {"3D-GAN": {"data": "furniture_voxels/64"}}, COLUMNS, after=compare, note=f"{IOU} {SVM}"
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Options:
    """The paper's setting, on shapes whose sides are 8, 16, 32 or 64 voxels."""

    data: str = option("furniture_voxels", "blocks, furniture_voxels, furniture_voxels/64, a path")
    data_dir: str | None = option(None, "where prepared data sets are")
    size: int | None = option(None, "voxels a side (as they are)", low=8)
    turns: bool = option(True, "turn and mirror shapes about the vertical axis as they are drawn")
    gate: float = option(
        0.8, "D moves where its last accuracy was at most this; 1: always", low=0, high=1
    )
    width: int = option(64, "channels of the widest maps; towards 4^3 they double", above=0)
    z: int = option(200, "entries of the noise", above=0)
    centred: bool = option(False, "z from U(-1, 1); a small G hears the mean of U(0, 1) alone")
    batch: int = option(100, "real shapes a step", low=2)
    lr_g: float = option(0.0025, "learning rate of G's Adam, its beta1 .5", above=0)
    lr_d: float = option(1e-5, "learning rate of D's Adam, its beta1 .5", above=0)
    ema: float = option(0.0, "decay of the averaged G that is sampled; 0: none", low=0, below=1)
    steps: int = option(10_000, "steps of training", above=0)


def losses(
    batch: Any, key: Array, *, G: Bound, D: Bound, memory: Any, step: Array, o: Options
) -> dict[str, Any]:
    """Equation 1, G maximising log D; what the gate sees, and the share of steps where D moved."""
    real = D(batch["x"])  # [B]
    fake = D(G(G.noise(key, len(batch["x"]))))
    right = protocol.accuracy(real, fake)
    moves = memory["moves"] + opens(memory["accuracy"], o)
    return {
        "D": payoff.d(real, fake).mean(),
        "G": payoff.g(fake).mean(),
        "accuracy": right,
        "moves": moves / (step + 1),
        "memory": {"accuracy": right, "moves": moves},
    }


def opens(accuracy: Array, o: Options) -> Array:
    """Whether D moves after a batch with this accuracy."""
    return accuracy <= o.gate


def game(side: int, o: Options) -> Game:
    """D before G, on the same batch; the accuracy that the gate sees is D's before G moved."""
    shape, prior = (side,) * 3 + (1,), symmetric(1.0) if o.centred else random.uniform
    gate = Turn(("D",), when=lambda step, log: opens(log["accuracy"], o))
    net, adam = nets.generator(side, o.width), partial(optax.adam, b1=0.5)
    # At 8^3 no layer of D has batch norm, and an empty shape would score 0 whatever D learns.
    D = nets.discriminator(o.width, norm=side > 8)
    players = {
        "G": Player(net, adam(o.lr_g), (o.z,), prior=prior, ema=o.ema),
        "D": Player(D, adam(o.lr_d), shape),
    }
    return Game(
        players,
        partial(losses, o=o),
        [gate, Turn(("G",))],
        partial(voxels.draw_shapes, n=o.batch, turns=o.turns),
        memory=lambda: {"accuracy": np.float32(0), "moves": np.float32(0)},
    )


def sample(key: Array, n: int, *, G: Bound) -> Array:
    """n shapes, how full each voxel is, [n, side, side, side, 1]."""
    return G(G.noise(key, n))


def experiment(o: Options) -> Experiment:
    """3D-GAN on a set of voxels."""
    found = voxels.find(o.data, o.data_dir, o.size)
    return Experiment(
        partial(game, found.shape[0]),
        o,
        voxels.examples(found),
        sample,
        partial(protocol.measure, sample=sample, n=o.batch),
        partial(protocol.evaluate, sample=sample),
        protocol.figures,
        picture,
        shown=16,
        pictured=64,
        files={".obj": write_obj},
    )


if __name__ == "__main__":
    cli.script()
