"""What does a population of seeds cost: S ring games at once, compiled by vmap, against one?

python benchmarks/seeds.py --seeds 1 8 64 --out seeds.json
"""

from collections.abc import Sequence

import jax
import timing
from cases import ring

from ganjax.runs.arguments import integer


def main(argv: Sequence[str]) -> None:
    """Times a step of each population."""
    parser = timing.options(__doc__)
    parser.add_argument(
        "--seeds",
        type=integer(1),
        nargs="+",
        help="sizes of the population (1 8 64, on an accelerator also 1024)",
    )
    args = parser.parse(argv)
    sizes = args.seeds or [1, 8, 64] + [1024] * (jax.default_backend() != "cpu")
    case = ring()
    variants = {
        str(n): timing.played(
            case.game, jax.vmap(jax.random.key)(jax.numpy.arange(n)), case.data, "scan"
        )
        for n in sizes
    }
    times = timing.interleaved(variants, args.blocks, args.block_s)
    rows = []
    for n in sizes:
        row = times[str(n)].row(1e6, "µs")
        over = timing.ratio(times[str(n)].blocks, times[str(sizes[0])].blocks)["median"]
        rows.append({"seeds": n, **row, "µs a seed": row["µs"] / n, f"times {sizes[0]}": over})
    timing.report(__doc__, rows, args)


if __name__ == "__main__":
    timing.script(main)
