"""Runs along dynamics: their state, their records, what is refused, their eigenvalues."""

from __future__ import annotations

import dataclasses
import json
import signal
from pathlib import Path

import games
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from dynamics_games import (
    JACOBIAN,
    draw_nothing,
    quadratic_game,
)
from jax import random
from laws import same_bits, setting
from runs import EXPERIMENTS, call, signalled
from scipy.sparse.linalg import LinearOperator, eigs
from test_game_errors import game, refused

from ganjax import dynamics, play
from ganjax.figures.spectrum import spectrum_along
from ganjax.game import Game, Player, Turn, named_dynamics
from ganjax.metrics import spectrum
from ganjax.optim import clip_weights
from ganjax.protocols.dynamics import eigenvalues
from ganjax.runs import storage
from ganjax.runs.request import along, prepare_run


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
    record, experiment, _ = prepare_run(EXPERIMENTS["dynamics.py"], {"steps": 3})
    assert "dynamics" not in record.fields
    other, *_ = prepare_run(EXPERIMENTS["dynamics.py"], {"steps": 3}, dynamics="past")
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


def test_eigenvalues_are_drawn_where_they_are_at_every_step():
    rows = [
        {
            "step": 10 * i,
            "seed": 0,
            "D": 1.0,
            "re_0": 0.5 * i,
            "im_0": 1.0,
            "re_1": None,
            "im_1": None,
        }
        for i in range(4)
    ]
    axes = spectrum_along(rows).axes[0]
    (points,) = axes.collections
    places = np.asarray(points.get_offsets(), np.float64)
    np.testing.assert_allclose(places, np.array([[0.5 * i, 1.0] for i in range(4)]))
    np.testing.assert_allclose(np.asarray(points.get_array(), np.float64), 10.0 * np.arange(4))
    assert axes.get_xscale() == "linear"
    far = [{**row, "re_0": -3000.0} for row in rows]
    assert spectrum_along(far).axes[0].get_xscale() == "symlog"
    assert spectrum_along(far).axes[0].get_xlim()[0] < -3000


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
