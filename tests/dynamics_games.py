"""Games on which dynamics are tested, and what a dynamics makes of their field."""

from __future__ import annotations

from functools import partial
from typing import Any

import games
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import random

from ganjax import play
from ganjax.dynamics import Dynamics, Moves
from ganjax.game import Game, Player


def draw_nothing(data: Any, key: jax.Array) -> Any:
    """A game without data."""
    return data


def adjusted(
    this: Dynamics, game: Game, state: play.State, batch: Any = None, past: float = 0.0
) -> Any:
    """What the dynamics makes of the field of all movers at a state; `past` is every number of the
    last gradients.
    """
    losses = partial(
        game.apply, batch=batch, key=random.key(0), aux=state.aux, step=0, memory=state.memory
    )
    kept = jax.tree.map(lambda p: jnp.full_like(p, past), state.params)
    moves = Moves(losses, tuple(sorted(game.movers)), state.params, state.opt, kept, game.players)
    return this.adjust(moves).grads


# Three players, ℓ_i = ½ θᵀS_iθ + b_iᵀθ of all numbers θ, drawn at random.
SIZES = {"D": 2, "E": 3, "X": 1}
PLACES = dict(zip(SIZES, (slice(0, 2), slice(2, 5), slice(5, 6))))
RNG = np.random.default_rng(7)
S = {name: (lambda m: m + m.T)(RNG.normal(size=(6, 6))) for name in SIZES}
LINEAR = {name: RNG.normal(size=6) for name in SIZES}
OWN = np.zeros((6, 6))
for place in PLACES.values():
    OWN[place, place] = 1


def quadratic_losses(batch, key, *, D, E, X):
    theta = jnp.concatenate([D(), E(), X()])
    return {n: theta @ jnp.asarray(S[n], jnp.float32) @ theta / 2
            + jnp.asarray(LINEAR[n], jnp.float32) @ theta for n in SIZES}  # fmt: skip


def xi(theta: np.ndarray) -> np.ndarray:
    """The field in NumPy."""
    return np.concatenate([(S[n] @ theta + LINEAR[n])[place] for n, place in PLACES.items()])


JACOBIAN = np.concatenate([S[n][place] for n, place in PLACES.items()])
ETA = 0.05


def quadratic_game() -> Game:
    """The three players, all at once."""
    players = {n: Player(games.Logits(k), optax.sgd(ETA), None) for n, k in SIZES.items()}
    return Game(players, quadratic_losses, [list(SIZES)], draw_nothing)
