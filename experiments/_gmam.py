"""GMAM: a tournament of finished runs of `gman`, every generator before every system's discriminators.

Durugkar, Gemp and Mahadevan 2017, table 1: a row is the opponent, a column the variant, above 0 the variant is better; the score of a
variant is the sum of its column. For each seed that all runs have, 5 batches of 500 real images, the same for all; nothing drops out.

    ganjax reproduce gman/gmam && python experiments/_gmam.py runs/gman-gmam/*/ --out runs/gmam
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import gman
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, random

from ganjax import folder, heat, launch, play, records, report
from ganjax.checkpoint import Checkpoints
from ganjax.data import draw
from ganjax.game import Bound
from ganjax.metrics import tournaments

BATCHES, B = 5, 500


def systems(out: Path, data_dir: str | None) -> tuple[records.Request, Any, dict[int, dict[str, Bound]]]:
    """A finished run: its record, its data, and the players of each seed. Raises ValueError where it is none of `gman`, or not finished."""
    record = records.read_request(out)
    if record.experiment != "gman" or not (out / "digest.json").is_file():
        raise ValueError(f"{out} is no finished run of gman")
    built = records.rebuild(out, record, data_dir)
    found = Checkpoints(out / "checkpoints", record.tie, read_only=True).restore(launch.template(built.game, record, built.data))
    if found is None or found[0] != record.steps:
        raise ValueError(f"{out} has no checkpoint of its last step")
    return record, built.data, {seed: play.bound(built.game, state) for seed, state in launch.singles(record, found[1])}


@partial(jax.jit, static_argnames="aggregate")
def verdict(a: dict[str, Bound], b: dict[str, Bound], data: Any, key: Array, aggregate: str, lam: float) -> Array:
    """F^a of G_b: what system a's aggregate makes of its discriminators' values of b's generator, a number below 0."""
    x, G = draw(data, random.fold_in(key, 0), B)["x"], b["G"]
    V = gman.values(a["D"](x), a["D"](G(G.noise(random.fold_in(key, 1), B))))  # [N]
    return gman.AGGREGATES[aggregate](V, a["L"]() if "L" in a else lam)


def main() -> None:
    """Prints the table; with --out writes it, for `ganjax report`, and as a heat map."""
    parser = argparse.ArgumentParser(description="A tournament of finished runs of gman.")
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, help="folder of table.json and gmam.png")
    parser.add_argument("--data-dir", help="where prepared sets are")
    args = parser.parse_args()
    played = {run.name: systems(run, args.data_dir) for run in args.runs}
    names, options = list(played), {name: record.options for name, (record, _, _) in played.items()}
    seeds = sorted(set.intersection(*(set(players) for _, _, players in played.values())))
    if len(played) < 2 or len({json.dumps([o["data"], o["size"], o["pad"]]) for o in options.values()}) > 1 or not seeds:
        raise ValueError("a tournament takes two or more runs on the same data, with seeds that all have")

    def value(a: str, b: str, seed: int, i: int) -> float:
        data, key = played[a][1], random.fold_in(random.key(seed), i)
        return float(verdict(played[a][2][seed], played[b][2][seed], data, key, options[a]["aggregate"], options[a]["lam"]))

    table = np.array([[[value(a, b, seed, i) for seed in seeds for i in range(BATCHES)] for b in names] for a in names])
    found = tournaments.gmam(jnp.asarray(table))  # [M, M, seeds * batches]
    mean = found.reshape(len(names), len(names), len(seeds), BATCHES).mean(-1)  # [M, M, seeds]
    rows = {"score": {b: mean[:, j].sum(0).tolist() for j, b in enumerate(names)}}
    rows |= {a: {b: mean[i, j].tolist() for j, b in enumerate(names) if a != b} for i, a in enumerate(names)}
    first = next(iter(played.values()))[0]
    record = report.Record(
        table="gman/gmam (tournament)",
        command="ganjax reproduce gman/gmam\npython experiments/_gmam.py runs/gman-gmam/*/ --out runs/gmam",
        quick=False, seeds=seeds, minutes=0.0, device=first.device, versions=first.versions, rows=rows, anchors={}, paper={},
        note="Opponents in rows, variants in columns; above 0 the variant has the better generator; the training is in gman/gmam",
    )  # fmt: skip
    print(report.plain(record))
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        folder.write_json(args.out / "table.json", dataclasses.asdict(record))
        heat.table(np.asarray(mean.mean(-1)), names, names, digits=3).savefig(args.out / "gmam.png")


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"gmam: {error}")
