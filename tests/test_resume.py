"""A run that was stopped, killed or damaged goes on to the bits of the run that was not."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from runs import TINY, call, everything, outcome, saved, signalled

from ganjax import play
from ganjax.runs import record as run_record
from ganjax.runs import storage, train

# Measurements at 3, 6, …, 18, 20 and checkpoints at 5, 10, 15, 20: neither falls on all of the
# other's steps.
ARGS = [
    str(TINY),
    "--quiet",
    "--no-cache",
    "--averaged",
    "--steps=20",
    "--every=3",
    "--save-every=5",
]

# Reads of a damaged checkpoint leave coroutines behind that nobody awaits.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def played(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list to which the steps of each dispatch are added."""
    steps: list[int] = []
    run = play.run

    def counted(game: Any, state: Any, data: Any, n: int) -> Any:
        steps.append(n)
        return run(game, state, data, n)

    monkeypatch.setattr(play, "run", counted)
    return steps


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing happened to."""
    out = tmp_path_factory.mktemp("whole") / "run"
    assert call("run", *ARGS, "--out", out) == (0, "", "")
    return out


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, stopped by SIGTERM at step 12, between two checkpoints."""
    out = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "append_rows", signalled(4, signal.SIGTERM))
        assert call("run", *ARGS, "--out", out) == (143, "", "")
    assert saved(out) == [5, 10, 12]
    assert [row["step"] for row in storage.read_rows(out / "metrics.jsonl")] == [3, 6, 9, 12]
    assert not (out / "digest.json").exists()
    return out


@pytest.fixture
def copy(stopped: Path, tmp_path: Path) -> Path:
    """The stopped run, to be damaged; in another place, as runs are moved."""
    return shutil.copytree(stopped, tmp_path / "moved")


def test_the_whole_run_is_what_was_asked_for(whole: Path) -> None:
    made = outcome(whole)
    assert [json.loads(row)["step"] for row in made["rows"]] == [3, 6, 9, 12, 15, 18, 20]
    assert set(json.loads(made["rows"][0])) == {"step", "seed", "D", "G", "wall", "slope", "spread"}
    assert set(json.loads(made["rows"][-1])) == {
        "step",
        "seed",
        "D",
        "G",
        "wall",
        "slope",
        "spread",
        "mean",
    }
    assert made["digest"]["steps"] == 20
    assert made["digest"]["metrics"] == storage.metrics_digest(
        storage.read_rows(whole / "metrics.jsonl")
    )
    assert saved(whole) == [10, 15, 20]


def test_stopped_by_sigterm_it_goes_on_where_it_stopped(
    whole: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = played(monkeypatch)
    assert call("resume", copy, "--quiet") == (0, "", "")
    assert sum(steps) == 8
    assert outcome(copy) == outcome(whole)


def test_stopped_by_sigint_between_two_measurements_it_goes_on(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, calls = play.run, iter(range(1, 1000))

    def interrupted(*args: Any) -> Any:
        if next(calls) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return run(*args)

    with monkeypatch.context() as patch:
        patch.setattr(play, "run", interrupted)
        assert call("run", *ARGS, "--out", tmp_path / "run") == (130, "", "")
    assert saved(tmp_path / "run")[-1] < 20
    assert call("resume", tmp_path / "run", "--quiet") == (0, "", "")
    assert outcome(tmp_path / "run") == outcome(whole)


KILLED = """
import os, signal, sys
from ganjax.runs import checkpoint, storage
from ganjax.cli import main

def killed_in_save(self, step, tree, note, spared, save=checkpoint.Checkpoints.save):
    save(self, step, tree, note, spared)
    if step == 10:
        os.kill(os.getpid(), signal.SIGKILL)  # the writing threads have hardly begun

def killed_in_append(path, rows, append=storage.append_rows):
    if rows[0]["step"] == 15:
        path.open("a").write('{"step": 15, "se')
        os.kill(os.getpid(), signal.SIGKILL)
    append(path, rows)

if sys.argv[1] == "run":
    checkpoint.Checkpoints.save = killed_in_save
else:
    storage.append_rows = killed_in_append
main(sys.argv[1:])
"""


def test_killed_in_a_save_and_again_in_a_row_it_goes_on(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    for argv in (["run", *ARGS, "--out", str(out)], ["resume", str(out), "--quiet"]):
        made = subprocess.run([sys.executable, "-c", KILLED, *argv], capture_output=True, text=True)
        assert made.returncode == -signal.SIGKILL, made.stderr
        assert not (out / "digest.json").exists()
    assert (out / "metrics.jsonl").read_text().endswith('{"step": 15, "se')
    assert call("resume", out, "--quiet") == (0, "", "")
    assert outcome(out) == outcome(whole)
    assert saved(out) == [10, 15, 20]


def test_with_nothing_but_options_json_it_begins(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(whole / "options.json", tmp_path)
    steps = played(monkeypatch)
    assert call("resume", tmp_path, "--quiet") == (0, "", "")
    assert sum(steps) == 20
    assert outcome(tmp_path) == outcome(whole)


def test_without_digest_and_figures_it_makes_them_and_plays_nothing(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = shutil.copytree(whole, tmp_path / "run")
    (out / "digest.json").unlink()
    shutil.rmtree(out / "figures")
    (out / "figures").mkdir()
    (out / "figures" / ".9.curves.png").write_bytes(b"half of it")  # killed as it wrote
    steps = played(monkeypatch)
    assert call("resume", out, "--quiet") == (0, "", "")
    assert steps == []
    assert outcome(out) == outcome(whole)


def test_rows_beyond_a_damaged_checkpoint_and_a_torn_row_are_cut(
    whole: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (copy / "checkpoints" / "12").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:-20])
    with (copy / "metrics.jsonl").open("a") as file:
        file.write('{"step": 12, "seed": 0, "D": 9}\n{"step": 15, "see')
    steps = played(monkeypatch)
    status, _, err = call("resume", copy, "--quiet")
    assert status == 0
    assert "checkpoint 12 is passed over" in err
    assert sum(steps) == 10
    assert outcome(copy) == outcome(whole)


def test_other_options_in_options_json_are_refused(copy: Path) -> None:
    text = (copy / "options.json").read_text()
    before = everything(copy)
    for old, new in [
        ('"width": 4', '"width": 5'),
        ('"every": 3', '"every": 0'),
        ('"lr": 0.1', '"lr": "x"'),
        ('"steps": 20', '"steps": 2'),
    ]:
        assert old in text
        (copy / "options.json").write_text(text.replace(old, new))
        status, _, err = call("resume", copy)
        assert (status, err.count("\n")) == (2, 1)
        assert "its options.json is not the one that `ganjax run` wrote" in err
    (copy / "options.json").write_text(text)
    assert everything(copy) == before


def test_checkpoints_of_other_options_are_refused(copy: Path) -> None:
    record = run_record.read_record(copy)
    other = replace(record, options={**record.options, "width": 5})
    storage.write_json(copy / "options.json", other.fields)
    for command in (["resume", copy], ["sample", copy, "--out", copy / "x.npz"]):
        status, _, err = call(*command)
        assert (status, err.count("\n")) == (2, 1)
        assert "holds checkpoints of another run" in err
    assert saved(copy) == [5, 10, 12]


def test_a_sequential_lane_has_the_bits_of_its_single_run(whole: Path, tmp_path: Path) -> None:
    assert call("run", *ARGS, "--seeds=2", "--lanes=sequential", "--out", tmp_path / "both") == (
        0,
        "",
        "",
    )
    assert call("run", *ARGS, "--seed=1", "--out", tmp_path / "one") == (0, "", "")
    both, single = outcome(tmp_path / "both"), [outcome(whole), outcome(tmp_path / "one")]
    assert both["digest"]["seeds"] == {
        "0": single[0]["digest"]["params"],
        "1": single[1]["digest"]["params"],
    }
    assert sorted(both["rows"]) == sorted(single[0]["rows"] + single[1]["rows"])


def test_measuring_and_saving_change_no_parameter(whole: Path, tmp_path: Path) -> None:
    args = [arg for arg in ARGS if "every" not in arg]
    assert call("run", *args, "--every=20", "--save-every=1", "--out", tmp_path / "run") == (
        0,
        "",
        "",
    )
    assert outcome(tmp_path / "run")["digest"]["params"] == outcome(whole)["digest"]["params"]
    assert outcome(tmp_path / "run")["rows"] == outcome(whole)["rows"][-1:]


@pytest.mark.slow
def test_a_population_in_bfloat16_goes_on_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = [*ARGS, "--seeds=3", "--lanes=vmap", "--precision=bfloat16"]
    assert call("run", *args, "--out", tmp_path / "whole") == (0, "", "")
    with monkeypatch.context() as patch:
        patch.setattr(storage, "append_rows", signalled(3, signal.SIGTERM))
        assert call("run", *args, "--out", tmp_path / "run") == (143, "", "")
    assert call("resume", tmp_path / "run", "--quiet") == (0, "", "")
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")
    assert len(set(outcome(tmp_path / "run")["digest"]["seeds"].values())) == 3


@pytest.mark.slow
def test_mad_gan_killed_at_ten_moments(tmp_path: Path) -> None:
    file = shutil.copy(TINY.parent.parent / "experiments" / "mad_gan.py", tmp_path)
    command, args = (
        [sys.executable, "-m", "ganjax"],
        ["run", file, "--steps=2000", "--seed=3", "--save-every=20", "--quiet"],
    )
    subprocess.run([*command, *args, "--out", tmp_path / "whole"], check=True)
    out, moments, at = tmp_path / "run", random.Random(0), []
    for kill in range(10):
        begun = (out / "options.json").exists()
        process = subprocess.Popen(
            [*command, *(["resume", out, "--quiet"] if begun else [*args, "--out", out])]
        )
        old = saved(out)
        while kill % 3 and process.poll() is None and saved(out) == old:
            with suppress(
                subprocess.TimeoutExpired
            ):  # every third is killed while it starts, the others once they have saved
                process.wait(timeout=0.05)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=moments.uniform(0, 1 if kill % 3 else 20))
        process.kill()
        assert process.wait() in (0, -signal.SIGKILL)
        at.append(max(saved(out), default=0))
    assert at == sorted(at)
    assert at[-1] > 0
    subprocess.run([*command, "resume", out, "--quiet"], check=True)
    assert outcome(out) == outcome(tmp_path / "whole")


def test_without_a_good_checkpoint_nothing_is_played_or_lost(whole: Path, copy: Path) -> None:
    for path in (copy / "checkpoints").glob("*/state/**/*"):
        if path.is_file():
            path.write_bytes(b"")
    before = everything(copy)
    status, out, err = call("resume", copy, "--quiet")
    assert (status, out) == (2, "")
    assert "none of its checkpoints (5, 10, 12) is good, and nothing was changed" in err
    assert everything(copy) == before
    status, _, err = call("resume", copy, "--quiet", "--restart")
    assert (status, err) == (0, "set aside: checkpoints.1, metrics.jsonl.1\n")
    assert outcome(copy) == outcome(whole)
    assert saved(copy) == [10, 15, 20]
    kept = [
        json.loads(line)["step"] for line in (copy / "metrics.jsonl.1").read_text().splitlines()
    ]
    assert kept == [3, 6, 9, 12]


@pytest.mark.parametrize("change", ["removed", "doubled", "a digit", "no file"])
def test_rows_that_are_not_those_that_were_written_are_refused(
    whole: Path, copy: Path, change: str
) -> None:
    path = copy / "metrics.jsonl"
    first, *rest = path.read_text().splitlines(keepends=True)
    if change == "no file":
        path.unlink()
    else:
        number = json.loads(first) | {"wall": 0.125}
        first = {"removed": "", "doubled": first * 2, "a digit": json.dumps(number) + "\n"}[change]
        path.write_text("".join([first, *rest]))
    before = everything(copy)
    status, out, err = call("resume", copy, "--quiet")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "rows of metrics.jsonl up to step 12 are missing or are not those" in err
    assert everything(copy) == before
    assert call("resume", copy, "--quiet", "--accept-changes")[0] == 0
    digest = json.loads((copy / "digest.json").read_text())
    assert digest["changes"] == [{"step": 12, "changed": {"metrics.jsonl": "other rows"}}]
    assert digest["params"] == json.loads((whole / "digest.json").read_text())["params"]


def test_other_versions_are_said_and_recorded(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = run_record.versions()
    monkeypatch.setattr(train, "versions", lambda: known | {"jax": "0.0.1"})
    status, _, err = call("resume", copy, "--quiet")
    assert status == 0
    assert f"with changes, so with other bits: jax {known['jax']} is now 0.0.1\n" in err
    changes = json.loads((copy / "digest.json").read_text())["changes"]
    assert changes == [{"step": 12, "changed": {"jax": [known["jax"], "0.0.1"]}}]


@pytest.mark.parametrize("text", ["{}", "[]", "5", "{", "[" * 100_000, '{"params": 1}'])
@pytest.mark.parametrize("name", ["digest.json", "metrics.jsonl", "options.json"])
def test_nonsense_in_a_runs_files_is_one_line(
    whole: Path, tmp_path: Path, name: str, text: str
) -> None:
    out = shutil.copytree(whole, tmp_path / "run")
    (out / name).write_text(text + "\n")
    status, said, err = call("resume", out, "--quiet")
    assert (status, said, err.count("\n")) == (2, "", 1)


def test_a_finished_run_with_other_rows_or_another_digest_is_refused(
    whole: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(whole, tmp_path / "run")
    rows = (out / "metrics.jsonl").read_text().splitlines(keepends=True)
    (out / "metrics.jsonl").write_text("".join(rows[1:]))
    status, _, err = call("resume", out, "--quiet")
    assert status == 2
    assert "metrics.jsonl and digest.json do not fit" in err


def test_an_edited_record_is_refused(whole: Path, tmp_path: Path) -> None:
    out = shutil.copytree(whole, tmp_path / "run")
    fields = json.loads((out / "options.json").read_text())
    for name, value in (("versions", {"jax": "1"}), ("device", None), ("seeds", "word")):
        storage.write_json(out / "options.json", fields | {name: value})
        status, _, err = call("resume", out)
        assert status == 2
        assert "its options.json is not the one that `ganjax run` wrote" in err


def test_a_folder_appears_with_its_options_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = run_record.read_record
    out = tmp_path / "run"

    def full(path: Path, value: Any) -> None:
        assert not out.exists()
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "write_json", full)
        status, _, err = call("run", *ARGS, "--out", out)
    assert (status, err) == (2, f"ganjax: {out} cannot be written: No space left on device\n")
    assert list(tmp_path.iterdir()) == []
    out.mkdir()  # an empty folder is as good as none
    real = tmp_path / "real"
    assert call("run", *ARGS, "--out", out)[0] == 0
    out.rename(real)
    out.symlink_to(real)
    assert call("run", *ARGS, "--out", out, "--overwrite")[0] == 0
    assert out.is_symlink()
    assert record(real).steps == 20
    assert sorted(path.name for path in tmp_path.iterdir()) == ["real", "run"]
