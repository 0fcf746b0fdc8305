"""pix2pix: two translators between two domains that see the true partner of each image, and a
discriminator for each domain that sees both partners.

Isola, Zhu, Zhou and Efros 2017, "Image-to-Image Translation with Conditional Adversarial Networks":
equations 1, 3 and 4, both ways in one game. It bounds what `cyclegan` can reach where no pairs are
known, so the nets are CycleGAN's and not the paper's U-Net: a translator has no dropout, thus no
noise. D's loss is halved and D moves first, as in the authors' PyTorch code.

    ganjax run pix2pix --data openmoji_pairs
    ganjax reproduce pix2pix/paired
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax.numpy as jnp
import optax
from jax import Array

from ganjax import cli
from ganjax.data import draw
from ganjax.data.domains import Domains, domains_of, require_sides
from ganjax.experiment import Experiment, ImageOptions, Table, option, with_defaults
from ganjax.figures.strips import strips
from ganjax.game import Bound, Game, Player
from ganjax.losses import l1, non_saturating
from ganjax.nets.cyclegan import PatchGAN, ResNet
from ganjax.protocols import translation

SMALL = {"width": 8, "blocks": 1, "batch": 4, "lr": 1e-3, "steps": 600}
QUICK = {"data": "digits", "derive": "edge", "size": 16, **SMALL}
PAIRED = {"width": 32, "batch": 8, "steps": 1500}
TABLES = {
    "paired": Table(
        rows={"CycleGAN": {"experiment": "cyclegan", "identity": 0.0, **PAIRED}, "pix2pix": PAIRED},
        columns=translation.COLUMNS,
        anchors=lambda data_dir: translation.baselines(
            **domains_of("openmoji_pairs", data_dir=data_dir).test
        ),
        note="Line drawings x and colour y of 64 pixels, 341 pairs held out; nets of half the "
        "width. CycleGAN is row full of its ablation.",
    )
}


@dataclass(frozen=True)
class Options:
    """Line drawings of emoji and coloured ones, 64 pixels; sides are multiples of 4."""

    images: ImageOptions = ImageOptions("openmoji_pairs")
    derive: Literal["edge", "negative"] | None = option(None, "what y is made of if data has no y")
    lam: float = option(100.0, "weight of L1", low=0)
    blocks: int = option(6, "residual blocks of a translator", low=0)
    width: int = option(64, "channels of the first layers", above=0)
    batch: int = option(1, "pairs a step", above=0)
    lr: float = option(2e-4, "learning rate of Adam, beta1 .5", above=0)
    steps: int = option(None, "steps of training (200 passes over the pairs)", above=0)


def losses(
    batch: Any, key: Array, *, G: Bound, F: Bound, D_X: Bound, D_Y: Bound, o: Options
) -> dict[str, Array]:
    """Equation 4 for x to y by way of G, and for y to x by way of F."""
    x, y = batch["x"], batch["y"]  # [B, H, W, C], partners
    fake_x, fake_y = F(y), G(x)
    real_score_x, fake_score_x = D_X(y, x), D_X(y, fake_x)  # [B, H', W']
    real_score_y, fake_score_y = D_Y(x, y), D_Y(x, fake_y)
    return {
        "G": non_saturating.g(fake_score_y).mean() + o.lam * l1(fake_y, y),
        "F": non_saturating.g(fake_score_x).mean() + o.lam * l1(fake_x, x),
        "D_X": non_saturating.d(real_score_x, fake_score_x).mean() / 2,
        "D_Y": non_saturating.d(real_score_y, fake_score_y).mean() / 2,
    }


def game(shape: tuple[int, ...], o: Options) -> Game:
    """The rate is constant for half of the steps, then falls to 0 in a line. D sees patches of 70
    pixels, smaller ones in images below 32.
    """
    half = o.steps // 2
    adam = optax.adam(optax.linear_schedule(o.lr, 0.0, o.steps - half, half), b1=0.5)
    translator = Player(ResNet(o.blocks, shape[-1], o.width), adam, shape)
    depth = min(3, min(shape[:2]).bit_length() - 3)
    critic = Player(PatchGAN(depth, o.width), adam, (shape, shape))
    return Game(
        {"G": translator, "F": translator, "D_X": critic, "D_Y": critic},
        partial(losses, o=o),
        [["D_X", "D_Y"], ["G", "F"]],
        partial(draw, n=o.batch),
    )


def sample(key: Array, n: int, *, G: Bound, F: Bound, domains: Domains) -> Array:
    """Of the first n held-out pairs, 64 at most, x, G(x), y, F(y): [n, 4, H, W, C] in 0..1."""
    x, y = domains.test_images(min(n, 64))
    return (jnp.stack([x, G(x), y, F(y)], 1) + 1) / 2


def measure(data: Any, key: Array, *, G: Bound, F: Bound, domains: Domains) -> dict[str, Array]:
    """The L1 distance of sixteen translations from the true partners."""
    return translation.measure(G, F, domains)


def evaluate(data: Any, key: Array, *, G: Bound, F: Bound, domains: Domains) -> dict[str, float]:
    """A thousand translations by L1, structural similarity and retrieval."""
    return translation.evaluate(G, F, **domains.test)


def figures(data: Any, x: Any, rows: Any) -> dict[str, Any]:
    """Twelve pairs: of a perfect translation the second row is the third, the fourth the first."""
    return {"translations": strips(x[:12], ["x", "Gx", "y", "Fy"])}


def experiment(o: Options) -> Experiment:
    """pix2pix on a data set of pairs, or on one and what is derived from it."""
    found = domains_of(o.images.data, o.derive, together=True, **o.images.how)
    require_sides(found, 4)
    o = with_defaults(o, steps=200 * len(found.train["x"]) // o.batch)
    return Experiment(
        partial(game, found.shape),
        o,
        found.train,
        partial(sample, domains=found),
        partial(measure, domains=found),
        partial(evaluate, domains=found),
        figures,
    )


if __name__ == "__main__":
    cli.script()
