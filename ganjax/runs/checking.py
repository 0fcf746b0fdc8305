"""Are the bits of every experiment's quick run those that were recorded? Digests and losses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from ganjax.runs import portable, storage
from ganjax.runs.arguments import Parser, integer
from ganjax.runs.discovery import experiment_file, files

STEPS = 3  # the default tests play as many, and compare the losses
RUN = ("--quick", f"--steps={STEPS}", f"--every={STEPS}", "--quiet")
DIGESTS, LOSSES = "digests.json", "losses.json"  # beside the experiments


class Made(NamedTuple):
    """What a run left; its last line where it failed."""

    digest: dict[str, str]
    losses: dict[str, float]
    failure: str = ""


def check(argv: Sequence[str], folders: Sequence[Path]) -> int:
    """`ganjax reproduce all --quick --check`: the exit status, 1 where an experiment's bits differ
    from those of `digests.json`, or it fails. One that is not there is new, and no failure.

    folders: where experiments are; the first has the two files. Digests are of a platform, a
    version of jaxlib and, of CPUs, of portable runs; of others of a kind of processor. Raises
    ValueError, one line, for a wrong request.
    """
    about = f"Plays {STEPS} quick steps of every experiment and compares digests of their bits."
    parser = Parser(prog="ganjax reproduce all --quick --check", description=about)
    parser.add_argument("all")
    parser.add_argument("--quick", action="store_true", required=True, help="the quick options")
    parser.add_argument("--check", action="store_true", help="compare with digests.json")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these experiments")
    how = "on CPU: as users' runs without --portable, by kind of processor"
    parser.add_argument("--native", action="store_true", help=how)
    how = f"write what is new or differs into {DIGESTS}, and portable losses into {LOSSES}"
    parser.add_argument("--update", action="store_true", help=how)
    parser.add_argument("--at-once", type=integer(1, 65), default=2, help="runs side by side (2)")
    args = parser.parse(argv)
    if not folders:
        raise ValueError("there is no folder of experiments")
    folder = folders[0]
    names = [experiment_file(name).name for name in args.only] or [file.name for file in files()]
    key, flags = _setting(args.native)
    before, made = read(folder / DIGESTS).get(key, {}), {}
    with ThreadPoolExecutor(args.at_once) as pool:
        for name, one in zip(names, pool.map(lambda name: play(name, flags), names), strict=True):
            made[name] = one
            print(f"{name:<18} {_told(one, before.get(name))}", flush=True)
            if args.update and not one.failure:
                _write(folder, key, name, one)
    whole = {name: one for name, one in made.items() if not one.failure}
    differ = [n for n, one in whole.items() if n in before and before[n] != one.digest]
    new = [name for name in whole if name not in before]
    print(f"{key}: {len(whole) - len(differ) - len(new)} ok, {len(differ)} differ, {len(new)} new, "
          f"{len(made) - len(whole)} failed")  # fmt: skip
    if new and not args.update:
        print(f"no digest for {', '.join(new)}; written with --update")
    return int(len(made) > len(whole) or (bool(differ) and not args.update))


def _write(folder: Path, key: str, name: str, made: Made) -> None:
    """Adds an experiment to the two files; losses are those of portable runs."""
    known = read(folder / DIGESTS)
    known[key] = dict(sorted({**known.get(key, {}), name: made.digest}.items()))
    storage.write_json(folder / DIGESTS, dict(sorted(known.items())))
    if key.endswith(", portable"):
        losses = read(folder / LOSSES) | {name: made.losses}
        storage.write_json(folder / LOSSES, dict(sorted(losses.items())))


def _setting(native: bool) -> tuple[str, list[str]]:
    """What digests are recorded under, and the options of the runs."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    import jax

    platform, device = jax.default_backend(), jax.devices()[0].device_kind
    if platform == "cpu" and not native:
        return f"cpu, jaxlib {jax.lib.__version__}, portable", ["--portable"]
    kind = portable.kind(os.environ) if platform == "cpu" else device
    return f"{platform}, jaxlib {jax.lib.__version__}, {kind}", []


def read(path: Path) -> dict[str, Any]:
    """What a file of digests or losses says; nothing where there is none."""
    return dict(json.loads(path.read_text("utf-8"))) if path.is_file() else {}


def play(name: str, flags: Sequence[str]) -> Made:
    """A run in a process of its own, with the flags that users get."""
    own = {"XLA_FLAGS", *portable.ENVIRONMENT}
    environment = {n: value for n, value in os.environ.items() if n not in own}
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / name
        command = [sys.executable, "-m", "ganjax", "run", name, *RUN, *flags, "--out", str(out)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            return Made({}, {}, (done.stderr.strip() or "it failed").splitlines()[-1])
        digest = storage.read_digest(out)
        row = storage.read_rows(out / "metrics.jsonl")[-1]
        return Made({n: digest[n] for n in ("params", "metrics")}, losses(name, row))


def losses(name: str, row: Mapping[str, Any]) -> dict[str, float]:
    """The players' losses in a row of an experiment."""
    file = experiment_file(name)
    players = file.build(file.quick).played.players
    return {player: row[player] for player in players if player in row}


def _told(made: Made, before: Mapping[str, str] | None) -> str:
    """A line of an experiment."""
    if made.failure:
        return f"failed: {made.failure}"
    if before is None:
        return f"new: params {made.digest['params'][:12]}, metrics {made.digest['metrics'][:12]}"
    parts = [part for part, value in made.digest.items() if before.get(part) != value]
    if not parts:
        return f"ok: params {made.digest['params'][:12]}"
    return "differs: " + ", ".join(
        f"{part} {made.digest[part][:12]}, recorded {before.get(part, 'none')[:12]}"
        for part in parts
    )
