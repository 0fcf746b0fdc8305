"""A run that begins with another's parameters has them, and needs the other no more."""

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from laws import same_bits
from runs import TINY, call, everything, outcome, signalled

from ganjax import load, play
from ganjax.runs import beginning, population, storage
from ganjax.runs.record import read_record

HOW = ("--quiet", "--no-cache", "--averaged")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A population of two seeds."""
    out = tmp_path_factory.mktemp("source") / "run"
    assert call("run", TINY, *HOW, "--steps=4", "--seeds=2", "--out", out) == (0, "", "")
    return out


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("lanes", ["vmap", pytest.param("sequential", marks=pytest.mark.slow)])
def test_lanes_begin_with_those_of_the_other_run_and_new_optimisers(
    source: Path, lanes: str
) -> None:
    how = (*HOW, "--steps=2", "--every=2", "--seeds=2", "--seed=7", "--lanes", lanes)
    assert call("run", TINY, *how, "--from", source, "--players", "G", "--out", "a") == (0, "", "")
    record = read_record(Path("a"))
    assert record.source
    assert (record.source["step"], record.source["players"]) == (4, ["G"])
    run = load("a")
    states = population.by_name(
        record, beginning.initial(Path("a"), run.game, record, run.experiment.data)
    )
    for i, state in enumerate(states.values()):
        old = load(source, seed=i).state
        new = play.init(run.game, jax.random.key(7 + i), run.experiment.data)
        assert same_bits(state.params["G"], old.params["G"])
        assert same_bits(state.ema["G"], old.ema["G"])
        assert not same_bits(state.ema["G"], state.params["G"])
        rest: dict[str, Any] = {"params": {}, "ema": {}}
        assert same_bits(state.replace(**rest), new.replace(**rest))
        for mine, other in zip(*map(jax.tree.leaves, (state.params["D"], new.params["D"]))):
            np.testing.assert_allclose(mine, other, rtol=1e-6)


def test_stopped_and_begun_again_it_needs_the_other_no_more(source: Path) -> None:
    other = shutil.copytree(source, "other")
    how = ("run", TINY, *HOW, "--steps=6", "--every=2", "--save-every=2", "--from", other)
    assert call(*how, "--out", "whole") == (0, "", "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "append_rows", signalled(1, signal.SIGTERM))
        assert call(*how, "--out", "stopped")[0] == 143
    shutil.rmtree(other)
    assert call("resume", "stopped", "--quiet") == (0, "", "")
    whole = outcome(Path("whole"))
    assert outcome(Path("stopped")) == whole
    assert call("resume", "stopped", "--quiet", "--restart")[0] == 0
    assert outcome(Path("stopped")) == whole
    plain = json.loads(Path("whole/options.json").read_text())
    assert plain["source"]["players"] == ["D", "G"]

    Path("stopped/start.npz").write_bytes(b"")
    status, _, err = call("resume", "stopped", "--quiet", "--restart")
    assert (status, err.count("\n")) == (2, 2)
    assert "start.npz is missing, or not the one that" in err


REFUSED = {
    "--from nowhere": "nowhere is no run",
    "--players G": "--players begin with parameters of another run: say --from RUN",
    "--from SOURCE --players G X": "--players X: here there are D, G, in SOURCE D, G",
    "--from SOURCE --width 3": "params['D']['Dense_0']['bias'] is [4] there, and [3] here",
    "--from SOURCE --seeds 3": "it has 2 lanes, and 3 are asked for",
}


@pytest.mark.parametrize("asked", REFUSED)
def test_what_does_not_fit_is_one_line_and_writes_nothing(source: Path, asked: str) -> None:
    words = asked.replace("SOURCE", str(source)).split()
    status, out, err = call("run", TINY, *HOW, *words)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert REFUSED[asked].replace("SOURCE", str(source)) in err
    assert everything() == {}
