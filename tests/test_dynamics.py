"""Dynamics: what a turn makes of the field, against independent computations."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from dynamics_games import (
    ETA,
    JACOBIAN,
    LINEAR,
    OWN,
    PLACES,
    SIZES,
    S,
    adjusted,
    quadratic_game,
    xi,
)
from jax import random
from jax.flatten_util import ravel_pytree
from laws import close, lane, setting

from ganjax import dynamics, play
from ganjax.game import Game, Player
from ganjax.nets import MLP, TrunkAndHead


def expected(theta: np.ndarray, name: str) -> np.ndarray:
    """The gradient that a dynamics makes, in NumPy; optimisers are SGD at the rate ETA."""
    grad, apart = xi(theta), JACOBIAN * (1 - OWN)
    turned = (JACOBIAN.T - JACOBIAN) / 2 @ grad
    match name:
        case "extragradient":
            return xi(theta - 0.5 * ETA * grad)
        case "optimistic" | "past":
            return 1.5 * grad if name == "optimistic" else grad  # no gradient yet
        case "consensus":
            return grad + 0.3 * JACOBIAN.T @ grad
        case "symplectic":
            slope = JACOBIAN.T @ grad
            sign = np.sign((grad @ slope) * (turned @ slope) / 3 + 0.1)
            return grad + 0.7 * sign * turned
        case "unaligned":
            return grad + 0.7 * turned
        case "competitive":
            return np.linalg.solve(np.eye(6) + 0.1 * apart, grad)
        case "lola":  # by central differences of ℓ_i - α Σ ∇_jℓ_i · ξ_j

            def shaped(n: str, t: np.ndarray) -> float:
                slope, outside = S[n] @ t + LINEAR[n], np.ones(6)
                outside[PLACES[n]] = 0
                return t @ S[n] @ t / 2 + LINEAR[n] @ t - 0.1 * (slope * outside) @ xi(t)

            return differences(shaped, theta)
        case "unrolled":

            def seen(n: str, t: np.ndarray) -> float:
                t = t.copy()
                for _ in range(3 if n != "D" else 0):
                    t[PLACES["D"]] -= ETA * xi(t)[PLACES["D"]]
                return t @ S[n] @ t / 2 + LINEAR[n] @ t

            return differences(seen, theta)
    raise AssertionError(name)


def differences(loss: Any, theta: np.ndarray) -> np.ndarray:
    """∂_i loss_i by central differences, which are exact to rounding for a polynomial of degree
    two.
    """
    out = np.zeros(6)
    for n, place in PLACES.items():
        for i in range(*place.indices(6)):
            step = np.eye(6)[i] * 1e-3
            out[i] = (loss(n, theta + step) - loss(n, theta - step)) / 2e-3
    return out


QUADRATIC = {
    "extragradient": dynamics.extragradient(0.5),
    "past": dynamics.past(0.5),
    "optimistic": dynamics.optimistic(0.5),
    "consensus": dynamics.consensus(0.3),
    "symplectic": dynamics.symplectic(0.7),
    "unaligned": dynamics.symplectic(0.7, align=False),
    "competitive": dynamics.competitive(0.1, 30),
    "lola": dynamics.lola(0.1),
    "unrolled": dynamics.unrolled(3),
}


def test_three_players_are_adjusted_as_numpy_says():
    this = quadratic_game()
    for seed in (0, 1):
        theta = np.random.default_rng(seed).normal(size=6)
        state = play.init(this, random.key(0), {})
        params = {n: {"logits": jnp.asarray(theta[p], jnp.float32)} for n, p in PLACES.items()}
        state = state.replace(params=params)
        made = jax.jit(lambda s: {n: adjusted(d, this, s) for n, d in QUADRATIC.items()})(state)
        for name, grads in made.items():
            got = np.concatenate([grads[n]["logits"] for n in SIZES])
            np.testing.assert_allclose(
                got, expected(theta, name), rtol=2e-4, atol=2e-4, err_msg=name
            )


def test_both_signs_of_the_alignment_are_seen():
    """Of random points some turn the adjustment round: the test above would not see a sign that is
    always 1.
    """
    for seed in range(20):
        theta = np.random.default_rng(seed).normal(size=6)
        aligned, plain = expected(theta, "symplectic"), expected(theta, "unaligned")
        if not np.allclose(aligned, plain):
            break
    else:
        raise AssertionError("no point with the other sign")
    this = quadratic_game()
    params = {n: {"logits": jnp.asarray(theta[p], jnp.float32)} for n, p in PLACES.items()}
    state = play.init(this, random.key(0), {}).replace(params=params)
    grads = adjusted(QUADRATIC["symplectic"], this, state)
    got = np.concatenate([grads[n]["logits"] for n in SIZES])
    np.testing.assert_allclose(got, aligned, rtol=2e-4, atol=2e-4)


# A team that shares its trunk against a critic: the Jacobian is formed by forward mode.
def team_losses(batch, key, *, D, G):
    fake = G(G.noise(key, 4, each=False))  # [B, 2, 1]
    score = D(fake)  # [B, 2]
    return {"D": (score - D(batch)[:, None]).mean() + (score**2).mean(), "G": -score.mean(0).sum()}


def team_game() -> tuple[Game, jax.Array]:
    """The game and its batch."""
    G = Player(TrunkAndHead((2,), (), (1,), nn.tanh), optax.sgd(0.1), (2,), n=2, shared=("trunk",))
    D = Player(MLP((2,), (), nn.tanh), optax.sgd(0.1), (1,))
    this = Game({"D": D, "G": G}, team_losses, [["D", "G"]], lambda data, key: data["x"])
    return this, jnp.linspace(-1, 1, 4)[:, None]


def test_a_team_with_shared_leaves_is_one_player():
    this, batch = team_game()
    state = play.init(this, random.key(1), {"x": batch})
    flat, unflat = ravel_pytree(state.params)

    def field_of(theta: jax.Array) -> jax.Array:
        grads, _ = play.field(this, unflat(theta), batch, random.key(0), ["D", "G"])
        return ravel_pytree(grads)[0]

    chosen = {
        "consensus": dynamics.consensus(2.0),
        "symplectic": dynamics.symplectic(1.0, align=False),
        "competitive": dynamics.competitive(0.5, 50),
    }
    grad, jacobian, made = jax.jit(
        lambda state: (
            field_of(flat),
            jax.jacfwd(field_of)(flat),
            {n: adjusted(d, this, state, batch) for n, d in chosen.items()},
        )
    )(state)
    grad, jacobian = np.asarray(grad), np.asarray(jacobian, np.float64)
    d = len(ravel_pytree(state.params["D"])[0])
    apart = jacobian.copy()
    apart[:d, :d] = apart[d:, d:] = 0
    expected = {
        "consensus": grad + 2 * jacobian.T @ grad,
        "symplectic": grad + (jacobian.T - jacobian) / 2 @ grad,
        "competitive": np.linalg.solve(np.eye(len(grad)) + 0.5 * apart, grad),
    }
    for name, vector in expected.items():
        got = ravel_pytree(made[name])[0]
        np.testing.assert_allclose(got, vector, rtol=1e-3, atol=1e-4, err_msg=name)


def test_each_is_simultaneous_where_its_coefficient_is_0():
    """The coefficient is a tracer, as in a sweep."""
    this, batch = team_game()
    state = play.init(this, random.key(0), {"x": batch})
    kinds = (dynamics.extragradient, dynamics.past, dynamics.optimistic, dynamics.consensus,
             dynamics.symplectic, dynamics.competitive, dynamics.lola)  # fmt: skip

    @jax.jit
    def both(c: jax.Array) -> tuple[Any, dict[str, Any]]:
        made = {f.__name__: adjusted(f(c), this, state, batch, past=1.0) for f in kinds}
        made |= {"unrolled": adjusted(dynamics.unrolled(0), this, state, batch)}
        return adjusted(dynamics.simultaneous, this, state, batch), made

    (plain, at_0), (_, at_1) = both(0.0), both(1.0)
    for name, grads in at_0.items():
        close(grads, plain, 1e-6)
        if name != "unrolled":
            with pytest.raises(AssertionError):
                close(at_1[name], plain, 1e-3)


@cache
def seen_through(k: int) -> play.State:
    this, data = setting("r1")
    this = dataclasses.replace(this, turns=[["D", "G"]], dynamics=dynamics.unrolled(k))
    return play.run(this, play.init(this, random.key(0), data), data, 2)[0]


def test_unrolled_by_no_step_is_simultaneous_and_by_adam_s_steps_is_finite():
    this, data = setting("r1")  # Adam, whose root has no slope at a gradient of 0
    this = dataclasses.replace(this, turns=[["D", "G"]])
    plain, _ = play.run(this, play.init(this, random.key(0), data), data, 2)
    close(seen_through(0).params, plain.params)
    assert seen_through(2).alive
    with pytest.raises(AssertionError):
        close(seen_through(2).params["G"], plain.params["G"])


def test_the_lanes_of_a_population_are_single_runs():
    """Conjugate gradients stop at each lane's own iteration, and the last gradients are its own."""
    for this_one in (dynamics.competitive(0.1, 30), dynamics.past()):
        this = dataclasses.replace(quadratic_game(), dynamics=this_one)
        seeds = jax.vmap(random.key)(jnp.arange(3))
        together, _ = play.run(this, play.init(this, seeds, {}), {}, 3)
        for i in range(3):
            alone, _ = play.run(this, play.init(this, seeds[i], {}), {}, 3)
            close(lane(together.params, i), alone.params)
