"""How long does a run take from the command to its first step, at the first start and when it was compiled before?

    python benchmarks/starts.py gan dcgan cyclegan --starts 3 --out starts.json

Each start is a process of its own, `ganjax run NAME --quick --steps 1`, which also measures, saves and draws; the cache of compiled
programs is empty at the first. Where NAME has options of its own, write them with it: "dcgan --data mnist --width 64".
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

from ganjax.options import Parser, whole


def start(words: Sequence[str], out: Path, cache: Path) -> float:
    """Seconds of a run of one step, the whole process. Raises ValueError with its last line where it fails."""
    command = [sys.executable, "-m", "ganjax", "run", *words, "--quick", "--steps", "1", "--quiet", "--out", str(out)]
    began = time.perf_counter()
    done = subprocess.run(command, env=os.environ | {"XDG_CACHE_HOME": str(cache)}, capture_output=True, text=True)
    if done.returncode:
        raise ValueError((done.stderr.strip() or "the run failed").splitlines()[-1])
    return time.perf_counter() - began


def main(argv: Sequence[str]) -> None:
    """Starts each game some times."""
    parser = Parser(description=timing.question(__doc__))
    parser.add_argument("games", nargs="*", default=["gan", "mad_gan", "gman", "dcgan", "cyclegan"], help="an experiment and its options")
    parser.add_argument("--starts", type=whole(2), default=4, help="the first and so many less one (4)")
    parser.add_argument("--out", type=Path, help="write the numbers there, as a .json or into a folder")
    args = parser.parse(argv)
    rows = []
    for game in args.games:
        with tempfile.TemporaryDirectory() as folder:
            at = Path(folder)
            first, *later = [start(shlex.split(game), at / str(i), at / "cache") for i in range(args.starts)]
        rows.append({"game": game, "first s": first, "later s": statistics.median(later), "low": min(later), "high": max(later)})
    on = timing.machine()
    print(f"{timing.question(__doc__)}\n{on['device']}, {on['cores']} cores, JAX {on['jax']}; medians of {args.starts - 1} later starts")
    print(timing.table(rows))
    timing.write(args.out, {"question": timing.question(__doc__), "machine": on, "rows": rows})


if __name__ == "__main__":
    timing.script(main)
