"""3D-GAN: its gate, and what a run of it leaves behind."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
import pytest
from runs import EXPERIMENTS, call

from ganjax import play
from ganjax.play import State

TINY = {"data": "blocks", "size": 8, "width": 2, "z": 8, "batch": 4, "lr_d": 0.05}


def adam_steps(state: State, player: str) -> int:
    counts = [
        leaf
        for path, leaf in jax.tree.leaves_with_path(state.opt[player])
        if "count" in jax.tree_util.keystr(path)
    ]
    return int(counts[0])


def test_d_moves_as_often_as_the_gate_says():
    """The accuracies of the log against the optimiser's own count of its updates."""
    gate = 0.7
    experiment = EXPERIMENTS["gan3d.py"].build({**TINY, "gate": gate})
    game, steps = experiment.played, 12
    first = play.init(game, jax.random.key(0), experiment.data)
    state, log = play.run(game, first, experiment.data, steps)
    accuracy = np.asarray(log["accuracy"])
    moves = 1 + int((accuracy[:-1] <= np.float32(gate)).sum())  # the first step has no last batch
    assert adam_steps(state, "G") == steps
    assert adam_steps(state, "D") == moves == round(float(log["moves"][-1]) * steps)
    assert 1 < moves < steps


def test_a_closed_gate_leaves_d_as_it_is_and_lets_g_move():
    experiment = EXPERIMENTS["gan3d.py"].build({**TINY, "gate": 0.0})
    game, data = experiment.played, experiment.data
    state = play.init(game, jax.random.key(3), data)
    closed = state.replace(log={**state.log, "accuracy": np.float32(0.5)})
    before = jax.device_get(closed.params)
    after, _ = play.run(game, closed, data, 1)
    same = jax.tree.map(np.array_equal, before, jax.device_get(after.params))
    assert all(jax.tree.leaves(same["D"]))
    assert not all(jax.tree.leaves(same["G"]))


def test_d_learns_that_an_empty_shape_is_a_fake():
    """At every side: at 8^3 no shift of batch norm helps, and without a bias it scores 0."""
    experiment = EXPERIMENTS["gan3d.py"].build({**TINY, "gate": 1.0})
    game, data = experiment.played, experiment.data
    state, _ = play.run(game, play.init(game, jax.random.key(0), data), data, 20)
    score = play.bound(game, state)["D"](np.zeros((2, 8, 8, 8, 1), np.float32))
    assert (np.asarray(score) < 0).all()


def test_centred_noise_has_no_mean():
    for centred, mean, sd in ((False, 0.5, 1 / 12**0.5), (True, 0.0, 1 / 3**0.5)):
        experiment = EXPERIMENTS["gan3d.py"].build({**TINY, "centred": centred})
        game = experiment.played
        state = play.init(game, jax.random.key(0), experiment.data)
        z = np.asarray(play.bound(game, state)["G"].noise(jax.random.key(1), 2000))
        assert (z.mean(), z.std()) == pytest.approx((mean, sd), abs=0.02)


def test_bad_options_are_one_line(tmp_path: Path):
    for options, told in (
        (["--data", "digits"], "digits has examples of 8 x 8 x 1, which are no voxels"),
        (["--size", "32"], "blocks has 16 voxels a side, which 32 does not divide"),
        (["--size", "12"], "voxels have sides of 8, 16, 32, 64, ..., powers of two; got 12"),
        (["--gate", "1.5"], "gate must be 0 or more and at most 1"),
    ):
        status, out, err = call("run", "gan3d", "--quick", *options, "--out", tmp_path / "run")
        assert (status, out) == (2, "")
        assert told in err
        assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_samples_are_written_as_meshes(tmp_path: Path):
    pytest.importorskip("skimage")
    tiny = [f"--{name.replace('_', '-')}={value}" for name, value in TINY.items()]
    run, out = tmp_path / "run", f"{tmp_path}/meshes/"
    status, *_ = call("run", "gan3d", *tiny, "--steps=1", "--quiet", "--no-cache", "--out", run)
    assert status == 0
    assert call("sample", run, "--n", "3", "--out", out) == (0, "", "")
    written = sorted((tmp_path / "meshes").iterdir())
    assert [path.name for path in written] == ["0000.obj", "0001.obj", "0002.obj"]
