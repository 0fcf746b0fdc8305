"""What does each dynamics cost on the ring game, against simultaneous steps?

python benchmarks/dynamics.py --out dynamics.json

`evaluations` are the field's by count, a product with its Jacobian being one, and `of those` is the
time of one of them in that of a simultaneous step. `products` are the operations of matrix products
in the compiled step over those of a simultaneous one; of dynamics with a loop in the step, which
XLA's text shows once, there is none.
"""

from collections.abc import Sequence

import flops
import jax
import timing
from cases import ring

from ganjax import play
from ganjax.game import NAMED, TURNS, Game, named_dynamics

NUMBERS = {"consensus": "0.1", "competitive": "0.001", "lola": "0.001"}
LOOPS = ("competitive", "unrolled")


def products(game: Game, data: object) -> int:
    """Operations of the matrix products of a compiled step."""
    state = play.template(game, jax.random.key(0), data)
    step = jax.jit(lambda state, data: play.step(game, state, data))
    return flops.computed(step.lower(state, data).compile().as_text())


def main(argv: Sequence[str]) -> None:
    """Times a step of each."""
    parser = timing.options(__doc__)
    parser.add_argument("--only", nargs="+", choices=[*TURNS, *NAMED], help="these alone (all)")
    args = parser.parse(argv)
    case = ring()
    chosen = ["simultaneous", *(n for n in args.only or [*TURNS, *NAMED] if n != "simultaneous")]
    texts = {n: f"{n}:{NUMBERS[n]}" if n in NUMBERS else n for n in chosen}
    games = {name: case.game.along(text) for name, text in texts.items()}
    variants = {
        name: timing.played(game, jax.random.key(0), case.data, "scan")
        for name, game in games.items()
    }
    times = timing.interleaved(variants, args.blocks, args.block_s)
    one = products(games["simultaneous"], case.data)
    rows = []
    for name, text in texts.items():
        over = timing.ratio(times[name].blocks, times["simultaneous"].blocks)["median"]
        count = named_dynamics(text).evaluations
        work = None if name in LOOPS else products(games[name], case.data) / one
        rows.append(
            {"dynamics": text, **times[name].row(1e6, "µs"), "times simultaneous": over,
             "evaluations": count, "of those": over / count, "products": work}
        )  # fmt: skip
    timing.report(__doc__, rows, args)


if __name__ == "__main__":
    timing.script(main)
