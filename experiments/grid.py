"""Grid: K generators against N discriminators, each side a mixture with learned weights (MIX+GAN).

Arora, Ge, Liang, Ma and Zhang 2017, "Generalization and Equilibrium in Generative Adversarial
Nets", section 5: the payoff is that of all pairs, weighed by u_k and w_n; the weights are a softmax
and are kept from 0 by their mean log. Nets and rates are those of `gan`. The two turns of a step
share one batch and one noise.

    ganjax run grid
    ganjax run grid --data digits --k 3 --n 3 --width 96
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax import Array, random

from ganjax import Game, Player, cli
from ganjax.data import draw
from ganjax.experiment import Experiment, ImageOptions, Table, option
from ganjax.figures.heat import value_map
from ganjax.game import Bound
from ganjax.keys import stream
from ganjax.losses import PAYOFFS, log_sigmoid
from ganjax.nets import MLP, Weights, symmetric
from ganjax.protocols import standard

QUICK = {"width": 32, "batch": 64, "steps": 1500}
WIDE = {"k": 1, "n": 1, "width": 128}
NARROW = {"k": 3, "n": 3, "width": 70}
TABLES = {
    "ring": Table(
        rows={"1 x 1": WIDE, "3 x 3": NARROW, "3 x 3, even weights": {**NARROW, "even": True}},
        columns=("modes", "quality", "kl", "parameters"),
        seeds=5,
        note="Equal numbers of parameters; the larger grid makes three times as many samples a "
        "step",
    ),
}


@dataclass(frozen=True)
class Options:
    """A grid on a toy mixture, on digits or on other images."""

    images: ImageOptions = ImageOptions("ring")
    k: int = option(3, "generators", above=0)
    n: int = option(3, "discriminators", above=0)
    payoff: Literal["minimax", "non-saturating", "least-squares", "hinge", "relativistic"] = option(
        "non-saturating", "the payoff of each pair"
    )
    lam: float = option(0.01, "how strongly the weights are kept even", low=0)
    even: bool = option(False, "the weights stay even")
    width: int = option(64, "units of a hidden layer", above=0)
    batch: int = option(64, "real samples a step, and samples of each generator", above=0)
    lr: float = option(1e-3, "learning rate of Adam, its beta1 .5", above=0)
    steps: int = option(4000, "steps of training", above=0)


def losses(
    batch: Any, key: Array, *, G: Bound, D: Bound, U: Bound, W: Bound, o: Options
) -> dict[str, Array]:
    """The payoffs of all pairs, mixed; u_k and w_n are the weights of generator k and of
    discriminator n.
    """
    payoff = PAYOFFS[o.payoff]
    x = batch["x"]
    real = D(x)[:, None]  # [B, 1, N]
    fake = D(G.each(G.noise(key, len(x))))  # [B, K, N]
    u, w = U(), W()
    d = u @ payoff.d(real, fake).mean(0) @ w
    g = u @ payoff.g(fake, real).mean(0) @ w
    return {
        "D": d,
        "W": d - o.lam * jnp.log(w).mean(),
        "G": g,
        "U": g - o.lam * jnp.log(u).mean(),
    }


def game(shape: tuple[int, ...], o: Options) -> Game:
    """Dense nets; on images of -1..1 the generators end in tanh."""
    adam = optax.adam(o.lr, b1=0.5)
    xavier = nn.initializers.xavier_normal()
    lrelu = partial(nn.leaky_relu, negative_slope=0.1)
    last = nn.tanh if len(shape) > 1 else lambda x: x
    hidden = (o.width,) * 3
    net = MLP(hidden, shape, nn.elu, last, xavier)
    players = {
        "G": Player(net, adam, (64,), n=o.k, prior=symmetric(1.0)),
        "D": Player(MLP(hidden, (), lrelu, kernel_init=xavier), adam, shape, n=o.n),
        "U": Player(Weights(o.k), adam, None),
        "W": Player(Weights(o.n), adam, None),
    }
    turns = [["D"], ["G"]] if o.even else [["D", "W"], ["G", "U"]]
    return Game(players, partial(losses, o=o), turns, partial(draw, n=o.batch))


def sample(key: Array, n: int, *, G: Bound, U: Bound) -> Array:
    """n samples of the mixture of generators, [n, *shape]; images in 0..1."""
    each = G.each(G.noise(key, n))  # [n, K, *shape]
    chosen = random.choice(stream(key, "chosen"), G.n, (n,), p=U())
    x = each[jnp.arange(n), chosen]
    return x if x.ndim < 4 else (x + 1) / 2


def measure(data: Any, key: Array, *, G: Bound, D: Bound, U: Bound, W: Bound) -> dict[str, Array]:
    """Modes, quality and divergences of 2^14 samples, on a mixture; the weights, and the value of
    1024 samples of each pair.
    """
    real = log_sigmoid(D(draw(data, key, 1024)["x"])).mean(0)  # [N]
    fake = log_sigmoid(-D(G.each(G.noise(key, 1024)))).mean(0)  # [K, N]
    V, u, w = real + fake, U(), W()
    numbers = standard.measure(data, sample(key, 2**14, G=G, U=U), key)
    numbers |= {f"V_{k}_{n}": V[k, n] for k in range(G.n) for n in range(D.n)}
    return numbers | {f"u_{k}": u[k] for k in range(G.n)} | {f"w_{n}": w[n] for n in range(D.n)}


def evaluate(data: Any, key: Array, *, G: Bound, D: Bound, U: Bound) -> dict[str, float]:
    """Modes, quality and divergences by the full protocol, on images by the nearest neighbour; the
    parameters of all nets.
    """
    parameters = sum(leaf.size for leaf in jax.tree.leaves((G.params, D.params)))
    return {**standard.evaluate(data, sample, key, G=G, U=U), "parameters": parameters}


def figures(data: Any, x: Any, rows: Any) -> dict[str, Any]:
    """The value of each pair at the end."""
    return {"tournament": value_map(rows)}


def experiment(o: Options) -> Experiment:
    """A grid on any mixture or set of images."""
    dataset = o.images.find()
    return Experiment(
        partial(game, dataset.shape), o, dataset.load(), sample, measure, evaluate, figures
    )


if __name__ == "__main__":
    cli.script()
