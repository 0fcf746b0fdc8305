"""A seed whose parameters cease to be finite is frozen and reported; a run fails only where every
seed is.
"""

import json
import re
import signal
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from runs import TINY, call, outcome, signalled

from ganjax import play
from ganjax.game import Game, Player
from ganjax.runs import divergence, storage
from ganjax.runs.checkpoint import Checkpoints

# SGD down a fourth power: of the seeds 1, 2, 3 the first begins where it is flat enough.
STEEP = [
    TINY,
    "--quiet",
    "--no-cache",
    "--averaged",
    "--steps=20",
    "--every=3",
    "--save-every=5",
    "--steep=4",
    "--seed=1",
]


@pytest.mark.parametrize("lanes", ["sequential", "vmap"])
def test_a_seed_that_diverges_is_frozen_and_the_others_go_on(lanes: str, tmp_path: Path) -> None:
    square = "the gradient of D, or its square, is not finite, though its loss is"
    said = "".join(
        f"seed {seed} diverged at step 4 and is frozen there: {why}\n"
        for seed, why in ((2, square), (3, "the loss of G is not finite"))
    )
    args = [*STEEP, "--seeds=3", f"--lanes={lanes}", "--out", tmp_path / "run"]
    assert call("run", *args) == (0, "", said)
    made = outcome(tmp_path / "run")["digest"]
    assert made["diverged"] == {"2": 4, "3": 4}
    where = [
        (row["seed"], row["step"]) for row in storage.read_rows(tmp_path / "run" / "metrics.jsonl")
    ]
    assert where == [(1, 3), (2, 3), (3, 3), *((1, step) for step in (6, 9, 12, 15, 18, 20))]
    if lanes == "sequential":
        assert call("run", *STEEP, "--out", tmp_path / "alone") == (0, "", "")
        assert made["seeds"]["1"] == outcome(tmp_path / "alone")["digest"]["params"]


@pytest.mark.slow
def test_frozen_seeds_stay_frozen_when_a_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = [*STEEP, "--seeds=3", "--lanes=sequential"]
    assert call("run", *args, "--out", tmp_path / "whole")[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr(storage, "append_rows", signalled(3, signal.SIGTERM))
        assert call("run", *args, "--out", tmp_path / "run")[0] == 143
    assert call("resume", tmp_path / "run", "--quiet") == (0, "", "")
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")


def test_all_seeds_diverged_is_status_1(tmp_path: Path) -> None:
    out = tmp_path / "run"
    status, _, err = call("run", *STEEP, "--seed=2", "--seeds=2", "--out", out)
    assert status == 1
    told = "every seed diverged, the last at step 4; its checkpoint has the states before"
    assert err.splitlines()[2:] == [f"ganjax: {out}: {told}"]
    assert not (out / "digest.json").exists()
    assert call("resume", out, "--quiet") == (1, "", err.splitlines()[2] + "\n")
    assert call("sample", out, "--out", tmp_path / "x.npz") == (0, "", "")
    assert np.isfinite(np.load(tmp_path / "x.npz")["x"]).all()


# Of the seeds 8 and 9 the first lives.
RISKY = [TINY, "--quiet", "--no-cache", "--steps=20", "--every=3", "--save-every=4", "--risk=0.05"]
RISKY += ["--seed=8", "--seeds=2"]
LANES = ["sequential", pytest.param("vmap", marks=pytest.mark.slow)]


def lost_at(err: str) -> dict[int, int]:
    """The seeds that a run lost by a gradient of G, and the steps."""
    why = "the gradient of G, or its square, is not finite, though its loss is"
    found = re.findall(
        rf"^seed (\d+) diverged at step (\d+) and is frozen there: {why}$", err, re.M
    )
    return {int(seed): int(step) for seed, step in found}


@pytest.mark.parametrize("lanes", LANES)
def test_a_gradient_that_is_not_finite_is_found_before_it_is_taken(
    lanes: str, tmp_path: Path
) -> None:
    args = [*RISKY, f"--lanes={lanes}"]
    status, _, err = call("run", *args, "--out", tmp_path / "run")
    assert (status, err.count("\n"), list(lost_at(err))) == (0, 1, [9])
    made, step = outcome(tmp_path / "run")["digest"], lost_at(err)[9]
    assert made["diverged"] == {"9": step}
    # it stays at the bits that it has in a run that ends where it was lost,
    assert call("run", *args, f"--steps={step}", "--out", tmp_path / "short") == (0, "", "")
    assert outcome(tmp_path / "short")["digest"]["seeds"]["9"] == made["seeds"]["9"]
    # and a run of which this is the last step does not end as if it were right
    status, _, err = call("run", *args, f"--steps={step + 1}", "--out", tmp_path / "last")
    assert (status, lost_at(err)) == (0, {9: step})
    assert outcome(tmp_path / "last")["digest"]["seeds"]["9"] == made["seeds"]["9"]

    # where a loss stops the run, it is the same up to there
    out, args = tmp_path / "stopped", [*args, "--on-divergence=stop"]
    status, _, err = call("run", *args, "--out", out)
    assert status == 1
    assert err.splitlines()[-1].startswith(f"ganjax: {out}: stopped at step")
    assert not (out / "digest.json").exists()
    assert call("resume", out, "--quiet") == (1, "", err.splitlines()[-1] + "\n")
    assert call("resume", out, "--quiet", "--on-divergence=freeze") == (0, "", "")
    a, b = outcome(out), outcome(tmp_path / "run")
    assert (a["rows"], a["digest"]) == (b["rows"], b["digest"])


@pytest.mark.parametrize("lanes", LANES)
def test_a_seed_rolls_back_to_a_new_stream_and_the_others_keep_their_bits(
    lanes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = [*RISKY, f"--lanes={lanes}", "--on-divergence=rollback"]
    status, _, err = call("run", *args, "--out", tmp_path / "whole")
    made = outcome(tmp_path / "whole")["digest"]
    tries = made["tries"]
    assert (status, err.count("the run goes back to step")) == (0, len(tries))
    assert {each["seed"] for each in tries} == {9}
    assert all(each["to"] == each["from"] // 4 * 4 for each in tries)
    assert "diverged" not in made
    rows = storage.read_rows(tmp_path / "whole" / "metrics.jsonl")
    assert len({(row["seed"], row["step"]) for row in rows}) == len(rows) == 2 * 7
    said = (tmp_path / "whole" / "changes.jsonl").read_text().splitlines()
    assert json.loads(said[-1])["tries"] == tries
    # killed where it went back, and stopped after it: the same bits
    out, remove = tmp_path / "run", Checkpoints.remove_after

    def killed(self: Checkpoints, step: int) -> None:
        remove(self, step)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "remove_after", killed)
        assert call("run", *args, "--out", out)[0] == 130
    with monkeypatch.context() as patch:
        patch.setattr(storage, "append_rows", signalled(2, signal.SIGTERM))
        assert call("resume", out, "--quiet")[0] == 143
    assert call("resume", out, "--quiet")[0] == 0
    assert outcome(out) == outcome(tmp_path / "whole")
    if lanes == "sequential":  # the other seed keeps its bits
        args = [*RISKY, "--seeds=1", "--out", tmp_path / "alone"]
        assert call("run", *args) == (0, "", "")
        assert outcome(tmp_path / "alone")["digest"]["params"] == made["seeds"]["8"]


def test_a_square_that_overflows_is_seen_and_a_best_loss_of_none_yet_is_not() -> None:
    """Adam divides by its infinite moment, and the player would stand still for ever."""
    G = Player(nn.Dense(1), optax.adam(0.1), (1,))

    def losses(batch: Any, key: Any, *, G: Any) -> dict[str, Any]:
        return {"G": 1e20 * G(batch).sum()}

    game = Game({"G": G}, losses, [["G"]], lambda data, key: data)
    state = play.init(game, jax.random.key(0), jnp.ones((1, 1)))
    assert divergence.learnt_is_finite(state) == {"G": [True]}
    state, log = play.run(game, state, jnp.ones((1, 1)), 1)
    assert np.isfinite(log["G"]).all()
    play.check(state)  # the parameters are finite
    assert divergence.learnt_is_finite(state) == {"G": [False]}
    plateau = optax.contrib.reduce_on_plateau().init(state.params["G"])
    assert np.isinf(plateau.best_value)
    assert all(np.isfinite(leaf).all() for leaf in divergence.moments(plateau, state.params["G"]))


def test_a_seed_that_is_lost_on_every_stream_is_frozen(tmp_path: Path) -> None:
    args = [*RISKY, "--risk=1", "--seeds=1", "--on-divergence=rollback", "--out", tmp_path / "run"]
    status, _, err = call("run", *args)
    assert status == 1
    assert [line.split()[-1] for line in err.splitlines()[:3]] == ["1", "2", "3"]
    assert lost_at(err) == {8: 0}
    assert err.splitlines()[-1].startswith(f"ganjax: {tmp_path / 'run'}: every seed diverged")
    assert err.count("\n") == 5
