"""MAD-GAN: k generators that share their first layers against one discriminator that must also tell them apart.

Ghosh et al. 2018, "Multi-Agent Diverse Generative Adversarial Networks": equations 1 and 2. Nets, priors and rates are those of the
authors' 1-D toy (madgan.py): the generators see the same noise while they train, and are sampled with noise of their own.

    ganjax run mad_gan
    ganjax run mad_gan --data ring --k 8 --lr 1e-3 --steps 4000
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import optax
from jax import Array

from ganjax import cli
from ganjax import data as sets
from ganjax import experiment as ex
from ganjax.experiment import Experiment, Table
from ganjax.game import Bound, Game, Player
from ganjax.losses import ce
from ganjax.metrics import protocols
from ganjax.nets import MLP, TrunkAndHead, symmetric

QUICK = {"data": "ring", "k": 8, "width": 64, "batch": 64, "lr": 1e-3, "steps": 2000}
TABLES = {
    # The paper's 1-D table, its numbers recalled, not read.
    "mixture1d": Table(
        rows={"GAN": {"experiment": "gan", "data": "mixture1d"}, "MAD-GAN": {"k": 4}},
        columns=("chi2", "kl", "modes", "quality", "share_min", *(f"share_{i}" for i in range(5))),
        seeds=5,
        paper={"GAN": {"chi2": 0.90e5, "kl": 0.322}, "MAD-GAN": {"chi2": 0.24e5, "kl": 0.145}},
    ),
    "demo": Table(
        rows={
            "GAN, ring": {"experiment": "gan", "data": "ring", "width": 64, "lr": 1e-3, "steps": 2000},
            "MAD-GAN, ring": {"data": "ring", "k": 8, "width": 64, "batch": 64, "lr": 1e-3, "steps": 2000},
            "GAN, digits": {"experiment": "gan", "data": "digits", "width": 128, "lr": 0.2, "steps": 3000},
            "MAD-GAN, digits": {"data": "digits", "k": 3, "width": 192, "batch": 32, "lr": 4e-4, "steps": 2000},
        },
        columns=("modes", "quality"),
        seeds=4,
    ),
}


def losses(batch: Any, key: Array, *, G: Bound, D: Bound) -> dict[str, Array]:
    """D names the generator a sample came from; classes 0 … k-1 are the generators, class k is "real"."""
    x, k = batch["x"], G.n  # [B, ...]
    z = G.noise(key, len(x), each=False)  # [B, Z], the same for all generators
    named = D(G(z))  # [B, k, k+1]
    return {"D": ce(D(x), k).mean() + ce(named, jnp.arange(k)).mean(0).sum(), "G": ce(named, k).mean(0).sum()}


def game(shape: tuple[int, ...], k: int, width: int, z: int, batch: int, lr: float) -> Game:
    """The authors' toy nets; on images of -1..1 the generators end in tanh and have a hidden layer of their own."""
    xavier, adam = nn.initializers.xavier_normal(), optax.adam(lr, b1=0.5)
    head, last = ((width,), nn.tanh) if len(shape) > 1 else ((), lambda x: x)
    generator = TrunkAndHead((width, width), head, shape, nn.elu, last, xavier)
    G = Player(generator, adam, (z,), n=k, shared=("trunk",), prior=symmetric(1.0))
    D = Player(MLP((width,) * 3, (k + 1,), partial(nn.leaky_relu, negative_slope=0.1), kernel_init=xavier), adam, shape)
    return Game({"G": G, "D": D}, losses, [["D"], ["G"]], partial(sets.draw, n=batch))


def sample(key: Array, n: int, *, G: Bound) -> Array:
    """n samples of each generator, [n, k, *shape]; images in 0..1."""
    x = G.each(G.noise(key, n))
    return x if x.ndim < 4 else (x + 1) / 2


def measure(data: Any, key: Array, *, G: Bound) -> dict[str, Array]:
    """Modes, quality and divergences of about 2^14 samples, equally many from each generator, on a mixture."""
    return protocols.measure(data, sample(key, 2**14 // G.n, G=G), key)


def judge(data: Any, key: Array, *, G: Bound) -> dict[str, float]:
    """The same by the full protocol; on images classes and quality by the nearest neighbour."""
    return protocols.judge(data, sample, key, G=G)


def experiment(
    data: str = "mixture1d",
    data_dir: str | None = None,
    size: int | None = None,
    channels: int | None = None,
    crop: bool = False,
    k: int = 4,
    width: int = 128,
    z: int = 64,
    batch: int = 128,
    lr: float = 1e-4,
    steps: int = 200_000,
) -> Experiment:
    """The authors' 1-D toy, on any mixture or set of images.

    data: a mixture, digits, another set of images, or a path
    data_dir: where prepared sets are
    size: pixels of a side that images are resized to; otherwise they stay as they are
    channels: 1 for grey images, 3 for colour
    crop: cut out the middle square before an image is resized
    k: generators
    width: units of a hidden layer
    z: entries of the noise
    batch: real samples a step, and samples of each generator
    lr: learning rate of Adam, its beta1 .5
    steps: steps of training
    """
    ex.positive(k=k, width=width, z=z, batch=batch, lr=lr, steps=steps)
    found = sets.points_or_images(data, data_dir, size=size, channels=channels, crop=crop)
    arrays = found.load()
    return Experiment(game(found.shape, k, width, z, batch, lr), arrays, steps, sample, measure, judge)


if __name__ == "__main__":
    cli.script()
