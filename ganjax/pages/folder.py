"""What the folder of a run says, finished or not. On the host, and without JAX."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ganjax.runs import storage
from ganjax.tables.report import mean_sd

OWN = {"step", "seed", "time", "lane"}  # entries of a row that are no measurements
ASKED = ["experiment", "dynamics", "seeds", "lanes", "steps", "every", "precision"]
ASKED += ["deterministic", "on_divergence", "data", "sha", "source"]
FEW = 4  # curves of which quartiles say something

Curve = tuple[int, int]  # (seed, lane)


@dataclass(frozen=True)
class RunFolder:
    """A run as its folder tells of it."""

    path: Path
    name: str  # short, and its own among the runs that are shown together
    record: Mapping[str, Any]  # options.json
    rows: Sequence[storage.Row]
    digest: Mapping[str, Any]  # digest.json; empty where the run is not finished
    changes: Sequence[Mapping[str, Any]]  # changes.jsonl
    doubts: Sequence[str]  # why not all of it is as it was written

    @property
    def sweep(self) -> Mapping[str, Sequence[float]]:
        """The values of each swept option; empty without a sweep."""
        return self.record.get("sweep") or {}

    @property
    def settings(self) -> Mapping[str, Sequence[float]]:
        """The sweep, where lanes keep their numbers; what changes is one more metric."""
        return {} if self.record.get("exploit") else self.sweep

    @property
    def lanes_of_setting(self) -> int:
        """Seeds; all lanes, where their numbers change."""
        changing = () if self.settings else self.sweep.values()
        return len(self.record["seeds"]) * math.prod(map(len, changing))

    @cached_property
    def metrics(self) -> list[str]:
        """What was measured, in the order of the rows."""
        names = dict.fromkeys(name for row in self.rows for name in row)
        return [name for name in names if name not in OWN and name not in self.settings]

    @cached_property
    def curves(self) -> dict[Curve, list[storage.Row]]:
        """The rows of each seed and lane, by step."""
        found: dict[Curve, list[storage.Row]] = {}
        for row in sorted(self.rows, key=lambda row: row["step"]):
            found.setdefault((row["seed"], int(row.get("lane", 0))), []).append(row)
        return dict(sorted(found.items()))

    @cached_property
    def steps(self) -> np.ndarray:
        """The steps that were measured."""
        return np.array(sorted({row["step"] for row in self.rows}), np.int64)

    @cached_property
    def lengths(self) -> dict[Curve, int]:
        """The last step of each curve."""
        return {curve: rows[-1]["step"] for curve, rows in self.curves.items()}

    def values(self, name: str) -> np.ndarray:
        """A metric by curve and step, [C, S]; NaN where it was not measured or is not finite."""
        place = {int(step): i for i, step in enumerate(self.steps)}
        found = np.full((len(self.curves), len(place)), np.nan)
        for own, rows in zip(found, self.curves.values()):
            for row in rows:
                value = row.get(name)
                own[place[row["step"]]] = np.nan if value is None else value
        return found

    def last(self, name: str) -> list[float | None]:
        """A metric at the last step that was measured, for each curve; None where it is not finite
        or the curve ended before.
        """
        ends = (rows[-1] for rows in self.curves.values())
        last = self.steps[-1] if len(self.steps) else None
        return [row.get(name) if row["step"] == last else None for row in ends]

    def told(self, name: str) -> str:
        """The mean ± SD of `last`, and how many are left; nothing where it was not measured."""
        return mean_sd(self.last(name)) if name in self.metrics else ""

    def title(self, name: int | str) -> str:
        """What a curve is called: "seed 3", or, of a sweep, "lane 5, lr 0.01, seed 1"."""
        if not self.sweep:
            return f"seed {name}"
        rows = (row for row in self.rows if str(row.get("lane")) == str(name))
        row = next(rows, {})  # a lane may end before its first measurement
        own = {n: row[n] for n in (*self.settings, "seed") if n in row}
        return ", ".join([f"lane {name}", *(f"{n} {v:g}" for n, v in own.items())])

    @property
    def asked(self) -> dict[str, str]:
        """All that was asked for, by name, as text: what shapes the numbers of a run."""
        fields = {name: self.record[name] for name in ASKED if name in self.record}
        fields |= self.record.get("options", {})
        fields |= {f"sweep {name}": v for name, v in self.sweep.items()}
        fields |= {f"version of {n}": v for n, v in self.record.get("versions", {}).items()}
        fields |= {f"device: {n}": v for n, v in self.record.get("device", {}).items()}
        return {name: v if isinstance(v, str) else json.dumps(v) for name, v in fields.items()}

    @property
    def events(self) -> list[str]:
        """Seeds that diverged, steps back, and what changed when the run went on; a line each."""
        tries = {json.dumps(t): t for c in self.changes for t in c.get("tries", [])}
        tries |= {json.dumps(t): t for t in self.digest.get("tries", [])}
        lines = [
            f"{self.title(t['seed'])} diverged at step {t['from']}, {t['why']}; the run went back "
            f"to step {t['to']}, this one on a new stream, try {t['try']}"
            for t in tries.values()
        ]
        frozen = self.digest.get("diverged", {})
        lines += [
            f"{self.title(name)} diverged at step {at} and is frozen" for name, at in frozen.items()
        ]
        for (seed, lane), last in self.lengths.items():
            name = lane if self.sweep else seed
            if last < self.steps[-1] and str(name) not in frozen:
                lines.append(f"{self.title(name)} has no measurement after step {last}")
        for change in self.changes:
            if changed := change.get("changed"):
                said = (f"{n} {v if isinstance(v, str) else ' is now '.join(map(str, v))}"
                        for n, v in changed.items())  # fmt: skip
                lines.append(f"went on at step {change.get('step')}: {', '.join(said)}")
        return lines


def read_folders(paths: Sequence[Path]) -> list[RunFolder]:
    """What the folders of runs say. Raises ValueError, one line, where one is no run."""
    places = list(dict.fromkeys(path.absolute() for path in paths))
    short = [place.name for place in places]
    names = [n if short.count(n) == 1 else f"{place.parent.name}/{n}"
             for n, place in zip(short, places)]  # fmt: skip
    if len(set(names)) < len(names):
        names = [str(place) for place in places]
    return [_read(place, name) for place, name in zip(places, names)]


def _read(out: Path, name: str) -> RunFolder:
    try:
        record = dict(json.loads((out / "options.json").read_text("utf-8", "replace")))
        known = isinstance(record["experiment"], str) and isinstance(record["steps"], int)
        known &= all(isinstance(record.get(n, {}), dict) for n in ("options", "versions", "device"))
        known &= isinstance(record["seeds"], list)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        known = False
    if not known:
        raise ValueError(f"{out} is no run: it needs an options.json made by `ganjax run`")
    doubts, digest = [], {}
    plain = {n: v for n, v in record.items() if n not in ("tie", "digest")}
    if storage.json_digest(plain) != record.get("digest"):
        doubts.append("options.json is not the one that `ganjax run` wrote")
    if (out / "digest.json").exists():
        try:
            digest = storage.read_digest(out)
        except ValueError as error:
            doubts.append(str(error))
    rows = storage.read_rows(out / "metrics.jsonl")
    return RunFolder(out, name, record, rows, digest, storage.read_changes(out), doubts)


def differences(runs: Sequence[RunFolder]) -> dict[str, list[str]]:
    """What the runs do not share of what was asked for, by name, a text for each run."""
    asked = [run.asked for run in runs]
    names = dict.fromkeys(name for each in asked for name in each)
    table = {name: [each.get(name, "") for each in asked] for name in names}
    return {name: cells for name, cells in table.items() if len(set(cells)) > 1}


def quartiles(values: np.ndarray) -> np.ndarray:
    """First quartile, median and third quartile over curves, [C, S] -> [3, S], of what is finite;
    NaN where nothing is.
    """
    found = np.full((3, values.shape[1]), np.nan)
    known = np.isfinite(values).any(0)
    if known.any():
        found[:, known] = np.nanpercentile(values[:, known], [25, 50, 75], axis=0)
    return found


@dataclass(frozen=True)
class Cell:
    """A setting of two swept options."""

    x: float
    y: float
    mean: float | None  # over the seeds that live; None without one
    diverged: int
    seeds: int

    @property
    def text(self) -> str:
        """The mean, and how many seeds diverged, if any."""
        mean = "" if self.mean is None else f"{self.mean:.4g}"
        return f"{mean}\n✕ {self.diverged} of {self.seeds}".strip() if self.diverged else mean


def heat_map(run: RunFolder, name: str) -> list[Cell]:
    """The mean over seeds of a metric at the last step, for each setting of two swept options.

    A seed counts as diverged where it has no finite number at the last measurement of the run.
    """
    (x_name, xs), (y_name, ys) = run.sweep.items()
    seeds = len(run.record["seeds"])
    found: dict[tuple[float, float], list[float]] = {}
    for rows, value in zip(run.curves.values(), run.last(name)):
        if value is not None:
            place = float(rows[-1][x_name]), float(rows[-1][y_name])
            found.setdefault(place, []).append(value)
    cells = []
    for x in xs:
        for y in ys:
            own = found.get((float(x), float(y)), [])
            cells.append(Cell(x, y, float(np.mean(own)) if own else None, seeds - len(own), seeds))
    return cells
