"""What does it cost to see after each dispatch whether all parameters are finite?

    python benchmarks/finite.py --out finite.json

A block is one dispatch of a run, about as long as a run makes it; the second variant looks at the
state after it, as a run does. "core" is the time that the process had a core.
"""

from collections.abc import Sequence

import cases
import jax
import timing

from ganjax.runs import divergence
from ganjax.runs.population import SECONDS


def looked_at(played: timing.Variant) -> timing.Variant:
    """The variant, and a look at its state."""

    def steps(n: int) -> object:
        state = played(n)
        divergence.learnt_is_finite(state)
        return state

    return steps


def main(argv: Sequence[str]) -> None:
    """Times every case with and without, in turns."""
    options = timing.options(__doc__, blocks=15, block_s=SECONDS)
    options.add_argument("cases", nargs="*", metavar="CASE", help="see benchmarks/step.py")
    args = options.parse(argv)
    rows = []
    for name in args.cases or cases.defaults():
        case = cases.named(name)()
        variants = {
            which: timing.played(case.game, jax.random.key(0), case.data)
            for which in ("run", "looked at")
        }
        variants["looked at"] = looked_at(variants["looked at"])
        times = timing.interleaved(variants, args.blocks, args.block_s)
        wall = timing.ratio(times["looked at"].blocks, times["run"].blocks)
        core = timing.ratio(times["looked at"].work, times["run"].work)
        alone = timing.repeated(divergence.flags, variants_state(variants["run"]))
        look = timing.interleaved({"look": alone}, args.blocks, 0.1)["look"]
        rows.append(
            {"case": name, "steps": times["run"].steps, "ms a step": 1e3 * times["run"].median}
            | {"wall ratio": wall["median"], "core ratio": core["median"]}
            | {"look ms": 1e3 * look.median}
            | {"of a dispatch": look.median / (times["run"].steps * times["run"].median)}
        )
    timing.report(__doc__, rows, args)


def variants_state(variant: timing.Variant) -> object:
    """The state after one more step."""
    return variant(1)


if __name__ == "__main__":
    timing.script(main)
