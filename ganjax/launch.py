"""Plays an experiment into a run's folder, goes on where it stopped, samples from it; host code."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import signal
import sys
import time
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

import ganjax
from ganjax import experiment as ex
from ganjax import figures, folder, play
from ganjax.checkpoint import Checkpoints
from ganjax.experiment import Experiment, File
from ganjax.game import Game
from ganjax.keys import stream

SECONDS = 0.5  # a dispatch is about this long: a signal is answered, and the progress bar moves, after each
SHOWN = 2048  # samples of which the figures are made


class FailedError(Exception):
    """The run itself failed, though the request was right: exit status 1."""


@dataclass(frozen=True)
class Request:
    """What options.json records of a run: with the experiment's file it determines every bit, on one kind of machine."""

    experiment: str  # name of the file
    path: str
    sha: str  # SHA-256 of the file
    options: dict[str, Any]  # of experiment(...)
    seeds: list[int]
    lanes: str  # "vmap" or "sequential"
    steps: int
    every: int  # steps between measurements
    save_every: int
    precision: str
    deterministic: bool
    versions: dict[str, str]
    device: dict[str, Any]  # {"kind", "count", "cores"}

    @property
    def tie(self) -> str:
        """What its checkpoints must carry: a digest of all that shapes the numbers."""
        own = {name: value for name, value in dataclasses.asdict(self).items() if name not in ("path", "versions", "device")}
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
) -> tuple[Request, Experiment]:
    """The record of a run and its experiment, built. Raises ValueError, one line, where an option is wrong."""
    built = file.build(options)
    if lanes == "auto":
        lanes = "vmap" if seeds > 1 and not built.game.convolves else "sequential"
    every = every or max(1, built.steps // 20)
    record = Request(
        experiment=file.name,
        path=str(file.path.resolve()),
        sha=file.sha,
        options={option.name: option.default for option in file.options().values()} | dict(options),
        seeds=list(range(seed, seed + seeds)),
        lanes=lanes,
        steps=built.steps,
        every=every,
        save_every=save_every or max(every, built.steps // 10),
        precision=precision,
        deterministic=not fast,
        versions={"python": platform.python_version(), "ganjax": ganjax.__version__}
        | {name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "flax", "optax")},
        device={"kind": jax.devices()[0].device_kind, "count": jax.device_count(), "cores": cores()},
    )
    template(built.game, record, built.data)
    figures.samples(built.data, np.zeros(made(built, 2).shape), 0.0, 1.0)  # refuses, before any time is spent, what it cannot draw
    return record, built


def create(out: Path, record: Request, overwrite: bool) -> None:
    """Makes the run's folder with options.json in it. Raises ValueError where it exists, or cannot be written."""
    if out.exists() and not overwrite:
        raise ValueError(f"{out} exists: choose another --out, go on with `ganjax resume {out}`, or say --overwrite")
    if out.exists() and not (out / "options.json").is_file():
        raise ValueError(f"{out} is no run's folder, and --overwrite replaces nothing else")
    try:
        if out.exists():
            shutil.rmtree(out)
        out.mkdir(parents=True)
        folder.write_json(out / "options.json", {**dataclasses.asdict(record), "tie": record.tie})
    except OSError as error:
        raise ValueError(f"{out} cannot be written: {error.strerror}") from error


def read_request(out: Path) -> Request:
    """The record of an existing run. Raises ValueError where the folder is no run, or the record is not as it was written."""
    try:
        fields = dict(json.loads((out / "options.json").read_text()))
        tie, record = fields.pop("tie"), Request(**fields)
        changed = record.tie != tie
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{out} is no run: it needs an options.json made by `ganjax run`") from error
    if changed:
        raise ValueError(f"{out} cannot go on: its options.json is not the one that `ganjax run` wrote")
    return record


def rebuild(out: Path, record: Request, data_dir: str | None = None) -> Experiment:
    """The experiment of an existing run. Raises ValueError where its file is another one now."""
    path = Path(str(record.path))
    file = File(path) if path.is_file() else ex.find(record.experiment)
    if file.sha != record.sha:
        raise ValueError(f"{out} was made by another version of the experiment: {file.path} has changed since")
    return file.build(record.options | ({"data_dir": data_dir} if data_dir else {}))


def carry_on(out: Path, record: Request, built: Experiment, quiet: bool = False) -> dict[str, Any]:
    """Plays a run from its newest checkpoint, or from step 0, to its end; the digest.

    Raises FailedError where every seed diverged, and SystemExit with status 130 or 143 on SIGINT or SIGTERM, after saving.
    """
    if (out / "digest.json").is_file():
        return json.loads((out / "digest.json").read_text())
    game = at_precision(built.game, record.precision)
    data = jax.device_put(built.data)
    measure = jax.jit(built.measure)
    checkpoints = Checkpoints(out / "checkpoints", record.tie)
    found = checkpoints.restore(template(game, record, data))
    at, lanes = found or (0, lanes_at_start(game, record, data))
    rows = folder.cut(out / "metrics.jsonl", at)
    began = time.perf_counter() - max((row["time"] for row in rows), default=0.0)
    dead = diverged(record, lanes, at)

    with interrupts() as caught, progress(record.steps, at, quiet) as bar:
        n = 1
        while at < record.steps and len(dead) < len(record.seeds):
            boundary = min(record.steps, *((at // every + 1) * every for every in (record.every, record.save_every)))
            started, n = time.perf_counter(), min(n, boundary - at)
            lanes = [play.run(game, lane, data, n)[0] if alive(lane, at) else lane for lane in lanes]
            jax.block_until_ready(lanes)
            took, at = time.perf_counter() - started, at + n
            n = max(1, min(2 * n, int(n * SECONDS / took) + 1))
            bar.update(at - bar.n)
            if at % record.every == 0 or at == record.steps:
                new = diverged(record, lanes, at)
                for seed in new.keys() - dead.keys():
                    tqdm.write(f"seed {seed} diverged at step {new[seed]} and is frozen there", file=sys.stderr)
                dead = new
                fresh = [
                    {"step": at, "seed": seed, "time": round(time.perf_counter() - began, 3), **numbers}
                    for seed, state in singles(record, lanes)
                    if seed not in dead
                    for numbers in [numbers_of(built, game, data, state, measure, at)]
                ]
                folder.append(out / "metrics.jsonl", fresh)
                rows += fresh
                bar.set_postfix({name: f"{fresh[0][name]:.3g}" for name in game.players if fresh and fresh[0].get(name) is not None})
            if at % record.save_every == 0 or at == record.steps or caught or len(dead) == len(record.seeds):
                checkpoints.save(at, lanes)
            if caught:
                checkpoints.close()
                raise SystemExit(128 + caught[0])
    checkpoints.close()
    if len(dead) == len(record.seeds):
        raise FailedError(f"{out}: every seed diverged, the last at step {max(dead.values())}; its checkpoint has the states before")
    states = dict(singles(record, lanes))
    x = samples(built, game, next(state for seed, state in states.items() if seed not in dead), SHOWN)
    shown = {"samples": figures.samples(built.data, x, 0.0, 1.0), "curves": figures.curves(rows)}
    for name, figure in {**shown, **built.figures(built.data, x, rows)}.items():
        figures.save(figure, out / "figures" / f"{name}.png")
    digest = folder.digest({seed: state.params for seed, state in states.items()}, rows, record.steps)
    if dead:
        digest["diverged"] = {str(seed): step for seed, step in dead.items()}
    folder.write_json(out / "digest.json", digest)
    return digest


def numbers_of(
    built: Experiment, game: Game, data: Any, state: play.State, measure: Callable[..., Any], at: int
) -> dict[str, float | int | None]:
    """What one seed's row holds at a step: the losses, the measures, and at the end what the judge says; None for what is not finite."""
    players = play.bound(game, state)
    numbers = {**state.log, **ex.call(measure, players, data, stream(state.key, "measure", at))}
    if at == built.steps:
        numbers |= ex.call(built.judge, players, data, stream(state.key, "judge"))
    plain = {name: np.asarray(value).item() for name, value in jax.device_get(numbers).items()}
    return {name: value if np.isfinite(value) else None for name, value in plain.items()}


def samples(built: Experiment, game: Game, state: play.State, n: int) -> np.ndarray:
    """n samples of one seed, [n, (K,) *shape]."""
    sample = jax.jit(built.sample, static_argnums=1)
    return np.asarray(ex.call(sample, play.bound(game, state), stream(state.key, "sample"), n))


def cores() -> int:
    """The CPU cores that this process may use; their number changes the bits."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def made(built: Experiment, n: int) -> jax.ShapeDtypeStruct:
    """The shape and dtype of n samples of one seed; nothing is computed."""
    key = jax.random.key(0)
    state = play.template(built.game, key, built.data)
    return jax.eval_shape(lambda state: ex.call(built.sample, play.bound(built.game, state), key, n), state)


def at_precision(game: Game, precision: str) -> Game:
    """The game with its players computing in bfloat16; parameters, losses and statistics stay float32."""
    if precision == "float32":
        return game
    return dataclasses.replace(game, players={name: dataclasses.replace(p, dtype=jnp.bfloat16) for name, p in game.players.items()})


def lanes_at_start(game: Game, record: Request, data: Any) -> list[play.State]:
    """The first states: one for each seed, or one population of all."""
    return [play.init(game, key, data) for key in keys_of(record)]


def keys_of(record: Request) -> list[jax.Array]:
    """The key of each lane: of each seed, or of all seeds in one, [S]."""
    keys = [jax.random.key(seed) for seed in record.seeds]
    return [jnp.stack(keys)] if record.lanes == "vmap" else keys


def template(game: Game, record: Request, data: Any) -> list[play.State]:
    """The shapes of the lanes' states. Raises ValueError, one line, where a game's shapes do not fit."""
    return [play.template(game, key, data) for key in keys_of(record)]


def singles(record: Request, lanes: Sequence[play.State]) -> Iterator[tuple[int, play.State]]:
    """The state of each seed by itself."""
    if record.lanes == "vmap":
        lanes = [jax.tree.map(lambda leaf, i=i: leaf[i], lanes[0]) for i in range(len(record.seeds))]
    return zip(record.seeds, lanes)


def alive(lane: play.State, at: int) -> bool:
    """Whether any seed of a lane has come as far as the step."""
    return bool((lane.step == at).any())


def diverged(record: Request, lanes: Sequence[play.State], at: int) -> dict[int, int]:
    """The seeds that are frozen, and the step at which each is: a step that leaves a parameter non-finite is never taken."""
    steps = np.concatenate([np.atleast_1d(lane.step) for lane in lanes])
    return {seed: int(step) for seed, step in zip(record.seeds, steps) if step < at}


def newest(out: Path, record: Request, built: Experiment) -> tuple[Game, play.State]:
    """The game and the state of the first seed that lives, or died last, from the newest good checkpoint. Raises ValueError without one."""
    game = at_precision(built.game, record.precision)
    checkpoints = Checkpoints(out / "checkpoints", record.tie, read_only=True)
    found = checkpoints.restore(template(game, record, built.data))
    checkpoints.close()
    if found is None:
        raise ValueError(f"{out} has no checkpoint yet")
    return game, max((state for _, state in singles(record, found[1])), key=lambda state: int(state.step))


@contextmanager
def interrupts() -> Iterator[list[int]]:
    """Catches the first SIGINT or SIGTERM into a list; a second one acts as it always does."""
    caught: list[int] = []
    old = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def catch(number: int, _: types.FrameType | None) -> None:
        caught.append(number)
        restore()

    def restore() -> None:
        for number, handler in old.items():
            signal.signal(number, handler)

    for number in old:
        signal.signal(number, catch)
    try:
        yield caught
    finally:
        restore()


def progress(steps: int, at: int, quiet: bool) -> tqdm:
    """A bar of steps, steps/s and losses; silent where nobody watches."""
    return tqdm(total=steps, initial=at, unit="step", dynamic_ncols=True, disable=quiet or not sys.stderr.isatty())
