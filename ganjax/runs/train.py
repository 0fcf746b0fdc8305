"""Plays an experiment into a run's folder, goes on where it stopped, samples from it; host code."""

from __future__ import annotations

import dataclasses
import json
import signal
import sys
import time
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from ganjax import experiment as ex
from ganjax import figures, play, sharding
from ganjax.data.paging import turning
from ganjax.experiment import Experiment
from ganjax.game import Bound, Game
from ganjax.keys import stream
from ganjax.runs import storage
from ganjax.runs.checkpoint import Checkpoints
from ganjax.runs.record import Request, keys_of, template

# a dispatch is about this long: a signal is answered, and the progress bar moves, after each
SECONDS = 0.5
SHOWN = 2048  # samples of which the figures are made


class FailedError(Exception):
    """The run itself failed, though the request was right: exit status 1."""


def carry_on(out: Path, record: Request, built: Experiment, quiet: bool = False) -> dict[str, Any]:
    """Plays a run from its newest checkpoint, or from step 0, to its end; the digest.

    Raises FailedError where every seed diverged, SystemExit with status 130 or 143 on SIGINT or
    SIGTERM, after saving, and ValueError, one line, where another process plays the run.
    """
    if not (out / "digest.json").is_file():
        with storage.alone(out):
            return _carry_on(out, record, built, quiet)
    return json.loads((out / "digest.json").read_text())


def _carry_on(out: Path, record: Request, built: Experiment, quiet: bool) -> dict[str, Any]:
    game = at_precision(built.game, record.precision)
    measure = jax.jit(built.measure)
    checkpoints = Checkpoints(out / "checkpoints", record.tie)
    with sharding.use_devices(devices := record.device["count"]):
        data = sharding.replicate(built.data)
        found = checkpoints.restore(template(game, record, data))
        at, lanes = found or (0, lanes_at_start(game, record, data))
        pages = turning(
            data, at, drawn(game, data), partial(jax.device_put, device=sharding.replicated())
        )
    rows = storage.cut(out / "metrics.jsonl", at)
    began = time.perf_counter() - max((row["time"] for row in rows), default=0.0)
    dead = diverged(record, lanes, at)

    with interrupts() as caught, progress(record.steps, at, quiet) as bar:
        n, (end, page) = 1, next(pages)
        while at < record.steps and len(dead) < len(record.seeds):
            end, page = next(pages) if at == end else (end, page)
            boundary = min(
                record.steps,
                end,
                *((at // every + 1) * every for every in (record.every, record.save_every)),
            )
            started, n = time.perf_counter(), min(n, boundary - at)
            with sharding.use_devices(
                devices
            ):  # here alone: what is measured has batches of its own
                lanes = [
                    play.run(game, lane, page, n)[0] if alive(lane, at) else lane for lane in lanes
                ]
            jax.block_until_ready(lanes)
            took, at = time.perf_counter() - started, at + n
            n = max(1, min(2 * n, int(n * SECONDS / took) + 1))
            bar.update(at - bar.n)
            if at % record.every == 0 or at == record.steps:
                new = diverged(record, lanes, at)
                for seed in new.keys() - dead.keys():
                    tqdm.write(
                        f"seed {seed} diverged at step {new[seed]} and is frozen there",
                        file=sys.stderr,
                    )
                dead = new
                fresh = [
                    {
                        "step": at,
                        "seed": seed,
                        "time": round(time.perf_counter() - began, 3),
                        **numbers,
                    }
                    for seed, state in singles(record, lanes)
                    if seed not in dead
                    for numbers in [numbers_of(built, game, data, state, measure, at)]
                ]
                storage.append(out / "metrics.jsonl", fresh)
                rows += fresh
                bar.set_postfix(
                    {
                        name: f"{fresh[0][name]:.3g}"
                        for name in game.players
                        if fresh and fresh[0].get(name) is not None
                    }
                )
            if (
                at % record.save_every == 0
                or at == record.steps
                or caught
                or len(dead) == len(record.seeds)
            ):
                checkpoints.save(at, lanes)
            if caught:
                checkpoints.close()
                raise SystemExit(128 + caught[0])
    checkpoints.close()
    if len(dead) == len(record.seeds):
        raise FailedError(
            f"{out}: every seed diverged, the last at step {max(dead.values())}; its checkpoint has the states before"
        )
    states = dict(singles(record, lanes))
    first = next(state for seed, state in states.items() if seed not in dead)
    x = samples(built, game, first, SHOWN)
    shown = {"samples": figures.samples(built.data, x, 0.0, 1.0), "curves": figures.curves(rows)}
    for name, figure in {
        **shown,
        **ex.call(built.figures, play.bound(game, first), built.data, x, rows),
    }.items():
        figures.save(figure, out / "figures" / f"{name}.png")
    digest = storage.digest(
        {seed: state.params for seed, state in states.items()}, rows, record.steps
    )
    if dead:
        digest["diverged"] = {str(seed): step for seed, step in dead.items()}
    storage.write_json(out / "digest.json", digest)
    return digest


def numbers_of(
    built: Experiment,
    game: Game,
    data: Any,
    state: play.State,
    measure: Callable[..., Any],
    at: int,
) -> dict[str, float | int | None]:
    """What one seed's row holds at a step: the losses, the measures, and at the end what the judge
    says; None for what is not finite.
    """
    players = play.bound(game, state)
    numbers = {**state.log, **ex.call(measure, players, data, stream(state.key, "measure", at))}
    if at == built.steps:
        numbers |= ex.call(built.judge, players, data, stream(state.key, "judge"))
    plain = {name: np.asarray(value).item() for name, value in jax.device_get(numbers).items()}
    return {name: value if np.isfinite(value) else None for name, value in plain.items()}


def drawn(game: Game, data: Any) -> int:
    """The rows that a step draws from the data."""
    batch, times = (
        jax.eval_shape(game.draw, data, jax.random.key(0)),
        len(game.turns) if game.fresh == "turn" else 1,
    )
    return times * max((leaf.shape[0] for leaf in jax.tree.leaves(batch) if leaf.ndim), default=1)


def samples(built: Experiment, game: Game, state: play.State, n: int) -> np.ndarray:
    """n samples of one seed, [n, (K,) *shape]."""
    sample = jax.jit(built.sample, static_argnums=1)
    return np.asarray(ex.call(sample, play.bound(game, state), stream(state.key, "sample"), n))


def at_precision(game: Game, precision: str) -> Game:
    """The game with its players computing in bfloat16; parameters, losses and statistics stay
    float32.
    """
    if precision == "float32":
        return game
    return dataclasses.replace(
        game,
        players={
            name: dataclasses.replace(p, dtype=jnp.bfloat16) for name, p in game.players.items()
        },
    )


def lanes_at_start(game: Game, record: Request, data: Any) -> list[play.State]:
    """The first states: one for each seed, or one population of all."""
    return [play.init(game, key, data) for key in keys_of(record)]


def singles(record: Request, lanes: Sequence[play.State]) -> Iterator[tuple[int, play.State]]:
    """The state of each seed by itself."""
    if record.lanes == "vmap":
        lanes = [
            jax.tree.map(lambda leaf, i=i: leaf[i], lanes[0]) for i in range(len(record.seeds))
        ]
    return zip(record.seeds, lanes)


def alive(lane: play.State, at: int) -> bool:
    """Whether any seed of a lane has come as far as the step."""
    return bool((lane.step == at).any())


def diverged(record: Request, lanes: Sequence[play.State], at: int) -> dict[int, int]:
    """The seeds that are frozen, and the step at which each is: a turn in which a loss is not
    finite is never taken.
    """
    steps = np.concatenate([np.atleast_1d(lane.step) for lane in lanes])
    return {seed: int(step) for seed, step in zip(record.seeds, steps) if step < at}


def states(out: Path, record: Request, built: Experiment) -> tuple[Game, dict[int, play.State]]:
    """The game and the state of each seed, from the newest good checkpoint. Raises ValueError
    without one.
    """
    game = at_precision(built.game, record.precision)
    checkpoints = Checkpoints(out / "checkpoints", record.tie, read_only=True)
    found = checkpoints.restore(template(game, record, built.data))
    checkpoints.close()
    if found is None:
        raise ValueError(f"{out} has no checkpoint yet")
    return game, dict(singles(record, found[1]))


def newest(out: Path, record: Request, built: Experiment) -> tuple[Game, play.State]:
    """The game and the state of the first seed that lives, or died last, from the newest good
    checkpoint. Raises ValueError without one.
    """
    game, found = states(out, record, built)
    return game, max(found.values(), key=lambda state: int(state.step))


def players(out: Path, record: Request, built: Experiment) -> dict[int, dict[str, Bound]]:
    """The players of a finished run, by seed, without the seeds that diverged. Raises ValueError
    where it is not finished.
    """
    game, found = states(out, record, built)
    alive = {
        seed: play.bound(game, state)
        for seed, state in found.items()
        if int(state.step) == record.steps
    }
    if not alive:
        raise ValueError(f"{out} has no checkpoint of its last step")
    return alive


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
    return tqdm(
        total=steps,
        initial=at,
        unit="step",
        dynamic_ncols=True,
        disable=quiet or not sys.stderr.isatty(),
    )
