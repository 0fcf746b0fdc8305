"""What does a lane of a sweep cost: so many rates of MAD-GAN on a ring, played as `run` plays them?

python benchmarks/sweeps.py --lanes 1 8 64 --width 64 --out sweeps.json

"together" is how many lanes vmap plays at once. "first s" holds the compilation, one for all rates.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import timing

from ganjax import play
from ganjax.runs import population, sweep
from ganjax.runs.arguments import integer
from ganjax.runs.discovery import experiment_file


def main(argv: Sequence[str]) -> None:
    """Times a step of each number of lanes."""
    parser = timing.options(__doc__)
    how = "numbers of lanes (1 8 64, on an accelerator also 1024)"
    parser.add_argument("--lanes", type=integer(1), nargs="+", help=how)
    parser.add_argument("--width", type=integer(1), default=128, help="units of a layer (128)")
    parser.add_argument("--batch", type=integer(1), default=128, help="real samples a step (128)")
    args = parser.parse(argv)
    counts = args.lanes or [1, 8, 64] + [1024] * (jax.default_backend() != "cpu")
    values = {"data": "ring", "k": 4, "width": args.width, "batch": args.batch}
    experiment = sweep.swept(experiment_file("mad_gan").build(values), ["lr"])
    variants, together = {}, {}
    for n in counts:
        lanes, several = population.form(experiment, n)
        together[n] = 1 if lanes == "sequential" else min(several or n, n)
        variants[str(n)] = played(experiment, n, together[n])
    times = timing.interleaved(variants, args.blocks, args.block_s)
    rows = []
    for n in counts:
        row = times[str(n)].row(1e6, "µs")
        over = timing.ratio(times[str(n)].blocks, times[str(counts[0])].blocks)["median"]
        work = timing.ratio(times[str(n)].work, times[str(counts[0])].work)["median"]
        each = {"a lane, to the first": over * counts[0] / n, "by work": work * counts[0] / n}
        rows.append({"lanes": n, "together": together[n], **row, **each})
    timing.report(__doc__, rows, args)


def played(experiment: Any, n: int, together: int) -> timing.Variant:
    """The lanes as a variant: their states go on from block to block."""
    game, data = experiment.played, experiment.data
    rates = jnp.logspace(-5, -3, n, dtype=jnp.float32)
    states = []
    for i in range(0, n, together):
        some = rates[i : i + together]
        keys = jax.vmap(jax.random.key)(jnp.arange(i, i + len(some)))
        one = together == 1
        lane = (keys[0], {"lr": some[0]}) if one else (keys, {"lr": some})
        states.append(play.init(game, lane[0], data, lane[1]))

    def steps(count: int) -> Any:
        for i, state in enumerate(states):
            states[i], _ = play.run(game, state, data, count)
        return states

    return steps


if __name__ == "__main__":
    timing.script(main)
