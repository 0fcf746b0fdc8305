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
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, random

from ganjax import cli
from ganjax import data as sets
from ganjax import experiment as ex
from ganjax.experiment import Experiment
from ganjax.game import Bound, Game, Player
from ganjax.losses import PAYOFFS, Payoff
from ganjax.metrics import protocols
from ganjax.nets import MLP, MaxoutCritic, symmetric, symmetric_init

QUICK = {"steps": 300, "width": 64}


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
        net = MLP((width, width), shape, last=nn.sigmoid, kernel_init=symmetric_init(0.05), bias=marginals(data["x"]))
        sgd = momentum(lr, epoch=max(1, len(data["x"]) // batch))
        G = Player(net, sgd, (z,), prior=symmetric(3**0.5))
        D = Player(MaxoutCritic(max(1, width // 5)), sgd, shape)
        turns = [["D", "G"]]
    return Game({"G": G, "D": D}, partial(losses, payoff=payoff), turns, partial(sets.draw, n=batch, low=0.0, high=1.0))


def marginals(x: np.ndarray) -> Any:
    """The initial bias of G's output: the logit of the mean pixel."""
    mean = np.clip(x.mean(0, dtype=np.float64).ravel() / 255, 0.01, 0.99)
    return lambda key, shape, dtype: jnp.asarray(np.log(mean / (1 - mean)), dtype)


def momentum(lr: float, epoch: int) -> optax.GradientTransformation:
    """Heavy ball: momentum .5 to .7 linearly over epochs 1 to 250, the rate divided by 1.000004 after each update, at least 1e-6."""
    ball = optax.inject_hyperparams(optax.trace)(decay=optax.linear_schedule(0.5, 0.7, 249 * epoch, epoch))
    return optax.chain(optax.scale_by_learning_rate(lambda t: jnp.maximum(lr / 1.000004**t, 1e-6)), ball)


def sample(key: Array, n: int, *, G: Bound) -> Array:
    """What G makes, [n, *shape]."""
    return G(G.noise(key, n))


def measure(data: Any, key: Array, *, G: Bound) -> dict[str, Array]:
    """Modes, quality and divergences of 2^14 samples, on a mixture."""
    return protocols.measure(data, sample(key, 2**14, G=G), key)


def judge(data: Any, key: Array, *, G: Bound) -> dict[str, float]:
    """The same by the full protocol; on images classes and quality by the nearest neighbour."""
    return protocols.judge(data, sample, key, G=G)


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
    found = sets.points_or_images(data, data_dir, size=size, channels=channels, crop=crop)
    arrays = found.load()
    if len(found.shape) == 1:
        width, z, batch, lr, steps = width or 128, z or 64, batch or 128, lr or 1e-4, steps or 200_000
    else:
        width, z, batch, lr, steps = width or 1200, z or 100, batch or 100, lr or 0.1, steps or 50_000
    return Experiment(game(found.shape, arrays, PAYOFFS[payoff], width, z, batch, lr), arrays, steps, sample, measure, judge)


if __name__ == "__main__":
    cli.script()
