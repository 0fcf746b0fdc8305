"""By how many bytes does the host's memory grow with each short dispatch of a long run?

    python benchmarks/host_memory.py --dispatches 100000 --out host_memory.json

One step a dispatch, the log of each is fetched. The slope is a least-squares line through the
process's memory after the first fifth, beside the noise about that line.
"""

from collections.abc import Sequence
from pathlib import Path

import cases
import jax
import numpy as np
import timing

from ganjax import play
from ganjax.runs import divergence
from ganjax.runs.arguments import integer


def resident() -> int:
    """Bytes of the process in memory (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def main(argv: Sequence[str]) -> None:
    """Plays, and looks at the memory a hundred times."""
    options = timing.options(__doc__)
    options.add_argument("--dispatches", type=integer(100), default=100_000, help="(100000)")
    options.add_argument("--case", default="ring", help="see benchmarks/step.py")
    args = options.parse(argv)
    case = cases.named(args.case)(batch=16)
    state = play.init(case.game, jax.random.key(0), case.data)
    every, seen = args.dispatches // 100, []
    for number in range(args.dispatches):
        state, log = play.run(case.game, state, case.data, 1)
        jax.device_get(log)
        divergence.learnt_is_finite(state)
        if number % every == 0:
            seen.append((number, resident()))
    x, y = np.array(seen[20:], float).T
    slope, start = np.polyfit(x, y, 1)
    row = {"dispatches": args.dispatches, "MiB": y[-1] / 2**20, "bytes a dispatch": slope}
    row |= {"noise, MiB": float(np.std(y - start - slope * x) / 2**20)}
    timing.report(__doc__, [row], args)


if __name__ == "__main__":
    timing.script(main)
