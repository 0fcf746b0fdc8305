"""Trains an experiment into a run's folder, from its newest checkpoint to its end. On the host."""

from __future__ import annotations

import itertools
import signal
import sys
import time
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax
from tqdm import tqdm

from ganjax import sharding
from ganjax.experiment import Experiment
from ganjax.game import Game
from ganjax.runs import beginning, best, divergence, exploits, hosts, population, storage
from ganjax.runs.checkpoint import Checkpoints, Saved
from ganjax.runs.drawing import draw
from ganjax.runs.measuring import measurement
from ganjax.runs.record import RunRecord, cpu_cores, read_record, versions
from ganjax.runs.sweep import of_setting
from ganjax.runs.trackers import Tell

# SIGUSR1 is what SLURM is told to send before a job's time is over, `--signal=USR1@60`.
SIGNALS = [signal.SIGINT, signal.SIGTERM]
USR1 = getattr(signal, "SIGUSR1", None)  # not on Windows


class FailedError(Exception):
    """The run itself failed, though the request was right: exit status 1."""


def train(
    out: Path,
    record: RunRecord,
    experiment: Experiment,
    quiet: bool = False,
    accept_changes: bool = False,
    change: Mapping[str, Any] = MappingProxyType({}),
    tell: Tell = lambda rows: None,
) -> dict[str, Any]:
    """Trains a run to its end; what its digest.json says.

    accept_changes: goes on where rows of metrics.jsonl are missing or other ones, and records that.
    change: what else is not as it was, and accepted, for a line of changes.jsonl.
    tell: is called with new rows of metrics.jsonl, once they are written.
    Raises FailedError where every seed diverged, or one where that stops the run; SystemExit with
    status 130, 138 or 143 after SIGINT, SIGUSR1 or SIGTERM, when it has saved; and ValueError, one
    line, where another process trains the run, and where its files do not fit.
    """
    if hosts.first((out / "digest.json").is_file):
        return storage.read_digest(out)
    with (
        hosts.Folder(storage.locked(out)),
        Checkpoints(out / "checkpoints", record.tie) as checkpoints,
    ):
        return _train(out, record, experiment, checkpoints, quiet, accept_changes, change, tell)


def _train(
    out: Path,
    record: RunRecord,
    experiment: Experiment,
    checkpoints: Checkpoints,
    quiet: bool,
    accept_changes: bool,
    change: Mapping[str, Any],
    tell: Tell,
) -> dict[str, Any]:
    game = population.at_precision(experiment.played, record.precision)
    with sharding.use_mesh(record.mesh):
        data = sharding.replicate(experiment.data)
        found = checkpoints.restore(population.template(game, record, data))
        step, lanes = found[:2] if found else (0, beginning.initial(out, game, record, data))
    changes = hosts.first(lambda: _changes(out, record, found, accept_changes, change))
    # a last state whose evaluation failed is measured again
    again = bool(found and found.note.get("unevaluated"))
    rows = hosts.first(lambda: storage.truncate_rows(out / "metrics.jsonl", step - again))
    began = time.perf_counter() - max((row["time"] for row in rows), default=0.0)
    failures: list[str] = []
    measured = measurement(experiment, game, sharding.whole(data), failures)
    dead = population.diverged(record, lanes, step)
    tries = found.note.get("tries", []) if found else []
    copies = exploits.Exploits(out, record, experiment.options)
    copies.begin(step, lanes)
    played = divergence.Played(game, record, data, checkpoints, tries, copies)
    keeper = best.Keeper(record.keep, record.settings, record.save_every)
    keeper.begin(rows)
    if copies.due(step):
        copies.exploit(step, lanes, rows)

    with _signals() as caught, _progress(record.steps, step, quiet) as bar:
        before, restored = step, lanes
        first = [(step, lanes)] if again else []
        for step, lanes in itertools.chain(first, played.steps(before, restored)):
            bar.update(step - bar.n)
            if step <= before and not again:  # it went back
                rows = hosts.first(partial(_gone_back, out, step, played.sorted_tries))
                dead = population.diverged(record, lanes, step)
                keeper.begin(rows)
                before = step
                continue
            before, again, finest = step, False, False
            if step == record.steps:  # whatever happens to an evaluation
                note = _note(rows, step, played.tries, evaluated=False)
                checkpoints.save(step, lanes, note, keeper.spared)
            if step % record.every == 0 or step == record.steps:
                dead = population.diverged(record, lanes, step)
                passed = round(time.perf_counter() - began, 3)
                fresh = [
                    {
                        "step": step,
                        **record.row(name),
                        **copies.numbers[name],
                        "time": passed,
                        **measured(copies.numbers[name], state, step),
                    }
                    for name, state in population.by_name(record, lanes).items()
                    if name not in dead
                ]
                hosts.first(partial(storage.append_rows, out / "metrics.jsonl", fresh))
                hosts.first(partial(tell, fresh))
                rows += fresh
                finest = keeper.look(fresh)
                bar.set_postfix(_losses(game, fresh))
            stopped = record.on_divergence == "stop" and population.diverged(record, lanes, step)
            ended = step == record.steps or len(dead) == len(record.each) or stopped
            signal_ = hosts.largest(caught[0] if caught else 0)  # any process's
            if step % record.save_every == 0 or ended or signal_ or finest:
                note = _note(rows, step, played.tries, evaluated=not failures)
                checkpoints.save(step, lanes, note, keeper.spared)
                if keeper.record:
                    hosts.first(partial(storage.write_json, out / best.FILE, keeper.record))
            if signal_:
                checkpoints.close()
                raise SystemExit(128 + signal_)
            if ended:
                break
            if copies.due(step):
                copies.exploit(step, lanes, rows)
    checkpoints.close()
    if record.on_divergence == "stop" and population.diverged(record, lanes, step):
        advice = "`ganjax resume --on-divergence freeze` or rollback goes on"
        raise FailedError(f"{out}: stopped at step {step}, as a seed diverged; {advice}")
    if len(dead) == len(record.each):
        last = max(dead.values())
        raise FailedError(
            f"{out}: every seed diverged, the last at step {last}; "
            "its checkpoint has the states before"
        )
    states = population.by_name(record, lanes)
    alive = next(name for name in states if name not in dead)
    own = of_setting(experiment, copies.numbers[alive])
    figures = partial(draw, out, record, own, game, alive, states[alive], rows)
    failures += hosts.first(figures)
    if failures:
        why = "; ".join(dict.fromkeys(failures))
        raise FailedError(
            f"{out}: {why}; the last state and all else is kept: `ganjax resume` tries this again"
        )
    params = {name: state.params for name, state in states.items()}
    digest = storage.run_digest(params, rows, record.steps, "lanes" if record.sweep else "seeds")
    if played.tries:
        digest["tries"] = played.sorted_tries
    if record.exploit:
        digest["exploits"] = storage.metrics_digest(copies.lines)
    if keeper.record:
        digest["best"] = keeper.record
    if dead:
        digest["diverged"] = {str(seed): own for seed, own in dead.items()}
    if changes:
        digest["changes"] = changes
    hosts.first(partial(storage.write_digest, out, digest))
    return digest


def _gone_back(out: Path, step: int, tries: list[divergence.Try]) -> list[storage.Row]:
    """The rows up to a step that the run went back to; the rest is removed, and that recorded."""
    storage.record_change(out, {"step": step, "tries": tries})
    return storage.truncate_rows(out / "metrics.jsonl", step)


def _note(
    rows: list[storage.Row], step: int, tries: list[divergence.Try], evaluated: bool
) -> dict[str, Any]:
    """What a checkpoint says of the tries, and of the rows up to it; without those of a step that
    is to be evaluated again.
    """
    settled = [row for row in rows if evaluated or row["step"] < step]
    note = {"rows": storage.metrics_digest(settled), "tries": tries}
    return note if evaluated else note | {"unevaluated": True}


def _changes(
    out: Path, record: RunRecord, found: Saved | None, accept: bool, other: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """What differed each time that the run went on, from changes.jsonl; a new difference is added
    there, and said in a line.

    other: a difference of another kind. Raises ValueError where rows up to the checkpoint are not
    those that were written, unless this is accepted.
    """
    known = [change for change in storage.read_changes(out) if "changed" in change]
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
    for name, value in ({} if record.portable else device).items():
        if record.device.get(name) != value:
            new[name] = [record.device.get(name), value]
    if (begun := read_record(out).mesh) != record.mesh:
        new["mesh"] = [sharding.text_of(begun), sharding.text_of(record.mesh)]
    if not new or (known and known[-1]["changed"] == new and not other):
        return known
    said = ", ".join(
        f"{n} {v}" if isinstance(v, str) else f"{n} {v[0]} is now {v[1]}" for n, v in new.items()
    )
    print(f"{out} goes on at step {step} with changes, so with other bits: {said}",
          file=sys.stderr)  # fmt: skip
    change = {"step": step, **other, "changed": new}
    storage.record_change(out, change)
    return [*known, change]


def _losses(game: Game, rows: list[storage.Row]) -> dict[str, str]:
    """The players' losses of the first seed, for the progress bar."""
    first = rows[0] if rows else {}
    return {n: f"{first[n]:.3g}" for n in game.players if first.get(n) is not None}


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Catches the first SIGINT, SIGTERM or SIGUSR1 into a list; a second SIGINT or SIGTERM acts as
    it always does.
    """
    caught: list[int] = []
    old = {number: signal.getsignal(number) for number in [*SIGNALS, *([USR1] if USR1 else [])]}

    def catch(number: int, _: types.FrameType | None) -> None:
        caught.append(number)
        restore()
        if USR1:  # a scheduler may send it by two ways
            signal.signal(USR1, signal.SIG_IGN)

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
    hidden = quiet or not sys.stderr.isatty() or not hosts.is_first()
    return tqdm(total=steps, initial=step, unit="step", dynamic_ncols=True, disable=hidden)
