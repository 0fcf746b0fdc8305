"""What does --portable cost a step?

    python benchmarks/portable.py mad_gan dcgan cyclegan --blocks 5 --block-s 1

Quick games, in two processes whose blocks alternate: one starts JAX as users' runs do, the other as
portable runs. CPU alone.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Sequence

import jax
import timing

from ganjax.runs.discovery import experiment_file
from ganjax.runs.surroundings import start


def serve(kind: str, game: str) -> None:
    """Plays as many steps as each line of stdin says; answers with seconds by the clock and of
    cores.
    """
    start(cache=True, fast=False, portable=kind == "portable")
    file = experiment_file(game)
    experiment = file.build(file.quick)
    steps = timing.played(experiment.played, jax.random.key(0), experiment.data)
    timing.seconds(steps, 1)
    for line in sys.stdin:
        print(*timing.seconds(steps, int(line)), flush=True)


def measured(game: str, blocks: int, block_s: float) -> timing.Row:
    """A row of the table."""
    command = [sys.executable, __file__]
    sides = {
        kind: subprocess.Popen(
            [*command, kind, game], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for kind in ("native", "portable")
    }

    def block(kind: str, steps: int) -> tuple[float, float]:
        side = sides[kind]
        assert side.stdin is not None
        assert side.stdout is not None
        side.stdin.write(f"{steps}\n")
        side.stdin.flush()
        wall, core = map(float, side.stdout.readline().split())
        return wall / steps, core / steps

    steps = 1
    while (took := steps * block("native", steps)[0]) < block_s / 2:
        steps = max(2 * steps, int(steps * block_s / took))
    times = [[block(kind, steps) for kind in sides] for _ in range(blocks)]
    for side in sides.values():
        side.communicate()
    wall, core = ([1e3 * native[i] for native, _ in times] for i in (0, 1))
    ratios = [[portable[i] / native[i] for native, portable in times] for i in (0, 1)]
    row = {"game": game, "ms": statistics.median(wall), "core ms": statistics.median(core)}
    for name, ratio in zip(("times as long", "core times"), ratios):
        row |= {name: statistics.median(ratio), f"{name}, low": min(ratio)}
        row |= {f"{name}, high": max(ratio)}
    return row


def main(argv: Sequence[str]) -> None:
    """Plays the games, one after another."""
    if list(argv[:1]) in (["native"], ["portable"]):
        return serve(*argv)
    parser = timing.options(__doc__, blocks=5, block_s=1.0)
    parser.add_argument("games", nargs="*", default=["mad_gan", "dcgan", "cyclegan"])
    args = parser.parse(argv)
    os.environ.pop("XLA_FLAGS", None)
    timing.report(__doc__, [measured(g, args.blocks, args.block_s) for g in args.games], args)


if __name__ == "__main__":
    timing.script(main)
