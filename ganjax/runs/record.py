"""The record of a run, options.json: what was asked for."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import itertools
import json
import math
import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import jax

import ganjax
from ganjax.host import one_line
from ganjax.runs import best, storage


class Lane(NamedTuple):
    """A seed, and one setting of the swept numbers."""

    seed: int
    numbers: dict[str, float]


@dataclass(frozen=True)
class RunRecord:
    """What options.json says. With the experiment's file it determines every bit of the run, on
    one kind of machine.
    """

    experiment: str  # name of the file
    path: str
    sha: str  # SHA-256 of the file
    options: dict[str, Any]  # as asked for, by name
    data: str  # SHA-256 of the data; of a paged data set that of its first page
    seeds: list[int]
    lanes: str  # "vmap" or "sequential"
    steps: int
    every: int  # steps between measurements
    save_every: int
    precision: str
    deterministic: bool
    versions: dict[str, str]
    # {"kind", "count", "cores"}; count: the devices of the mesh; "mesh" where it is not one of data
    # alone, "processes" where there are several
    device: dict[str, Any]
    dynamics: str | None = None  # as asked for; None: the game's own, and no entry
    on_divergence: str = "freeze"  # "stop", "freeze" or "rollback"
    files: dict[str, str] = field(default_factory=dict)  # SHA-256 of what the folder keeps
    sweep: dict[str, list[float]] = field(default_factory=dict)  # numbers of the lanes, by option
    together: int | None = None  # lanes under one vmap; None: all
    # {"path", "step", "players", "params": SHA-256} of what it began with; None: new players
    source: dict[str, Any] | None = None
    portable: bool = False  # the same bits on many kinds of processor
    began: dict[str, Any] | None = None  # {"steps", "option"} of a run that is played longer
    keep: str | None = None  # "METRIC:max" or "METRIC:min", whose best checkpoint is kept
    exploit: dict[str, Any] | None = None  # {"metric": "METRIC:max", "every", "perturb"}

    @cached_property
    def each(self) -> dict[int, Lane]:
        """The lanes by name: of a sweep its settings, each with all seeds; otherwise the seeds."""
        if not self.sweep:
            return {seed: Lane(seed, {}) for seed in self.seeds}
        products = itertools.product(*self.sweep.values())
        found = [dict(zip(self.sweep, values)) for values in products]
        return dict(enumerate(Lane(seed, setting) for setting in found for seed in self.seeds))

    @property
    def chunks(self) -> list[list[int]]:
        """The lanes that are played together: those of one vmap, or each alone."""
        names = list(self.each)
        n = (self.together or len(names)) if self.lanes == "vmap" else 1
        return [names[i : i + n] for i in range(0, len(names), n)]

    def title(self, name: int) -> str:
        """What a lane is called: "seed 3", or "lane 5, lr 0.01, seed 1"; without its numbers where
        they change.
        """
        lane = self.each[name]
        told = [f"{option} {value:g}" for option, value in lane.numbers.items() if self.settings]
        return ", ".join([*([f"lane {name}"] if self.sweep else []), *told, f"seed {lane.seed}"])

    @property
    def settings(self) -> list[str]:
        """The swept options, where lanes keep their numbers."""
        return [] if self.exploit else list(self.sweep)

    def row(self, name: int) -> dict[str, Any]:
        """What a row of metrics says of its lane."""
        lane = self.each[name]
        return {"seed": lane.seed, **({"lane": name, **lane.numbers} if self.sweep else {})}

    @property
    def mesh(self) -> dict[str, int]:
        """The devices along each axis. Batch statistics are of the whole batch on any mesh."""
        return dict(self.device.get("mesh", {"data": self.device["count"]}))

    def on(self, mesh: Mapping[str, int]) -> RunRecord:
        """The record of the same run on another mesh."""
        device = {n: v for n, v in self.device.items() if n not in ("mesh", "processes")}
        device["count"] = math.prod(mesh.values())
        if mesh.get("lanes", 1) > 1:
            device["mesh"] = dict(mesh)
        if jax.process_count() > 1:
            device["processes"] = jax.process_count()
        return dataclasses.replace(self, device=device)

    @property
    def tie(self) -> str:
        """What its checkpoints must carry: a digest of all that shapes the numbers."""
        shaping = self._plain
        for name in ("path", "versions", "device", "on_divergence", "files", "began", "keep"):
            shaping.pop(name, None)
        shaping["options"].pop("data_dir", None)
        if self.source:
            shaping["source"].pop("path")
        if self.began:
            shaping["steps"] = self.began["steps"]
            shaping["options"]["steps"] = self.began["option"]
        return storage.json_digest(shaping)

    @property
    def digest(self) -> str:
        """A digest of all of it."""
        return storage.json_digest(self._plain)

    @property
    def fields(self) -> dict[str, Any]:
        """What options.json holds."""
        return {**self._plain, "tie": self.tie, "digest": self.digest}

    @property
    def _plain(self) -> dict[str, Any]:
        # as it was before there was a choice, where none was made
        fields = dataclasses.asdict(self)
        chosen: dict[str, Any] = {
            "dynamics": None,
            "on_divergence": "freeze",
            "files": {},
            "sweep": {},
            "together": None,
            "source": None,
            "began": None,
            "keep": None,
            "exploit": None,
            "portable": False,
        }
        return {n: v for n, v in fields.items() if n not in chosen or v != chosen[n]}


def last_measured(
    record: RunRecord, rows: Sequence[storage.Row], kept: Mapping[str, Any] | None
) -> list[str]:
    """What was measured of each lane at the last step, a line each, and what `--keep` kept."""
    lines = []
    for row in rows:
        if row["step"] == record.steps:
            own = ("step", "seed", "lane", "time", *record.sweep)
            told = [f"{n} {v:.4g}" for n, v in row.items() if n not in own and v is not None]
            lane = row["lane"] if record.sweep else row["seed"]
            lines.append(f"{record.title(int(lane or 0))}: " + "  ".join(told))
    of = len(record.each) // math.prod(len(record.sweep[name]) for name in record.settings)
    return [*lines, *([best.sentence(kept, of)] if kept else [])]


def versions() -> dict[str, str]:
    """The versions that numbers depend on."""
    known = {"python": platform.python_version(), "ganjax": ganjax.__version__}
    packages = ("jax", "jaxlib", "flax", "optax")
    return known | {name: importlib.metadata.version(name) for name in packages}


def cpu_cores() -> int:
    """The CPU cores that this process may use; their number changes the bits."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def create_run(
    out: Path, record: RunRecord, overwrite: bool, files: Mapping[str, bytes] | None = None
) -> None:
    """Makes the run's folder with options.json, and files by their place, in it.

    Raises ValueError where it exists, where another process plays it, or where it cannot be
    written.
    """
    empty = out.is_dir() and not any(out.iterdir())
    if out.exists() and not empty and not overwrite:
        advice = f"go on with `ganjax resume {out}`, or say --overwrite"
        raise ValueError(f"{out} exists: choose another --out, {advice}")
    if out.exists() and not empty and not (out / "options.json").is_file():
        raise ValueError(f"{out} is no run's folder, and --overwrite replaces nothing else")
    place = out.resolve()  # behind a link, which stays
    scratch, old = (place.with_name(f".{place.name}.{os.getpid()}{kind}") for kind in ("", ".old"))
    try:
        scratch.mkdir(parents=True)
        try:
            # A folder appears with its options.json in it, or not at all.
            storage.write_files(scratch, files or {})
            storage.write_json(scratch / "options.json", record.fields)
            if empty:
                place.rmdir()
            elif place.exists():
                with storage.locked(place):
                    place.rename(old)
            scratch.rename(place)
        finally:
            for left in (scratch, old):
                if left.exists():
                    shutil.rmtree(left)
    except OSError as error:
        said = error.strerror or one_line(error)
        raise ValueError(f"{out} cannot be written: {said}") from error


def read_record(out: Path) -> RunRecord:
    """The record of a run. Raises ValueError where there is none, or it was edited."""
    try:
        fields = dict(json.loads((out / "options.json").read_text("utf-8", "replace")))
        digests = fields.pop("tie"), fields.pop("digest")
        record = RunRecord(**fields)
        edited = digests != (record.tie, record.digest)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{out} is no run: it needs an options.json made by `ganjax run`"
        ) from error
    if edited:
        raise ValueError(
            f"{out} cannot go on: its options.json is not the one that `ganjax run` wrote"
        )
    return record
