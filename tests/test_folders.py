"""A run's folder stands alone: it is sampled without its data and its file, it says what differs
where it goes on, and what a stranger's folder brings is not run unasked.
"""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import TINY, call, everything

from ganjax import play
from ganjax.data.kept import Record
from ganjax.experiment import Experiment
from ganjax.runs import checkpoint, discovery, origin, storage, written
from ganjax.runs.record import read_record

# tests/tiny.py on the points of a file, with a module beside it
TEXT = (
    TINY.read_text()
    .replace("from ganjax.data import draw", "from ganjax.data import draw, find")
    .replace("from ganjax import cli", "from ganjax import cli\nfrom helper import SCALE")
    .replace('    note: str', '    data: str = option("points.npz", "points")\n    note: str')
    .replace(
        "numbers = np.random.default_rng(0).normal(2, 1, (256, 1)).astype(np.float32)",
        'numbers = SCALE * find(o.data).load()["x"]',
    )
)  # fmt: skip
ARGS = ("--steps=4", "--every=2", "--save-every=2", "--quiet", "--no-cache")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an experiment, a helper, data and a run of it, and the user's cache."""
    place = tmp_path_factory.mktemp("home")
    (place / "my").mkdir()
    (place / "my" / "mine.py").write_text(TEXT)
    (place / "my" / "helper.py").write_text("SCALE = 1  # of all numbers\n")
    x = np.random.default_rng(0).normal(2, 1, (100, 1)).astype(np.float32)
    np.savez(place / "points.npz", x=x)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("XDG_CACHE_HOME", str(place / "cache"))
        assert call("run", "my/mine.py", *ARGS, "--out", "run") == (0, "", "")
        assert call("sample", "run", "--n", "5", "--out", "x.npz") == (0, "", "")
    return place


@pytest.fixture
def here(
    home: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A copy of the home, whose paths are its own; the current folder."""
    place = tmp_path_factory.mktemp("here") / "home"
    shutil.copytree(home, place)
    record = read_record(place / "run")
    options = record.options | {"data": str(place / "points.npz")}
    kept = (place / "run" / "data.npz").read_bytes()
    noted = Record.from_bytes(kept)
    noted.calls = json.loads(json.dumps(noted.calls).replace(str(home), str(place)))
    (place / "run" / "data.npz").write_bytes(kept := noted.to_bytes())
    files = record.files | {"data.npz": origin.sha(kept)}
    moved = replace(record, path=str(place / "my" / "mine.py"), options=options, files=files)
    # the checkpoints carry a tie of the options
    for file in (place / "run" / "checkpoints").glob("*/tie/metadata"):
        file.write_text(file.read_text().replace(record.tie, moved.tie))
    storage.write_json(place / "run" / "options.json", moved.fields)
    monkeypatch.chdir(place)
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    return place


def samples(run: str | Path = "run", *more: str) -> np.ndarray:
    """Five samples of a run."""
    assert call("sample", run, "--n", "5", "--out", "y.npz", *more) == (0, "", "")
    x: np.ndarray = np.load("y.npz")["x"]
    Path("y.npz").unlink()
    return x


def refusal(*argv: object) -> str:
    """What a command that leaves everything as it is says."""
    before = everything()
    status, out, err = call(*argv)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert everything() == before
    return err


def strange(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes this a machine on which the run was never played."""
    shutil.rmtree(place / "my")
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache of another"))


def unfinish(run: str = "run") -> None:
    """As a run that stopped at its checkpoint of step 2."""
    (Path(run) / "digest.json").unlink()
    shutil.rmtree(f"{run}/checkpoints/4")


def test_the_folder_keeps_the_file_its_helper_and_what_is_needed_of_the_data(home: Path) -> None:
    record = json.loads((home / "run" / "options.json").read_text())
    assert record["options"]["data"] == str(home / "points.npz")
    assert set(record["files"]) == {"experiment/mine.py", "experiment/helper.py", "data.npz"}
    for name, sha in record["files"].items():
        assert hashlib.sha256((home / "run" / name).read_bytes()).hexdigest() == sha
    assert (home / "run" / "experiment" / "mine.py").read_text() == TEXT


def test_it_is_sampled_elsewhere_without_data_and_file(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.load("x.npz")["x"]
    np.savez("points.npz", x=np.zeros((3, 1), np.float32))
    assert (samples() == x).all()
    shutil.rmtree("my")
    Path("points.npz").unlink()
    monkeypatch.chdir(tmp_path)
    assert (samples(shutil.move(here / "run", tmp_path / "elsewhere")) == x).all()
    assert call("sample", "elsewhere", "--n", "5", "--out", "x.png") == (0, "", "")


def test_a_strangers_file_is_run_where_it_is_trusted_alone(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = samples()
    strange(here, monkeypatch)
    monkeypatch.setattr(discovery.File, "module", property(lambda _: pytest.fail("it was run")))
    for command in (["sample", "run", "--out", "z.npz"], ["resume", "run"]):
        said = refusal(*command)
        assert "would run run/experiment/mine.py, which" in said
        assert "say --trust" in said
    monkeypatch.undo()
    monkeypatch.chdir(here)
    monkeypatch.setenv("XDG_CACHE_HOME", str(here / "cache of another"))
    assert (samples("run", "--trust") == x).all()
    assert (samples() == x).all()  # it was trusted once


def test_a_file_inside_the_folder_does_not_vouch_for_itself(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strange(here, monkeypatch)
    record = read_record(Path("run"))
    inside = replace(record, path=str(here / "run" / "experiment" / "mine.py"))
    storage.write_json(Path("run/options.json"), inside.fields)
    assert "say --trust" in refusal("sample", "run", "--out", "z.npz")
    monkeypatch.chdir(here / "run" / "experiment")
    assert call("sample", "..", "--out", "../../z.npz")[0] == 2


def test_the_same_file_in_the_current_folder_vouches_for_the_copy(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = samples()
    strange(here, monkeypatch)
    Path("moved.py").write_text(TEXT)
    assert "say --trust" in refusal("sample", "run", "--out", "z.npz")  # the helper is not there
    Path("helper.py").write_text("SCALE = 1\n")
    assert (samples() == x).all()


def test_a_copy_that_was_edited_is_refused(here: Path) -> None:
    shutil.rmtree("my")
    for name in ("helper.py", "mine.py"):
        path = Path("run/experiment", name)
        text = path.read_text()
        path.write_text(text + "print(1)\n")
        assert f"{path} is missing, or not the one" in refusal("sample", "run", "--out", "z.npz")
        path.write_text(text)
    for name in ("__pycache__/mine.cpython-311.pyc", "colorsys.py"):  # in place of what was checked
        path = Path("run/experiment", name)
        path.parent.mkdir(exist_ok=True)
        path.touch()
        assert f"{path} was not written by" in refusal("sample", "run", "--out", "z.npz")
        path.unlink()
    path = Path("run/data.npz")
    path.write_bytes(path.read_bytes()[:-1])
    assert "data.npz is not the one" in refusal("sample", "run", "--out", "z.npz")


def test_it_goes_on_after_a_comment_and_with_its_copy(here: Path) -> None:
    digest = Path("run/digest.json").read_text()
    file = Path("my/mine.py")
    changes = (
        lambda: file.write_text(TEXT.replace('"""Tiny', '"""Another: tiny') + "# a comment\n"),
        lambda: shutil.rmtree("my"),
    )
    for change in changes:
        change()
        unfinish()
        assert call("resume", "run", "--quiet") == (0, "", "")
        assert Path("run/digest.json").read_text() == digest


@pytest.mark.parametrize("name", ["mine.py", "helper.py"])
def test_another_file_is_refused_by_its_name_and_gone_on_with_where_this_is_accepted(
    here: Path, name: str
) -> None:
    unfinish()
    path = Path("my", name)
    old = {"mine.py": "jnp.sum(G.params", "helper.py": "SCALE = 1"}[name]
    new = {"mine.py": "2 * jnp.sum(G.params", "helper.py": "SCALE = 2"}[name]
    path.write_text(path.read_text().replace(old, new))
    copy, x = everything(Path("run/experiment")), samples()
    assert f"the experiment's file has changed since: {here / path}" in refusal("resume", "run")
    status, _, err = call("resume", "run", "--quiet", "--accept-changes")
    assert (status, err.count("\n")) == (0, 1)
    assert f"experiment another {name}" in err
    entry = json.loads(Path("run/changes.jsonl").read_text().splitlines()[0])
    assert (entry["step"], entry["changed"]["experiment"]) == (2, f"another {name}")
    assert set(entry["files"]) == {"experiment.1/mine.py", "experiment.1/helper.py"}
    assert everything(Path("run/experiment")) == copy
    unfinish()
    assert call("resume", "run", "--quiet") == (0, "", "") or name == "helper.py"
    shutil.rmtree("my")
    assert samples().shape == x.shape


def test_other_data_are_refused_and_gone_on_with_where_this_is_accepted(here: Path) -> None:
    unfinish()
    np.savez("points.npz", x=np.load("points.npz")["x"] + 1)
    assert "run: data: other bytes than it was played on" in refusal("resume", "run", "--quiet")
    status, _, err = call("resume", "run", "--quiet", "--accept-changes")
    assert (status, err.count("\n")) == (0, 1)
    assert "data other bytes" in err
    unfinish()
    assert call("resume", "run", "--quiet") == (0, "", "")
    assert json.loads(Path("run/digest.json").read_text())["changes"][0]["step"] == 2


def test_what_differs_between_a_run_and_what_is_asked_for_is_named(here: Path) -> None:
    record = read_record(Path("run"))
    assert origin.differences(Path("run"), record, record) == ""
    other = replace(record, options=record.options | {"lr": 0.5}, seeds=[0, 1], data="x")
    assert origin.differences(Path("run"), record, other) == "lr 0.1, seeds [0], other data"
    commented = replace(record, sha="x")
    Path("my/mine.py").write_text(TEXT + "# a comment")
    assert origin.differences(Path("run"), record, commented) == ""
    Path("my/mine.py").write_text(TEXT + "SCALE = 3")
    assert origin.differences(Path("run"), record, commented) == "another file of the experiment"


def test_a_folder_of_an_older_version_goes_on_and_is_sampled(here: Path) -> None:
    x, digest = samples(), Path("run/digest.json").read_text()
    storage.write_json(Path("run/options.json"), replace(read_record(Path("run")), files={}).fields)
    shutil.rmtree("run/experiment")
    Path("run/data.npz").unlink()
    assert (samples() == x).all()
    unfinish()
    assert call("resume", "run", "--quiet") == (0, "", "")
    assert Path("run/digest.json").read_text() == digest
    Path("my/mine.py").write_text(TEXT + "SCALE = 3\n")
    unfinish()
    assert "the experiment's file has changed since" in refusal("resume", "run")
    assert "the experiment's file has changed since" in refusal("sample", "run", "--out", "z.npz")


def test_a_finished_run_is_played_longer_to_the_bits_of_a_long_one(here: Path) -> None:
    assert call("run", "my/mine.py", *ARGS, "--steps=6", "--out", "long") == (0, "", "")
    wanted = json.loads(Path("long/digest.json").read_text())
    assert "--steps takes more; got 3" in refusal("resume", "run", "--steps", "3")
    assert call("resume", "run", "--steps", "6", "--quiet") == (0, "", "")
    got = json.loads(Path("run/digest.json").read_text())
    assert (got["params"], got["steps"]) == (wanted["params"], 6)
    assert json.loads(Path("run/digest.4.json").read_text())["steps"] == 4
    assert call("resume", "run", "--quiet") == (0, "", "")
    assert samples().shape == (5, 1)


def test_an_evaluation_that_fails_loses_nothing_and_is_tried_again(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = json.loads(Path("run/digest.json").read_text())
    end = '    return {"mean"'
    text = TEXT.replace(
        end, f"    if Path('broken').exists():\n        raise KeyError('a judge')\n{end}"
    )
    assert text != TEXT
    Path("my/mine.py").write_text(text)
    Path("broken").touch()
    for command in (["run", "my/mine.py", *ARGS, "--out", "b"], ["resume", "b", "--quiet"]):
        status, _, err = call(*command)
        assert (status, err.count("\n")) == (1, 1)
        assert "b: it cannot be evaluated: KeyError: 'a judge'; the last state" in err
        rows = storage.read_rows(Path("b/metrics.jsonl"))
        assert [row["step"] for row in rows] == [2, 4]
        assert "slope" in rows[-1]
        assert {"curves.png", "samples.png"} == {p.name for p in Path("b/figures").iterdir()}
        assert Path("b/checkpoints/4").is_dir()
        assert not Path("b/digest.json").exists()
    Path("broken").unlink()
    runs = []
    monkeypatch.setattr(play, "run", lambda *args: runs.append(args))
    assert call("resume", "b", "--quiet") == (0, "", "")
    assert runs == []
    assert json.loads(Path("b/digest.json").read_text()) == wanted


@pytest.mark.parametrize("moment", ["append_rows", "metrics_digest"])
def test_stopped_while_it_is_evaluated_it_goes_on_with_the_last_state(
    here: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Before the last rows are written, and after."""
    wanted = json.loads(Path("run/digest.json").read_text())
    save, real = checkpoint.Checkpoints.save, getattr(storage, moment)

    def saved(self: checkpoint.Checkpoints, *args: Any) -> None:
        save(self, *args)
        self.wait()

    def stopped(*args: Any) -> Any:
        if any(row["step"] == 4 for row in args[-1]):
            raise KeyboardInterrupt
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.Checkpoints, "save", saved)
        patch.setattr(storage, moment, stopped)
        assert call("run", "my/mine.py", *ARGS, "--out", "stopped")[0] == 130
    monkeypatch.setattr(play, "run", lambda *_: pytest.fail("it was played"))
    assert call("resume", "stopped", "--quiet") == (0, "", "")
    assert json.loads(Path("stopped/digest.json").read_text()) == wanted


def test_figures_that_cannot_be_written_are_status_1_and_drawn_again(here: Path) -> None:
    Path("run/digest.json").unlink()
    digest = json.loads(Path("run/options.json").read_text())["digest"]
    shutil.rmtree("run/figures")
    Path("run/figures").write_text("in the way")
    status, out, err = call("resume", "run", "--quiet")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "run/figures/curves.png cannot be written" in err
    Path("run/figures").unlink()
    assert call("resume", "run", "--quiet") == (0, "", "")
    assert json.loads(Path("run/options.json").read_text())["digest"] == digest
    assert Path("run/figures/samples.png").is_file()


def test_a_sample_that_cannot_be_written_whole_leaves_nothing(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: Any, **_: Any) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    def full_figure(_: Any, path: Path, **__: Any) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full_figure)
    before = everything()
    for name in ("z.npz", "z.png"):
        told = f"ganjax: {name} cannot be written: No space left on device\n"
        assert call("sample", "run", "--out", name) == (1, "", told)
    monkeypatch.undo()
    monkeypatch.chdir(here)
    calls = iter(range(9))

    def third(x: np.ndarray, path: Path) -> None:
        if next(calls) == 2:
            raise OSError(28, "No space left on device")
        path.write_text("whole")

    experiment = Experiment(lambda _: None, None, {"x": np.zeros((2, 1))}, files={".txt": third})  # type: ignore[arg-type,return-value]
    with pytest.raises(ValueError, match="new cannot be written"):
        written.write(experiment, np.zeros((5, 1)), "new/")
    assert everything() == before


def test_a_module_of_another_folder_under_the_same_name_is_not_taken(tmp_path: Path) -> None:
    for number in (1, 2):
        place = tmp_path / str(number)
        place.mkdir()
        (place / "helper.py").write_text(f"SCALE = {number}\n")
        (place / "mine.py").write_text(TEXT)
        assert number == discovery.File(place / "mine.py").module.SCALE


def test_an_experiment_that_opens_files_itself_says_so(here: Path) -> None:
    text = TEXT.replace('find(o.data).load()["x"]', "np.load(Path(o.note))['x']")
    Path("my/mine.py").write_text(text)
    note = str(here / "points.npz")
    assert call("run", "my/mine.py", *ARGS, "--note", note, "--out", "own") == (0, "", "")
    Path("points.npz").unlink()
    said = refusal("sample", "own", "--out", "z.npz")
    assert "own cannot be sampled, as" in said
    assert "opens files itself" in said
