"""Grid: K generators against N discriminators, each side a mixture whose weights are learned with
it (MIX+GAN).

Arora, Ge, Liang, Ma and Zhang 2017, "Generalization and Equilibrium in Generative Adversarial
Nets", section 5: the payoff is that of all pairs, weighed by u_k and w_n; the weights are a softmax
and are kept from 0 by their mean log. Nets and rates are those of `gan`.

    ganjax run grid
    ganjax run grid --data digits --k 3 --n 3 --width 96
"""

from functools import partial
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax import Array, random

from ganjax import cli
from ganjax import data as sets
from ganjax import experiment as ex
from ganjax.experiment import Experiment, Table
from ganjax.figures.heat import value_map
from ganjax.game import Bound, Game, Player
from ganjax.losses import PAYOFFS, Payoff, log_sigmoid
from ganjax.nets import MLP, Weights, symmetric
from ganjax.protocols import standard

QUICK = {"width": 32, "batch": 64, "steps": 1500}
WIDE, NARROW = {"k": 1, "n": 1, "width": 128}, {"k": 3, "n": 3, "width": 70}
TABLES = {
    "ring": Table(
        rows={"1 x 1": WIDE, "3 x 3": NARROW, "3 x 3, even weights": {**NARROW, "even": True}},
        columns=("modes", "quality", "kl", "parameters"),
        seeds=5,
        note="Equal numbers of parameters; the larger grid makes three times as many samples a step",
    ),
}


def losses(
    batch: Any, key: Array, *, G: Bound, D: Bound, U: Bound, W: Bound, payoff: Payoff, lam: float
) -> dict[str, Array]:
    """The payoffs of all pairs, mixed; u_k and w_n are the weights of generator k and of
    discriminator n.
    """
    x = batch["x"]
    real, fake = D(x)[:, None], D(G.each(G.noise(key, len(x))))  # [B, 1, N], [B, K, N]
    d, g = payoff.d(real, fake).mean(0), payoff.g(fake, real).mean(0)  # [K, N]
    u, w = U(), W()
    of_d, of_g = u @ d @ w, u @ g @ w
    return {
        "D": of_d,
        "W": of_d - lam * jnp.log(w).mean(),
        "G": of_g,
        "U": of_g - lam * jnp.log(u).mean(),
    }


def game(
    shape: tuple[int, ...],
    k: int,
    n: int,
    payoff: Payoff,
    lam: float,
    even: bool,
    width: int,
    batch: int,
    lr: float,
) -> Game:
    """Dense nets; on images of -1..1 the generators end in tanh."""
    adam, xavier = optax.adam(lr, b1=0.5), nn.initializers.xavier_normal()
    last = nn.tanh if len(shape) > 1 else lambda x: x
    players = {
        "G": Player(
            MLP((width,) * 3, shape, nn.elu, last, xavier), adam, (64,), n=k, prior=symmetric(1.0)
        ),
        "D": Player(
            MLP((width,) * 3, (), partial(nn.leaky_relu, negative_slope=0.1), kernel_init=xavier),
            adam,
            shape,
            n=n,
        ),
        "U": Player(Weights(k), adam, None),
        "W": Player(Weights(n), adam, None),
    }
    turns = [["D"], ["G"]] if even else [["D", "W"], ["G", "U"]]
    return Game(
        players, partial(losses, payoff=payoff, lam=lam), turns, partial(sets.draw, n=batch)
    )


def sample(key: Array, n: int, *, G: Bound, U: Bound) -> Array:
    """n samples of the mixture of generators, [n, *shape]; images in 0..1."""
    noise_key, which_key = random.split(key)
    each = G.each(G.noise(noise_key, n))  # [n, K, *shape]
    x = each[jnp.arange(n), random.choice(which_key, G.n, (n,), p=U())]
    return x if x.ndim < 4 else (x + 1) / 2


def measure(data: Any, key: Array, *, G: Bound, D: Bound, U: Bound, W: Bound) -> dict[str, Array]:
    """Modes, quality and divergences of 2^14 samples, on a mixture; the weights, and the value of
    1024 samples of each pair.
    """
    V = log_sigmoid(D(sets.draw(data, key, 1024)["x"])).mean(0) + log_sigmoid(
        -D(G.each(G.noise(key, 1024)))
    ).mean(0)  # [K, N]
    pairs = {f"V_{k}_{n}": V[k, n] for k in range(G.n) for n in range(D.n)}
    mixed = {
        f"{name}_{i}": weight for name, of in (("u", U), ("w", W)) for i, weight in enumerate(of())
    }
    return {**standard.measure(data, sample(key, 2**14, G=G, U=U), key), **pairs, **mixed}


def evaluate(data: Any, key: Array, *, G: Bound, D: Bound, U: Bound) -> dict[str, float]:
    """Modes, quality and divergences by the full protocol, on images by the nearest neighbour; the
    parameters of all nets.
    """
    numbers = sum(leaf.size for leaf in jax.tree.leaves((G.params, D.params)))
    return {**standard.evaluate(data, sample, key, G=G, U=U), "parameters": numbers}


def experiment(
    data: str = "ring",
    data_dir: str | None = None,
    k: int = 3,
    n: int = 3,
    payoff: Literal[
        "minimax", "non-saturating", "least-squares", "hinge", "relativistic"
    ] = "non-saturating",
    lam: float = 0.01,
    even: bool = False,
    width: int = 64,
    batch: int = 64,
    lr: float = 1e-3,
    steps: int = 4000,
) -> Experiment:
    """A grid on a toy mixture, on digits or on other images.

    data: a mixture, digits, another set of images, or a path
    data_dir: where prepared sets are
    k: generators
    n: discriminators
    payoff: what each pair plays for
    lam: how strongly the weights are kept even
    even: the weights stay even
    width: units of a hidden layer
    batch: real samples a step, and samples of each generator
    lr: learning rate of Adam, its beta1 .5
    steps: steps of training
    """
    ex.positive(k=k, n=n, width=width, batch=batch, lr=lr, steps=steps)
    ex.positive(zero=True, lam=lam)
    found = sets.points_or_images(data, data_dir)
    played = game(found.shape, k, n, PAYOFFS[payoff], lam, even, width, batch, lr)
    return Experiment(
        played,
        found.load(),
        steps,
        sample,
        measure,
        evaluate,
        lambda data, x, rows: {"tournament": value_map(rows)},
    )


if __name__ == "__main__":
    cli.script()
