"""How long is a step of the ring game, scanned in one program against dispatched one by one?

Dense nets 256 x 2, batch 256, D then G, Adam. Prints a table, writes JSON:

    python benchmarks/turns.py --out turns.json
"""

import argparse
import json
import os
import statistics
import time
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import optax
from jax import Array

from ganjax import data, play
from ganjax.game import Bound, Game, Player
from ganjax.losses import non_saturating as payoff
from ganjax.nets import MLP


def losses(batch: Any, key: Array, *, G: Bound, D: Bound) -> dict[str, Array]:
    """Goodfellow et al. 2014, section 3."""
    real, fake = D(batch["x"]), D(G(G.noise(key, len(batch["x"]))))  # [B]
    return {"D": payoff.d(real, fake).mean(), "G": payoff.g(fake).mean()}


def game() -> Game:
    """The ring game."""
    adam = optax.adam(1e-3, b1=0.5)
    players = {"G": Player(MLP((256, 256), (2,)), adam, (2,)), "D": Player(MLP((256, 256)), adam, (2,))}
    return Game(players, losses, [["D"], ["G"]], partial(data.draw, n=256))


def seconds(ring: Game, form: Literal["scan", "dispatch"], steps: int, state: play.State, arrays: Any) -> tuple[float, play.State]:
    """Seconds of one block of steps, and the state after it."""
    began = time.perf_counter()
    state, _ = play.run(ring, state, arrays, steps, form)
    jax.block_until_ready(state)
    return time.perf_counter() - began, state


def main() -> None:
    """Blocks of both forms in turn, so that a machine that changes its speed changes both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200, help="steps in a block")
    parser.add_argument("--blocks", type=int, default=7)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    ring, arrays = game(), jax.device_put(data.find("ring").load())
    forms: tuple[Literal["scan", "dispatch"], ...] = ("scan", "dispatch")
    states = {form: play.init(ring, jax.random.key(0), arrays) for form in forms}
    compiled, blocks = {}, {form: [] for form in forms}  # type: ignore[var-annotated]
    for form in forms:
        compiled[form], states[form] = seconds(ring, form, 1, states[form], arrays)
    for _ in range(args.blocks):
        for form in forms:
            took, states[form] = seconds(ring, form, args.steps, states[form], arrays)
            blocks[form].append(took / args.steps * 1e6)
    device = {"device": jax.devices()[0].device_kind, "cores": len(os.sched_getaffinity(0)), "jax": jax.__version__}
    record = {**device, "steps": args.steps}
    print(f"{device}\n{'form':<10}{'µs/step':>10}{'min':>10}{'max':>10}{'first step, s':>16}")
    for form in forms:
        middle, low, high = statistics.median(blocks[form]), min(blocks[form]), max(blocks[form])
        record[form] = {"us_per_step": middle, "min": low, "max": high, "first_step_s": compiled[form]}
        print(f"{form:<10}{middle:>10.0f}{low:>10.0f}{high:>10.0f}{compiled[form]:>16.2f}")
    ratios = [d / s for d, s in zip(blocks["dispatch"], blocks["scan"])]
    record["dispatch_over_scan"] = statistics.median(ratios)
    print(f"dispatch / scan, block by block: {min(ratios):.2f} … {statistics.median(ratios):.2f} … {max(ratios):.2f}")
    if args.out:
        args.out.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
