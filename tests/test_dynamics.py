"""Dynamics: what a turn makes of the field, against closed forms and independent computations."""

from __future__ import annotations

import dataclasses
import json
import math
import signal
from functools import cache, partial
from pathlib import Path
from typing import Any

import flax.linen as nn
import games
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import random
from jax.flatten_util import ravel_pytree
from laws import close, same_bits, setting
from runs import EXPERIMENTS, call, signalled
from scipy.sparse.linalg import LinearOperator, eigs
from test_game_errors import game, refused

from ganjax import dynamics, play
from ganjax.dynamics import Dynamics, Moves
from ganjax.game import Game, Player, Turn, named_dynamics
from ganjax.metrics import spectrum
from ganjax.nets import MLP, TrunkAndHead
from ganjax.optim import clip_weights
from ganjax.protocols.dynamics import bilinear_factors, eigenvalues
from ganjax.runs import storage
from ganjax.runs.request import along, prepare_run


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


def quadratic_game() -> Game:
    """The three players, all at once."""
    players = {n: Player(games.Logits(k), optax.sgd(ETA), None) for n, k in SIZES.items()}
    return Game(players, quadratic_losses, [list(SIZES)], draw_nothing)


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


def test_the_last_gradients_are_state():
    """Split or resumed it is the same run; without them it is another."""
    this, data = setting("r1")
    this = dataclasses.replace(this, turns=[["D", "G"]], dynamics=dynamics.optimistic())
    start = lambda: play.init(this, random.key(0), data)  # noqa: E731
    whole, _ = play.run(this, start(), data, 4)
    half, _ = play.run(this, start(), data, 2)
    assert set(half.past) == {"D", "G"}
    forgotten = jax.tree.map(jnp.copy, half)
    forgotten = forgotten.replace(past=jax.tree.map(jnp.zeros_like, half.past))
    assert same_bits(play.run(this, half, data, 2)[0], whole)
    assert not same_bits(play.run(this, forgotten, data, 2)[0].params, whole.params)


@pytest.mark.parametrize("name", ["optimistic", "past"])
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(name, tmp_path: Path, monkeypatch):
    how = ["dynamics", "--quick", "--steps=9", "--every=3", f"--dynamics={name}", "--quiet",
           "--no-cache"]  # fmt: skip
    assert call("run", *how, "--out", tmp_path / "whole") == (0, "", "")
    with monkeypatch.context() as patch:
        patch.setattr(storage, "append_rows", signalled(2, signal.SIGTERM))
        assert call("run", *how, "--out", tmp_path / "run") == (143, "", "")
    assert call("resume", tmp_path / "run", "--quiet") == (0, "", "")
    digests = [json.loads((tmp_path / n / "digest.json").read_text()) for n in ("whole", "run")]
    assert digests[0] == digests[1]
    assert json.loads((tmp_path / "run" / "options.json").read_text())["dynamics"] == name


def test_a_record_without_dynamics_is_what_it_was():
    """So that runs of before go on."""
    record, experiment = prepare_run(EXPERIMENTS["dynamics.py"], {"steps": 3})
    assert "dynamics" not in record.fields
    other, _ = prepare_run(EXPERIMENTS["dynamics.py"], {"steps": 3}, dynamics="past")
    assert other.fields["dynamics"] == "past"
    assert other.tie != record.tie
    assert along(experiment, None) is experiment


def rooted_losses(batch, key, *, D, X):
    u = D().sum()
    return {"D": jnp.sqrt(jnp.maximum(u, 0.0)) + u, "X": X().sum()}


def test_a_gradient_that_is_not_finite_moves_nobody():
    """The loss is finite; its root has no slope at 0."""
    player = Player(games.Logits(1), optax.sgd(0.1), None)
    this = Game({"D": player, "X": player}, rooted_losses, [["D", "X"]], draw_nothing,
                dynamics=dynamics.extragradient())  # fmt: skip
    state = play.init(this, random.key(0), {})
    state = state.replace(params={**state.params, "D": {"logits": jnp.zeros(1)}})
    before = jax.tree.map(np.asarray, state.params)
    after, _ = play.run(this, state, {}, 2)
    assert not after.alive
    assert same_bits(after.params, before)


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


def test_weights_are_clipped():
    tx = optax.chain(optax.sgd(1.0), clip_weights(0.3))
    params = {"w": jnp.array([0.2, -0.25, 0.1])}
    steps, _ = tx.update({"w": jnp.array([-1.0, 1.0, 0.05])}, tx.init(params), params)
    moved = optax.apply_updates(params, steps)
    np.testing.assert_allclose(moved["w"], [0.3, -0.3, 0.05], atol=1e-7)


def test_eigenvalues_of_a_map_are_numpy_s_and_scipy_s():
    rng = np.random.default_rng(0)
    small = rng.normal(size=(6, 6)).astype(np.float32)
    values = np.asarray(spectrum.exact(lambda v: jnp.asarray(small) @ v, 6))
    np.testing.assert_allclose(np.sort_complex(values), np.sort_complex(np.linalg.eigvals(small)),
                               atol=1e-4)  # fmt: skip
    assert (np.diff(np.abs(values)) < 1e-4).all()
    # a few far out, among them a pair, of 200
    large = 0.3 * rng.normal(size=(200, 200)) / np.sqrt(200)
    large[:4, :4] += [[3, 0, 0, 0], [0, -2, 0, 0], [0, 0, 0, 1.5], [0, 0, -1.5, 0]]
    large = large.astype(np.float32)
    found = np.asarray(spectrum.arnoldi(lambda v: jnp.asarray(large) @ v, 200, random.key(0)))[:4]
    scipys = eigs(LinearOperator((200, 200), matvec=lambda v: large @ v, dtype=np.float32), k=4,
                  return_eigenvectors=False, v0=np.ones(200, np.float32))  # fmt: skip
    np.testing.assert_allclose(np.sort_complex(found), np.sort_complex(scipys), atol=1e-3)
    # an invariant space that ends before the steps do
    few = np.asarray(spectrum.arnoldi(lambda v: jnp.where(jnp.arange(50) < 1, 2 * v, v), 50,
                                      random.key(1), 10))  # fmt: skip
    np.testing.assert_allclose(np.abs(few[:2]), [2, 1], atol=1e-4)


def test_eigenvalues_of_a_game_are_those_of_its_jacobian():
    this = quadratic_game()
    state = play.init(this, random.key(0), {})
    found = eigenvalues(this, play.bound(this, state), {}, random.key(0))
    values = np.array([complex(found[f"re_{i}"], found[f"im_{i}"]) for i in range(6)])
    np.testing.assert_allclose(
        np.sort_complex(values), np.sort_complex(np.linalg.eigvals(JACOBIAN)), atol=1e-3
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sga", ("there is no dynamics 'sga'", "simultaneous", "symplectic", "unrolled")),
        ("lola", ("lola needs a number", "lola:0.1")),
        ("consensus:-1", ("a number, 0 or more", "consensus:-1")),
        ("consensus:nan", ("a number, 0 or more",)),
        ("unrolled:2.5", ("a whole number, 0 or more", "unrolled:2.5")),
        ("alternating:2", ("takes no number",)),
        ("past:", ("a number, 0 or more", "past:")),
    ],
)
def test_what_is_no_dynamics_is_told_in_one_line(text, words):
    with refused(*words):
        named_dynamics(text)


def test_games_that_cannot_move_so_are_told_in_one_line():
    with refused("consensus adjusts players that move at the same time", "D moves alone"):
        game(turns=[["D"], ["G"]], dynamics=dynamics.consensus())
    with refused("unrolled looks through steps of 'E'", "G, D"):
        game(dynamics=dynamics.unrolled(3, ("E",)))
    with refused("conditions"):
        game(turns=[Turn(("D",), lambda step, log: step > 1), ["G"]]).along("past")
    with refused("D moves 2 times a step"):
        game(turns=[["D"], ["D"], ["G"]]).along("symplectic")
    status, out, err = call("run", "perceptron", "--dynamics", "consensus")
    assert (status, out) == (2, "")
    assert err == ("ganjax: consensus adjusts players that move at the same time, such as "
                   "[['D', 'G']]; P moves alone\n")  # fmt: skip


def test_turns_of_a_named_dynamics():
    this = game(turns=[["D"], ["G"]])
    assert [t.movers for t in this.along("extragradient").schedule] == [("D", "G")]
    both = game(turns=[["D", "G"]])
    assert [t.movers for t in both.along("alternating").schedule] == [("D",), ("G",)]
    assert both.along("simultaneous").dynamics is dynamics.simultaneous
    assert named_dynamics("competitive:0.1").evaluations == 14
