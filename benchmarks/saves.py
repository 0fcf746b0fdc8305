"""How long does a save take against the size of the State?

    python benchmarks/saves.py --out saves.json

"copy" is how long a run stands still; "saved" is when everything is on the disk, which is what a
signal waits for.
"""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import timing

from ganjax.runs.checkpoint import Checkpoints


def main(argv: Sequence[str]) -> None:
    """Saves states of several sizes, the first of each not counted."""
    options = timing.options(__doc__, blocks=3)
    options.add_argument("--mb", type=int, nargs="+", default=[1, 10, 100, 500], help="sizes")
    options.add_argument("--place", type=Path, help="a folder on the disk in question")
    args = options.parse(argv)
    rows = []
    for mb in args.mb:
        size = mb * 10**6 // 4 // 20  # twenty leaves, of numbers that do not compress
        keys = jax.random.split(jax.random.key(mb), 20)
        state = {str(i): jax.random.normal(key, (size,), jnp.float32) for i, key in enumerate(keys)}
        took = []
        with tempfile.TemporaryDirectory(dir=args.place) as place, saves_in(place) as saves:
            for step in range(args.blocks + 1):
                began = time.perf_counter()
                saves.save(step, state)
                copied = time.perf_counter()
                saves.wait()
                took.append((copied - began, time.perf_counter() - began))
        copy, saved = (timing.statistics.median(part) for part in zip(*took[1:]))
        rows.append({"MB": mb, "copy s": copy, "saved s": saved, "MB/s": mb / saved})
    timing.report(__doc__, rows, args)


def saves_in(place: str) -> Checkpoints:
    """Checkpoints in a folder."""
    return Checkpoints(Path(place) / "checkpoints", "tie")


if __name__ == "__main__":
    timing.script(main)
