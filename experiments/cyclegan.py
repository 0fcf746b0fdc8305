"""CycleGAN: two translators between two domains, a discriminator for each, and a loss for what does
not come back.

Zhu, Park, Isola and Efros 2017, "Unpaired Image-to-Image Translation using Cycle-Consistent
Adversarial Networks": equations 1 to 3 with least squares, D's halved (section 4), and the identity
term of section 5.2. Nets, rates, pools of 50 old fakes and order, all at once, are those of the
authors' PyTorch code, but images are neither cropped nor mirrored. Judged on held-out pairs: is
G(x) the partner of x?

    ganjax run cyclegan --data emoji_styles        (a user's own: --data-x horses/ --data-y zebras/ --size 128)
"""

from functools import partial
from typing import Any, Literal

import jax.numpy as jnp
import optax
from jax import Array

from ganjax import cli, image_pool
from ganjax import experiment as ex
from ganjax.data.domains import Domains, domains_of, domains_of_two, require_sides, unpaired
from ganjax.experiment import Experiment, Table
from ganjax.figures.strips import strips
from ganjax.game import Bound, Game, Player
from ganjax.losses import l1, least_squares
from ganjax.nets.cyclegan import PatchGAN, ResNet
from ganjax.protocols import translation

QUICK = {
    "data": "digits",
    "derive": "edge",
    "size": 16,
    "identity": 0.0,
    "width": 8,
    "blocks": 1,
    "batch": 4,
    "lr": 1e-3,
    "steps": 600,
}
TERMS = {
    "cycle": (0.0, 1.0, 1.0),
    "gan": (1.0, 0.0, 0.0),
    "forward": (1.0, 1.0, 0.0),
    "backward": (1.0, 0.0, 1.0),
    "full": (1.0, 1.0, 1.0),
}
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
        note="Line drawings x and colour y of 64 pixels, 341 pairs held out; nets of half the width, no identity term.",
    ),
}


def losses(
    batch: Any, key: Array, *, G: Bound, F: Bound, D_X: Bound, D_Y: Bound, memory: Any, weights: Any
) -> dict[str, Any]:
    """Equations 1 to 3 and the identity term. Weights: of the GAN, of the cycle forward and
    backward, of the identity.
    """
    x, y, (gan, forward, backward, identity) = batch["x"], batch["y"], weights  # [B, H, W, C]
    fake_x, fake_y = F(y), G(x)
    cycle = forward * l1(F(fake_y), x) + backward * l1(G(fake_x), y)
    same = identity * (l1(G(y), y) + l1(F(x), x)) if identity else 0.0
    old, memory = image_pool.exchange(memory, {"x": fake_x, "y": fake_y}, key)
    return {
        "G": gan * 2 * least_squares.g(D_Y(fake_y)).mean() + cycle + same,
        "F": gan * 2 * least_squares.g(D_X(fake_x)).mean() + cycle + same,
        "D_X": least_squares.d(D_X(x), D_X(old["x"])).mean(),
        "D_Y": least_squares.d(D_Y(y), D_Y(old["y"])).mean(),
        "cycle": cycle,
        "memory": memory,
    }


def game(
    shape: tuple[int, ...],
    weights: tuple[float, ...],
    blocks: int,
    width: int,
    batch: int,
    lr: float,
    steps: int,
) -> Game:
    """The rate is constant for half of the steps, then falls to 0 in a line; patches of 70 pixels,
    smaller in images below 32.
    """
    adam = optax.adam(optax.linear_schedule(lr, 0.0, steps - steps // 2, steps // 2), b1=0.5)
    translator, critic = (
        ResNet(blocks, shape[-1], width),
        PatchGAN(min(3, min(shape[:2]).bit_length() - 3), width),
    )
    players = {
        name: Player(net, adam, shape)
        for name, net in (("G", translator), ("F", translator), ("D_X", critic), ("D_Y", critic))
    }
    return Game(
        players,
        partial(losses, weights=weights),
        [list(players)],
        partial(unpaired, n=batch),
        partial(image_pool.empty, 50, shape),
    )


def sample(key: Array, n: int, *, G: Bound, F: Bound, found: Domains) -> Array:
    """Of the first n held-out pairs, 64 at most: x, G(x), F(G(x)), y, F(y), G(F(y)), [n, 6, H, W,
    C] in 0..1.
    """
    x, y = found.test_images(min(n, 64))
    return (jnp.stack([x, G(x), F(G(x)), y, F(y), G(F(y))], 1) + 1) / 2


def measure(data: Any, key: Array, *, G: Bound, F: Bound, found: Domains) -> dict[str, Array]:
    """How far sixteen translations are from what they should be, in L1, where that is known."""
    return translation.measure(G, F, found)


def evaluate(data: Any, key: Array, *, G: Bound, F: Bound, found: Domains) -> dict[str, float]:
    """A thousand translations by L1, structural similarity and retrieval, where that is known."""
    return translation.evaluate(G, F, **found.test) if found.paired else {}


def figures(data: Any, x: Any, rows: Any) -> dict[str, Any]:
    """Twelve pairs, there and back: of a perfect translation the second row is the fourth, and the
    fifth the first.
    """
    return {"translations": strips(x[:12], ["x", "Gx", "FGx", "y", "Fy", "GFy"])}


def experiment(
    data: str = "openmoji_pairs",
    derive: Literal["edge", "negative"] | None = None,
    data_x: str | None = None,
    data_y: str | None = None,
    data_dir: str | None = None,
    size: int | None = None,
    lam: float = 10.0,
    identity: float = 0.5,
    terms: Literal["cycle", "gan", "forward", "backward", "full"] = "full",
    blocks: int = 6,
    width: int = 64,
    batch: int = 1,
    lr: float = 2e-4,
    steps: int | None = None,
) -> Experiment:
    """Line drawings of emoji and coloured ones, 64 pixels.

    data: a set of pairs, or with derive any set of images, or a path
    derive: what the second domain is made of, where the set has none
    data_x: a set or path of a first domain, in place of data
    data_y: a set or path of its second domain
    data_dir: where prepared sets are
    size: pixels of a side that images are resized to, a multiple of 4
    lam: weight of the cycle
    identity: weight of the identity term, in units of lam
    terms: GAN and cycle both ways, or a row of the ablation; forward is from x by way of G
    blocks: residual blocks of a translator
    width: channels of the first layers
    batch: images of each domain a step, at most 50
    lr: learning rate of Adam, its beta1 .5
    steps: steps of training (200 passes through the larger domain)
    """
    ex.positive(width=width, batch=batch, lr=lr, steps=steps)
    ex.positive(zero=True, lam=lam, identity=identity, blocks=blocks)
    how: dict[str, Any] = {"data_dir": data_dir, "size": size}
    two = data_x or data_y
    found = domains_of_two(data_x, data_y, **how) if two else domains_of(data, derive, **how)
    require_sides(found, 4)
    steps = steps or 200 * max(map(len, found.train.values())) // batch
    weights = (*(t * weight for t, weight in zip(TERMS[terms], (1.0, lam, lam))), lam * identity)
    played = game(found.shape, weights, blocks, width, batch, lr, steps)
    on = partial(partial, found=found)
    return Experiment(played, found.train, steps, on(sample), on(measure), on(evaluate), figures)


if __name__ == "__main__":
    cli.script()
