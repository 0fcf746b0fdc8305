"""From what a user asks for to the record of a run and its experiment, built and checked."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import numpy as np

from ganjax import play, sharding
from ganjax.data.kept import recording, standing_in
from ganjax.experiment import Experiment, with_players
from ganjax.host import one_line
from ganjax.runs import beginning, best, exploits, hosts, memory, origin, population, storage
from ganjax.runs.discovery import File
from ganjax.runs.record import RunRecord, cpu_cores, versions
from ganjax.runs.sweep import MOST, swept


class Request(NamedTuple):
    """A new run that is built and checked."""

    record: RunRecord
    experiment: Experiment
    files: dict[str, bytes]  # what its folder keeps, by place


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
    devices: int | None = None,
    mesh: str | None = None,
    dynamics: str | None = None,
    on_divergence: str = "freeze",
    sweep: Mapping[str, Sequence[float]] = MappingProxyType({}),
    lanes_per_batch: int | None = None,
    keep: str | None = None,
    exploit: str | None = None,
    exploit_every: int | None = None,
    perturb: float | None = None,
    source: Path | None = None,
    players: Sequence[str] | None = None,
    portable: bool = False,
) -> Request:
    """The record of a new run, its experiment, built and checked, and what its folder keeps.

    sweep: numbers of the lanes, as `sweep.programs` finds them.
    source, players: the run with whose parameters these players begin (all that both games have).
    Raises ValueError, one line, where an option is wrong.
    """
    with recording() as kept:
        experiment = file.build(options)
    experiment = swept(along(experiment, dynamics), list(sweep))
    count = seeds * math.prod(map(len, sweep.values()))
    if count > MOST:
        raise ValueError(f"{count} lanes are more than {MOST}")
    axes = meshed(mesh, devices) or {"data": jax.device_count() if jax.process_count() > 1 else 1}
    if lanes == "auto" and axes.get("lanes", 1) > 1:
        lanes = "vmap"
    if lanes == "auto":
        lanes, together = population.form(experiment, count)
        lanes_per_batch = lanes_per_batch or together
    if lanes == "vmap" and lanes_per_batch is None and axes.get("lanes", 1) == 1:
        game = population.at_precision(experiment.played, precision)
        lanes_per_batch = memory.lanes_per_batch(game, experiment.data, count)
    start = begun_with(source, players, experiment, sweep, count)
    every = every or max(1, experiment.steps // 20)
    files = origin.copies(file)
    if kept.calls and experiment.sample is not None:
        files[origin.DATA] = kept.to_bytes()
    asked = {entry.name: entry.default for entry in file.options().values()} | dict(options)
    places = {*kept.paths, asked.get("data_dir")} - {None}
    record = RunRecord(
        experiment=file.name,
        path=str(file.path.resolve()),
        sha=file.sha,
        options={n: absolute(v) if v in places else v for n, v in asked.items()},
        data=storage.tree_digest(experiment.data),
        seeds=list(range(seed, seed + seeds)),
        lanes=lanes,
        steps=experiment.steps,
        every=every,
        save_every=save_every or max(every, experiment.steps // 10),
        precision=precision,
        deterministic=not fast,
        versions=versions(),
        device={"kind": jax.devices()[0].device_kind, "count": 1, "cores": cpu_cores()},
        dynamics=dynamics,
        on_divergence=on_divergence,
        portable=portable,
        sweep={name: list(map(float, values)) for name, values in sorted(sweep.items())},
        together=lanes_per_batch if lanes == "vmap" and lanes_per_batch else None,
        files={name: origin.sha(data) for name, data in files.items()},
        keep=keep,
        exploit=exploits.asked(exploit, exploit_every, perturb, every),
        source=start and start[0],
    )
    record = record.on(axes)
    check(record, experiment)
    return Request(record, experiment, files | ({beginning.FILE: start[1]} if start else {}))


def begun_with(
    source: Path | None,
    players: Sequence[str] | None,
    experiment: Experiment,
    sweep: Mapping[str, Sequence[float]],
    lanes: int,
) -> tuple[dict[str, Any], bytes] | None:
    """`beginning.source_of` a run that others begin with; None without one."""
    if source is None:
        if players:
            raise ValueError("--players begin with parameters of another run: say --from RUN")
        return None
    numbers = {name: jax.numpy.float32(values[0]) for name, values in sweep.items()}
    like = play.template(experiment.played, jax.random.key(0), experiment.data, numbers)
    names = [name for word in players or [] for name in word.split(",") if name]
    return beginning.source_of(source, names or None, like, lanes)


def meshed(mesh: str | None, devices: int | None) -> dict[str, int] | None:
    """The mesh that is asked for as a text, or as a number of devices; None without either.

    Raises ValueError, one line, where its product is not the number of devices.
    """
    if mesh is None:
        return None if devices is None else {"data": max(1, devices)}
    if devices is not None:
        raise ValueError("--devices N is short for --mesh data=N: say one of them")
    axes, there = sharding.mesh_of(mesh), jax.device_count()
    if (asked := math.prod(axes.values())) != there:
        kind = jax.devices()[0].device_kind
        raise ValueError(
            f"--mesh {mesh} is of {asked} devices, and there are {there} ({kind}): it takes all; "
            "--devices N divides batches over the first N"
        )
    return axes


def check_mesh(record: RunRecord) -> None:
    """Raises ValueError, one line, where lanes cannot be divided over the mesh, or a process has no
    part in it.
    """
    lanes, together = record.mesh.get("lanes", 1), {len(names) for names in record.chunks}
    if lanes > 1 and record.lanes != "vmap":
        raise ValueError(
            "a mesh with lanes divides lanes that are played together: --lanes vmap, or data=N"
        )
    if odd := [n for n in sorted(together) if n % lanes]:
        raise ValueError(f"{odd[0]} lanes cannot be cut into {lanes} equal parts: --mesh lanes")
    if jax.process_count() > 1 and record.device["count"] != jax.device_count():
        raise ValueError(
            f"{jax.process_count()} processes have {jax.device_count()} devices and play on all of "
            f"them, not on {record.device['count']}: say --mesh"
        )


def absolute(path: str) -> str:
    """The path from anywhere."""
    return os.path.abspath(os.path.expanduser(path))


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
    check_mesh(record)
    game = population.at_precision(experiment.played, record.precision)
    memory.check(game, record, experiment.data)
    with sharding.use_mesh(record.mesh):
        population.template(game, record, experiment.data)
    exploits.check(record)
    measured = measured_names(experiment)
    best.check(record.keep, measured)
    if record.exploit:
        best.check(record.exploit["metric"], measured, "--exploit")
    if experiment.sample is not None:
        made = population.sample_shape(experiment, 2)
        population.picture(experiment, np.zeros(made.shape))


def measured_names(experiment: Experiment) -> list[str]:
    """What every measurement of a run tells: what its losses log, and what is measured.

    Raises ValueError where a measurement cannot be made of players of these shapes.
    """
    key = jax.random.key(0)

    def measured(state: play.State, data: Any) -> Any:
        players = play.bound(experiment.played, state)
        return with_players(experiment.measure, players, data, key)

    state = play.template(experiment.played, key, experiment.data)
    try:
        return [*state.log, *jax.eval_shape(measured, state, experiment.data)]
    except (TypeError, IndexError) as error:
        raise ValueError(f"what is measured does not fit: {one_line(error)}") from error


def rebuild(
    out: Path,
    record: RunRecord,
    data_dir: str | None = None,
    accept_changes: bool = False,
    trust: bool = False,
) -> tuple[Experiment, dict[str, Any]]:
    """The experiment of a run that is to go on, and `train`'s arguments of what was accepted.

    Raises ValueError, one line, where its file or its data have changed and this is not accepted.
    """
    exploits.check(record)
    file, changed = origin.file_to_resume(out, record, accept_changes, trust)
    experiment = file.build(record.options | ({"data_dir": data_dir} if data_dir else {}))
    change: dict[str, Any] = {}
    if changed:
        change = {
            "changed": {"experiment": changed},
            "files": origin.accept_file(out, file) if hosts.is_first() else {},
        }
    data = storage.tree_digest(experiment.data)
    before = [entry["data"] for entry in storage.read_changes(out) if "data" in entry]
    if data != [record.data, *before][-1]:
        if not accept_changes:
            raise ValueError(
                f"{out}: data: other bytes than it was played on; put them back, or go on with "
                "them: `ganjax resume --accept-changes`"
            )
        change["changed"] = {**change.get("changed", {}), "data": "other bytes"}
        change["data"] = data
    experiment = swept(along(experiment, record.dynamics), list(record.sweep))
    return experiment, {"accept_changes": accept_changes, "change": change}


def rebuild_to_sample(
    out: Path, record: RunRecord, data_dir: str | None = None, trust: bool = False
) -> Experiment:
    """The experiment of a run that is to be sampled, built on what its folder keeps of the data,
    or, where it keeps nothing, on the data.

    Raises ValueError, one line, where its file is not known here, or cannot be built.
    """
    file, kept = origin.file_to_sample(out, record, trust), origin.kept_data(out, record)
    values = record.options | ({"data_dir": data_dir} if data_dir and kept is None else {})
    with standing_in(kept):
        try:
            built = along(file.build(values), record.dynamics)
            return swept(built, list(record.sweep))
        except OSError as error:
            raise ValueError(
                f"{out} cannot be sampled, as {file.path} opens files itself: {one_line(error)}"
            ) from error
