"""How long is a step of each game, and what share of the device's peak rate is that?

    python benchmarks/step.py dcgan64 --precision bfloat16 --mode both --out step.json

--mode both plays everything twice, in a process with deterministic operations and in one without.
On CPU there is nothing to choose.
"""

import json
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cases
import flops
import jax
import timing

from ganjax import cli, play
from ganjax.runs.arguments import Parser, integer

MODES = ("fast", "deterministic")


def parser() -> Parser:
    """The options."""
    options = timing.options(__doc__, blocks=5)
    options.add_argument(
        "cases",
        nargs="*",
        metavar="CASE",
        help="ring, dcgan32, dcgan64, narrow64, cyclegan64, cyclegan256",
    )
    options.add_argument(
        "--precision", nargs="+", choices=("float32", "bfloat16"), help="both, on CPU float32"
    )
    options.add_argument("--batch", type=integer(1), help="instead of each game's own")
    options.add_argument(
        "--mode", choices=(*MODES, "both"), default="fast", help="operations (fast)"
    )
    options.add_argument(
        "--inspect", action="store_true", help="compile a step once more and look at its program"
    )
    return options


def both(argv: Sequence[str], args: Namespace) -> None:
    """Each mode in a process of its own, as the flags are read when JAX starts."""
    records = {}
    with tempfile.TemporaryDirectory() as folder:
        for mode in MODES:
            out = Path(folder) / f"{mode}.json"
            if status := subprocess.call(
                [sys.executable, __file__, *argv, "--mode", mode, "--out", str(out)]
            ):
                sys.exit(status)
            records[mode] = json.loads(out.read_text())
    rows = {
        mode: {(row["case"], row["precision"]): row["ms"] for row in record["rows"]}
        for mode, record in records.items()
    }
    slower = [
        {"case": c, "precision": p, "deterministic / fast": ms / rows["fast"][c, p]}
        for (c, p), ms in rows["deterministic"].items()
    ]
    print(timing.table(slower))
    timing.write(args.out, {**records, "deterministic_over_fast": slower})


def inspected(case: cases.Case) -> timing.Row:
    """What the compiled program of one step computes, in multiples of what is needed, and the
    memory that it takes.
    """
    state = play.template(case.game, jax.random.key(0), case.data)
    compiled = (
        jax.jit(partial(play.step, case.game), donate_argnums=0).lower(state, case.data).compile()
    )
    memory: Any = compiled.memory_analysis()
    taken = (
        memory.argument_size_in_bytes
        + memory.temp_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes
    )
    return {"of needed": flops.computed(compiled.as_text()) / case.needed, "MiB": taken / 2**20}


def main(argv: Sequence[str]) -> None:
    """Times every case at every precision in turns."""
    args = parser().parse(argv)
    if args.mode == "both":
        return both(argv, args)
    cli.start(cache=False, fast=args.mode == "fast")
    names = args.cases or cases.defaults()
    precisions = args.precision or ["float32"] + ["bfloat16"] * (jax.default_backend() != "cpu")
    batch = {} if args.batch is None else {"batch": args.batch}
    played = {
        (name, precision): cases.named(name)(**batch).at(precision)
        for name in names
        for precision in precisions
    }
    ceilings = timing.ceilings(precisions)
    variants = {
        " ".join(which): timing.played(case.game, jax.random.key(0), case.data)
        for which, case in played.items()
    }
    times, rows = timing.interleaved(variants, args.blocks, args.block_s), []
    for (name, precision), case in played.items():
        took = times[f"{name} {precision}"]
        rate = case.needed / took.median / 1e12
        row = {
            "case": name,
            "precision": precision,
            "batch": case.batch,
            **took.row(),
            "images/s": case.batch / took.median,
        }
        row |= {"TFLOP/s": rate, "of ceiling": rate / ceilings[precision]}
        rows.append(row | (inspected(case) if args.inspect else {}))
    timing.report(
        __doc__,
        rows,
        args,
        ceilings=ceilings,
        peak_bytes=(jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use"),
    )


if __name__ == "__main__":
    timing.script(main)
