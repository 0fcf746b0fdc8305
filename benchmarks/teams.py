"""What does a team of K critics cost against one, compiled by vmap and member by member?

    python benchmarks/teams.py conv --members 1 5 10 --out teams.json

The step of the whole game is timed: one generator, K critics that all see the same fakes.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import timing
from cases import Case, images, ring

from ganjax.runs.arguments import integer

NETS: dict[str, Callable[..., Case]] = {
    "dense": ring,
    "conv": partial(images, 32, 1, 16, batch=32),
    "conv64": partial(images, 64, 3, 128, batch=64),
}


def main(argv: Sequence[str]) -> None:
    """Times one kind of critic after the other, sizes and forms in turns."""
    parser = timing.options(__doc__, blocks=5)
    parser.add_argument(
        "nets",
        nargs="*",
        metavar="NET",
        help="dense, conv, conv64 (dense and, on CPU, conv, else conv64)",
    )
    parser.add_argument(
        "--members",
        type=integer(1),
        nargs="+",
        help="sizes of a team (5, on an accelerator also 10)",
    )
    parser.add_argument(
        "--forms", nargs="+", choices=("vmap", "unroll"), default=["vmap", "unroll"]
    )
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    args = parser.parse(argv)
    if unknown := set(args.nets) - set(NETS):
        raise ValueError(f"there is no net {unknown.pop()}; there are {', '.join(NETS)}")
    gpu = jax.default_backend() != "cpu"
    sizes, rows = args.members or [5] + [10] * gpu, []
    for net in args.nets or ["dense", "conv64" if gpu else "conv"]:
        settings: dict[str, dict[str, Any]] = {"one": {}}
        settings |= {f"{form} {n}": {"n": n, "form": form} for n in sizes for form in args.forms}
        variants = {}
        for name, setting in settings.items():
            case = NETS[net](**setting).at(args.precision)
            variants[name] = timing.played(case.game, jax.random.key(0), case.data)
        times = timing.interleaved(variants, args.blocks, args.block_s)
        for name, setting in settings.items():
            row = {
                "net": net,
                "K": setting.get("n"),
                "form": setting.get("form", "no team"),
                **times[name].row(),
            }
            rows.append(
                row | {"times one": timing.ratio(times[name].blocks, times["one"].blocks)["median"]}
            )
    timing.report(__doc__, rows, args)


if __name__ == "__main__":
    timing.script(main)
