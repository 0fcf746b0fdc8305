"""The record of a run, options.json: what was asked, checked before anything is written, and found
again by a resume.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import ganjax
from ganjax import experiment as ex
from ganjax import figures, play, sharding
from ganjax.experiment import Experiment, File
from ganjax.game import Game
from ganjax.runs import storage


@dataclass(frozen=True)
class Request:
    """What options.json records of a run: with the experiment's file it determines every bit, on
    one kind of machine.
    """

    experiment: str  # name of the file
    path: str
    sha: str  # SHA-256 of the file
    options: dict[str, Any]  # of experiment(...)
    data: str  # SHA-256 of what is played on, of a set that is played by pages the first one
    seeds: list[int]
    lanes: str  # "vmap" or "sequential"
    steps: int
    every: int  # steps between measurements
    save_every: int
    precision: str
    deterministic: bool
    versions: dict[str, str]
    device: dict[str, Any]  # {"kind", "count", "cores"}; count: those that the run is laid over

    @property
    def tie(self) -> str:
        """What its checkpoints must carry: a digest of all that shapes the numbers."""
        own = {
            name: value
            for name, value in dataclasses.asdict(self).items()
            if name not in ("path", "versions", "device")
        }
        own["options"] = {name: value for name, value in self.options.items() if name != "data_dir"}
        return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()


def request(
    file: File,
    options: Mapping[str, Any],
    *,
    seed: int = 0,
    seeds: int = 1,
    lanes: str = "auto",
    every: int | None = None,
    save_every: int | None = None,
    precision: str = "float32",
    fast: bool = False,
    devices: int = 1,
) -> tuple[Request, Experiment]:
    """The record of a run and its experiment, built. Raises ValueError, one line, where an option
    is wrong.
    """
    built = file.build(options)
    if lanes == "auto":
        lanes = "vmap" if seeds > 1 and not built.game.convolves else "sequential"
    every = every or max(1, built.steps // 20)
    record = Request(
        experiment=file.name,
        path=str(file.path.resolve()),
        sha=file.sha,
        options={option.name: option.default for option in file.options().values()} | dict(options),
        data=storage.tree_digest(built.data),
        seeds=list(range(seed, seed + seeds)),
        lanes=lanes,
        steps=built.steps,
        every=every,
        save_every=save_every or max(every, built.steps // 10),
        precision=precision,
        deterministic=not fast,
        versions={"python": platform.python_version(), "ganjax": ganjax.__version__}
        | {name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "flax", "optax")},
        device={"kind": jax.devices()[0].device_kind, "count": max(1, devices), "cores": cores()},
    )
    with sharding.use_devices(devices):
        template(built.game, record, built.data)
    # refuses, before any time is spent, what it cannot draw
    figures.samples(built.data, np.zeros(made(built, 2).shape), 0.0, 1.0)
    return record, built


def create(out: Path, record: Request, overwrite: bool) -> None:
    """Makes the run's folder with options.json in it. Raises ValueError where it exists, is being
    played, or cannot be written.
    """
    if out.exists() and not overwrite:
        raise ValueError(
            f"{out} exists: choose another --out, go on with `ganjax resume {out}`, or say --overwrite"
        )
    if out.exists() and not (out / "options.json").is_file():
        raise ValueError(f"{out} is no run's folder, and --overwrite replaces nothing else")
    try:
        if out.exists():
            with storage.alone(out):
                shutil.rmtree(out)
        out.mkdir(parents=True)
        storage.write_json(out / "options.json", {**dataclasses.asdict(record), "tie": record.tie})
    except OSError as error:
        raise ValueError(f"{out} cannot be written: {error.strerror}") from error


def read_request(out: Path) -> Request:
    """The record of an existing run. Raises ValueError where the folder is no run, or the record is
    not as it was written.
    """
    try:
        fields = dict(json.loads((out / "options.json").read_text()))
        tie, record = fields.pop("tie"), Request(**fields)
        changed = record.tie != tie
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"{out} is no run: it needs an options.json made by `ganjax run`"
        ) from error
    if changed:
        raise ValueError(
            f"{out} cannot go on: its options.json is not the one that `ganjax run` wrote"
        )
    return record


def rebuild(out: Path, record: Request, data_dir: str | None = None) -> Experiment:
    """The experiment of an existing run. Raises ValueError where its file, or its data, is not what
    it was.
    """
    path = Path(str(record.path))
    file = File(path) if path.is_file() else ex.find(record.experiment)
    if file.sha != record.sha:
        raise ValueError(
            f"{out} was made by another version of the experiment: {file.path} has changed since"
        )
    built = file.build(record.options | ({"data_dir": data_dir} if data_dir else {}))
    if storage.tree_digest(built.data) != record.data:
        raise ValueError(f"{out} was played on other data: what it names has changed since")
    return built


def keys_of(record: Request) -> list[jax.Array]:
    """The key of each lane: of each seed, or of all seeds in one, [S]."""
    keys = [jax.random.key(seed) for seed in record.seeds]
    return [jnp.stack(keys)] if record.lanes == "vmap" else keys


def template(game: Game, record: Request, data: Any) -> list[play.State]:
    """The shapes of the lanes' states. Raises ValueError, one line, where a game's shapes do not
    fit.
    """
    return [play.template(game, key, data) for key in keys_of(record)]


def made(built: Experiment, n: int) -> jax.ShapeDtypeStruct:
    """The shape and dtype of n samples of one seed; nothing is computed."""
    key = jax.random.key(0)
    state = play.template(built.game, key, built.data)
    return jax.eval_shape(
        lambda state: ex.call(built.sample, play.bound(built.game, state), key, n), state
    )


def cores() -> int:
    """The CPU cores that this process may use; their number changes the bits."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
