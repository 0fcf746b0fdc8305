"""Dynamics on the bilinear game and the Dirac-GAN: closed forms, and who comes to rest."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import games
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from dynamics_games import (
    draw_nothing,
)
from jax import random
from jax.flatten_util import ravel_pytree
from runs import EXPERIMENTS

from ganjax import dynamics, play
from ganjax.dynamics import Dynamics
from ganjax.experiment import FinishedRow
from ganjax.game import Game, Player
from ganjax.protocols.dynamics import bilinear_factors, rates
from ganjax.runs.request import along

# The bilinear game ℓ_x = xy, ℓ_y = -xy: ξ = J θ, θ = (x, y).
J = np.array([[0.0, 1.0], [-1.0, 0.0]])
I2 = np.eye(2)


def bilinear_losses(batch, key, *, D, X):
    value = (X() * D()).sum()
    return {"X": value, "D": -value}


def bilinear(eta: float, this: Dynamics, turns: Any = (("X", "D"),)) -> Game:
    """Players of a number each, SGD."""
    player = Player(games.Logits(1), optax.sgd(eta), None)
    return Game({"X": player, "D": player}, bilinear_losses, turns, draw_nothing, dynamics=this)


def played(this: Game, start: np.ndarray, steps: int) -> np.ndarray:
    """θ after each step, [steps + 1, 2]."""
    state = play.init(this, random.key(0), {})
    params = {"X": {"logits": jnp.array(start[:1])}, "D": {"logits": jnp.array(start[1:])}}
    state, path = state.replace(params=params), [start]
    one = jax.jit(partial(play.step, this))
    for _ in range(steps):
        state, _ = one(state, {})
        path.append(np.concatenate([state.params[n]["logits"] for n in ("X", "D")]))
    return np.array(path)


def one_step(name: str, eta: float) -> np.ndarray:
    """The matrix of a step in θ, or in (θ_t, θ_{t-1}) or (θ_t, gradient), from its definition."""
    zero = np.zeros((2, 2))
    number = float(name.partition(":")[2] or 0)
    match name.partition(":")[0]:
        case "simultaneous":
            return I2 - eta * J
        case "alternating":  # x first
            return np.array([[1, -eta], [eta, 1 - eta**2]])
        case "extragradient":
            return I2 - eta * J @ (I2 - eta * J)
        case "optimistic":  # in (θ_t, ξ_{t-1})
            return np.block([[I2 - 2 * eta * J, eta * I2], [J, zero]])
        case "past":  # in (θ_t, the last gradient)
            ahead = np.hstack([I2, -eta * I2])
            return np.vstack([np.hstack([I2, zero]) - eta * J @ ahead, J @ ahead])
        case "consensus":
            return I2 - eta * (J + number * J.T @ J)
        case "symplectic":  # J is antisymmetric
            return I2 - eta * (J + number * J.T @ J)
        case "competitive":  # the implicit step
            return np.linalg.inv(I2 + number * J)
        case "lola":  # x y' with y' = y + αx, and -x' y with x' = x - αy
            return I2 - eta * (J + 2 * number * I2)
        case "unrolled":  # ℓ_x = x (y + kηx)
            return I2 - eta * (J + np.diag([2 * number * eta, 0]))
    raise AssertionError(name)


@pytest.mark.parametrize("name", bilinear_factors(0.1))
def test_on_the_bilinear_game_a_run_is_powers_of_a_matrix_with_the_stated_factor(name):
    eta, start = 0.1, np.array([0.8, -0.6], np.float32)
    matrix = one_step(name, eta)
    path = played(bilinear(eta, dynamics.simultaneous).along(name), start, 30)
    state = np.concatenate([start, np.zeros(len(matrix) - 2)])
    for point in path:
        np.testing.assert_allclose(point, state[:2], atol=2e-6)
        state = matrix @ state
    largest = np.abs(np.linalg.eigvals(matrix)).max()
    assert bilinear_factors(eta)[name] == pytest.approx(largest, abs=1e-9)


def test_extragradient_shrinks_the_radius_by_its_factor_at_each_step():
    for eta in (0.05, 0.5):
        path = played(bilinear(eta, dynamics.extragradient()), np.array([0.6, 0.8], np.float32), 20)
        factor = math.sqrt((1 - eta**2) ** 2 + eta**2)
        expected = factor ** np.arange(21)
        np.testing.assert_allclose(np.linalg.norm(path, axis=1), expected, rtol=1e-5)


def test_optimistic_steps_are_the_points_ahead_of_extrapolation_from_the_past():
    eta, start = 0.2, np.array([0.3, 1.0], np.float32)
    optimistic = played(bilinear(eta, dynamics.optimistic()), start, 12)
    past = played(bilinear(eta, dynamics.past()), start, 12)
    ahead = 2 * past[1:] - past[:-1]  # a step on by the last step's gradient
    np.testing.assert_allclose(optimistic[1:], ahead, atol=1e-5)


def test_optimistic_descent_of_each_player_is_optax_s_own():
    eta, theta = 0.2, np.array([0.3, 1.0], np.float32)
    path = played(bilinear(eta, dynamics.optimistic()), theta, 8)
    tx, own = optax.optimistic_gradient_descent(eta), jnp.array(theta)
    state = tx.init(own)
    _, state = tx.update(jnp.zeros(2), state, own)  # ξ before the first step is 0, as here
    for point in path:
        np.testing.assert_allclose(point, own, atol=1e-5)
        steps, state = tx.update(jnp.asarray(J @ own, jnp.float32), state, own)
        own = optax.apply_updates(own, steps)


PAPER = {  # Mescheder et al. 2018, section 3 (recalled): who comes to rest
    "GAN": False, "GAN, alternating": False, "NSGAN": False, "WGAN": False, "WGAN-GP": False,
    "GAN, instance noise": True, "GAN, R1": True, "GAN, consensus:0.3": True,
}  # fmt: skip


@pytest.mark.parametrize("row", PAPER)
def test_on_the_dirac_gan_those_come_to_rest_of_which_the_paper_says_so(row):
    options = dict(EXPERIMENTS["dynamics.py"].tables["dirac"].rows[row])
    how = options.pop("dynamics", None)
    experiment = along(EXPERIMENTS["dynamics.py"].build(options), how)
    this = experiment.played
    state, far = play.init(this, random.key(3), experiment.data), []
    for _ in range(3):
        far.append(float(jnp.linalg.norm(ravel_pytree(state.params)[0])))
        state, _ = play.run(this, state, experiment.data, 1500)
    far.append(float(jnp.linalg.norm(ravel_pytree(state.params)[0])))
    assert (far[-1] < 1e-4 * far[0]) == PAPER[row]
    if not PAPER[row]:
        assert min(far) > 0.05 * far[0]


def test_the_rate_of_a_run_is_that_of_its_distances_before_rounding():
    """One seed shrinks by .9 a step until rounding at 1e-7, the other grows."""
    step = np.arange(1, 301)
    far = {0: np.maximum(2 * 0.9**step, 1e-7), 1: 0.5 * 1.01**step}
    metrics = [
        {"step": int(t), "seed": seed, "distance": float(d)}
        for seed, own in far.items()
        for t, d in zip(step, own)
    ]
    row = FinishedRow(None, {}, (0, 1), metrics, dict)  # type: ignore[arg-type]
    columns, figures = rates({"A": row, "B": row}, {"A": 0.9})
    assert columns["A"]["rate"] == pytest.approx([0.9, 1.01], abs=1e-6)
    assert columns["A"]["converges"] == [1, 0]
    assert columns["A"]["closed form"] == [0.9, 0.9]
    assert "closed form" not in columns["B"]
    lines = figures["distance"].axes[0].get_lines()
    assert len(lines) == 4
    assert [line.get_label() for line in lines if line.get_label()[0] != "_"] == ["A", "B"]
