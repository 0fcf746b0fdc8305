"""What does a mesh of devices cost: a batch divided over N devices, against one device?

python benchmarks/mesh.py dcgan32 --devices 1 2

On a CPU the devices are virtual: they share its cores. Their times say whether a mesh uses these
cores better than one device does, and nothing of a machine that has as many devices. What a device
computes and exchanges is read from the compiled step.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import jax
import timing
from cases import named

from ganjax import play, sharding
from ganjax.runs.arguments import integer

# An instruction that devices do together, with its result's type; in parts it is its "-start".
COLLECTIVE = re.compile(
    r"= (\(.*?\)|\S+) "
    r"(all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)(?:-start)?\("
)
BITS = re.compile(r"\b(?:pred|bf|[suf])(\d*)\[([\d,]*)\]")


def exchanged(program: str) -> dict[str, int]:
    """By kind of exchange: the bytes of its results on one device, in an optimised program."""
    found: dict[str, int] = {}
    for result, kind in COLLECTIVE.findall(program):
        size = sum(
            int(bits or 8) // 8 * math.prod(int(n) for n in dims.split(",") if n)
            for bits, dims in BITS.findall(result)
        )
        found[kind] = found.get(kind, 0) + size
    return found


def divided(case: Any, n: int) -> tuple[timing.Variant, dict[str, Any]]:
    """A game on n devices as a variant, and what one device does in a step."""
    with sharding.use_devices(n):
        data = sharding.replicate(case.data)
        states = [play.init(case.game, jax.random.key(0), data)]
        states[0], data = sharding.place(states[0], data, population=False)
        step = play.dispatched.lower(case.game, states[0], data).compile()
    moved, costs = exchanged(str(step.as_text())), step.cost_analysis() or {}

    def steps(count: int) -> Any:
        with sharding.use_devices(n):
            states[0], _ = play.run(case.game, states[0], data, count)
        return states[0]

    facts = {
        "GFLOP a device": costs.get("flops", 0) / 1e9,
        "MB exchanged": sum(moved.values()) / 1e6,
    }
    return steps, facts


def main(argv: Sequence[str]) -> None:
    """Times a step on each number of devices."""
    parser = timing.options(__doc__)
    parser.add_argument("games", nargs="*", default=["dcgan32"], help="of cases.py (dcgan32)")
    parser.add_argument(
        "--devices", type=integer(1), nargs="+", default=[1, 2], help="how many (1 2)"
    )
    args = parser.parse(argv)
    made = [(game, named(game)) for game in args.games]
    if max(args.devices) > 1:
        jax.config.update("jax_num_cpu_devices", max(args.devices))
    rows = []
    for game, make in made:
        case = make()
        every = {n: divided(case, n) for n in args.devices}
        times = timing.interleaved(
            {str(n): steps for n, (steps, _) in every.items()}, args.blocks, args.block_s
        )
        first = times[str(args.devices[0])]
        for n, (_, facts) in every.items():
            own = times[str(n)]
            over = timing.ratio(own.blocks, first.blocks)
            told = {f"times {args.devices[0]}": over["median"], "least": over["low"]}
            rows.append({"game": game, "devices": n, **facts, **own.row(), **told})
    timing.report(__doc__, rows, args)
    if jax.default_backend() == "cpu":
        print("virtual devices share these cores: the times are this machine's, not a pod's")


if __name__ == "__main__":
    timing.script(main)
