"""How long does a run take to its first measured step, compiled anew and compiled before?

    python benchmarks/starts.py gan dcgan cyclegan --starts 3 --out starts.json

Each start is a process of its own, `ganjax run NAME --quick --steps 2 --every 1`, until its first
line of metrics is there, and to its end, when it has evaluated, saved and drawn. The cache of
compiled programs is empty at the first. Options go with the name: "gan --k 5". Core seconds are
those that all threads of the process had a processor core: what others do on the machine changes
them less. Python keeps its byte code in a folder of the benchmark's, which a start that is not
counted has filled: as in an installation that was used before, whatever PYTHONDONTWRITEBYTECODE
says here. With `--against PATH`, another checkout of ganjax, its starts alternate with these.
"""

import itertools
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import timing

from ganjax.runs.arguments import Parser, integer

RUN = ("--quick", "--steps", "2", "--every", "1", "--quiet")


class Start(NamedTuple):
    """Seconds from the start of a process, and those of all cores for it."""

    step: float  # to its first measurement
    step_core: float | None  # None where the system does not tell
    end: float
    end_core: float


def start(
    words: Sequence[str], out: Path, cache: Path, byte_code: Path, checkout: Path | None = None
) -> Start:
    """A start of a process. Raises ValueError with its last line if it fails."""
    own = environment(cache, byte_code, checkout)
    command = [sys.executable, "-m", "ganjax", "run", *words, *RUN, "--out", str(out)]
    metrics, step, core = out / "metrics.jsonl", 0.0, None
    before, began = os.times(), time.perf_counter()
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(command, env=own, cwd=checkout, stdout=said, stderr=said) as process,
    ):
        while process.poll() is None and not step:
            if metrics.exists() and metrics.stat().st_size:
                step, core = time.perf_counter() - began, core_seconds(process.pid)
            time.sleep(0.01)
        status, end, after = process.wait(), time.perf_counter() - began, os.times()
        if status:
            said.seek(0)
            raise ValueError((said.read().strip() or "the run failed").splitlines()[-1])
    worked = [t.children_user + t.children_system for t in (before, after)]
    return Start(step, core, end, worked[1] - worked[0])


def core_seconds(pid: int) -> float | None:
    """What a process had of the cores so far; None where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None


def environment(cache: Path, byte_code: Path, checkout: Path | None) -> dict[str, str]:
    """That of a process; with a checkout it runs that one, and its experiments."""
    own = {name: v for name, v in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    own |= {"XDG_CACHE_HOME": str(cache), "PYTHONPYCACHEPREFIX": str(byte_code)}
    paths = [str(checkout), own.get("PYTHONPATH", "")]
    return own | ({"PYTHONPATH": os.pathsep.join(filter(None, paths))} if checkout else {})


def row(name: str, starts: Sequence[Start]) -> timing.Row:
    """The first start and the medians of the later ones."""
    first, *later = starts
    steps = [each.step for each in later]
    core = [each.step_core for each in later if each.step_core is not None]
    return {
        "game": name,
        "first s": first.step,
        "later s": statistics.median(steps),
        "low": min(steps),
        "high": max(steps),
        "core s": statistics.median(core) if core else None,
        "end, first s": first.end,
        "end, later s": statistics.median(each.end for each in later),
        "end, core s": statistics.median(each.end_core for each in later),
    }


def main(argv: Sequence[str]) -> None:
    """Starts each game some times."""
    parser = Parser(description=timing.question(__doc__))
    parser.add_argument(
        "games",
        nargs="*",
        default=["gan", "mad_gan", "gman", "dcgan", "cyclegan"],
        help="an experiment and its options",
    )
    parser.add_argument(
        "--starts", type=integer(2), default=4, help="the first and so many less one (4)"
    )
    parser.add_argument("--against", type=Path, help="another checkout of ganjax")
    parser.add_argument(
        "--out", type=Path, help="write the numbers there, as a .json or into a folder"
    )
    args = parser.parse(argv)
    checkouts = {
        "": None,
        **({f", {args.against}": args.against.resolve()} if args.against else {}),
    }
    rows: list[timing.Row] = []
    with tempfile.TemporaryDirectory() as place:
        byte_code = Path(place) / "byte code"
        for game in args.games:
            words, found = shlex.split(game), {name: list[Start]() for name in checkouts}
            for i, (name, checkout) in itertools.product(range(args.starts), checkouts.items()):
                cache = Path(place) / f"{len(rows)}{name and ' of the other'}"
                if not rows and not i:  # byte code is written
                    start(words, cache / "not counted", cache / "other", byte_code, checkout)
                found[name].append(start(words, cache / f"run {i}", cache, byte_code, checkout))
            rows += [row(f"{game}{name}", starts) for name, starts in found.items()]
    on = timing.machine()
    print(timing.question(__doc__))
    print(f"{on['device']}, {on['cores']} cores, JAX {on['jax']}", end="; ")
    print(f"medians of {args.starts - 1} later starts")
    print(timing.table(rows))
    timing.write(args.out, {"question": timing.question(__doc__), "machine": on, "rows": rows})


if __name__ == "__main__":
    timing.script(main)
