"""C-RNN-GAN: its rule, its pre-training, its samples as MIDI files, and what it refuses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import random
from runs import EXPERIMENTS, call

from ganjax import play
from ganjax.data import midi, music
from ganjax.data.music import Form
from ganjax.nets.sequences import Generator, orthogonal
from ganjax.player import Player
from ganjax.protocols import music as protocol
from ganjax.runs import population, written

FILE = EXPERIMENTS["c_rnn_gan.py"]
SMALL = {**FILE.quick, "freeze": 0.7, "cells": 10, "steps": 60}


def test_samples_are_midi_files_that_say_the_tuples(tmp_path: Path) -> None:
    pytest.importorskip("mido")
    built = FILE.build({**SMALL, "tones": 3, "units": 4, "layers": 1})
    state = play.init(built.played, random.key(0), built.data)
    x = population.sample(built, built.played, state, 3)
    assert x.shape == (3, 10, 7)
    written.write(built, x, f"{tmp_path}/new/")
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == [f"000{i}.mid" for i in range(3)]
    for i in range(3):
        heard = midi.read(tmp_path / f"new/000{i}.mid")
        said = music.notes_of(x[i], Form(3))
        assert {tuple(row) for row in heard[:, [0, 2]]} == {tuple(row) for row in said[:, [0, 2]]}


REFUSED = {
    "digits": "digits is no music: walks, bach_chorales, .mid files and folders of them are known",
    "nothing": "there is no music 'nothing'",
    "empty": "empty holds no .mid files",
    "text.mid": "text.mid is no MIDI file",
    "silent.mid": "silent.mid has no notes",
    "nowhere.mid": "nowhere.mid is no MIDI file",
    "bach_chorales --data-dir empty": "bach_chorales is not prepared in empty: run",
    "walks --cells 1000": "walks: a window of 1000 cells is longer than every piece, the longest",
}


@pytest.mark.parametrize("request_", REFUSED)
def test_what_is_no_music_is_refused_in_one_line(
    request_: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mido")
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("text.mid").write_text("la la la")
    midi.write(np.zeros((0, 4), np.float32), Path("silent.mid"))
    path = FILE.path
    status, out, err = call("run", path, "--quick", "--data", *request_.split(), "--out", "x")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert REFUSED[request_] in err


def test_a_sequence_is_judged_by_its_mean_probability() -> None:
    logits = jnp.array([[0.0, 2.0, -1.0], [40.0, 90.0, 60.0]])
    log_d, log_not_d = protocol.log_probabilities(logits)
    p = jax.nn.sigmoid(logits[0]).mean()
    np.testing.assert_allclose([log_d[0], log_not_d[0]], [jnp.log(p), jnp.log(1 - p)], rtol=1e-6)
    assert jnp.isfinite(log_not_d).all()  # 1 - D is 0 in float32


def test_a_told_g_sees_the_real_tone_before_and_none_later() -> None:
    T, k = 6, 3
    G = Player(Generator(8, 1, 0.0), optax.sgd(0.1), (1 + T, k))
    bound = G.bind(*G.init(random.key(0)))
    z, x = random.normal(random.key(1), (2, 1 + T, k)), random.normal(random.key(2), (2, T, k))
    first = protocol.told(bound, z, x, random.key(3))
    changed = protocol.told(bound, z, x.at[:, 3].add(1.0), random.key(3))
    differs = np.asarray((first != changed).any((0, 2)))
    assert differs.tolist() == [False] * 4 + [True] * 2


def test_the_one_that_is_far_ahead_rests() -> None:
    """The paper's rule: not both, and never the one that is behind."""
    game = FILE.build({**SMALL, "pretrain": 5}).played
    D, G = (turn.when for turn in game.schedule)
    assert D is not None
    assert G is not None
    for step, d, g, moves in (
        (9, 1.0, 1.0, "DG"), (9, 0.69, 1.0, "G"), (9, 0.71, 1.0, "DG"), (9, 1.0, 0.69, "D"),
        (9, 1.0, 0.71, "DG"), (4, 1.0, 1.0, "G"), (4, 1.0, 0.1, "G"), (5, 0.0, 0.0, "DG"),
        (5, 1.0, 0.1, "DG"),
    ):  # fmt: skip
        log = {"D": jnp.float32(d), "adversarial": jnp.float32(g), "G": jnp.float32(99)}
        at = jnp.int32(step)
        assert "D" * bool(D(at, log)) + "G" * bool(G(at, log)) == moves


def test_pre_training_moves_g_alone() -> None:
    built = FILE.build({**SMALL, "pretrain": 2, "stage": 1, "units": 4, "layers": 1, "batch": 2})
    game, data = built.played, built.data
    state = play.init(game, random.key(0), data)
    for step, moved in ((1, "G"), (2, "G"), (3, "DG")):
        before = jax.tree.map(np.asarray, state.params)
        state, log = play.run(game, state, data, 1)
        for player in "DG":
            same = jax.tree.map(
                lambda a, b: bool((a == b).all()), before[player], state.params[player]
            )
            assert all(jax.tree.leaves(same)) == (player not in moved), (step, player)
        assert (float(log["adversarial"][0]) == 0) == (step < 3)


def test_pre_training_sees_four_more_cells_a_stage() -> None:
    game = FILE.build({**SMALL, "pretrain": 60, "stage": 3, "units": 4, "layers": 1}).played
    params, aux = game.players["G"].init(random.key(0))
    x = jnp.zeros((2, 10, 3))

    @jax.jit
    def error(x: jax.Array, step: jax.Array) -> jax.Array:
        return game.apply({"G": params}, {"x": x}, random.key(1), aux={"G": aux}, step=step)["G"]

    for step, seen in ((0, 4), (2, 4), (3, 8), (6, 10), (60, 10)):
        base = error(x, step)
        found = [error(x.at[:, i].add(1.0), step) != base for i in range(10)]
        assert found == [True] * seen + [False] * (10 - seen), step


def test_a_language_model_is_a_g_without_d() -> None:
    game = FILE.build({**SMALL, "pretrain": 60}).played
    assert set(game.players) == {"G"}


def test_a_population_factorises_one_matrix_after_another() -> None:
    """QR of a batch, as of Flax's own weights under vmap, can wait for itself on two cores."""
    keys = jax.vmap(random.key)(jnp.arange(3))

    def program(draw: Any) -> str:
        return jax.jit(jax.vmap(lambda key: draw(key, (4, 16)))).lower(keys).as_text()

    batched = re.compile(r"lapack_sgeqrf.*tensor<3x")
    assert batched.search(program(jax.nn.initializers.orthogonal()))
    assert not batched.search(program(orthogonal))
    drawn = jax.vmap(lambda key: orthogonal(key, (4, 16)))(keys)
    for key, R in zip(keys, drawn):
        np.testing.assert_array_equal(R, orthogonal(key, (4, 16)))
        np.testing.assert_allclose(R @ R.T, np.eye(4), atol=1e-6)
