"""LAPGAN: a Laplacian pyramid of generators, each of which draws the detail that the coarser image
lacks.

Denton, Chintala, Szlam and Fergus 2015, "Deep Generative Image Models using a Laplacian Pyramid of
Adversarial Networks": section 3 and the nets of the authors' scripts as one game. Each level, G_0
the finest, plays its own GAN on real coarse images, all at once; they meet when they are sampled.
Half of D's batch is real, half made. The authors' rate falls by the epoch, here by the step.

    ganjax run lapgan --data mnist                 (the plain GAN: --levels 1; CC-LAPGAN: --conditional)
"""

from functools import partial
from typing import Any

import jax.numpy as jnp
import optax
from jax import Array, nn, random

from ganjax import cli
from ganjax import data as sets
from ganjax import experiment as ex
from ganjax.data.transforms import band, resize
from ganjax.figures.samples import image_grid
from ganjax.figures.strips import pyramid_strips
from ganjax.game import Bound, Game, Player
from ganjax.losses import non_saturating
from ganjax.nets import lapgan, symmetric
from ganjax.optim import heavy_ball
from ganjax.protocols import laplacian, standard

QUICK = {
    "data": "digits",
    "size": 16,
    "levels": 2,
    "width": 8,
    "batch": 32,
    "lr": 0.05,
    "steps": 800,
}
OF: dict[str, dict[str, Any]] = {
    "parzen": {"width": 32, "steps": 4000},
    "adam": {"width": 32, "adam": True, "lr": 5e-4, "steps": 4000},
    "cifar10": {"data": "cifar10", "width": 32, "steps": 20_000},
}
TABLES = {
    name: ex.Table(
        rows={"GAN": {"levels": 1, **of}, "LAPGAN": of, "CC-LAPGAN": {"conditional": True, **of}},
        columns=(
            "parzen",
            "parzen_error",
            "parzen_sigma",
            "parzen_levels",
            "parzen_levels_error",
            "nearest",
        ),
        seeds=3,
        note="Fashion-MNIST, or CIFAR-10; finer levels of half the width. parzen_levels sums over the levels: no density of images.",
    )
    for name, of in OF.items()
}


def losses(
    batch: Any, key: Array, *, levels: int, classes: int, **players: Bound
) -> dict[str, Array]:
    """Section 3.2 at every level: h_k = I_k - u(I_{k+1}) against G_k(z_k, l_k), both given l_k =
    u(I_{k+1}).
    """
    image, y, out = (
        batch["x"],
        [nn.one_hot(batch["label"], classes)] if classes else [],
        dict[str, Array](),
    )  # [B, H, W, C]
    for k in range(levels):
        h, *l, image = band(image, image.shape[1] // 2) if k + 1 < levels else (image, image)
        G, D, given = players[f"G_{k}"], players[f"D_{k}"], [*l, *y]
        fake_score = D(G(G.noise(key, len(h)), *given), *given, key=key)  # [B]
        real_score = D(*(c[: (len(h) + 1) // 2] for c in (h, *given)), key=random.fold_in(key, 1))
        out[f"D_{k}"] = non_saturating.d(real_score, fake_score[-len(real_score) :]).mean() / 2
        out[f"G_{k}"] = non_saturating.g(fake_score).mean()
    return out


def game(
    shape: tuple[int, ...],
    levels: int,
    classes: int,
    width: int,
    batch: int,
    tx: optax.GradientTransformation,
) -> Game:
    """Convolutions for the finer levels, dense nets for the coarsest."""
    uniform, y, players = symmetric(1.0), [(classes,)] if classes else [], {}
    for k in range(levels):
        of = (shape[0] >> k, shape[0] >> k, shape[2])
        if k + 1 < levels:
            players[f"G_{k}"] = Player(
                lapgan.Generator(width), tx, ((*of[:2], 1), of, *y), prior=uniform
            )
            players[f"D_{k}"] = Player(lapgan.Discriminator(width), tx, (of, of, *y))
        else:
            players[f"G_{k}"] = Player(lapgan.coarse_generator(of), tx, ((100,), *y), prior=uniform)
            players[f"D_{k}"] = Player(
                lapgan.coarse_discriminator(), tx, (of, *y), per={"rate": 0.5}
            )
    return Game(
        players,
        partial(losses, levels=levels, classes=classes),
        [list(players)],
        partial(sets.draw, n=batch),
    )


def sample(
    key: Array,
    n: int,
    *,
    G_0: Bound,
    G_1: Bound | None = None,
    G_2: Bound | None = None,
    classes: int,
) -> Array:
    """What each level makes of the coarser image, coarse to fine and enlarged, [n, levels, H, W, C]
    in 0..1; the last is the sample.
    """
    *finer, coarsest = [G for G in (G_0, G_1, G_2) if G is not None]
    y = [nn.one_hot(jnp.arange(n) % classes, classes)] if classes else []
    chain = [coarsest(coarsest.noise(key, n), *y)]
    for G in reversed(finer):
        chain = [resize(image, G.player.inputs[0][0]) for image in chain]
        chain.append(chain[-1] + G(G.noise(key, n), chain[-1], *y))
    return (jnp.stack(chain, 1) + 1) / 2


def measure(
    data: Any,
    key: Array,
    *,
    G_0: Bound,
    G_1: Bound | None = None,
    G_2: Bound | None = None,
    classes: int,
) -> dict[str, Array]:
    """How far 200 real images are from the nearest of 256 samples."""
    return {
        "nearest": laplacian.nearest_distance(
            data["x"][:200], sample(key, 256, G_0=G_0, G_1=G_1, G_2=G_2, classes=classes)[:, -1]
        )
    }


def evaluate(
    data: Any,
    key: Array,
    *,
    G_0: Bound,
    G_1: Any = None,
    G_2: Any = None,
    classes: int,
    parts: sets.Splits,
) -> dict[str, float]:
    """The Parzen log-likelihood of held-out images, at full size and level by level."""
    players = {f"G_{k}": G for k, G in enumerate((G_0, G_1, G_2)) if G is not None}
    last = lambda key, n, **G: sample(key, n, **G, classes=classes)[:, -1]  # noqa: E731
    return standard.parzen_likelihood(last, key, parts, **players) | laplacian.evaluate(
        parts, [*players.values()], key, classes
    )


def figures(data: Any, x: Any, rows: Any) -> dict[str, Any]:
    """Samples, and how twelve of them came about."""
    return {"samples": image_grid(x[:64, -1]), "chain": pyramid_strips(x[:12])}


def experiment(
    data: str = "fashion_mnist",
    data_dir: str | None = None,
    size: int | None = None,
    levels: int = 3,
    conditional: bool = False,
    width: int = 64,
    batch: int = 128,
    adam: bool = False,
    lr: float = 0.02,
    steps: int = 50_000,
) -> ex.Experiment:
    """Clothing of 28 pixels by way of 7 and 14.

    data: a set of square images, or a path
    data_dir: where prepared sets are
    size: pixels of a side that images are resized to; otherwise they stay as they are
    levels: of the pyramid, 1 to 3, each of half the side; 1 is a plain GAN with dense nets
    conditional: show every player the label
    width: channels of the finer levels
    batch: images a step
    adam: Adam with beta1 .5 in the place of SGD
    lr: learning rate
    steps: steps of training
    """
    ex.positive(width=width, batch=batch, lr=lr, steps=steps)
    parts = sets.find_splits(data, data_dir, size=size)
    found = sets.require(parts.train, (None, None, None), labels=conditional)
    side, classes = found.shape[0], found.classes or 0 if conditional else 0
    if (
        levels not in (1, 2, 3)
        or side != found.shape[1]
        or side % 2 ** (levels - 1)
        or (levels > 1 and side >> (levels - 2) < 13)
    ):
        raise ValueError(
            f"1 to 3 levels halve a square of 13 pixels or more; {levels} of {list(found.shape[:2])} do not: ask for a size"
        )
    tx = (
        optax.adam(lr, b1=0.5)
        if adam
        else heavy_ball(lr, epoch=max(1, (found.examples or 0) // batch))
    )
    played = game(found.shape, levels, classes, width, batch, tx)
    on = partial(partial, classes=classes)
    return ex.Experiment(
        played, found.load(), steps, on(sample), on(measure), on(evaluate, parts=parts), figures
    )


if __name__ == "__main__":
    cli.script()
