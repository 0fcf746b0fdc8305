"""pix2pix: two translators between two domains that see the true partner of each image, and a
discriminator for each that sees both.

Isola, Zhu, Zhou and Efros 2017, "Image-to-Image Translation with Conditional Adversarial Networks":
equations 1, 3 and 4, both ways in one game. It is what `cyclegan` can hope for where pairs are
known, so the nets are CycleGAN's and not the paper's U-Net: a translator has no dropout, thus no
noise. D's loss is halved and D moves first, as in the authors' PyTorch code.

    ganjax run pix2pix --data openmoji_pairs        (beside CycleGAN: ganjax reproduce pix2pix/paired)
"""

from functools import partial
from typing import Any, Literal

import jax.numpy as jnp
import optax
from jax import Array

from ganjax import cli
from ganjax import data as sets
from ganjax import experiment as ex
from ganjax.data.domains import Domains, domains_of, require_sides
from ganjax.experiment import Experiment, Table
from ganjax.figures.strips import strips
from ganjax.game import Bound, Game, Player
from ganjax.losses import l1, non_saturating
from ganjax.nets.cyclegan import PatchGAN, ResNet
from ganjax.protocols import translation

QUICK = {
    "data": "digits",
    "derive": "edge",
    "size": 16,
    "width": 8,
    "blocks": 1,
    "batch": 4,
    "lr": 1e-3,
    "steps": 600,
}
SMALL = {"width": 32, "batch": 8, "steps": 1500}
TABLES = {
    "paired": Table(
        rows={"CycleGAN": {"experiment": "cyclegan", "identity": 0.0, **SMALL}, "pix2pix": SMALL},
        columns=translation.COLUMNS,
        anchors=lambda data_dir: translation.baselines(
            **domains_of("openmoji_pairs", data_dir=data_dir).test
        ),
        note="Line drawings x and colour y of 64 pixels, 341 pairs held out; nets of half the width. CycleGAN is row full of its ablation.",
    )
}


def losses(
    batch: Any, key: Array, *, G: Bound, F: Bound, D_X: Bound, D_Y: Bound, lam: float
) -> dict[str, Array]:
    """Equation 4 for x to y by way of G, and for y to x by way of F."""
    x, y = batch["x"], batch["y"]  # [B, H, W, C], partners
    fake_x, fake_y = F(y), G(x)
    real_score_x, real_score_y = D_X(y, x), D_Y(x, y)  # [B, H', W']
    fake_score_x, fake_score_y = D_X(y, fake_x), D_Y(x, fake_y)
    return {
        "G": non_saturating.g(fake_score_y).mean() + lam * l1(fake_y, y),
        "F": non_saturating.g(fake_score_x).mean() + lam * l1(fake_x, x),
        "D_X": non_saturating.d(real_score_x, fake_score_x).mean() / 2,
        "D_Y": non_saturating.d(real_score_y, fake_score_y).mean() / 2,
    }


def game(
    shape: tuple[int, ...], lam: float, blocks: int, width: int, batch: int, lr: float, steps: int
) -> Game:
    """The rate is constant for half of the steps, then falls to 0 in a line; patches of 70 pixels,
    smaller in images below 32.
    """
    adam = optax.adam(optax.linear_schedule(lr, 0.0, steps - steps // 2, steps // 2), b1=0.5)
    translator, critic = (
        ResNet(blocks, shape[-1], width),
        PatchGAN(min(3, min(shape[:2]).bit_length() - 3), width),
    )
    players = {name: Player(translator, adam, shape) for name in ("G", "F")}
    players |= {name: Player(critic, adam, (shape, shape)) for name in ("D_X", "D_Y")}
    return Game(
        players, partial(losses, lam=lam), [["D_X", "D_Y"], ["G", "F"]], partial(sets.draw, n=batch)
    )


def sample(key: Array, n: int, *, G: Bound, F: Bound, found: Domains) -> Array:
    """Of the first n held-out pairs, 64 at most: x, G(x), y, F(y), [n, 4, H, W, C] in 0..1."""
    x, y = found.test_images(min(n, 64))
    return (jnp.stack([x, G(x), y, F(y)], 1) + 1) / 2


def measure(data: Any, key: Array, *, G: Bound, F: Bound, found: Domains) -> dict[str, Array]:
    """How far sixteen translations are from what they should be, in L1."""
    return translation.measure(G, F, found)


def evaluate(data: Any, key: Array, *, G: Bound, F: Bound, found: Domains) -> dict[str, float]:
    """A thousand translations by L1, structural similarity and retrieval."""
    return translation.evaluate(G, F, **found.test)


def figures(data: Any, x: Any, rows: Any) -> dict[str, Any]:
    """Twelve pairs: of a perfect translation the second row is the third, and the fourth the first."""
    return {"translations": strips(x[:12], ["x", "Gx", "y", "Fy"])}


def experiment(
    data: str = "openmoji_pairs",
    derive: Literal["edge", "negative"] | None = None,
    data_dir: str | None = None,
    size: int | None = None,
    lam: float = 100.0,
    blocks: int = 6,
    width: int = 64,
    batch: int = 1,
    lr: float = 2e-4,
    steps: int | None = None,
) -> Experiment:
    """Line drawings of emoji and coloured ones, 64 pixels.

    data: a set of pairs, or with derive any set of images, or a path
    derive: what the partners are made of, where the set has none
    data_dir: where prepared sets are
    size: pixels of a side that images are resized to, a multiple of 4
    lam: weight of L1
    blocks: residual blocks of a translator
    width: channels of the first layers
    batch: pairs a step
    lr: learning rate of Adam, its beta1 .5
    steps: steps of training (200 passes through the pairs)
    """
    ex.positive(width=width, batch=batch, lr=lr, steps=steps)
    ex.positive(zero=True, lam=lam, blocks=blocks)
    found = domains_of(data, derive, together=True, data_dir=data_dir, size=size)
    require_sides(found, 4)
    steps = steps or 200 * len(found.train["x"]) // batch
    on = partial(partial, found=found)
    played = game(found.shape, lam, blocks, width, batch, lr, steps)
    return Experiment(played, found.train, steps, on(sample), on(measure), on(evaluate), figures)


if __name__ == "__main__":
    cli.script()
