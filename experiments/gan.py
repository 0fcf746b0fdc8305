"""GAN: one generator against one discriminator.

Goodfellow et al. 2014, "Generative Adversarial Nets": equation 1, algorithm 1, and section 5 with
the sizes, priors, weights, rates and simultaneous update of the authors' MNIST file; D's loss has
their factor 1/2. On a mixture: the plain GAN of MAD-GAN's authors, 3 layers of 128, Adam; each turn
draws its own batch and noise.

    ganjax run gan --data digits
    ganjax reproduce gan/equilibrium
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import flax.linen as nn
import optax
from jax import Array

from ganjax import Game, Player, cli
from ganjax.data import Mixture, Splits, draw, find_splits
from ganjax.experiment import Experiment, ImageOptions, Table, option, with_defaults
from ganjax.figures.curves import equilibrium_curves
from ganjax.figures.samples import image_grid
from ganjax.figures.strips import nearest_strips
from ganjax.game import Bound
from ganjax.keys import stream
from ganjax.losses import PAYOFFS
from ganjax.metrics import equilibrium
from ganjax.nets import MLP, MaxoutNet, pixel_logits, symmetric, symmetric_init
from ganjax.optim import heavy_ball
from ganjax.protocols import latent_arithmetic, standard

QUICK = {"width": 240, "ema": 0.999, "steps": 6000}
SMALL = {"data": "hills", "width": 64, "z": 2, "batch": 256, "lr": 1e-3, "ema": 0.99, "steps": 3000}
MNIST = {"data": "mnist", "steps": 60_000}
PARZEN = ("parzen", "parzen_sigma", "quality")
TABLES = {
    data: Table(
        rows={"GAN": {**MNIST, "data": data}}, columns=PARZEN, seeds=3,
        paper={"GAN": {"parzen": 225.0}} if data == "mnist" else {},
        anchors=lambda data_dir, data=data: (  # type: ignore[misc]
            standard.parzen_baselines(find_splits(data, data_dir))
        ),
        note="Nats, as in table 1. 120 epochs; the authors' momentum rises until epoch 250, and "
        "their file names no end. The last two rows, no models, show what the measure rewards.",
    )
    for data in ("mnist", "fashion_mnist")
} | {
    "equilibrium": Table(
        rows={f"k = {k}": {**SMALL, "k": k} for k in (1, 5)},
        columns=("value", "value_best", "accuracy", "accuracy_best", "quality"), seeds=3,
        anchors=lambda _: {"equilibrium": equilibrium.LIMITS},
        note="After one turn D lags behind the best D of the same G: its value says little of G.",
    ),
    "averaged": Table(
        rows={f"GAN, averaged by {ema}": {**MNIST, "ema": ema} for ema in (0.999, 0.9999)},
        columns=PARZEN, seeds=3, note="The rows of gan/mnist with an averaged G (not the paper's).",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Options:
    """The paper's setting on images, that of MAD-GAN's baseline on a mixture."""

    images: ImageOptions = ImageOptions("digits")
    payoff: Literal["minimax", "non-saturating", "least-squares", "hinge", "relativistic"] = option(
        "non-saturating", "what D and G minimise"
    )
    k: int = option(1, "turns of D a step", above=0)
    width: int = option(None, "units of a hidden layer (1200; mixtures 128)", above=0)
    z: int = option(None, "entries of the noise (100; mixtures 64)", above=0)
    batch: int = option(None, "real samples a step (100; mixtures 128)", above=0)
    lr: float = option(None, "learning rate (SGD .1; mixtures Adam 1e-4)", above=0)
    ema: float = option(0.0, "decay of the averaged G that is sampled; 0: none", low=0, below=1)
    steps: int = option(None, "steps of training (50000; mixtures 200000)", above=0)


def losses(batch: Any, key: Array, *, G: Bound, D: Bound, o: Options) -> dict[str, Array]:
    """Equation 1, or another payoff on the same scores."""
    payoff = PAYOFFS[o.payoff]
    x = batch["x"]  # [B, ...]
    real = D(x, key=stream(key, "real"))  # [B]
    fake = D(G(G.noise(key, len(x))), key=stream(key, "fake"))
    return {"D": payoff.d(real, fake).mean() / 2, "G": payoff.g(fake, real).mean()}


def game(shape: tuple[int, ...], data: Any, o: Options) -> Game:
    """Algorithm 1: the nets of section 5 on images, those of MAD-GAN's baseline on points."""
    hidden = (o.width,) * 3
    if len(shape) == 1:
        adam = optax.adam(o.lr, b1=0.5)
        xavier = nn.initializers.xavier_normal()
        lrelu = partial(nn.leaky_relu, negative_slope=0.1)
        net = MLP(hidden, shape, nn.elu, kernel_init=xavier)
        G = Player(net, adam, (o.z,), prior=symmetric(1.0), ema=o.ema)
        D = Player(MLP(hidden, (), lrelu, kernel_init=xavier), adam, shape)
        turns = [["D"], ["G"]]
    else:
        sgd = heavy_ball(o.lr, epoch=max(1, len(data["x"]) // o.batch))
        bias, small = pixel_logits(data["x"]), symmetric_init(0.05)
        net = MLP(hidden[:2], shape, last=nn.sigmoid, kernel_init=small, bias=bias)
        G = Player(net, sgd, (o.z,), prior=symmetric(3**0.5), ema=o.ema)
        D = Player(MaxoutNet(max(1, o.width // 5)), sgd, shape)
        turns = [["D", "G"]]
    turns = [["D"]] * (o.k - 1) + turns
    draws = partial(draw, n=o.batch, low=0.0, high=1.0)
    return Game({"G": G, "D": D}, partial(losses, o=o), turns, draws, fresh="turn")


def sample(key: Array, n: int, *, G: Bound) -> Array:
    """Samples of G, [n, *shape]."""
    return G(G.noise(key, n))


def measure(data: Any, key: Array, *, G: Bound, D: Bound) -> dict[str, Array]:
    """On a mixture modes, quality and divergences of 2^14 samples, the value and D's accuracy."""
    x = sample(key, 2**14, G=G)
    return standard.measure(data, x, key) | standard.measure_equilibrium(data, x, key, D)


def evaluate(data: Any, key: Array, *, G: Bound, splits: Splits) -> dict[str, float]:
    """A mixture by the full protocol; images by their nearest neighbours and the Parzen row."""
    likelihood = standard.parzen_likelihood(sample, key, splits, G=G)
    return standard.evaluate(data, sample, key, G=G) | likelihood


def figures(data: Any, x: Any, rows: Any, *, G: Bound) -> dict[str, Any]:
    """Of images the nearest training images, and lines in z; on a mixture the value over steps."""
    if x.ndim == 4:
        walk = image_grid(latent_arithmetic.interpolation(G), columns=9)
        return {"nearest": nearest_strips(x, data["x"]), "interpolation": walk}
    return {"equilibrium": equilibrium_curves(rows)} if isinstance(data, Mixture) else {}


def experiment(o: Options) -> Experiment:
    """GAN on any mixture or set of images."""
    splits = o.images.find_splits()
    data, shape = splits.train.load(), splits.train.shape
    if len(shape) == 1:
        o = with_defaults(o, width=128, z=64, batch=128, lr=1e-4, steps=200_000)
    else:
        o = with_defaults(o, width=1200, z=100, batch=100, lr=0.1, steps=50_000)
    last = partial(evaluate, splits=splits)
    return Experiment(partial(game, shape, data), o, data, sample, measure, last, figures)


if __name__ == "__main__":
    cli.script()
