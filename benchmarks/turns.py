"""How long is a step of the ring game, scanned in one program against dispatched one by one?

python benchmarks/turns.py --out turns.json
"""

from collections.abc import Sequence
from typing import Literal

import jax
import timing
from cases import ring

FORMS: tuple[Literal["scan", "dispatch"], ...] = ("scan", "dispatch")


def main(argv: Sequence[str]) -> None:
    """Times both forms of the same game."""
    args = timing.options(__doc__).parse(argv)
    case = ring()
    variants = {
        form: timing.played(case.game, jax.random.key(0), case.data, form) for form in FORMS
    }
    times = timing.interleaved(variants, args.blocks, args.block_s)
    rows = [{"form": form, **times[form].row(1e6, "µs")} for form in FORMS]
    slower = timing.ratio(times["dispatch"].blocks, times["scan"].blocks)
    timing.report(__doc__, rows, args, dispatch_over_scan=slower)
    print("dispatch / scan, block by block: {low:.2f} … {median:.2f} … {high:.2f}".format(**slower))


if __name__ == "__main__":
    timing.script(main)
