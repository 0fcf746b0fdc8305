"""Dynamics: how players move, on small games and on nets; who comes to rest, and at what rate.

bilinear: ℓ_G = -ψθ, ℓ_D = ψθ, a number each. dirac: the Dirac-GAN of Mescheder et al. 2018, "Which
Training Methods for GANs do actually Converge?": G makes the point θ, the data are the point 0, D
scores ψx. Both rest at 0 alone. ring: the 8 Gaussians. grid16: the 16 of Balduzzi et al. 2018, "The
Mechanics of n-Player Differentiable Games", with the nets, rate and batch of the authors' code. All
players move at once, along `--dynamics`. Runs measure eigenvalues of the Jacobian ∂ξ/∂θ: all of a
small game, by Arnoldi's process the largest of nets.

    ganjax run dynamics --dynamics extragradient
    ganjax run dynamics --game grid16 --dynamics symplectic:1
    ganjax reproduce dynamics/bilinear
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, random

from ganjax import Game, Player, cli, optim, penalties
from ganjax.data import draw, find
from ganjax.experiment import Experiment, Table, option, with_defaults
from ganjax.game import Bound, named_dynamics
from ganjax.keys import stream
from ganjax.losses import PAYOFFS
from ganjax.nets import MLP, Linear, Point
from ganjax.protocols import teams
from ganjax.protocols.dynamics import bilinear_factors, distance, eigenvalues, figures, rates

QUICK = {"lr": 0.3, "steps": 20}
CLOSED = bilinear_factors(eta=0.1)
DIRAC: dict[str, dict[str, Any]] = {
    "GAN": {}, "GAN, alternating": {"dynamics": "alternating"},
    "NSGAN": {"payoff": "non-saturating"}, "WGAN": {"payoff": "wasserstein", "clip": 0.3},
    "WGAN-GP": {"payoff": "wasserstein", "gp": 1.0}, "GAN, R1": {"r1": 0.3},
    "GAN, instance noise": {"noise": 1.0, "batch": 256},
    "GAN, consensus:0.3": {"dynamics": "consensus:0.3"},
}  # fmt: skip
SAID = {row: {"converges": said} for row, said in zip(DIRAC, (0, 0, 0, 0, 0, 1, 1, 1))}
MORE = ("extragradient", "past", "optimistic", "symplectic:0.3", "competitive:0.1", "lola:0.3")
DIRAC |= {f"GAN, {name}": {"dynamics": name} for name in MORE}
MOVES = (
    "simultaneous", "alternating", "extragradient", "past", "optimistic", "consensus:0.1",
    "symplectic:1", "competitive:0.001", "lola:0.001", "unrolled:5",
)  # fmt: skip
COSTS = {move: named_dynamics(move).evaluations for move in MOVES}
PAY: dict[str, dict[str, Any]] = {
    "non-saturating": {"payoff": "non-saturating"},
    "Wasserstein": {"payoff": "wasserstein", "gp": 0.1},
    "relativistic": {"payoff": "relativistic", "r1": 0.1},
}
TABLES = {
    "bilinear": Table(
        {name: {"dynamics": name, "steps": 800} for name in CLOSED}, (), 5, every=20,
        after=partial(rates, closed_forms=CLOSED),
        note="SGD at the rate .1. The closed form is the modulus of a step's eigenvalues.",
    ),
    "dirac": Table(
        {row: {"game": "dirac", "steps": 5000, **o} for row, o in DIRAC.items()},
        (), 5, every=50, after=rates, paper=SAID,
        note="SGD at the rate .1. converges: the last distance is below a twentieth of the first. "
        "What the paper says was recalled, not read.",
    ),
    "ring": Table(
        {f"{move}, {pay}": {"game": "ring", "dynamics": move, "steps": 8000 // cost, **PAY[pay]}
         for pay in PAY for move, cost in COSTS.items()},
        ("modes", "quality", "kl"), 5, every=2000,
        note="8,000 evaluations of the field each; a product with its Jacobian counts as one.",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Options:
    """A game; what is not given is the game's own."""

    game: Literal["bilinear", "dirac", "ring", "grid16"] = option("bilinear", "what is played")
    payoff: Literal["minimax", "non-saturating", "wasserstein", "relativistic"] = option(
        None, "what D and G minimise (bilinear: wasserstein; dirac: minimax; non-saturating)"
    )
    gp: float = option(0.0, "weight of WGAN-GP's penalty", low=0)
    r1: float = option(0.0, "weight of the squared gradient at real samples", low=0)
    clip: float = option(None, "bound on D's parameters (none)", above=0)
    noise: float = option(0.0, "SD of the noise on real samples and fakes", low=0)
    width: int = option(None, "units of a hidden layer (64; grid16 384)", above=0)
    batch: int = option(None, "real samples a step (64; grid16 256)", above=0)
    lr: float = option(None, "rate: SGD .1; ring, Adam 1e-3; grid16, RMSProp 1e-4", above=0)
    steps: int = option(None, "steps of training (1000; nets 10000)", above=0)


def losses(batch: Any, key: Array, *, G: Bound, D: Bound, o: Options) -> dict[str, Array]:
    """A payoff with penalties. The noise comes in pairs ±e, so that its mean is 0."""
    payoff, x = PAYOFFS[o.payoff], batch["x"]
    fake = G(G.noise(key, len(x)))
    if o.noise:
        e = random.normal(stream(key, "blur"), (2, (len(x) + 1) // 2, *x.shape[1:]))
        e, f = o.noise * jnp.concatenate([e, -e], 1)[:, : len(x)]
        x, fake = x + e, fake + f
    real_score, fake_score = D(x), D(fake)  # [B]
    cost = payoff.d(real_score, fake_score).mean()
    if o.gp:
        cost += o.gp * penalties.wgan_gp(D, x, fake, stream(key, "between")).mean()
    if o.r1:
        cost += o.r1 / 2 * penalties.squared_norm(D, x).mean()
    return {"D": cost, "G": payoff.g(fake_score, real_score).mean()}


def game(o: Options) -> Game:
    """Two numbers, or two nets."""
    small = o.game in ("bilinear", "dirac")
    tx = optax.sgd(o.lr) if small else optax.adam(o.lr, b1=0.5)
    if o.game == "grid16":
        tx = optax.rmsprop(o.lr, decay=0.9, eps=1e-10, initial_scale=1.0)
    layers = (o.width,) * (6 if o.game == "grid16" else 3)
    G = Player(Point() if small else MLP(layers, (2,)), tx, (1,) if small else (64,))
    clipped = tx if o.clip is None else optax.chain(tx, optim.clip_weights(o.clip))
    D = Player(Linear() if small else MLP(layers), clipped, (1,) if small else (2,))
    return Game({"G": G, "D": D}, partial(losses, o=o), [["D", "G"]], partial(draw, n=o.batch))


def measure(data: Any, key: Array, *, G: Bound, D: Bound, o: Options) -> dict[str, Array]:
    """Eigenvalues of the Jacobian; the distance from rest, or modes and quality of 2^14 samples."""
    players, this = {"G": G, "D": D}, game(o)
    found = eigenvalues(this, players, this.draw(data, stream(key, "batch")), key)
    if o.game in ("bilinear", "dirac"):
        return {**distance(players), **found}
    return {**teams.measure(data, key, G=G), **found}


def experiment(o: Options) -> Experiment:
    """One game, with its own rate."""
    if o.game in ("bilinear", "dirac"):
        payoff = "wasserstein" if o.game == "bilinear" else "minimax"
        o = with_defaults(o, payoff=payoff, width=1, batch=2, lr=0.1, steps=1000)
        zeros = {"x": np.zeros((1, 1), np.float32)}
        return Experiment(game, o, zeros, None, partial(measure, o=o), figures=figures)
    width, batch, lr = (384, 256, 1e-4) if o.game == "grid16" else (64, 64, 1e-3)
    o = with_defaults(o, payoff="non-saturating", width=width, batch=batch, lr=lr, steps=10_000)
    data, last = find(o.game).load(), partial(teams.evaluate, name=o.game, data_dir=None)
    return Experiment(game, o, data, teams.sample, partial(measure, o=o), last, figures)


if __name__ == "__main__":
    cli.script()
