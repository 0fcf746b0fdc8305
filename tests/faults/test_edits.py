"""No edit of a run's three JSON files changes in silence what is called its result."""

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runs import TINY, call, signalled

from ganjax.runs import storage

NAMES = ("options.json", "metrics.jsonl", "digest.json")
ARGS = ["run", TINY, "--quiet", "--averaged", "--every=3", "--save-every=5"]
NONSENSE: list[Any] = [None, True, 0, -1, 7, 0.5, 1e300, "", "word", [], [1], {}, {"a": 1}]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run that is finished, and one that was stopped."""
    place = tmp_path_factory.mktemp("runs")
    assert call(*ARGS, "--out", place / "finished") == (0, "", "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "append_rows", signalled(4, 15))
        assert call(*ARGS, "--out", place / "stopped")[0] == 143
    return {name: place / name for name in ("finished", "stopped")}


def edited(text: str, kind: str, at: int, value: Any) -> str:
    """A JSON file, of one value or of one a line, with something else in it."""
    if kind == "bytes":
        place = at % len(text)
        return text[:place] + str(value) + text[place + at % 7 :]
    lines = text.splitlines()
    one = lines[0] == "{"
    entries = [json.loads(text)] if one else [json.loads(line) for line in lines]
    number = at % len(entries)
    if kind == "row removed":
        del entries[number]
    elif kind == "row doubled":
        entries.insert(number, entries[number])
    elif kind == "rows reversed":
        entries.reverse()
    else:
        field = sorted(entries[number])[at // len(entries) % len(entries[number])]
        entries[number] = copy.deepcopy(entries[number])
        if kind == "field removed":
            del entries[number][field]
        else:
            entries[number][field] = value
    if one:
        return json.dumps(entries[0] if entries else None, indent=2) + "\n"
    return "".join(json.dumps(entry) + "\n" for entry in entries)


def meaning(text: str) -> Any:
    """What a file says, but for the time of rows, which is nobody's result."""
    try:
        return [{**row, "time": 0} for row in map(json.loads, text.splitlines())]
    except (ValueError, TypeError, RecursionError):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text


@pytest.mark.parametrize("examples", [60, pytest.param(3000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("which", ["finished", "stopped"])
def test_an_edit_is_refused_in_one_line_or_changes_nothing(
    which: str,
    examples: int,
    runs: dict[str, Path],
    tmp_path: Path,
    count: Callable[..., None],
) -> None:
    counts = {"tried": 0, "refused in one line": 0, "silent": 0, "tracebacks": 0}
    names = [name for name in NAMES if (runs[which] / name).exists()]
    kinds = ["bytes", "value", "field removed", "row removed", "row doubled", "rows reversed"]

    @settings(deadline=None, max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(
        st.sampled_from(names),
        st.sampled_from(kinds),
        st.integers(0, 10**4),
        st.sampled_from(NONSENSE),
    )
    def one(name: str, kind: str, at: int, value: Any) -> None:
        text = (runs[which] / name).read_text()
        new = edited(text, kind, at, value)
        same = meaning(new) == meaning(text)
        if same and which == "stopped":
            return  # it goes on, which other tests see
        out = tmp_path / "run"
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(runs[which], out)
        (out / name).write_text(new)
        status, said, err = call("resume", out, "--quiet")
        counts["tried"] += 1
        counts["refused in one line"] += status == 2
        assert status == 2 or same or torn(text, new), (name, kind, at, value)
        if status:
            assert (status, said, err.count("\n")) == (2, "", 1)

    one()
    count("edits of JSON files", **counts)


def torn(old: str, new: str) -> bool:
    """Whether an edit only added a last line without an end, which a run cuts off."""
    return new.startswith(old) and "\n" not in new[len(old) :]
