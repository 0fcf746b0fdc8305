"""GAN: one generator against one discriminator.

Goodfellow et al. 2014, "Generative Adversarial Nets": equation 1, algorithm 1 with k = 1, the nets of section 5 (the sizes, priors,
initial weights and rates are those of the authors' MNIST file). D's loss carries their factor 1/2, to which the learning rate belongs.
On a toy mixture it plays the plain GAN that MAD-GAN's authors compare themselves with: three hidden layers of 128, Adam.

    ganjax run gan --data digits
    ganjax run gan --data ring --lr 1e-3 --steps 4000
"""

from functools import partial
from typing import Any, Literal

import flax.linen as nn
import optax
from jax import Array, random

from ganjax import cli
from ganjax import data as sets
from ganjax import experiment as ex
from ganjax.experiment import Experiment, Table
from ganjax.game import Bound, Game, Player
from ganjax.losses import PAYOFFS, Payoff
from ganjax.metrics import protocols
from ganjax.nets import MLP, MaxoutCritic, pixel_logits, symmetric, symmetric_init
from ganjax.optim import heavy_ball

QUICK = {"steps": 300, "width": 64}
TABLES = {
    data: Table(
        rows={"GAN": {"data": data, "steps": 60_000}},
        columns=("parzen", "parzen_sigma", "quality"),
        seeds=3,
        paper={"GAN": {"parzen": 225.0}} if data == "mnist" else {},
        anchors=lambda data_dir, data=data: protocols.parzen_anchors(sets.parts(data, data_dir)),  # type: ignore[misc]
        note="Nats, as in table 1. The two last rows are no models: they show what the measure rewards.",
    )
    for data in ("mnist", "fashion_mnist")
}


def losses(batch: Any, key: Array, *, G: Bound, D: Bound, payoff: Payoff) -> dict[str, Array]:
    """Equation 1, or another payoff on the same scores."""
    x = batch["x"]  # [B, ...]
    noise_key, real_key, fake_key = random.split(key, 3)
    fake = G(G.noise(noise_key, len(x)))
    real_score, fake_score = D(x, key=real_key), D(fake, key=fake_key)  # [B]
    return {"D": payoff.d(real_score, fake_score).mean() / 2, "G": payoff.g(fake_score, real_score).mean()}


def game(shape: tuple[int, ...], data: Any, payoff: Payoff, width: int, z: int, batch: int, lr: float) -> Game:
    """Section 5 on images; the baseline of MAD-GAN's toy on points."""
    if len(shape) == 1:
        adam, xavier = optax.adam(lr, b1=0.5), nn.initializers.xavier_normal()
        G = Player(MLP((width,) * 3, shape, nn.elu, kernel_init=xavier), adam, (z,), prior=symmetric(1.0))
        D = Player(MLP((width,) * 3, (), partial(nn.leaky_relu, negative_slope=0.1), kernel_init=xavier), adam, shape)
        turns = [["D"], ["G"]]
    else:
        net = MLP((width, width), shape, last=nn.sigmoid, kernel_init=symmetric_init(0.05), bias=pixel_logits(data["x"]))
        sgd = heavy_ball(lr, epoch=max(1, len(data["x"]) // batch))
        G = Player(net, sgd, (z,), prior=symmetric(3**0.5))
        D = Player(MaxoutCritic(max(1, width // 5)), sgd, shape)
        turns = [["D", "G"]]
    return Game({"G": G, "D": D}, partial(losses, payoff=payoff), turns, partial(sets.draw, n=batch, low=0.0, high=1.0))


def sample(key: Array, n: int, *, G: Bound) -> Array:
    """What G makes, [n, *shape]."""
    return G(G.noise(key, n))


def measure(data: Any, key: Array, *, G: Bound) -> dict[str, Array]:
    """Modes, quality and divergences of 2^14 samples, on a mixture."""
    return protocols.measure(data, sample(key, 2**14, G=G), key)


def judge(data: Any, key: Array, *, G: Bound, parts: sets.Parts) -> dict[str, float]:
    """The same by the full protocol; on images classes and quality by the nearest neighbour, and the Parzen log-likelihood."""
    return protocols.judge(data, sample, key, G=G) | protocols.likelihood(sample, key, parts, G=G)


def experiment(
    data: str = "digits",
    data_dir: str | None = None,
    size: int | None = None,
    channels: int | None = None,
    crop: bool = False,
    payoff: Literal["minimax", "non-saturating", "least-squares", "hinge", "relativistic"] = "non-saturating",
    width: int | None = None,
    z: int | None = None,
    batch: int | None = None,
    lr: float | None = None,
    steps: int | None = None,
) -> Experiment:
    """The paper's setting on images, that of MAD-GAN's baseline on a mixture.

    data: a mixture, digits, another set of images, or a path
    data_dir: where prepared sets are
    size: pixels of a side that images are resized to; otherwise they stay as they are
    channels: 1 for grey images, 3 for colour
    crop: cut out the middle square before an image is resized
    payoff: what D and G minimise
    width: units of a hidden layer (1200; mixtures 128)
    z: entries of the noise (100; mixtures 64)
    batch: real samples a step (100; mixtures 128)
    lr: learning rate (SGD .1; mixtures Adam 1e-4)
    steps: steps of training (50000; mixtures 200000)
    """
    ex.positive(width=width, z=z, batch=batch, lr=lr, steps=steps)
    parts = sets.parts(data, data_dir, size=size, channels=channels, crop=crop)
    found, arrays = parts.train, parts.train.load()
    if len(found.shape) == 1:
        width, z, batch, lr, steps = width or 128, z or 64, batch or 128, lr or 1e-4, steps or 200_000
    else:
        width, z, batch, lr, steps = width or 1200, z or 100, batch or 100, lr or 0.1, steps or 50_000
    played = game(found.shape, arrays, PAYOFFS[payoff], width, z, batch, lr)
    return Experiment(played, arrays, steps, sample, measure, partial(judge, parts=parts))


if __name__ == "__main__":
    cli.script()
