"""Roles: one generator against discriminators that divide the work, by resolution or by frequency.

GMAN's game, nets, rates and mean (Durugkar, Gemp and Mahadevan 2017; `gman`), but D_i sees its own
view of an image (`ganjax.data.transforms.views`). All D_i have the same net; with equal views the
game is GMAN-0.

    ganjax run roles --roles bands
    ganjax reproduce roles/fashion
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from jax import Array

from ganjax import Game, Player, aggregates, cli, data
from ganjax.data.transforms import ROLES, views
from ganjax.experiment import Experiment, ImageOptions, Table, option
from ganjax.figures.strips import strips
from ganjax.game import Bound
from ganjax.keys import stream
from ganjax.nets import gman, symmetric
from ganjax.protocols import classifier, standard
from ganjax.protocols.teams import sample

QUICK = {"width": 128, "lr": 5e-4, "batch": 32, "ema": 0.999, "steps": 5000}
FASHION = {"data": "fashion_mnist", "size": 32, "width": 128, "steps": 6000, "features": True}
TABLES = {
    "fashion": Table(
        rows={name: {**FASHION, "roles": name} for name in ROLES},
        columns=("frechet", "quality", "classes"),
        seeds=3,
        note="Three discriminators with equal nets; frechet: 10,000 samples and the test images, "
        "in features of a classifier of ours",
    ),
}


@dataclass(frozen=True)
class Options:
    """Three discriminators on images."""

    images: ImageOptions = ImageOptions("digits")
    n: int = option(3, "discriminators", above=0)
    roles: Literal["equal", "resolutions", "bands"] = option(
        "resolutions",
        "what D_i sees: the image; means of squares of 2^i pixels; what these add to the next",
    )
    features: bool = option(False, "measure the Fréchet distance in features of a classifier")
    width: int = option(128, "units of a hidden layer; channels of D's last at 32 px", above=0)
    batch: int = option(100, "real samples a step for each discriminator", above=0)
    lr: float = option(2e-4, "learning rate of Adam, beta1 .5", above=0)
    ema: float = option(0.0, "decay of the averaged G that is sampled; 0: none", low=0, below=1)
    steps: int = option(6000, "steps of training", above=0)


def losses(batch: Any, key: Array, *, G: Bound, D: Bound, roles: str) -> dict[str, Array]:
    """D_i maximises V_i on its view of its own part of the minibatch, G minimises their mean."""
    x = batch["x"]  # [B N, H, W, C]
    fake_x = G(G.noise(key, len(x)))
    part = (-1, D.n, *x.shape[1:])
    real = D.each(views(x.reshape(part), roles), key=stream(key, "real"))  # [B, N]
    fake = D.each(views(fake_x.reshape(part), roles), key=stream(key, "fake"))
    V = aggregates.values(real, fake)  # [N]
    return {"D": -V.sum(), "G": V.mean()}


def game(shape: tuple[int, ...], o: Options) -> Game:
    """The nets of `gman` with its authors' dropout rates."""
    adam = optax.adam(o.lr, b1=0.5)
    generator, discriminator = gman.pair(shape, o.width)
    players = {
        "G": Player(generator, adam, (100,), prior=symmetric(1.0), ema=o.ema),
        "D": Player(discriminator, adam, shape, n=o.n, per={"rate": gman.rates(o.n)}),
    }
    draw = partial(data.draw, n=o.batch * o.n)
    return Game(players, partial(losses, roles=o.roles), [["G", "D"]], draw)


def measure(arrays: Any, key: Array, *, G: Bound, D: Bound, roles: str) -> dict[str, Array]:
    """The value of each discriminator on its view of 256 images, without dropout."""
    images = data.draw(arrays, key, 256)["x"], G(G.noise(key, 256))
    real, fake = (D.each(views(jnp.stack([x] * D.n, 1), roles)) for x in images)  # [B, N]
    return {f"V_{i}": value for i, value in enumerate(aggregates.values(real, fake))}


def evaluate(arrays: Any, key: Array, *, G: Bound, o: Options) -> dict[str, float]:
    """`standard.evaluate`, and, where it is asked for, the Fréchet distance."""
    numbers = standard.evaluate(arrays, sample, key, G=G)
    if not o.features:
        return numbers
    draw = partial(standard.draw_samples, sample, key, G=G)
    return numbers | classifier.frechet_distance(draw, o.images.data, **o.images.how)


def figures(arrays: Any, x: Any, rows: Any, *, D: Bound, roles: str) -> dict[str, Any]:
    """Sixteen samples as each discriminator sees them; 0 is grey."""
    seen = views(jnp.stack([2 * jnp.asarray(x[:16]) - 1] * D.n, 1), roles)
    return {"views": strips((seen + 1) / 2, [f"D{i + 1}" for i in range(D.n)])}


def experiment(o: Options) -> Experiment:
    """Discriminators with roles, on images."""
    dataset = data.require(o.images.find(), (None, None, None), labels=o.features)
    if o.features:
        data.find(o.images.data, split="test", **o.images.how)  # refuses a set without test images
    several = jax.ShapeDtypeStruct((1, o.n, *dataset.shape), float)
    jax.eval_shape(partial(views, roles=o.roles), several)  # refuses sides that do not divide
    return Experiment(
        partial(game, dataset.shape),
        o,
        dataset.load(),
        sample,
        partial(measure, roles=o.roles),
        partial(evaluate, o=o),
        partial(figures, roles=o.roles),
    )


if __name__ == "__main__":
    cli.script()
