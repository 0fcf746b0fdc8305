"""Roles: one generator against discriminators that divide the work, from coarse to fine, or by
bands of frequencies.

GMAN's game, nets, rates and mean (Durugkar, Gemp and Mahadevan 2017; `gman`), where D_i sees not
the image but its own view of it (`ganjax.data.transforms.views`): all members have the same net,
and equal views are GMAN-0 itself.

    ganjax run roles --roles bands
    ganjax reproduce roles/fashion
"""

from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from jax import Array, random

from ganjax import aggregates, cli
from ganjax import data as sets
from ganjax import experiment as ex
from ganjax.data.transforms import ROLES, views
from ganjax.experiment import Experiment, Table
from ganjax.game import Bound, Game, Player
from ganjax.nets import gman, symmetric
from ganjax.protocols import classifier, standard

QUICK = {"width": 64, "lr": 1e-3, "batch": 32, "steps": 1000}
FASHION = {"data": "fashion_mnist", "size": 32, "width": 128, "steps": 6000, "features": True}
TABLES = {
    "fashion": Table(
        rows={name: {**FASHION, "roles": name} for name in ROLES},
        columns=("frechet", "quality", "classes"),
        seeds=3,
        note="Three discriminators with equal nets; frechet: 10,000 samples and the test images, in features of a classifier of ours",
    ),
}


def losses(batch: Any, key: Array, *, G: Bound, D: Bound, view: str) -> dict[str, Array]:
    """D_i maximises V_i on its view of its own part of the minibatch, G minimises their mean."""
    noise_key, *keys = random.split(key, 3)
    images = batch["x"], G(G.noise(noise_key, len(batch["x"])))
    parts = (views(x.reshape(-1, D.n, *x.shape[1:]), view) for x in images)  # [B, N, H, W, C]
    real, fake = (D.each(x, key=key) for x, key in zip(parts, keys))  # [B, N]
    V = aggregates.values(real, fake)  # [N]
    return {"D": -V.sum(), "G": V.mean()}


def game(shape: tuple[int, ...], n: int, view: str, width: int, batch: int, lr: float) -> Game:
    """The nets of `gman` with its authors' dropout rates."""
    adam, (generator, discriminator) = optax.adam(lr, b1=0.5), gman.pair(shape, width)
    G = Player(generator, adam, (100,), prior=symmetric(1.0))
    D = Player(discriminator, adam, shape, n=n, per={"rate": gman.rates(n)})
    return Game(
        {"G": G, "D": D}, partial(losses, view=view), [["G", "D"]], partial(sets.draw, n=batch * n)
    )


def sample(key: Array, n: int, *, G: Bound) -> Array:
    """What G makes, [n, *shape], in 0..1."""
    return (G(G.noise(key, n)) + 1) / 2


def measure(data: Any, key: Array, *, G: Bound, D: Bound, view: str) -> dict[str, Array]:
    """The value of each discriminator on its view of 256 images, without dropout."""
    images = sets.draw(data, key, 256)["x"], G(G.noise(key, 256))
    real, fake = (D.each(views(jnp.stack([x] * D.n, 1), view)) for x in images)  # [B, N]
    return {f"V_{i}": value for i, value in enumerate(aggregates.values(real, fake))}


def evaluate(data: Any, key: Array, *, G: Bound, known: dict[str, Any] | None) -> dict[str, float]:
    """Classes and quality by the nearest neighbour; where it is known, the Fréchet distance by the
    set's classifier.
    """
    far = (
        classifier.frechet_distance(lambda n: standard.draw_samples(sample, key, n, G=G), **known)
        if known
        else {}
    )
    return {**standard.evaluate(data, sample, key, G=G), **far}


def experiment(
    data: str = "digits",
    data_dir: str | None = None,
    size: int | None = None,
    n: int = 3,
    roles: Literal["equal", "resolutions", "bands"] = "resolutions",
    features: bool = False,
    width: int = 128,
    batch: int = 100,
    lr: float = 2e-4,
    steps: int = 6000,
) -> Experiment:
    """Three discriminators on images.

    data: digits, another set of images, or a path
    data_dir: where prepared sets are
    size: pixels of a side that images are resized to; otherwise they stay as they are
    n: discriminators
    roles: what they see: the image; means of squares of 1, 2, 4 … pixels; or what each of these
    adds to the next
    features: measure the Fréchet distance too, in features of a classifier that learns the set's
    labels
    width: units of a hidden layer; channels of D's last at 32 pixels
    batch: real samples a step for each discriminator
    lr: learning rate of Adam, its beta1 .5
    steps: steps of training
    """
    ex.positive(n=n, width=width, batch=batch, lr=lr, steps=steps)
    found = sets.require(
        sets.points_or_images(data, data_dir, size=size), (None, None, None), labels=features
    )
    if features:
        sets.find(data, data_dir, "test", size=size)  # refuses a set without test images
    known = {"name": data, "data_dir": data_dir, "size": size} if features else None
    played = game(found.shape, n, roles, width, batch, lr)
    jax.eval_shape(
        partial(views, roles=roles), jax.ShapeDtypeStruct((1, n, *found.shape), float)
    )  # refuses sides that do not divide
    return Experiment(
        played,
        found.load(),
        steps,
        sample,
        partial(measure, view=roles),
        partial(evaluate, known=known),
    )


if __name__ == "__main__":
    cli.script()
