"""Are the bits of every experiment's quick run those that were recorded? Digests and losses."""

from __future__ import annotations

import json
import math
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
LATER = 100  # of those that take so many in SECONDS, compilation apart
SECONDS = 5.0
DIGESTS, LOSSES = "digests.json", "losses.json"  # beside the experiments
LATER_LOSSES = "later_losses.json"
# Losses of later steps may differ by so many times what another rounding made of them, and by so
# much of 1 or of a larger loss.
MARGIN, LEAST = 10.0, 1e-5


class Made(NamedTuple):
    """What a run left; its last line where it failed."""

    digest: dict[str, str]
    losses: dict[str, float]
    failure: str = ""
    seconds: float = 0.0  # of its second half


class Later(NamedTuple):
    """The losses of step LATER, and how far they may lie from those of another version, in units
    of 1 or of a larger loss.
    """

    losses: dict[str, float]
    within: float


def check(argv: Sequence[str], folders: Sequence[Path]) -> int:
    """`ganjax reproduce all --quick --check`: the exit status, 1 where an experiment's bits differ
    from those of `digests.json`, or it fails. One that is not there is new, and no failure.

    folders: where experiments are; the first has the two files. Digests are of a platform, a
    version of jaxlib and, of CPUs, of portable runs; of others of a kind of processor. Raises
    ValueError, one line, for a wrong request.
    """
    about = f"Plays {STEPS} quick steps of every experiment and compares digests of their bits; of "
    about += f"portable runs of the fast ones also {LATER}, and compares the losses."
    parser = Parser(prog="ganjax reproduce all --quick --check", description=about)
    parser.add_argument("all")
    parser.add_argument("--quick", action="store_true", required=True, help="the quick options")
    parser.add_argument("--check", action="store_true", help="compare with digests.json")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these experiments")
    how = "on CPU: as users' runs without --portable, by kind of processor"
    parser.add_argument("--native", action="store_true", help=how)
    how = f"write what is new or differs into {DIGESTS}, and losses of portable runs into {LOSSES} "
    how += f"and {LATER_LOSSES}"
    parser.add_argument("--update", action="store_true", help=how)
    parser.add_argument("--at-once", type=integer(1, 65), default=2, help="runs side by side (2)")
    args = parser.parse(argv)
    if not folders:
        raise ValueError("there is no folder of experiments")
    folder = folders[0]
    names = [experiment_file(name).name for name in args.only] or [file.name for file in files()]
    key, flags = _setting(args.native)
    before, made = read(folder / DIGESTS).get(key, {}), {}
    known = {name: Later(**row) for name, row in read(folder / LATER_LOSSES).items()}
    far = []

    def both(name: str) -> tuple[Made, Later | None, str]:
        one = play(name, flags)
        if one.failure or not flags:
            return one, None, ""
        if args.update:
            return one, measured(name, flags), ""
        return one, None, drifted(name, flags, known[name]) if name in known else ""

    with ThreadPoolExecutor(args.at_once) as pool:
        for name, (one, later, drift) in zip(names, pool.map(both, names), strict=True):
            made[name] = one
            told = _told(one, before.get(name))
            print(f"{name:<18} {'; '.join(filter(None, (told, drift)))}", flush=True)
            far += [name] if drift else []
            if args.update and not one.failure:
                _write(folder, key, name, one, later)
    whole = {name: one for name, one in made.items() if not one.failure}
    differ = [n for n, one in whole.items() if n in far or before.get(n, one.digest) != one.digest]
    new = [name for name in whole if name not in before]
    print(f"{key}: {len(whole) - len(differ) - len(new)} ok, {len(differ)} differ, {len(new)} new, "
          f"{len(made) - len(whole)} failed")  # fmt: skip
    if new and not args.update:
        print(f"no digest for {', '.join(new)}; written with --update")
    return int(len(made) > len(whole) or (bool(differ) and not args.update))


def _write(folder: Path, key: str, name: str, made: Made, later: Later | None) -> None:
    """Adds an experiment to the files; losses are those of portable runs."""
    known = read(folder / DIGESTS)
    known[key] = dict(sorted({**known.get(key, {}), name: made.digest}.items()))
    storage.write_json(folder / DIGESTS, dict(sorted(known.items())))
    if key.endswith(", portable"):
        losses = read(folder / LOSSES) | {name: made.losses}
        storage.write_json(folder / LOSSES, dict(sorted(losses.items())))
        rows = {n: row for n, row in read(folder / LATER_LOSSES).items() if n != name}
        rows |= {name: later._asdict()} if later else {}
        storage.write_json(folder / LATER_LOSSES, dict(sorted(rows.items())))


def measured(name: str, flags: Sequence[str]) -> Later | None:
    """The losses of step LATER, and the tolerance of them: a run without `flags`, which rounds
    otherwise, is played beside it. None where that takes long, or a loss is not finite.
    """
    one = play(name, flags, LATER)
    if one.failure or one.seconds > SECONDS / 2:
        return None
    other = play(name, [], LATER)
    if other.failure or other.losses.keys() != one.losses.keys():
        return None
    largest = max(apart(one.losses, other.losses).values(), default=0.0)
    return Later(one.losses, max(LEAST, MARGIN * largest)) if math.isfinite(largest) else None


def drifted(name: str, flags: Sequence[str], known: Later) -> str:
    """Which losses of step LATER lie too far from the recorded ones; empty where none does."""
    made = play(name, flags, LATER)
    if made.failure:
        return f"step {LATER} failed: {made.failure}"
    return ", ".join(
        f"{player} is {made.losses.get(player)} at step {LATER}, recorded {known.losses[player]}"
        for player, distance in apart(known.losses, made.losses).items()
        if not distance <= known.within
    )


def apart(a: Mapping[str, float], b: Mapping[str, float]) -> dict[str, float]:
    """By player how far b's loss is from a's, in units of 1 or of a's where that is larger."""
    return {n: abs(b.get(n, math.nan) - x) / max(1.0, abs(x)) for n, x in a.items()}


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


def play(name: str, flags: Sequence[str], steps: int = STEPS) -> Made:
    """A run in a process of its own, with the flags that users get."""
    run = ("--quick", f"--steps={steps}", f"--every={steps if steps == STEPS else steps // 2}")
    own = {"XLA_FLAGS", *portable.ENVIRONMENT}
    environment = {n: value for n, value in os.environ.items() if n not in own}
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / name
        command = [sys.executable, "-m", "ganjax", "run", name, *run, "--quiet"]
        command += [*flags, "--out", str(out)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            return Made({}, {}, (done.stderr.strip() or "it failed").splitlines()[-1])
        digest = storage.read_digest(out)
        rows = storage.read_rows(out / "metrics.jsonl")
        seconds = rows[-1]["time"] - rows[0]["time"]
        digests = {n: digest[n] for n in ("params", "metrics")}
        return Made(digests, losses(name, rows[-1]), seconds=seconds)


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
