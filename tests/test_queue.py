"""A queue of tables is played in its order, stops in time, and goes on."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from runs import TINY, call

from ganjax.tables import queue

QUEUE = """# as it is written
tiny/pair --rows wide --steps 3  # 1

tiny/none  # 2.5
"""


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("experiments").mkdir()
    Path("experiments/tiny.py").write_text(TINY.read_text())


def test_a_queue_is_played_side_by_side_and_its_failures_are_said() -> None:
    Path("experiments/queue.txt").write_text(QUEUE)
    words = ("reproduce", "all", "--out", "tables")
    status, out, _ = call(*words, "--within", "0.2")  # minutes: too few to begin
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == ["waits", "waits"]
    assert not list(Path("tables").glob("tiny*"))

    status, out, _ = call(*words, "--within", "4", "--at-once", "2")
    told = {
        row["command"]: row["status"] for row in json.loads(Path("tables/queue.json").read_text())
    }
    assert status == 1
    assert told == {
        "ganjax reproduce tiny/pair --rows wide --steps 3": "done",
        "ganjax reproduce tiny/none": "failed",
    }
    assert "there is no table tiny/none" in out
    made = json.loads(Path("tables/tiny-pair-steps-3/table.json").read_text())
    assert list(made["rows"]) == ["wide"]


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_tables_and_begins_no_other(
    kind: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("queue").write_text("a/b # 1\nc/d # 1")
    begun = []

    def begin(line: queue.Line, *_: Any) -> queue.Played:
        begun.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]))
        os.kill(os.getpid(), kind)
        return queue.Played(line, Path("log"), 0.0, begun[-1], Path("log").open("ab"))

    monkeypatch.setattr(queue, "_begin", begin)
    handler = signal.getsignal(kind)
    status, out, _ = call("reproduce", "all", "--within", "9", "--out", "o", "--queue", "queue")
    assert (status, [line.split()[0] for line in out.splitlines()]) == (0, ["stopped", "waits"])
    assert [process.poll() for process in begun] == [-signal.SIGTERM]
    assert signal.getsignal(kind) == handler


def test_lines_that_differ_in_their_rows_alone_share_a_folder() -> None:
    Path("queue").write_text("a/b --rows 'x, y' z --k 2 # 1\na/b --k 2 --rows w # 2\na/b --k 3 # 1")
    lines = queue.lines(Path("queue"))
    assert [line.folder for line in lines] == ["a-b-k-2", "a-b-k-2", "a-b-k-3"]
    assert lines[0].words == ("a/b", "--rows", "x, y", "z", "--k", "2")
    assert [(line.number, line.minutes) for line in lines] == [(1, 1), (2, 2), (3, 1)]


@pytest.mark.parametrize("text", ["a/b", "a/b # soon", "a/b 'c # 1"])
def test_a_line_without_its_minutes_is_refused(text: str) -> None:
    Path("queue.txt").write_text("\n" + text)
    status, _, err = call("reproduce", "all", "--within", "1", "--out", "o", "--queue", "queue.txt")
    wanted = (
        f"ganjax: queue.txt, line 2: a table with options, then # and its minutes; got {text!r}\n"
    )
    assert (status, err) == (2, wanted)
    missing = call("reproduce", "all", "--within", "1", "--out", "o", "--queue", "none")
    assert missing == (2, "", "ganjax: there is no queue none\n")
    assert not Path("o").exists()
