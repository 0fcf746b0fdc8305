"""MAD-GAN: k generators that share their first layers against one discriminator that must also tell them apart.

Ghosh et al. 2018, "Multi-Agent Diverse Generative Adversarial Networks": equations 1 and 2. Nets, priors and rates are those of the
authors' 1-D toy (madgan.py): the generators see the same noise while they train, and are sampled with noise of their own. Images of 32 and
64 px get the nets of their image code (heads_classify_gen_n_alter.lua), of which all layers but the last two are shared.

    ganjax run mad_gan
    ganjax run mad_gan --data ring --k 8 --lr 1e-3 --steps 4000
    ganjax run mad_gan --data stacked_mnist --size 32
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import optax
from jax import Array, random

from ganjax import cli, features
from ganjax import data as sets
from ganjax import experiment as ex
from ganjax.experiment import Experiment, Table
from ganjax.game import Bound, Game, Player
from ganjax.losses import ce
from ganjax.metrics import modes, protocols
from ganjax.nets import MLP, TrunkAndHead, dcgan, symmetric

QUICK = {"data": "ring", "k": 8, "width": 64, "batch": 64, "lr": 1e-3, "steps": 2000}
NAMED = {"stacked_mnist": modes.stacked, "compositional_mnist": modes.compositional}  # sets whose modes a classifier counts
CONVOLVED = ((32, 32), (64, 64))  # sizes of images that get convolutions
TABLES = {
    "mixture1d": Table(
        rows={"GAN": {"experiment": "gan", "data": "mixture1d"}, "MAD-GAN": {"k": 4}},
        columns=("chi2", "kl", "modes", "quality", "share_min", *(f"share_{i}" for i in range(5))),
        seeds=5,
        paper={"GAN": {"chi2": 0.90e5, "kl": 0.322}, "MAD-GAN": {"chi2": 0.24e5, "kl": 0.145}},
        note="the paper's numbers are recalled, not read.",
    ),
    "stacked": Table(
        rows={f"k = {k}": {"data": "stacked_mnist", "size": 32, "k": k, "steps": 12_000} for k in (1, 4)},
        columns=("modes", "kl"),
        seeds=3,
        paper={"k = 1": {"modes": 712, "kl": 2.15}, "k = 4": {"modes": 890, "kl": 0.91}},
        note="The paper's numbers are recalled, not read, k = 1 being its DCGAN; 25,600 samples, named by a classifier of ours.",
        anchors=lambda home: {"training images": counted("stacked_mnist", home, sets.find("stacked_mnist", home, size=32).read())},
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


def game(shape: tuple[int, ...], k: int, width: int, z: int, batch: int, lr: float, ema: float = 0.0) -> Game:
    """The authors' nets of images, or those of their toy; there the generators end in tanh on images, with a hidden layer of their own."""
    xavier, adam = nn.initializers.xavier_normal(), optax.adam(lr, b1=0.5)
    if shape[:-1] in CONVOLVED:
        shared = tuple(f"layer{i}" for i in range(dcgan.halvings(shape[:2]) - 1))
        G = Player(dcgan.Generator(shape, width, kernel=4), adam, (z,), n=k, shared=shared, prior=random.normal, ema=ema)
        D = Player(dcgan.Discriminator(width, kernel=4, classes=k + 1), adam, shape)
    else:
        head, last = ((width,), nn.tanh) if len(shape) > 1 else ((), lambda x: x)
        generator = TrunkAndHead((width, width), head, shape, nn.elu, last, xavier)
        G = Player(generator, adam, (z,), n=k, shared=("trunk",), prior=symmetric(1.0), ema=ema)
        D = Player(MLP((width,) * 3, (k + 1,), partial(nn.leaky_relu, negative_slope=0.1), kernel_init=xavier), adam, shape)
    return Game({"G": G, "D": D}, losses, [["D"], ["G"]], partial(sets.draw, n=batch))


def sample(key: Array, n: int, *, G: Bound) -> Array:
    """n samples of each generator, [n, k, *shape]; images in 0..1."""
    x = G.each(G.noise(key, n))
    return x if x.ndim < 4 else (x + 1) / 2


def measure(data: Any, key: Array, *, G: Bound) -> dict[str, Array]:
    """Modes, quality and divergences of about 2^14 samples, equally many from each generator, on a mixture."""
    return protocols.measure(data, sample(key, 2**14 // G.n, G=G), key)


def judge(data: Any, key: Array, *, G: Bound, name: str, data_dir: str | None) -> dict[str, float]:
    """The same by the full protocol; of three digits the modes that a classifier finds; on other images what nearest neighbours say."""
    if name not in NAMED:
        return protocols.judge(data, sample, key, G=G)
    x = protocols.drawn(sample, key, modes.MADGAN_SAMPLES // G.n, G=G)  # [n, k, H, W, C]
    return counted(name, data_dir, {"x": x.reshape(-1, *x.shape[2:])})


def counted(name: str, data_dir: str | None, images: Any) -> dict[str, float]:
    """Modes and KL of images, named digit by digit by a classifier that has learnt MNIST at their size."""
    x = jnp.asarray(images["x"])  # [n, H, W, C]
    digits = features.of("mnist", data_dir, size=x.shape[1] // (2 if name == "compositional_mnist" else 1))
    found = modes.coverage(NAMED[name](lambda x: jnp.asarray(features.predict(digits, x)), x))
    return {measure: float(value) for measure, value in found.items()}


def experiment(
    data: str = "mixture1d",
    data_dir: str | None = None,
    size: int | None = None,
    channels: int | None = None,
    crop: bool = False,
    k: int = 4,
    width: int | None = None,
    z: int | None = None,
    batch: int | None = None,
    lr: float | None = None,
    ema: float = 0.0,
    steps: int | None = None,
) -> Experiment:
    """The authors' 1-D toy, on any mixture or set of images; their image code where images have 32 or 64 px.

    data: a mixture, digits, another set of images, or a path
    data_dir: where prepared sets are
    size: pixels of a side that images are resized to; otherwise they stay as they are
    channels: 1 for grey images, 3 for colour
    crop: cut out the middle square before an image is resized
    k: generators
    width: units of a hidden layer (128); channels of the last hidden layer of an image net (64)
    z: entries of the noise (64; image nets 100)
    batch: real samples a step, and samples of each generator (128; image nets 64)
    lr: learning rate of Adam, its beta1 .5 (1e-4; image nets 2e-4)
    ema: decay of the averaged generators that are judged and sampled; 0 takes the newest
    steps: steps of training (200000; image nets 20000)
    """
    ex.positive(k=k, width=width, z=z, batch=batch, lr=lr, steps=steps)
    found = sets.points_or_images(data, data_dir, size=size, channels=channels, crop=crop)
    if found.shape[:-1] in CONVOLVED:
        width, z, batch, lr, steps = width or 64, z or 100, batch or 64, lr or 2e-4, steps or 20_000
    else:
        width, z, batch, lr, steps = width or 128, z or 64, batch or 128, lr or 1e-4, steps or 200_000
    judged = partial(judge, name=data, data_dir=data_dir)
    return Experiment(game(found.shape, k, width, z, batch, lr, ema), found.load(), steps, sample, measure, judged)


if __name__ == "__main__":
    cli.script()
