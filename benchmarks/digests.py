"""Does every experiment still make the same bits in 30 quick steps?

    python benchmarks/digests.py --out before.json
    python benchmarks/digests.py --out after.json --against before.json

Each experiment runs in a process of its own, compiled anew. Digests are those of one kind of
processor and of one version of jaxlib: both are in the record.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import timing

from ganjax.runs.arguments import Parser
from ganjax.runs.discovery import experiment_file, files

OPTIONS = ("--quick", "--steps", "30", "--seed", "5", "--no-cache", "--quiet")


def digest(name: str) -> dict[str, Any]:
    """{"params", "metrics", "seconds"} of a run. Raises ValueError where it fails."""
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / name
        command = [sys.executable, "-m", "ganjax", "run", name, *OPTIONS, "--out", str(out)]
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise ValueError(
                f"{name}: {(done.stderr.strip() or 'the run failed').splitlines()[-1]}"
            )
        made = json.loads((out / "digest.json").read_text())
        seconds = round(time.perf_counter() - began, 1)
        return {"params": made["params"], "metrics": made["metrics"], "seconds": seconds}


def processor() -> str:
    """The processor's name, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(": ")[1] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def row(name: str, new: dict[str, Any], old: dict[str, Any] | None) -> timing.Row:
    """A line of the table; the first 12 characters of each digest."""
    shown = {"experiment": name} | {part: new[part][:12] for part in ("params", "metrics")}
    if old is None:
        return shown | {"s": new["seconds"]}
    changed = [part for part in ("params", "metrics") if old[part] != new[part]]
    return shown | {"s": new["seconds"], "changed": ", ".join(changed) or "no"}


def main(argv: Sequence[str]) -> None:
    """Runs the experiments, one after another."""
    parser = Parser(description=timing.question(__doc__))
    parser.add_argument("names", nargs="*", help="experiments (all)")
    parser.add_argument("--out", type=Path, help="write the digests there, as a .json")
    parser.add_argument("--against", type=Path, help="an earlier record: says what has changed")
    args = parser.parse(argv)
    names = [experiment_file(name).name for name in args.names] or [file.name for file in files()]
    before = json.loads(args.against.read_text())["digests"] if args.against else {}
    machine = timing.machine() | {"processor": processor()}
    command = " ".join(("ganjax run NAME", *OPTIONS))
    record = {
        "command": command,
        "machine": machine,
        "digests": {name: digest(name) for name in names},
    }
    print(f"{command}\n{machine['processor']}, {machine['cores']} cores, JAX {machine['jax']}")
    rows = [row(name, new, before.get(name)) for name, new in record["digests"].items()]
    print(timing.table(rows))
    timing.write(args.out, record)


if __name__ == "__main__":
    timing.script(main)
