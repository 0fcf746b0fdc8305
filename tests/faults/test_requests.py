"""No command line, however wrong, ends in a traceback or leaves anything behind."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runs import TINY, call, everything, read_once

from ganjax.runs import train

# No dot and no slash: a path stays inside the test's folder.
words = st.text(st.characters(exclude_characters="/~."), max_size=12)
COMMON = ["seed", "seeds", "lanes", "every", "save-every", "precision", "fast", "no-cache", "quiet"]
COMMON += ["quick", "out", "overwrite", "help", "devices", "data-dir", "accept-changes", "restart"]
COMMON += ["n", "rows", "on-divergence", "mesh", "coordinator", "process-id"]
OWN = ["payoff", "steep", "lr", "width", "averaged", "note", "batch", "data", "size", "crop"]
NEAR = ["0", "1", "2", "-1", "1e3", "nan", "inf", "ring", "hinge", "float32", "vmap", "sequential"]
NEAR += [
    "data=2",
    "lanes=0",
    "a:1",
    "9" * 20,
    "--",
    "rollback",
    "x.png",
    "x.npz",
    "digits",
    "a.csv",
]
SINGLE = ["resume", "sample", "list", "reproduce", "report", "data", "bench", "run"]

flags = st.sampled_from([*COMMON, *OWN]).map("--{}".format)
values = words | st.sampled_from(NEAR)
rests = st.lists(flags | st.builds("{}={}".format, flags, values) | values, max_size=6)
commands = st.sampled_from(
    [
        ["run", str(TINY)],
        ["run", "tniy"],
        *(["data", action] for action in ("show", "list")),
        *([command] for command in SINGLE),
    ]
)

ENDED = {"steps": 1, "params": "", "metrics": ""}


def check(examples: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, int]:
    """Calls so many random command lines; how many were refused."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train, "train", lambda *_, **__: ENDED)
    read_once(monkeypatch)
    counts = {"tried": 0, "refused in one line": 0, "tracebacks": 0}

    @settings(deadline=None, max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(command=commands | st.lists(words, min_size=1, max_size=2), rest=rests)
    def one(command: list[str], rest: list[str]) -> None:
        for path in list(Path().iterdir()):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        before = everything()
        status, out, err = call(*command, *rest)
        assert status in (0, 2)
        counts["tried"] += 1
        if status == 2:
            counts["refused in one line"] += 1
            assert (out, err[:8], err.count("\n")) == ("", "ganjax: ", 1)
            assert everything() == before

    one()
    return counts


@pytest.mark.parametrize("examples", [2000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_no_request_ends_in_a_traceback(
    examples: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    count: Callable[..., None],
) -> None:
    count("command lines", **check(examples, monkeypatch, tmp_path))
