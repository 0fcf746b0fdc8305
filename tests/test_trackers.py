"""Rows are told as they are written, and no run depends on who listens."""

import json
import sys
from pathlib import Path

import pytest
from runs import TINY, call

from ganjax.runs import storage

KEPT = """
import json

def on_metrics(row):
    with open({path!r}, "a") as file:
        file.write(json.dumps(row) + "\\n")
    row["D"] = 0.0
"""


def run(*more: object) -> tuple[int, str, str]:
    return call("run", TINY, "--every", 5, "--seeds", 2, "--quiet", *more)


def test_each_row_is_told_once_and_cannot_be_changed(tmp_path: Path) -> None:
    """Would catch: a user's function that changes the rows, and so the digest; event files with the
    numbers of another seed or step."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    told, file = tmp_path / "told", tmp_path / "log.py"
    file.write_text(KEPT.format(path=str(told)))
    followed = tmp_path / "followed"
    assert run("--out", followed, "--log-to", file, "--tensorboard")[0::2] == (0, "")
    assert storage.read_digest(followed)["steps"] == 20  # and it fits the rows
    rows = storage.read_rows(followed / "metrics.jsonl")
    assert [json.loads(line) for line in told.read_text().splitlines()] == rows
    for seed in range(2):
        events = EventAccumulator(str(followed / "tensorboard" / f"seed-{seed}"))
        events.Reload()
        found = {e.step: make_ndarray(e.tensor_proto).item() for e in events.Tensors("slope")}
        assert found == {row["step"]: row["slope"] for row in rows if row["seed"] == seed}


def test_a_listener_that_fails_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "log.py"
    file.write_text("def on_metrics(row):\n    raise KeyError('no such board')\n")
    status, _, err = run("--out", tmp_path / "run", "--log-to", file)
    assert status == 0
    assert err.count("\n") == 1
    assert "no more rows are told to on_metrics, it failed: KeyError: 'no such board'" in err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "there is no log.py: --log-to takes a file that defines on_metrics(row)"),
        ("import nowhere_at_all", "log.py cannot be imported: ModuleNotFoundError"),
        ("on_metric = print", "log.py defines no on_metrics"),
    ],
)
def test_a_wrong_file_is_refused_before_anything_is_made(
    text: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path("log.py").write_text(text)
    status, out, err = run("--out", "run", "--log-to", "log.py")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert not Path("run").exists()


def test_without_tensorboard_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard.summary", None)
    status, _, err = run("--out", tmp_path / "run", "--tensorboard")
    assert status == 2
    assert err == "ganjax: --tensorboard needs TensorBoard: pip install 'ganjax[tensorboard]'\n"
    assert not (tmp_path / "run").exists()
