"""Trains an experiment into a run's folder, from its newest checkpoint to its end. On the host."""

from __future__ import annotations

import json
import signal
import sys
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from ganjax import play, sharding
from ganjax.experiment import Experiment, with_players
from ganjax.figures.curves import curves
from ganjax.figures.style import save
from ganjax.game import Game
from ganjax.keys import stream
from ganjax.runs import population, storage
from ganjax.runs.checkpoint import Checkpoints
from ganjax.runs.record import RunRecord


class FailedError(Exception):
    """The run itself failed, though the request was right: exit status 1."""


def train(
    out: Path, record: RunRecord, experiment: Experiment, quiet: bool = False
) -> dict[str, Any]:
    """Trains a run to its end; what its digest.json says.

    Raises FailedError where every seed diverged, SystemExit with status 130 or 143 after SIGINT or
    SIGTERM, when it has saved, and ValueError, one line, where another process trains the run.
    """
    finished = out / "digest.json"
    if not finished.is_file():
        with storage.locked(out):
            return _train(out, record, experiment, quiet)
    return json.loads(finished.read_text())


def _train(out: Path, record: RunRecord, experiment: Experiment, quiet: bool) -> dict[str, Any]:
    game = population.at_precision(experiment.played, record.precision)
    checkpoints = Checkpoints(out / "checkpoints", record.tie)
    with sharding.use_devices(record.device["count"]):
        data = sharding.replicate(experiment.data)
        found = checkpoints.restore(population.template(game, record, data))
        step, lanes = found or (0, population.initial(game, record, data))
    rows = storage.truncate_rows(out / "metrics.jsonl", step)
    began = time.perf_counter() - max((row["time"] for row in rows), default=0.0)
    measured = _measurement(experiment, game, data)
    dead = population.diverged(record, lanes, step)
    advanced = population.advance(game, record, data, lanes, step)

    with _signals() as caught, _progress(record.steps, step, quiet) as bar:
        while step < record.steps and len(dead) < len(record.seeds):
            step, lanes = next(advanced)
            bar.update(step - bar.n)
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
                checkpoints.save(step, lanes)
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
    _draw(out, experiment, game, alive, rows)
    params = {seed: state.params for seed, state in states.items()}
    digest = storage.run_digest(params, rows, record.steps)
    if dead:
        digest["diverged"] = {str(seed): own for seed, own in dead.items()}
    storage.write_json(out / "digest.json", digest)
    return digest


def _measurement(
    experiment: Experiment, game: Game, data: Any
) -> Callable[[play.State, int], dict[str, float | int | None]]:
    """(state, step) -> the numbers of one seed's row; None for what is not finite.

    They are the losses, what is measured and, at the end, what is evaluated.
    """
    measure = jax.jit(experiment.measure)

    def measured(state: play.State, step: int) -> dict[str, float | int | None]:
        players = play.bound(game, state)
        key = stream(state.key, "measure", step)
        numbers = {**state.log, **with_players(measure, players, data, key)}
        if step == experiment.steps:
            key = stream(state.key, "judge")  # an old name: another would change the numbers
            numbers |= with_players(experiment.evaluate, players, data, key)
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
) -> None:
    """Draws a run's figures: samples of one seed, curves of all, and the experiment's own."""
    drawn = {"curves": curves(rows)}
    x = None
    if experiment.sample is not None:
        x = population.sample(experiment, game, state, experiment.shown)
        drawn["samples"] = population.picture(experiment, x)
    players = play.bound(game, state)
    drawn |= with_players(experiment.figures, players, experiment.data, x, rows)
    for name, figure in drawn.items():
        save(figure, out / "figures" / f"{name}.png")


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
