"""A seed whose parameters cease to be finite is frozen and reported; a run fails only where every
seed is.
"""

import signal
from pathlib import Path

import numpy as np
import pytest
from runs import TINY, call, outcome, signalled

from ganjax.runs import storage

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
    said = "".join(f"seed {seed} diverged at step 4 and is frozen there\n" for seed in (2, 3))
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
