"""GMAN: one generator against N discriminators whose verdicts are mixed, by a softness that the generator may learn.

Durugkar, Gemp and Mahadevan 2017, "Generative Multi-Adversarial Networks", sections 3 and 4: each D_i maximises its own V_i on its own
part of the minibatch, G minimises F(V_1 … V_N) of the original, saturating objective. Dropout rates, rates and the epsed sigmoid are
those of the authors' code; the code never moves λ, here GMAN* learns it with the paper's term -cλ. Images of 32 px get the paper's nets.
`sd` and `steady` are those of figure 4 (`ganjax.steady`).

    ganjax run gman --n 5 --aggregate learned        (mod-GAN: --n 1 --modified)
    ganjax run gman --data mnist --pad 32 --width 128
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import flax.linen as nn
import numpy as np
import optax
from jax import Array, random

from ganjax import cli, steady, teams
from ganjax import data as sets
from ganjax import experiment as ex
from ganjax.data import derived
from ganjax.experiment import Experiment, Table
from ganjax.game import Bound, Game, Player
from ganjax.losses import log_sigmoid
from ganjax.metrics import protocols
from ganjax.nets import MLP, Positive, gman, symmetric

QUICK = {"data": "ring", "n": 2, "width": 64, "lr": 1e-3, "batch": 64, "steps": 1500}
# F(V, λ) by name; "learned" is GMAN*, "mean" GMAN-0, "soft" with λ = 1 GMAN-1.
AGGREGATES: dict[str, Callable[..., Array]] = {
    "max": teams.largest,
    "mean": lambda V, lam: V.mean(-1),
    "soft": teams.arithmetic,
    "learned": teams.arithmetic,
    "geometric": teams.geometric,
    "harmonic": teams.harmonic,
}


MNIST = {"data": "mnist", "pad": 32, "width": 128, "steps": 6000}
LONE = {"n": 1, "aggregate": "mean", "modified": True}
VARIANTS: dict[str, dict[str, Any]] = {"GMAN*": {}, "GMAN-0": {"aggregate": "mean"}, "GMAN-max": {"aggregate": "max"}, "mod-GAN": LONE}
TABLES = {
    "steady": Table(
        rows={f"N = {n}": {**MNIST, "n": n} for n in (1, 2, 5)},
        columns=("steady", "value", "sd", "lambda"),
        seeds=3,
        note="GMAN*; by figure 4 of the paper five discriminators are steady about twice as soon as one",
    ),
    "gmam": Table(
        rows={name: {**MNIST, **options} for name, options in VARIANTS.items()},
        columns=("value", "quality"),
        seeds=3,
        note="`python experiments/_gmam.py` plays their tournament",
    ),
}


def values(real: Array, fake: Array, eps: float = 0.01) -> Array:
    """V_i = E log D_i(x) + E log(1 - D_i(G(z))) of scores [B, N], the authors' squashed sigmoid: [N], below 0."""
    return log_sigmoid(real, eps).mean(0) + log_sigmoid(-fake, eps).mean(0)


def losses(
    batch: Any, key: Array, *, G: Bound, D: Bound, L: Bound | None = None, step: Array, memory: Any, F: Any, lam: float, c: float,
    modified: bool, eps: float = 0.01,
) -> dict[str, Any]:  # fmt: skip
    """G minimises F(V; λ), and λ, where it is learned, F(V; λ) - cλ."""
    noise_key, real_key, fake_key = random.split(key, 3)
    x = batch["x"].reshape(-1, D.n, *batch["x"].shape[1:])  # [B, N, ...], a part for each discriminator
    fake = D.each(G(G.noise(noise_key, len(batch["x"]))).reshape(x.shape), key=fake_key)  # [B, N]
    V = values(D.each(x, key=real_key), fake, eps)
    softness: Any = L() if L is not None else lam
    own = -log_sigmoid(fake, eps).mean(0) if modified else V  # [N]
    value, cost = F(V, softness), F(own, softness)
    learnt = {} if L is None else {"L": cost - c * softness, "lambda": softness}
    memory, seen = steady.follow(memory, value, step)
    return {"D": -V.sum(), "G": cost, "value": value, "memory": memory, **learnt, **seen}


def game(
    shape: tuple[int, ...], n: int, aggregate: str, lam: float, c: float, modified: bool, width: int, batch: int, lr: float
) -> Game:
    """The paper's nets on 32 px, or dense ones; a dropout rate for each discriminator as the authors': 1 - (.4 + .2 (i + 1) / n)."""
    adam, leaky = optax.adam(lr, b1=0.5), partial(nn.leaky_relu, negative_slope=0.2)
    rate = 0.6 - 0.2 * (np.arange(n, dtype=np.float32) + 1) / n
    generator: nn.Module = MLP((width, width), shape, last=nn.tanh if len(shape) > 1 else lambda x: x)
    discriminator: nn.Module = MLP((width, width), (), leaky)
    if shape[:-1] == (32, 32):
        generator, discriminator = gman.Generator(shape[-1], width), gman.Discriminator(width)
    players = {
        "G": Player(generator, adam, (100,), prior=symmetric(1.0)),
        "D": Player(discriminator, adam, shape, n=n, per={"rate": rate}),
    }
    if aggregate == "learned":
        players["L"] = Player(Positive(), adam, None)
    rule = partial(losses, F=AGGREGATES[aggregate], lam=lam, c=c, modified=modified)
    return Game(players, rule, [list(players)], partial(sets.draw, n=batch * n), steady.blank)


def sample(key: Array, n: int, *, G: Bound) -> Array:
    """What G makes, [n, *shape]; images in 0..1."""
    x = G(G.noise(key, n))
    return x if x.ndim < 4 else (x + 1) / 2


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
    pad: int | None = None,
    n: int = 5,
    aggregate: Literal["max", "mean", "soft", "learned", "geometric", "harmonic"] = "learned",
    lam: float = 1.0,
    c: float = 1e-3,
    modified: bool = False,
    width: int = 512,
    batch: int = 100,
    lr: float = 2e-4,
    steps: int = 12_000,
) -> Experiment:
    """GMAN* with five discriminators, all players moving at once.

    data: digits, another set of images, a mixture, or a path
    data_dir: where prepared sets are
    size: pixels of a side that images are resized to; otherwise they stay as they are
    pad: pixels of a side that images have with a black border around them (the paper's MNIST: 32)
    n: discriminators
    aggregate: what G makes of their values; learned is GMAN*, mean GMAN-0, soft with lam 1 GMAN-1
    lam: softness of the soft, geometric and harmonic mean; 0 is the plain mean
    c: how much a learned softness is rewarded
    modified: G maximises log D(G(z)) instead of minimising log(1 - D(G(z)))
    width: units of a hidden layer
    batch: real samples a step for each discriminator
    lr: learning rate of Adam, its beta1 .5
    steps: steps of training
    """
    ex.positive(n=n, width=width, batch=batch, lr=lr, steps=steps)
    ex.positive(zero=True, lam=lam, c=c)
    if modified and aggregate in ("geometric", "harmonic"):
        raise ValueError(f"the {aggregate} mean is of negative values, and modified makes them positive: choose max, mean, soft or learned")
    found = sets.points_or_images(data, data_dir, size=size)
    arrays: Any = found.load()
    if pad is not None:
        sets.require(found, (None, None, None))
        arrays = {**arrays, "x": np.asarray(derived.pad(arrays["x"], pad))}
    shape = found.shape if pad is None else arrays["x"].shape[1:]
    return Experiment(game(shape, n, aggregate, lam, c, modified, width, batch, lr), arrays, steps, sample, measure, judge)


if __name__ == "__main__":
    cli.script()
