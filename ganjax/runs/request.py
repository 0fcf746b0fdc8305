"""From what a user asks for to the record of a run and its experiment, built and checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ganjax import sharding
from ganjax.experiment import Experiment
from ganjax.runs import memory, population, storage
from ganjax.runs.discovery import File, experiment_file
from ganjax.runs.record import RunRecord, cpu_cores, versions


def prepare_run(
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
    dynamics: str | None = None,
    on_divergence: str = "freeze",
) -> tuple[RunRecord, Experiment]:
    """The record of a new run and its experiment, built and checked.

    Raises ValueError, one line, where an option is wrong.
    """
    experiment = along(file.build(options), dynamics)
    if lanes == "auto":
        # Under vmap a turn with a condition is computed whether it holds or not.
        game = experiment.played
        slow = game.convolves or any(turn.when for turn in game.schedule)
        lanes = "vmap" if seeds > 1 and not slow else "sequential"
    every = every or max(1, experiment.steps // 20)
    record = RunRecord(
        experiment=file.name,
        path=str(file.path.resolve()),
        sha=file.sha,
        options={entry.name: entry.default for entry in file.options().values()} | dict(options),
        data=storage.tree_digest(experiment.data),
        seeds=list(range(seed, seed + seeds)),
        lanes=lanes,
        steps=experiment.steps,
        every=every,
        save_every=save_every or max(every, experiment.steps // 10),
        precision=precision,
        deterministic=not fast,
        versions=versions(),
        device={
            "kind": jax.devices()[0].device_kind,
            "count": max(1, devices),
            "cores": cpu_cores(),
        },
        dynamics=dynamics,
        on_divergence=on_divergence,
    )
    check(record, experiment)
    return record, experiment


def along(experiment: Experiment, dynamics: str | None) -> Experiment:
    """The experiment with its game played along named dynamics; None: as it is.

    Raises ValueError, one line, where its game cannot be.
    """
    if dynamics is None:
        return experiment
    game = experiment.game
    changed = dataclasses.replace(experiment, game=lambda o: game(o).along(dynamics))
    _ = changed.played
    return changed


def check(record: RunRecord, experiment: Experiment) -> None:
    """Raises ValueError, one line, before any time is spent, where shapes do not fit a game or
    the memory, or its samples have no figure.
    """
    game = population.at_precision(experiment.played, record.precision)
    memory.check(game, record, experiment.data)
    with sharding.use_devices(record.device["count"]):
        population.template(game, record, experiment.data)
    if experiment.sample is not None:
        made = population.sample_shape(experiment, 2)
        population.picture(experiment, np.zeros(made.shape))


def rebuild(out: Path, record: RunRecord, data_dir: str | None = None) -> Experiment:
    """The experiment of a run. Raises ValueError where its file or its data have changed."""
    path = Path(str(record.path))
    file = File(path) if path.is_file() else experiment_file(record.experiment)
    if file.sha != record.sha:
        raise ValueError(
            f"{out} was made by another version of the experiment: {file.path} has changed since"
        )
    experiment = file.build(record.options | ({"data_dir": data_dir} if data_dir else {}))
    if storage.tree_digest(experiment.data) != record.data:
        raise ValueError(f"{out} was played on other data: what it names has changed since")
    return along(experiment, record.dynamics)
