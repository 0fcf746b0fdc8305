"""CycleGAN: two translators between two domains, a discriminator for each domain, and a loss for
images that do not come back as they were.

Zhu, Park, Isola and Efros 2017, "Unpaired Image-to-Image Translation using Cycle-Consistent
Adversarial Networks": equations 1 to 3 with least squares, D's loss halved (section 4), and the
identity term of section 5.2. Nets, rates, pools of 50 old fakes and one simultaneous turn of all
players are those of the authors' PyTorch code, but images are neither cropped nor mirrored.
Held-out pairs measure it: is G(x) the partner of x?

    ganjax run cyclegan --data emoji_styles
    ganjax run cyclegan --data-x horses/ --data-y zebras/ --size 128
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax.numpy as jnp
import optax
from jax import Array

from ganjax import cli, image_pool
from ganjax.data.domains import Domains, domains_of, domains_of_two, require_sides, unpaired
from ganjax.experiment import Experiment, ImageOptions, Table, option, with_defaults
from ganjax.figures.strips import strips
from ganjax.game import Bound, Game, Player
from ganjax.losses import l1, least_squares
from ganjax.nets.cyclegan import PatchGAN, ResNet
from ganjax.protocols import translation

SMALL = {"width": 8, "blocks": 1, "batch": 4, "lr": 1e-3, "steps": 600}
QUICK = {"data": "digits", "derive": "edge", "size": 16, "identity": 0.0, **SMALL}
# weights of the GAN, of the cycle x to y to x, and of the cycle y to x to y
TERMS = {
    "cycle": (0.0, 1.0, 1.0), "gan": (1.0, 0.0, 0.0), "forward": (1.0, 1.0, 0.0),
    "backward": (1.0, 0.0, 1.0), "full": (1.0, 1.0, 1.0),
}  # fmt: skip
TABLES = {
    "ablation": Table(
        rows={
            terms: {"terms": terms, "identity": 0.0, "width": 32, "batch": 8, "steps": 1500}
            for terms in TERMS
        },
        columns=translation.COLUMNS,
        anchors=lambda data_dir: translation.baselines(
            **domains_of("openmoji_pairs", data_dir=data_dir).test
        ),
        note="Line drawings x and colour y of 64 pixels, 341 pairs held out; nets of half the "
        "width, no identity term.",
    ),
}


@dataclass(frozen=True)
class Options:
    """Line drawings of emoji and coloured ones, 64 pixels; sides are multiples of 4."""

    images: ImageOptions = ImageOptions("openmoji_pairs")
    derive: Literal["edge", "negative"] | None = option(None, "what y is made of if data has no y")
    data_x: str | None = option(None, "a data set or path of a first domain, in place of data")
    data_y: str | None = option(None, "a data set or path of its second domain")
    lam: float = option(10.0, "weight of the cycle", low=0)
    identity: float = option(0.5, "weight of the identity term, in units of lam", low=0)
    terms: Literal["cycle", "gan", "forward", "backward", "full"] = option(
        "full", "GAN and cycle both ways, or a row of the ablation; forward is from x by way of G"
    )
    blocks: int = option(6, "residual blocks of a translator", low=0)
    width: int = option(64, "channels of the first layers", above=0)
    batch: int = option(1, "images of each domain a step", above=0, high=50)
    lr: float = option(2e-4, "learning rate of Adam, beta1 .5", above=0)
    steps: int = option(None, "steps of training (200 passes over the larger domain)", above=0)


def losses(
    batch: Any, key: Array, *, G: Bound, F: Bound, D_X: Bound, D_Y: Bound, memory: Any, o: Options
) -> dict[str, Any]:
    """Equations 1 to 3 and the identity term."""
    x, y = batch["x"], batch["y"]  # [B, H, W, C]
    fake_x, fake_y = F(y), G(x)
    gan, forward, backward = TERMS[o.terms]
    cycle = o.lam * forward * l1(F(fake_y), x) + o.lam * backward * l1(G(fake_x), y)
    same = o.lam * o.identity * (l1(G(y), y) + l1(F(x), x)) if o.identity else 0.0
    old, memory = image_pool.exchange(memory, {"x": fake_x, "y": fake_y}, key)
    return {
        "G": gan * 2 * least_squares.g(D_Y(fake_y)).mean() + cycle + same,
        "F": gan * 2 * least_squares.g(D_X(fake_x)).mean() + cycle + same,
        "D_X": least_squares.d(D_X(x), D_X(old["x"])).mean(),
        "D_Y": least_squares.d(D_Y(y), D_Y(old["y"])).mean(),
        "cycle": cycle,
        "memory": memory,
    }


def game(shape: tuple[int, ...], o: Options) -> Game:
    """The rate falls linearly over the second half; patches of 70 pixels, smaller below 32."""
    half = o.steps // 2
    adam = optax.adam(optax.linear_schedule(o.lr, 0.0, o.steps - half, half), b1=0.5)
    translator = Player(ResNet(o.blocks, shape[-1], o.width), adam, shape)
    depth = min(3, min(shape[:2]).bit_length() - 3)
    critic = Player(PatchGAN(depth, o.width), adam, shape)
    players = {"G": translator, "F": translator, "D_X": critic, "D_Y": critic}
    draw = partial(unpaired, n=o.batch)
    pool = partial(image_pool.empty, 50, shape)
    return Game(players, partial(losses, o=o), [list(players)], draw, memory=pool)


def sample(key: Array, n: int, *, G: Bound, F: Bound, domains: Domains) -> Array:
    """Of the first n held-out pairs, 64 at most, x, G(x), F(G(x)), y, F(y), G(F(y)): [n, 6, H, W,
    C] in 0..1.
    """
    x, y = domains.test_images(min(n, 64))
    return (jnp.stack([x, G(x), F(G(x)), y, F(y), G(F(y))], 1) + 1) / 2


def measure(data: Any, key: Array, *, G: Bound, F: Bound, domains: Domains) -> dict[str, Array]:
    """The L1 distance of sixteen translations from the true partners, where these are known."""
    return translation.measure(G, F, domains)


def evaluate(data: Any, key: Array, *, G: Bound, F: Bound, domains: Domains) -> dict[str, float]:
    """A thousand translations by L1, structural similarity and retrieval, if partners are known."""
    return translation.evaluate(G, F, **domains.test) if domains.paired else {}


def figures(data: Any, x: Any, rows: Any) -> dict[str, Any]:
    """Twelve pairs; of a perfect translation the second row is the fourth, the fifth the first."""
    return {"translations": strips(x[:12], ["x", "Gx", "FGx", "y", "Fy", "GFy"])}


def experiment(o: Options) -> Experiment:
    """CycleGAN on a data set of pairs, on one and what is derived from it, or on two."""
    if o.data_x or o.data_y:
        found = domains_of_two(o.data_x, o.data_y, **o.images.how)
    else:
        found = domains_of(o.images.data, o.derive, **o.images.how)
    require_sides(found, 4)
    o = with_defaults(o, steps=200 * max(map(len, found.train.values())) // o.batch)
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
