"""What is kept of data and of code, and samples that do not depend on their number."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from ganjax import data, play
from ganjax.data import domains, music
from ganjax.data.kept import Record, recording, standing_in
from ganjax.experiment import Experiment
from ganjax.figures import style
from ganjax.runs import discovery, drawing, origin, population, written


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


def test_the_code_of_a_file_is_all_but_comments_docstrings_and_formatting(tmp_path: Path) -> None:
    path = tmp_path / "x.py"

    def code(text: str) -> str:
        path.write_text(text)
        return origin.code(path)

    plain = code("def f(x):\n    return x + 1\n")
    assert code('"""About."""\n\n# Why\ndef f( x ):\n    "What"\n    return (x+1)') == plain
    assert code("def f(x):\n    return x + 2\n") != plain
    assert code("def f(x) return") != plain


def test_train_says_what_went_wrong_with_its_type() -> None:
    assert drawing.told(ValueError("wrong")) == "wrong"
    assert drawing.told(KeyError("x")) == "KeyError: 'x'"
