"""GMAN: one generator against N discriminators whose verdicts are mixed, by a softness that the
generator may learn.

Durugkar, Gemp and Mahadevan 2017, "Generative Multi-Adversarial Networks", sections 3 and 4: each
D_i maximises its own V_i on its own part of the minibatch, G minimises F(V_1 … V_N) of the
original, saturating objective. Dropout rates, rates and the epsed sigmoid are those of the authors'
code; the code never moves λ, here GMAN* learns it with the paper's term -cλ. Boosted
(`ganjax.nets.boosting`), all D_i see the whole batch. Images of 32 px get the paper's nets. `sd`
and `steady` are those of figure 4 (`ganjax.metrics.convergence`).

    ganjax run gman --n 5 --aggregate learned        (mod-GAN: --n 1 --modified)
    ganjax run gman --data mnist --pad 32 --width 128
"""

from functools import partial
from typing import Any, Literal

import numpy as np
import optax
from jax import Array, random

from ganjax import aggregates, cli
from ganjax import data as sets
from ganjax import experiment as ex
from ganjax.data import transforms
from ganjax.experiment import Experiment, Table
from ganjax.game import Bound, Game, Player
from ganjax.losses import log_sigmoid
from ganjax.metrics import convergence
from ganjax.nets import Positive, boosting, gman, symmetric
from ganjax.protocols import standard
from ganjax.protocols.overlay import overlay
from ganjax.protocols.tournament import tournament

QUICK = {"data": "ring", "n": 2, "width": 64, "lr": 1e-3, "batch": 64, "steps": 1500}
MNIST = {"data": "mnist", "pad": 32, "width": 128, "steps": 6000}
VARIANTS: dict[str, dict[str, Any]] = {
    "GMAN*": {},
    "mod-GAN": {"n": 1, "aggregate": "mean", "modified": True},
    **{
        f"GMAN-{name}": {"aggregate": aggregate}
        for name, aggregate in (("0", "mean"), ("1", "soft"), ("max", "max"))
    },
    **{name: {"aggregate": name} for name in ("F-boost", "P-boost")},
}
SCORES: dict[str, dict[str, float | None]] = {  # the paper's, of its table 1 and figure 7
    "gmam": {"GMAN*": 0.127, "GMAN-0": 0.007, "GMAN-max": -0.034, "mod-GAN": -0.122},
    "lambda": {"GMAN*": 0.028, "GMAN-1": 0.001, "GMAN-0": -0.025},
    "boost": {"GMAN-0": None, "F-boost": None, "P-boost": None},
}
TABLES = {
    name: Table(
        rows={row: MNIST | VARIANTS[row] for row in scores},
        columns=("value", "quality"),
        seeds=3,
        paper={row: {"score": score} for row, score in scores.items() if score},
        after=tournament,
        note="By GMAM: above 0 a row has the better generator; its score is the sum over its opponents",
    )
    for name, scores in SCORES.items()
}
SIZES: dict[str, dict[str, Any]] = {
    "steady": MNIST,
    "small": {**MNIST, "width": 32, "batch": 25, "steps": 2500},
}
TABLES |= {
    name: Table(
        rows={f"N = {n}": {**of, "n": n} for n in (1, 2, 5)},
        columns=("steady", "value", "sd", "lambda"),
        seeds=3,
        every=10,
        after=partial(overlay, measures={"value": None, "sd": convergence.LIMIT, "lambda": None}),
        note="GMAN*; by figure 4 of the paper five discriminators are steady about twice as soon as one. Figures 3, 4 and 6 are drawn",
    )
    for name, of in SIZES.items()
}


def losses(
    batch: Any, key: Array, *, G: Bound, D: Bound, L: Bound | None = None, A: Bound | None = None, step: Array, memory: Any,
    aggregate: str, lam: float, c: float, modified: bool,
) -> dict[str, Any]:  # fmt: skip
    """G minimises F(V; λ), and λ, where it is learned, F(V; λ) - cλ."""
    noise_key, *keys = random.split(key, 3)
    images = batch["x"], G(G.noise(noise_key, len(batch["x"])))
    if A is None:  # a part of the batch for each discriminator, [B, N, ...]
        real, fake = (
            D.each(x.reshape(-1, D.n, *x.shape[1:]), key=key) for x, key in zip(images, keys)
        )  # [B, N]
        learnt = {"D": -aggregates.values(real, fake).sum()}
    else:
        real, fake = (D(x, key=key) for x, key in zip(images, keys))
        learnt = boosting.losses(real, fake, A)
        if aggregate == "F-boost":
            real, fake = (
                aggregates.boosted_score(score, A)[:, None] for score in (real, fake)
            )  # [B, 1]
    F, V = aggregates.AGGREGATES[aggregate], aggregates.values(real, fake)
    softness: Any = L() if L is not None else lam
    value, cost = F(V, softness), F(-log_sigmoid(fake, 0.01).mean(0) if modified else V, softness)
    if L is not None:
        learnt |= {"L": cost - c * softness, "lambda": softness}
    memory, seen = convergence.update(memory, value, step)
    return {**learnt, "G": cost, "value": value, "memory": memory, **seen}


def game(
    shape: tuple[int, ...],
    n: int,
    aggregate: str,
    lam: float,
    c: float,
    modified: bool,
    width: int,
    batch: int,
    lr: float,
) -> Game:
    """The paper's nets on 32 px, or dense ones, with the authors' dropout rate for each
    discriminator.
    """
    adam, (generator, discriminator) = optax.adam(lr, b1=0.5), gman.pair(shape, width)
    players = {
        "G": Player(generator, adam, (100,), prior=symmetric(1.0)),
        "D": Player(discriminator, adam, shape, n=n, per={"rate": gman.rates(n)}),
    }
    if aggregate == "learned":
        players["L"] = Player(Positive(), adam, None)
    if aggregate in ("F-boost", "P-boost"):
        players["A"] = boosting.booster(n)
    rule = partial(losses, aggregate=aggregate, lam=lam, c=c, modified=modified)
    return Game(players, rule, [list(players)], partial(sets.draw, n=batch * n), convergence.init)


def sample(key: Array, n: int, *, G: Bound) -> Array:
    """What G makes, [n, *shape]; images in 0..1."""
    x = G(G.noise(key, n))
    return x if x.ndim < 4 else (x + 1) / 2


def measure(data: Any, key: Array, *, G: Bound) -> dict[str, Array]:
    """Modes, quality and divergences of 2^14 samples, on a mixture."""
    return standard.measure(data, sample(key, 2**14, G=G), key)


def evaluate(data: Any, key: Array, *, G: Bound) -> dict[str, float]:
    """The same by the full protocol; on images classes and quality by the nearest neighbour."""
    return standard.evaluate(data, sample, key, G=G)


def experiment(
    data: str = "digits",
    data_dir: str | None = None,
    size: int | None = None,
    pad: int | None = None,
    n: int = 5,
    aggregate: Literal[
        "max", "mean", "soft", "learned", "geometric", "harmonic", "F-boost", "P-boost"
    ] = "learned",
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
    aggregate: what G makes of their values; learned is GMAN*, mean GMAN-0, soft with lam 1 GMAN-1;
    or which boosted D it faces
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
        raise ValueError(
            f"the {aggregate} mean is of negative values, and modified makes them positive: choose max, mean, soft or learned"
        )
    found = sets.points_or_images(data, data_dir, size=size)
    arrays: Any = found.load()
    if pad is not None:
        sets.require(found, (None, None, None))
        arrays = {**arrays, "x": np.asarray(transforms.pad(arrays["x"], pad))}
    shape = found.shape if pad is None else arrays["x"].shape[1:]
    return Experiment(
        game(shape, n, aggregate, lam, c, modified, width, batch, lr),
        arrays,
        steps,
        sample,
        measure,
        evaluate,
    )


if __name__ == "__main__":
    cli.script()
