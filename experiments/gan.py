"""GAN: one generator against one discriminator.

Goodfellow et al. 2014, "Generative Adversarial Nets": equation 1, algorithm 1, and section 5 with
the sizes, priors, weights and rates of the authors' MNIST file; D's loss carries their factor 1/2.
On a mixture: the plain GAN of MAD-GAN's authors, 3 layers of 128, Adam.

    ganjax run gan --data digits
    ganjax reproduce gan/equilibrium
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
from ganjax.figures.curves import equilibrium_curves
from ganjax.figures.samples import image_grid
from ganjax.figures.strips import nearest_strips
from ganjax.game import Bound, Game, Player
from ganjax.losses import PAYOFFS, Payoff
from ganjax.metrics import equilibrium
from ganjax.nets import MLP, MaxoutCritic, pixel_logits, symmetric, symmetric_init
from ganjax.optim import heavy_ball
from ganjax.protocols import latent_arithmetic, standard

QUICK = {"steps": 300, "width": 64}
TABLES = {
    data: Table(
        {"GAN": {"data": data, "steps": 60_000}},
        ("parzen", "parzen_sigma", "quality"),
        seeds=3,
        paper={"GAN": {"parzen": 225.0}} if data == "mnist" else {},
        anchors=lambda data_dir, data=data: standard.parzen_baselines(
            sets.find_splits(data, data_dir)
        ),  # type: ignore[misc]
        note="Nats, as in table 1. The two last rows are no models: they show what the measure rewards.",
    )
    for data in ("mnist", "fashion_mnist")
}
SMALL = {"data": "hills", "width": 64, "z": 2, "batch": 256, "lr": 1e-3, "ema": 0.99, "steps": 3000}
TABLES["equilibrium"] = Table(
    {f"k = {k}": {**SMALL, "k": k} for k in (1, 5)},
    ("value", "value_best", "accuracy", "accuracy_best", "quality"), seeds=3, anchors=lambda _: {"equilibrium": equilibrium.LIMITS},
    note="After one turn D lags behind the best answer to the same G (best): its value says little of G.",
)  # fmt: skip

TABLES["averaged"] = Table(
    {f"GAN, averaged by {ema}": {"data": "mnist", "steps": 60_000, "ema": ema} for ema in (0.999, 0.9999)},
    ("parzen", "parzen_sigma", "quality"), seeds=3,
    note="The rows of gan/mnist with an averaged G, which the paper has not.",
)  # fmt: skip


def losses(batch: Any, key: Array, *, G: Bound, D: Bound, payoff: Payoff) -> dict[str, Array]:
    """Equation 1, or another payoff on the same scores."""
    x = batch["x"]  # [B, ...]
    noise_key, real_key, fake_key = random.split(key, 3)
    fake = G(G.noise(noise_key, len(x)))
    real_score, fake_score = D(x, key=real_key), D(fake, key=fake_key)  # [B]
    return {
        "D": payoff.d(real_score, fake_score).mean() / 2,
        "G": payoff.g(fake_score, real_score).mean(),
    }


def game(
    shape: tuple[int, ...],
    data: Any,
    payoff: Payoff,
    k: int,
    width: int,
    z: int,
    batch: int,
    lr: float,
    ema: float,
) -> Game:
    """Algorithm 1 with the nets of section 5 on images, and those of MAD-GAN's baseline on points."""
    if len(shape) == 1:
        adam, xavier = optax.adam(lr, b1=0.5), nn.initializers.xavier_normal()
        G = Player(
            MLP((width,) * 3, shape, nn.elu, kernel_init=xavier),
            adam,
            (z,),
            prior=symmetric(1.0),
            ema=ema,
        )
        D = Player(
            MLP((width,) * 3, (), partial(nn.leaky_relu, negative_slope=0.1), kernel_init=xavier),
            adam,
            shape,
        )
        turns = [["D"], ["G"]]
    else:
        sgd = heavy_ball(lr, epoch=max(1, len(data["x"]) // batch))
        net = MLP(
            (width, width),
            shape,
            last=nn.sigmoid,
            kernel_init=symmetric_init(0.05),
            bias=pixel_logits(data["x"]),
        )
        G = Player(net, sgd, (z,), prior=symmetric(3**0.5), ema=ema)
        D = Player(MaxoutCritic(max(1, width // 5)), sgd, shape)
        turns = [["D", "G"]]
    turns, draw = [["D"]] * (k - 1) + turns, partial(sets.draw, n=batch, low=0.0, high=1.0)
    return Game(
        {"G": G, "D": D},
        partial(losses, payoff=payoff),
        turns,
        draw,
        fresh="turn" if k > 1 else "step",
    )


def sample(key: Array, n: int, *, G: Bound) -> Array:
    """What G makes, [n, *shape]."""
    return G(G.noise(key, n))


def measure(data: Any, key: Array, *, G: Bound, D: Bound) -> dict[str, Array]:
    """On a mixture modes, quality and divergences of 2^14 samples, the value and D's accuracy."""
    x = sample(key, 2**14, G=G)
    return standard.measure(data, x, key) | standard.measure_equilibrium(data, x, key, D)


def evaluate(data: Any, key: Array, *, G: Bound, parts: sets.Splits) -> dict[str, float]:
    """The same by the full protocol; on images classes and quality by the nearest neighbour, and
    the Parzen row.
    """
    return standard.evaluate(data, sample, key, G=G) | standard.parzen_likelihood(
        sample, key, parts, G=G
    )


def figures(data: Any, x: Any, rows: Any, *, G: Bound) -> dict[str, Any]:
    """On a mixture the way to the equilibrium; of images the nearest training images, and lines in
    z.
    """
    if isinstance(data, sets.Mixture):
        return {"equilibrium": equilibrium_curves(rows)}
    if x.ndim != 4:
        return {}
    walk = image_grid(latent_arithmetic.interpolation(G), columns=9)
    return {"nearest": nearest_strips(x, data["x"]), "interpolation": walk}


def experiment(
    data: str = "digits",
    data_dir: str | None = None,
    size: int | None = None,
    channels: int | None = None,
    crop: bool = False,
    payoff: Literal[
        "minimax", "non-saturating", "least-squares", "hinge", "relativistic"
    ] = "non-saturating",
    k: int = 1,
    width: int | None = None,
    z: int | None = None,
    batch: int | None = None,
    lr: float | None = None,
    ema: float = 0.0,
    steps: int | None = None,
) -> Experiment:
    """The paper's setting on images, that of MAD-GAN's baseline on a mixture.

    data: a mixture, digits, another set of images, or a path
    data_dir: where prepared sets are
    size: pixels of a side that images are resized to; otherwise they stay as they are
    channels: 1 for grey images, 3 for colour
    crop: cut out the middle square before an image is resized
    payoff: what D and G minimise
    k: turns of D a step
    width: units of a hidden layer (1200; mixtures 128)
    z: entries of the noise (100; mixtures 64)
    batch: real samples a step (100; mixtures 128)
    lr: learning rate (SGD .1; mixtures Adam 1e-4)
    ema: decay of the averaged G that is judged and sampled; 0 takes the newest
    steps: steps of training (50000; mixtures 200000)
    """
    ex.positive(k=k, width=width, z=z, batch=batch, lr=lr, steps=steps)
    parts = sets.find_splits(data, data_dir, size=size, channels=channels, crop=crop)
    arrays, shape = parts.train.load(), parts.train.shape
    if len(shape) == 1:
        width, z, batch, lr, steps = (
            width or 128,
            z or 64,
            batch or 128,
            lr or 1e-4,
            steps or 200_000,
        )
    else:
        width, z, batch, lr, steps = (
            width or 1200,
            z or 100,
            batch or 100,
            lr or 0.1,
            steps or 50_000,
        )
    played = game(shape, arrays, PAYOFFS[payoff], k, width, z, batch, lr, ema)
    return Experiment(
        played, arrays, steps, sample, measure, partial(evaluate, parts=parts), figures
    )


if __name__ == "__main__":
    cli.script()
