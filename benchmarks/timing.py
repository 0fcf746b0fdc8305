"""Times of variants that do the same work, and the peak rates of the device.

A variant is a function of a number of steps that returns arrays to wait for. Blocks of all variants
alternate, so that a change in the machine's speed meets them all; compare by the ratios of
neighbouring blocks.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn

import jax
import jax.numpy as jnp
from jax import Array

from ganjax import cli, play
from ganjax.game import Game
from ganjax.runs.arguments import Parser, integer

Row = dict[str, Any]
Variant = Callable[[int], Any]

LONGEST = 1024  # steps in a block


class Times(NamedTuple):
    """What a variant took."""

    first_s: float  # the first step, which traces and compiles
    steps: int  # in a block
    blocks: list[float]  # seconds per step
    work: list[
        float
        # the same, as seconds that this process had a processor core: what others do on the machine
        # changes it less
    ]

    @property
    def median(self) -> float:
        """Seconds per step of the median block."""
        return statistics.median(self.blocks)

    def row(self, unit: float = 1e3, name: str = "ms") -> Row:
        """Median, fastest and slowest block per step, in milliseconds or another unit."""
        per = {
            name: self.median * unit,
            "low": min(self.blocks) * unit,
            "high": max(self.blocks) * unit,
        }
        core = (
            {f"core {name}": statistics.median(self.work) * unit}
            if jax.default_backend() == "cpu"
            else {}
        )
        return {**per, **core, "first s": self.first_s, "steps": self.steps}


def seconds(variant: Variant, steps: int) -> tuple[float, float]:
    """Seconds from the call to the arrays, and those of all cores for this process."""
    began, worked = time.perf_counter(), time.process_time()
    jax.block_until_ready(variant(steps))
    return time.perf_counter() - began, time.process_time() - worked


def block(variant: Variant, target_s: float) -> int:
    """How many steps take about so many seconds, found by playing more and more."""
    steps = 1
    while (took := seconds(variant, steps)[0]) < target_s / 2 and steps < LONGEST:
        steps = min(LONGEST, max(2 * steps, int(steps * target_s / took)))
    return steps


def interleaved(variants: Mapping[str, Variant], blocks: int, target_s: float) -> dict[str, Times]:
    """Times of `blocks` blocks of each variant in turns, each about `target_s` long, after a first
    step that is counted apart.
    """
    times = {
        name: Times(seconds(variant, 1)[0], block(variant, target_s), [], [])
        for name, variant in variants.items()
    }
    for _ in range(blocks):
        for name, variant in variants.items():
            wall, core = seconds(variant, times[name].steps)
            times[name].blocks.append(wall / times[name].steps)
            times[name].work.append(core / times[name].steps)
    return times


def ratio(slow: Sequence[float], fast: Sequence[float]) -> Row:
    """How many times longer `slow` takes, block by block: median, lowest, highest."""
    ratios = [a / b for a, b in zip(slow, fast, strict=True)]
    return {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}


def played(
    game: Game, key: Array, data: Any, form: Literal["auto", "scan", "dispatch"] = "auto"
) -> Variant:
    """A game as a variant: its state goes on from block to block."""
    states = [play.init(game, key, data)]

    def steps(n: int) -> Any:
        states[0], _ = play.run(game, states[0], data, n, form)
        return states[0]

    return steps


def repeated(compiled: Callable[..., Any], *arrays: Array) -> Variant:
    """Calls of a compiled function with the same arrays. An accelerator plays them in order; a CPU
    may not, so each is waited for.
    """
    wait = jax.block_until_ready if jax.default_backend() == "cpu" else lambda out: out

    def calls(n: int) -> Any:
        out: Any = None
        for _ in range(n):
            out = wait(compiled(*arrays))
        return out

    return calls


def machine() -> Row:
    """What the times were taken on."""
    packages = {
        name: metadata.version(name) for name in ("jax", "jaxlib", "flax", "optax", "numpy")
    }
    device = jax.devices()[0]
    return {
        "device": device.device_kind,
        "backend": device.platform,
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        **packages,
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
    }


def ceilings(precisions: Sequence[str] = ("float32", "bfloat16")) -> dict[str, float]:
    """What this device reaches: TFLOP/s of a square matrix product at each precision, TB/s of a
    copy, bytes read and written counted.

    float32 is JAX's default product (TF32 on recent GPUs).
    """
    n, size = (8192, 2**28) if jax.default_backend() != "cpu" else (1024, 2**24)
    product, add, long = (
        jax.jit(jnp.matmul),
        jax.jit(lambda x: x + 1, donate_argnums=0),
        [jnp.ones(size)],
    )
    squares = {
        precision: jax.random.normal(jax.random.key(0), (n, n), precision)
        for precision in precisions
    }
    found = {
        name: 2 * n**3 / _fastest(repeated(product, x, x)) / 1e12 for name, x in squares.items()
    }

    def copies(steps: int) -> Array:
        for _ in range(steps):
            long[0] = add(long[0])
        return long[0]

    return {**found, "copy": 2 * long[0].nbytes / _fastest(copies) / 1e12}


def _fastest(variant: Variant) -> float:
    seconds(variant, 1)
    return min(seconds(variant, 4)[0] for _ in range(5)) / 4


def options(about: str | None, blocks: int = 7, block_s: float = 0.3) -> Parser:
    """A script's options: how many blocks of each variant, how long, and where the numbers go."""
    parser = Parser(description=question(about))
    parser.add_argument(
        "--blocks", type=integer(1), default=blocks, help=f"blocks of each variant ({blocks})"
    )
    parser.add_argument(
        "--block-s",
        type=float,
        default=block_s,
        help=f"about how many seconds a block takes ({block_s})",
    )
    parser.add_argument(
        "--out", type=Path, help="write the numbers there, as a .json or into a folder"
    )
    return parser


def question(about: str | None) -> str:
    """The first line of a script's docstring."""
    return (about or "").split("\n")[0]


def script(main: Callable[[Sequence[str]], None]) -> NoReturn:
    """Runs a benchmark with the arguments of the command line; a wrong request is one line on
    stderr and exit status 2.
    """
    try:
        main(sys.argv[1:])
    except ValueError as error:
        sys.exit(cli.refuse(error))
    sys.exit()


def table(rows: Iterable[Row]) -> str:
    """Rows as text in columns; numbers with three digits."""
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names, *([_cell(row.get(name)) for name in names] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    numeric = [all(isinstance(row.get(name), int | float | None) for row in rows) for name in names]
    return "\n".join(
        "  ".join(
            cell.rjust(w) if right else cell.ljust(w)
            for cell, w, right in zip(line, widths, numeric)
        ).rstrip()
        for line in cells
    )


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:#.3g}".rstrip(".")
    return "" if value is None else str(value)


def report(about: str | None, rows: Sequence[Row], args: Namespace, **facts: Any) -> None:
    """Prints the table; with --out writes it as JSON with the question, the machine, the options
    and further facts.
    """
    on = machine()
    print(question(about))
    print(f"{on['device']}, {on['cores']} cores, JAX {on['jax']}", end="; ")
    print(f"medians of {args.blocks} blocks of about {args.block_s} s")
    print(table(rows))
    chosen = {name: value for name, value in vars(args).items() if name != "out"}
    write(
        args.out,
        {"question": question(about), "machine": on, "options": chosen, **facts, "rows": rows},
    )


def write(out: Path | None, record: Row) -> None:
    """Writes a record to a .json file, or as SCRIPT.json into a folder; nowhere without a path."""
    if out is not None:
        path = out if out.suffix == ".json" else out / f"{Path(sys.argv[0]).stem}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=1) + "\n")
