"""Plays the tables of a queue, the most valuable first, several at once, within some minutes."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ganjax.runs.arguments import Parser, integer
from ganjax.tables.checking import check
from ganjax.tables.claims import read_claims

QUEUE = "queue.txt"
LEAST_S = 20  # no table is begun with less time than this
STOPPED = (130, 143, -2, -9, -15)  # by SIGINT, SIGTERM or SIGKILL
GRACE_S = 20  # a table that is stopped has this long to save


@dataclass(frozen=True)
class Line:
    """A table with options, and about how many minutes it takes."""

    number: int
    words: tuple[str, ...]  # as `ganjax reproduce` takes them
    minutes: float

    @property
    def command(self) -> str:
        """What plays it alone."""
        return "ganjax reproduce " + shlex.join(self.words)

    @property
    def folder(self) -> str:
        """The name of its folder. Lines that differ in their rows alone share one."""
        words, rows = [], False
        for word in self.words:
            rows = word == "--rows" or (rows and not word.startswith("--"))
            words += [] if rows else [word]
        return re.sub(r"[^a-z0-9._]+", "-", " ".join(words).lower()).strip("-")


def lines(path: Path) -> list[Line]:
    """The lines of a queue: `TABLE [OPTION …]  # MINUTES`. Raises ValueError, one line, for others.

    Empty lines, and those that begin with #, are passed over. Of a .toml the commands of its
    claims, each once.
    """
    if path.suffix == ".toml":
        minutes_of = {claim.play: claim.minutes for claim in reversed(read_claims(path))}
        plays = enumerate(reversed(minutes_of), 1)
        return [Line(i, tuple(shlex.split(play)), minutes_of[play]) for i, play in plays]
    found = []
    for number, text in enumerate(path.read_text("utf-8").splitlines(), 1):
        words, _, minutes = text.partition("#")
        if not words.strip():
            continue
        try:
            found.append(Line(number, tuple(shlex.split(words)), float(minutes)))
        except ValueError as error:
            wanted = "a table with options, then # and its minutes"
            raise ValueError(f"{path}, line {number}: {wanted}; got {text.strip()!r}") from error
    return found


@dataclass
class Played:
    """A line's process."""

    line: Line
    log: Path
    began: float
    process: subprocess.Popen[bytes]
    output: IO[bytes]

    def ended(self) -> int | None:
        """Its exit status, when there is one."""
        status = self.process.poll()
        if status is not None:
            self.output.close()
        return status


def play(argv: Sequence[str], queues: Sequence[Path]) -> int:
    """`ganjax reproduce all`: the exit status, 1 where a table failed.

    What is finished is not played again, and what was stopped goes on. A table is stopped as by
    SIGTERM, so it saves; SIGTERM or SIGINT here stops all. Raises ValueError without a queue.
    """
    if "--check" in argv:
        return check(argv, [queue.parent for queue in queues])
    about = "Plays the tables of a queue in its order, stops in time, and goes on at the next call."
    parser = Parser(prog="ganjax reproduce all", description=about)
    parser.add_argument("all")
    parser.add_argument("--within", type=float, required=True, metavar="MINUTES", help="stop then")
    parser.add_argument("--out", type=Path, required=True, help="folder of the tables' folders")
    how = "tables that are played side by side (1); on a GPU small games leave it idle"
    parser.add_argument("--at-once", type=integer(1, 65), default=1, help=how)
    how = "`TABLE [OPTION …]  # MINUTES` a line, or claims in a .toml (experiments/queue.txt)"
    parser.add_argument("--queue", type=Path, help=how)
    parser.add_argument("--quick", action="store_true", help="a hundredth of each table's steps")
    parser.add_argument("--data-dir", help="where prepared data sets are")
    how = "with --quick: compare digests of every experiment (--check --help)"
    parser.add_argument("--check", action="store_true", help=how)
    args = parser.parse(argv)
    places = [args.queue] if args.queue else [path for path in queues if path.is_file()]
    if not places or not places[0].is_file():
        raise ValueError(f"there is no queue {args.queue or QUEUE}")
    end = time.monotonic() + 60 * args.within
    more = ["--quick"] if args.quick else []
    if args.data_dir:  # not every experiment has the option
        os.environ["TFDS_DATA_DIR"] = args.data_dir
    waiting = lines(places[0])
    args.out.mkdir(parents=True, exist_ok=True)
    with _sooner(end) as ends:
        status = _played(waiting, args.out, more, ends, args.at_once)
    (args.out / "queue.json").write_text(json.dumps(status, indent=1) + "\n", "utf-8")
    return int(any(row["status"] == "failed" for row in status))


@contextmanager
def _sooner(end: float) -> Iterator[Callable[[], float]]:
    """When the time is over: at the end, or once a signal and what it takes to save have come."""
    ends = [end]

    def over(*_: object) -> None:
        ends[0] = min(ends[0], time.monotonic() + GRACE_S - 1)

    kinds = (signal.SIGINT, signal.SIGTERM)
    old = {kind: signal.signal(kind, over) for kind in kinds}
    try:
        yield lambda: ends[0]
    finally:
        for kind, handler in old.items():
            signal.signal(kind, handler)


def _played(
    waiting: list[Line], out: Path, more: list[str], ends: Callable[[], float], at_once: int
) -> list[dict[str, str | float]]:
    """What became of each line: done, stopped, waits or failed, with its seconds."""
    told: dict[Line, dict[str, str | float]] = {
        line: {"command": line.command, "status": "waits", "seconds": 0.0} for line in waiting
    }
    running: list[Played] = []
    stopped = False
    while waiting or running:
        left = ends() - time.monotonic()
        for one in [one for one in running if one.ended() is not None]:
            running.remove(one)
            code = one.process.returncode
            word = "done" if code == 0 else "stopped" if code in STOPPED else "failed"
            told[one.line] |= {"status": word, "seconds": round(time.monotonic() - one.began, 1)}
            print(f"{word:<8} {told[one.line]['seconds']:>6} s  {one.line.command}", flush=True)
            if word == "failed":
                last = one.log.read_text("utf-8", "replace").strip().splitlines()[-1:]
                print(f"         {one.log}: {''.join(last)}", flush=True)
        if left < LEAST_S:
            waiting = []
        if left < 0:
            for one in running:
                one.process.kill()
        elif left < GRACE_S and not stopped:
            stopped = True
            for one in running:
                one.process.terminate()
        elif waiting and len(running) < at_once:
            running.append(_begin(waiting.pop(0), out, more, at_once))
        else:
            time.sleep(min(0.2, max(left, 0.05)))
    for line, row in told.items():
        if row["status"] == "waits":
            print(f"waits    {60 * line.minutes:>6.0f} s  {line.command}", flush=True)
    return list(told.values())


def _begin(line: Line, out: Path, more: list[str], at_once: int) -> Played:
    """Starts a line."""
    folder = out / line.folder
    folder.mkdir(exist_ok=True)
    log = folder / f"log-{line.number}.txt"
    environment = dict(os.environ)
    if at_once > 1:  # each takes what it needs of the device's memory, not three quarters
        environment.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    command = [sys.executable, "-m", "ganjax", "reproduce", *line.words, *more]
    output = log.open("ab")
    process = subprocess.Popen(
        [*command, "--out", str(folder), "--quiet"],
        stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment,
    )  # fmt: skip
    return Played(line, log, time.monotonic(), process, output)
