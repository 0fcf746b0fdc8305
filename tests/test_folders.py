"""A run's folder stands alone: it is sampled without its data and its file, it says what differs
where it goes on, and what a stranger's folder brings is not run unasked.
"""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from runs import TINY, call, everything

from ganjax import data, play
from ganjax.data import domains, music
from ganjax.data.kept import Record, recording, standing_in
from ganjax.experiment import Experiment
from ganjax.figures import style
from ganjax.runs import checkpoint, discovery, origin, population, storage, train, written
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
        lambda: file.rename("moved.py"),
        lambda: Path("moved.py").unlink(),
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
        self._wait()

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


def centred(key: jax.Array, n: int) -> jax.Array:
    """Samples that depend on all that are drawn together, as under batch norm; the last entry is
    the class.
    """
    x = jax.random.normal(key, (n, 3))
    return (x - x.mean(0)).at[:, 2].set(jnp.arange(n) % 7)


def test_sample_i_is_the_same_whatever_their_number_and_classes_take_turns() -> None:
    state: Any = type("State", (), {"key": jax.random.key(0)})
    labels = {"x": np.zeros((9, 3), np.float32), "label": np.arange(9) % 7}
    experiment = Experiment(lambda _: None, None, labels, centred)  # type: ignore[arg-type,return-value]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(play, "bound", lambda *_: {})
        patch.setattr(play, "template", lambda *_: None)
        patch.setitem(experiment.__dict__, "played", None)
        drawn = {n: population.sample(experiment, None, state, n) for n in (1, 64, 300)}  # type: ignore[arg-type]
        few = replace(experiment, sample=lambda key, n: centred(key, min(n, 64)), data={})
        patch.setitem(few.__dict__, "played", None)
        assert len(population.sample(few, None, state, 100)) == 64  # type: ignore[arg-type]
    for n, x in drawn.items():
        assert len(x) == n
        assert (x == drawn[300][:n]).all()
        assert (x[:, 2] == np.arange(n) % 7).all()
    assert len(np.unique(drawn[300][:, 0])) == 300


def test_a_picture_shows_all_samples_or_says_how_many(tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((100, 4, 4, 1), np.float32)
    images = Experiment(lambda _: None, None, {"x": x}, centred)  # type: ignore[arg-type,return-value]
    sizes = []
    for n in (64, 100):
        assert written.write(images, x[:n], str(tmp_path / f"{n}.PNG")) is None
        with Image.open(tmp_path / f"{n}.PNG") as picture:
            sizes.append(np.asarray(picture))
    columns = [np.sum((sheet[5, :-1] != sheet[5, 1:]).any(-1)) for sheet in sizes]
    assert sizes[0].shape != sizes[1].shape or columns[0] != columns[1]
    own = replace(images, picture=lambda _, x: style.panel((1, 1))[0], pictured=8)
    assert "makes 100 samples, not 101" in (
        written.write(images, x, str(tmp_path / "x.npz"), 101) or ""
    )
    said = written.write(own, x, str(tmp_path / "own.png"))
    assert said is not None
    assert "shows the first 8 of 100 samples" in said
    assert written.number_of_samples(own, "x.png", None) == 8


def test_what_is_kept_of_data_has_their_shapes_and_the_examples_that_samples_are_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (900, 24, 24, 3), np.uint8)
    np.savez("set.npz", x=x, label=np.arange(900) % 3)
    name = "set.npz"

    def found(name: str) -> tuple[Any, ...]:
        splits = data.find_splits(name)
        return splits.train, splits.train.load(), domains.domains_of(name, "edge", together=True)

    with recording() as record:
        known, arrays, pairs = found(name)
    assert record.paths == {name}
    kept = record.to_bytes()
    assert len(kept) < x.nbytes
    Path(name).unlink()
    monkeypatch.chdir("/")
    with standing_in(Record.from_bytes(kept)):
        again, stand_in, other = found(str(tmp_path / name))
    assert (again.shape, again.classes, again.examples) == (known.shape, 3, 900)
    assert {n: (v.shape, v.dtype) for n, v in stand_in.items()} == {
        n: (v.shape, v.dtype) for n, v in arrays.items()
    }
    assert (stand_in["label"] == arrays["label"]).all()
    assert (stand_in["x"][:16] == x[:16]).all()
    assert other.paired == pairs.paired
    for part in ("train", "test"):
        for side in ("x", "y"):
            a, b = (getattr(each, part)[side] for each in (pairs, other))
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            assert part == "train" or (a[:64] == b[:64]).all()
    with pytest.raises(ValueError, match="there is no"):
        data.find(str(tmp_path / name))


def test_built_in_data_are_not_kept_and_music_is(tmp_path: Path) -> None:
    with recording() as record:
        data.find("ring").load()
        data.find("digits").load()
        music.find("walks")
    assert record.calls == {}
    pieces = music.find("walks")
    with recording() as record:
        noted = record.note(pieces, "0")
    back = record.value(json.loads(json.dumps(noted)))
    assert all((a == b).all() for a, b in zip(back, pieces, strict=True))
    with pytest.raises(ValueError, match="no record of data"):
        Record.from_bytes(b"PK")


def test_modules_beside_a_file_are_found_through_each_other(tmp_path: Path) -> None:
    texts = {
        "mine.py": "import os, one.two\nfrom three import X\ndef f():\n    import late\n",
        "one/__init__.py": "",
        "one/two.py": "from . import four\nfrom ..five import Y",
        "one/four.py": "import three",
        "three.py": "import mine",
        "late.py": "not python (",
        "five.py": "",
        "unused.py": "",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    names = {str(p.relative_to(tmp_path)) for p in discovery.beside(tmp_path / "mine.py")}
    assert names == {
        "one/__init__.py",
        "one/two.py",
        "one/four.py",
        "three.py",
        "late.py",
        "five.py",
    }
    copies = origin.copies(discovery.File(tmp_path / "mine.py"))
    assert next(iter(copies)) == "experiment/mine.py"
    assert {name.removeprefix("experiment/") for name in copies} == {*names, "mine.py"}


def test_a_module_of_another_folder_under_the_same_name_is_not_taken(tmp_path: Path) -> None:
    for number in (1, 2):
        place = tmp_path / str(number)
        place.mkdir()
        (place / "helper.py").write_text(f"SCALE = {number}\n")
        (place / "mine.py").write_text(TEXT)
        assert number == discovery.File(place / "mine.py").module.SCALE


def test_the_code_of_a_file_is_all_but_comments_docstrings_and_formatting(tmp_path: Path) -> None:
    path = tmp_path / "x.py"

    def code(text: str) -> str:
        path.write_text(text)
        return origin.code(path)

    plain = code("def f(x):\n    return x + 1\n")
    assert code('"""About."""\n\n# Why\ndef f( x ):\n    "What"\n    return (x+1)') == plain
    assert code("def f(x):\n    return x + 2\n") != plain
    assert code("def f(x) return") != plain


def test_an_experiment_that_opens_files_itself_says_so(here: Path) -> None:
    text = TEXT.replace('find(o.data).load()["x"]', "np.load(Path(o.note))['x']")
    Path("my/mine.py").write_text(text)
    note = str(here / "points.npz")
    assert call("run", "my/mine.py", *ARGS, "--note", note, "--out", "own") == (0, "", "")
    Path("points.npz").unlink()
    said = refusal("sample", "own", "--out", "z.npz")
    assert "own cannot be sampled, as" in said
    assert "opens files itself" in said


def test_train_says_what_went_wrong_with_its_type() -> None:
    assert train.told(ValueError("wrong")) == "wrong"
    assert train.told(KeyError("x")) == "KeyError: 'x'"
