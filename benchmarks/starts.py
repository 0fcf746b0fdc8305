"""How long does a run take to its first measured step, compiled anew and compiled before?

    python benchmarks/starts.py gan dcgan cyclegan --starts 3 --out starts.json

Each start is a process of its own, `ganjax run NAME --quick --steps 2 --every 1`, until its first
line of metrics is there, and to its end, when it has evaluated, saved and drawn. The cache of
compiled programs is empty at the first. Options go with the name: "gan --k 5".
"""

import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import timing

from ganjax.runs.arguments import Parser, integer


def start(words: Sequence[str], out: Path, cache: Path) -> tuple[float, float]:
    """Seconds from the start of a process to its first measurement, and to its end. Raises
    ValueError with its last line if it fails.
    """
    command = [
        sys.executable,
        "-m",
        "ganjax",
        "run",
        *words,
        "--quick",
        "--steps",
        "2",
        "--every",
        "1",
        "--quiet",
        "--out",
        str(out),
    ]
    metrics, step = out / "metrics.jsonl", 0.0
    began = time.perf_counter()
    with subprocess.Popen(
        command, env=os.environ | {"XDG_CACHE_HOME": str(cache)}, stderr=subprocess.PIPE, text=True
    ) as process:
        while process.poll() is None and not step:
            step = (
                time.perf_counter() - began if metrics.exists() and metrics.stat().st_size else 0.0
            )
            time.sleep(0.01)
        _, said = process.communicate()
    if process.returncode:
        raise ValueError((said.strip() or "the run failed").splitlines()[-1])
    return step, time.perf_counter() - began


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
    parser.add_argument(
        "--out", type=Path, help="write the numbers there, as a .json or into a folder"
    )
    args = parser.parse(argv)
    rows = []
    for game in args.games:
        with tempfile.TemporaryDirectory() as folder:
            at = Path(folder)
            first, *later = [
                start(shlex.split(game), at / str(i), at / "cache") for i in range(args.starts)
            ]
        steps, ends = zip(*later)
        row = {
            "game": game,
            "first s": first[0],
            "later s": statistics.median(steps),
            "low": min(steps),
            "high": max(steps),
        }
        rows.append(row | {"end, first s": first[1], "end, later s": statistics.median(ends)})
    on = timing.machine()
    print(timing.question(__doc__))
    print(f"{on['device']}, {on['cores']} cores, JAX {on['jax']}", end="; ")
    print(f"medians of {args.starts - 1} later starts")
    print(timing.table(rows))
    timing.write(args.out, {"question": timing.question(__doc__), "machine": on, "rows": rows})


if __name__ == "__main__":
    timing.script(main)
