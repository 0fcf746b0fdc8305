"""Trains an experiment into a run's folder, from its newest checkpoint to its end. On the host."""

from __future__ import annotations

import json
import signal
import sys
import time
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from ganjax import play, sharding
from ganjax.experiment import Experiment, with_players
from ganjax.figures.curves import curves
from ganjax.figures.style import save
from ganjax.game import Game
from ganjax.host import UnwritableError, one_line
from ganjax.keys import stream
from ganjax.runs import population, storage
from ganjax.runs.checkpoint import Checkpoints, Saved
from ganjax.runs.record import RunRecord, cpu_cores, versions


class FailedError(Exception):
    """The run itself failed, though the request was right: exit status 1."""


def train(
    out: Path,
    record: RunRecord,
    experiment: Experiment,
    quiet: bool = False,
    accept_changes: bool = False,
    change: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """Trains a run to its end; what its digest.json says.

    accept_changes: goes on where rows of metrics.jsonl are missing or other ones, and records that.
    change: what else is not as it was, and accepted, for a line of changes.jsonl.
    Raises FailedError where every seed diverged, SystemExit with status 130 or 143 after SIGINT or
    SIGTERM, when it has saved, and ValueError, one line, where another process trains the run, and
    where its files do not fit.
    """
    if (out / "digest.json").is_file():
        return storage.read_digest(out)
    with storage.locked(out):
        return _train(out, record, experiment, quiet, accept_changes, change)


def _train(
    out: Path,
    record: RunRecord,
    experiment: Experiment,
    quiet: bool,
    accept_changes: bool,
    change: Mapping[str, Any],
) -> dict[str, Any]:
    game = population.at_precision(experiment.played, record.precision)
    checkpoints = Checkpoints(out / "checkpoints", record.tie)
    with sharding.use_devices(record.device["count"]):
        data = sharding.replicate(experiment.data)
        found = checkpoints.restore(population.template(game, record, data))
        step, lanes = found[:2] if found else (0, population.initial(game, record, data))
    changes = _changes(out, record, found, accept_changes, change)
    # a last state whose evaluation failed is measured again
    again = bool(found and found.note.get("unevaluated"))
    rows = storage.truncate_rows(out / "metrics.jsonl", step - again)
    began = time.perf_counter() - max((row["time"] for row in rows), default=0.0)
    failures: list[str] = []
    measured = _measurement(experiment, game, data, failures)
    dead = population.diverged(record, lanes, step)
    advanced = population.advance(game, record, data, lanes, step)

    with _signals() as caught, _progress(record.steps, step, quiet) as bar:
        while (step < record.steps or again) and len(dead) < len(record.seeds):
            if not again:
                step, lanes = next(advanced)
            again = False
            bar.update(step - bar.n)
            if step == record.steps:  # whatever happens to an evaluation
                checkpoints.save(step, lanes, _note(rows, step, evaluated=False))
            if step % record.every == 0 or step == record.steps:
                dead = _report_diverged(population.diverged(record, lanes, step), dead)
                passed = round(time.perf_counter() - began, 3)
                fresh = [
                    {"step": step, "seed": seed, "time": passed, **measured(state, step)}
                    for seed, state in population.by_seed(record, lanes).items()
                    if seed not in dead
                ]
                storage.append_rows(out / "metrics.jsonl", fresh)
                rows += fresh
                bar.set_postfix(_losses(game, fresh))
            ended = step == record.steps or len(dead) == len(record.seeds)
            if step % record.save_every == 0 or ended or caught:
                checkpoints.save(step, lanes, _note(rows, step, evaluated=not failures))
            if caught:
                checkpoints.close()
                raise SystemExit(128 + caught[0])
    checkpoints.close()
    if len(dead) == len(record.seeds):
        last = max(dead.values())
        raise FailedError(
            f"{out}: every seed diverged, the last at step {last}; "
            "its checkpoint has the states before"
        )
    states = population.by_seed(record, lanes)
    alive = next(state for seed, state in states.items() if seed not in dead)
    failures += _draw(out, experiment, game, alive, rows)
    if failures:
        why = "; ".join(dict.fromkeys(failures))
        raise FailedError(
            f"{out}: {why}; the last state and all else is kept: `ganjax resume` tries this again"
        )
    params = {seed: state.params for seed, state in states.items()}
    digest = storage.run_digest(params, rows, record.steps)
    if dead:
        digest["diverged"] = {str(seed): own for seed, own in dead.items()}
    if changes:
        digest["changes"] = changes
    storage.write_json(out / "digest.json", digest)
    return digest


def _note(rows: list[storage.Row], step: int, evaluated: bool) -> dict[str, Any]:
    """What a checkpoint says of the rows up to it; without those of a step that is to be
    evaluated again.
    """
    settled = [row for row in rows if evaluated or row["step"] < step]
    digest = {"rows": storage.metrics_digest(settled)}
    return digest if evaluated else digest | {"unevaluated": True}


def _changes(
    out: Path, record: RunRecord, found: Saved | None, accept: bool, other: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """What differed each time that the run went on, from changes.jsonl; a new difference is added
    there, and said in a line.

    other: a difference of another kind. Raises ValueError where rows up to the checkpoint are not
    those that were written, unless this is accepted.
    """
    known = storage.read_changes(out)
    new: dict[str, Any] = dict(other.get("changed", {}))
    if found is None and not new:
        return known
    step = found.step if found else 0
    settled = step - bool(found and found.note.get("unevaluated"))
    rows = [r for r in storage.read_rows(out / "metrics.jsonl") if r["step"] <= settled]
    if found and storage.metrics_digest(rows) != found.note.get("rows"):
        if not accept:
            raise ValueError(
                f"{out}: rows of metrics.jsonl up to step {step} are missing or are not "
                "those that were written: put them back, or go on without, --accept-changes"
            )
        new["metrics.jsonl"] = "other rows"
    here, device = versions(), {"kind": jax.devices()[0].device_kind, "cores": cpu_cores()}
    for name, value in here.items():
        if record.versions.get(name) != value:
            new[name] = [record.versions.get(name), value]
    for name, value in device.items():
        if record.device.get(name) != value:
            new[name] = [record.device.get(name), value]
    if not new or (known and known[-1]["changed"] == new and not other):
        return known
    told = ", ".join(
        f"{n} {v}" if isinstance(v, str) else f"{n} {v[0]} is now {v[1]}" for n, v in new.items()
    )
    print(f"{out} goes on at step {step} with changes, so with other bits: {told}",
          file=sys.stderr)  # fmt: skip
    change = {"step": step, **other, "changed": new}
    with (out / "changes.jsonl").open("a") as file:
        file.write(json.dumps(change) + "\n")
    return [*known, change]


def _measurement(
    experiment: Experiment, game: Game, data: Any, failures: list[str]
) -> Callable[[play.State, int], dict[str, float | int | None]]:
    """(state, step) -> the numbers of one seed's row; None for what is not finite.

    They are the losses, what is measured and, at the end, what is evaluated. Why this could not be
    evaluated is added to failures.
    """
    measure = jax.jit(experiment.measure)

    def measured(state: play.State, step: int) -> dict[str, float | int | None]:
        players = play.bound(game, state)
        key = stream(state.key, "measure", step)
        numbers = {**state.log, **with_players(measure, players, data, key)}
        if step == experiment.steps:
            key = stream(state.key, "judge")  # an old name: another would change the numbers
            try:
                numbers |= with_players(experiment.evaluate, players, data, key)
            except Exception as error:  # hours of training must not be lost to it
                failures.append(f"it cannot be evaluated: {told(error)}")
        plain = {name: np.asarray(v).item() for name, v in jax.device_get(numbers).items()}
        return {name: v if np.isfinite(v) else None for name, v in plain.items()}

    return measured


def _report_diverged(now: dict[int, int], before: dict[int, int]) -> dict[int, int]:
    """The seeds that diverged, after a line on stderr for each new one."""
    for seed in now.keys() - before.keys():
        told = f"seed {seed} diverged at step {now[seed]} and is frozen there"
        tqdm.write(told, file=sys.stderr)
    return now


def _losses(game: Game, rows: list[storage.Row]) -> dict[str, str]:
    """The players' losses of the first seed, for the progress bar."""
    first = rows[0] if rows else {}
    return {n: f"{first[n]:.3g}" for n in game.players if first.get(n) is not None}


def _draw(
    out: Path, experiment: Experiment, game: Game, state: play.State, rows: list[storage.Row]
) -> list[str]:
    """Draws a run's figures: samples of one seed, curves of all, and the experiment's own. Why some
    could not be drawn.
    """
    failures = []
    x = None
    try:
        if experiment.sample is not None:
            x = population.sample(experiment, game, state, experiment.shown)
    except Exception as error:
        return [f"it cannot be sampled: {told(error)}"]
    players = play.bound(game, state)
    own = partial(with_players, experiment.figures, players, experiment.data, x, rows)
    parts: dict[str, Callable[[], Mapping[str, Any]]] = {
        "curves": lambda: {"curves": curves(rows)},
        "samples": lambda: {} if x is None else {"samples": population.picture(experiment, x)},
        "own": own,
    }
    drawn: dict[str, Any] = {}
    for name, draw in parts.items():
        try:
            drawn |= draw()
        except Exception as error:  # the others are drawn
            failures.append(f"figures ({name}) cannot be drawn: {told(error)}")
    for name, figure in drawn.items():
        try:
            save(figure, out / "figures" / f"{name}.png")
        except UnwritableError as error:
            failures.append(str(error))
            break
    return failures


def told(error: Exception) -> str:
    """An error in a line: its type, where that says more than a wrong value would, and text."""
    text = one_line(error)
    return text if isinstance(error, (ValueError, OSError)) else f"{type(error).__name__}: {text}"


@contextmanager
def _signals() -> Iterator[list[int]]:
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


def _progress(steps: int, step: int, quiet: bool) -> tqdm:
    """A bar of steps, steps/s and losses; silent where nobody watches."""
    hidden = quiet or not sys.stderr.isatty()
    return tqdm(total=steps, initial=step, unit="step", dynamic_ncols=True, disable=hidden)
