"""Boltzmann machine, RBM and DBN as games: gradients, turns, what is refused."""

from __future__ import annotations

from functools import partial
from typing import Any

import boltzmann as exact
import dbn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import rbm
from jax import random
from laws import same_bits
from machines import close, energies
from runs import build

from ganjax import play
from ganjax.nets.boltzmann import Machine
from ganjax.protocols import boltzmann


def field(experiment: Any, memory: Any = None) -> tuple[Any, Any, Any, Any]:
    """State, batch, gradients and losses of a game of one player, on one batch."""
    game = experiment.played
    state = play.init(game, random.key(0), experiment.data)
    params = jax.tree.map(lambda p: p + 0.3 * random.normal(random.key(1), p.shape), state.params)
    batch = game.draw(experiment.data, random.key(2))
    rest = {"memory": state.memory if memory is None else memory}
    compiled = jax.jit(partial(play.field, game, movers=tuple(game.movers)))
    grads, out = compiled(params, batch, random.key(3), **rest)
    return params, batch, grads, out


@pytest.mark.parametrize("restricted", [False, True])
def test_the_gradient_of_a_boltzmann_machine_is_that_of_finite_differences(
    restricted: bool,
) -> None:
    """Of the log-likelihood in float64, by the sum over pairs of units above."""
    o = {"restricted": restricted, "hidden": 2, "size": 2, "batch": 8}
    params, batch, grads, out = field(build(exact, **o))
    x = np.asarray(boltzmann.visible(batch, random.key(3)))
    names = [*params["B"]]
    assert set(names) == {"b", "c", "W", *([] if restricted else ["L", "J"])}

    def loss(params: dict[str, np.ndarray]) -> float:
        p = {name: np.asarray(value, np.float64) for name, value in params.items()}
        for name in {"L", "J"} & set(p):  # what stands above and below the diagonal is averaged
            p[name] = (p[name] + p[name].T) / 2
        vs, _, E = energies(Machine(**p))  # type: ignore[arg-type]
        log_p = np.log(np.exp(-E).sum(1)) - np.log(np.exp(-E).sum())
        number = [int(np.flatnonzero((vs == v).all(1))[0]) for v in x]
        return -float(log_p[number].mean())

    at = {name: np.asarray(value, np.float64) for name, value in params["B"].items()}
    np.testing.assert_allclose(out["B"], loss(at), rtol=1e-5)
    for name in names:
        for index in np.ndindex(at[name].shape):
            step = np.zeros_like(at[name])
            step[index] = 1e-3
            ahead, behind = (loss(at | {name: at[name] + s}) for s in (step, -step))
            close(grads["B"][name][index], (ahead - behind) / 2e-3, atol=1e-5)


@pytest.mark.parametrize("persistent", [False, True])
def test_the_gradient_is_contrastive_divergence_s(persistent: bool) -> None:
    """<v h>_k - <v h>_0 for weights, means of hidden units in place of samples at both ends."""
    o = {**rbm.QUICK, "k": 2, "labels": True, "persistent": persistent}
    game = build(rbm, **o)
    params, batch, grads, out = field(game)
    p = {name: np.asarray(value, np.float64) for name, value in params["R"].items()}
    v_0 = np.asarray(boltzmann.visible(batch, random.key(3), 10), np.float64)
    v_k = np.asarray(out["memory"], np.float64)
    h_0, h_k = (1 / (1 + np.exp(-p["c"] - v @ p["W"])) for v in (v_0, v_k))
    B = len(v_0)
    close(grads["R"]["W"], (v_k.T @ h_k - v_0.T @ h_0) / B)
    close(grads["R"]["b"], (v_k - v_0).mean(0))
    close(grads["R"]["c"], (h_k - h_0).mean(0))
    assert (v_k != v_0).any()
    assert (v_k[:, 64:].sum(1) == 1).all()
    # only persistent chains start where they ended
    other = field(game, memory=jnp.ones_like(out["memory"]))[3]
    assert same_bits(other["memory"], out["memory"]) == (not persistent)


def test_a_boltzmann_machine_is_sampled_exactly() -> None:
    experiment = build(exact, hidden=2, size=2)
    params = field(experiment)[0]
    B = experiment.played.players["B"].bind(params["B"])
    vs, _, E = energies(B())
    assert experiment.sample is not None
    v = np.asarray(experiment.sample(random.key(0), 2**14, B=B)).reshape(-1, 4)
    share = (v[:, None] == vs).all(-1).mean(0)
    p = np.exp(-E).sum(1) / np.exp(-E).sum()
    assert abs(share - p).sum() / 2 < 4 * np.sqrt(16 / 2**14)


def test_layers_of_a_dbn_move_one_after_another_then_together() -> None:
    o = {**dbn.QUICK, "tune": 0.25, "steps": 8, "width": 4, "batch": 4}
    experiment = build(dbn, **o)
    game, data = experiment.played, experiment.data
    state, moved = play.init(game, random.key(0), data), []
    for _ in range(8):
        before = jax.tree.map(np.asarray, state.params)
        state, _ = play.run(game, state, data, 1)
        now = {name for name in before if not same_bits(before[name], state.params[name])}
        moved.append(now)
    everyone = {"R1", "R2", "C"}
    assert moved == [*[{"R1"}] * 3, *[{"R2"}] * 3, everyone, everyone]


def test_a_layer_learns_from_the_means_of_the_one_below() -> None:
    """R2's gradient of its visible biases is the mean of its chain minus that of its data."""
    experiment = build(dbn, **{**dbn.QUICK, "tune": 0.0, "batch": 1000})
    params, batch, grads, _ = field(experiment)
    R1 = experiment.played.players["R1"].bind(params["R1"])()
    R2 = experiment.played.players["R2"].bind(params["R2"])()
    data = R1.up(batch["x"]).mean(0)
    chain = R2.down(R2.up(R1.up(batch["x"]))).mean(0)  # about
    np.testing.assert_allclose(grads["R2"]["b"], chain - data, atol=0.1)
    assert float(jnp.abs(chain - data).max()) > 0.15


@pytest.mark.parametrize(
    ("file", "options", "said"),
    [
        (rbm, {"k": 0}, "k must be 1 or more; got 0"),
        (dbn, {"k": 0}, "k must be 1 or more; got 0"),
        (dbn, {"depth": 0}, "depth must be 1 or more; got 0"),
        (
            rbm,
            {"log_z": "exact"},
            "an exact sum over states takes at most 20 hidden units, 2^20 states; got 64",
        ),
        (
            exact,
            {"hidden": 12},
            "an exact sum over states takes at most 20 visible and hidden units, 2^20 states; "
            "got 21",
        ),
        (rbm, {"data": "ring"}, "images of any size are wanted"),
        (dbn, {"data": "ring"}, "images of any size are wanted"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(
    file: Any, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$") as error:
        build(file, **options)
    assert said in str(error.value)


@pytest.mark.parametrize(("file", "options"), [(rbm, {"labels": True}), (dbn, {"tune": 0.5})])
def test_labels_are_refused_on_images_without_labels(
    file: Any, options: dict[str, Any], tmp_path: Any
) -> None:
    path = tmp_path / "images.npz"
    np.savez(path, x=np.zeros((12, 4, 4), np.uint8))
    with pytest.raises(ValueError, match="has no labels, and labels are asked for"):
        build(file, data=str(path), **options)
    assert "label" not in build(file, data=str(path)).data
