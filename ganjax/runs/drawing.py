"""The figures that a run ends with, and what is said of those that cannot be had."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ganjax import play
from ganjax.experiment import Experiment, with_players
from ganjax.figures.curves import curves
from ganjax.figures.style import save
from ganjax.figures.sweeps import of_sweep
from ganjax.game import Game
from ganjax.host import UnwritableError, one_line
from ganjax.runs import population, storage
from ganjax.runs.record import RunRecord


def draw(
    out: Path,
    record: RunRecord,
    experiment: Experiment,
    game: Game,
    name: int,
    state: play.State,
    rows: list[storage.Row],
) -> list[str]:
    """Draws a run's figures: samples of one lane, curves of all, and the experiment's own, of the
    lanes of that setting. Why some could not be drawn.
    """
    lane = record.each[name]
    failures = []
    x = None
    try:
        if experiment.sample is not None:
            x = population.sample(experiment, game, state, experiment.shown)
    except Exception as error:
        return [f"it cannot be sampled: {told(error)}"]
    players = play.bound(game, state)
    alike = [r for r in rows if all(r[n] == lane.numbers[n] for n in record.settings)]
    alike = [{n: v for n, v in row.items() if n not in ("lane", *record.sweep)} for row in alike]
    own = partial(with_players, experiment.figures, players, experiment.data, x, alike)
    parts: dict[str, Callable[[], Mapping[str, Any]]] = {
        "curves": lambda: (
            of_sweep(record.sweep, rows, bool(record.exploit))
            if record.sweep
            else {"curves": curves(rows)}
        ),
        "samples": lambda: {} if x is None else {"samples": population.picture(experiment, x)},
        "own": own,
    }
    drawn: dict[str, Any] = {}
    for part, make in parts.items():
        try:
            drawn |= make()
        except Exception as error:  # the others are drawn
            failures.append(f"figures ({part}) cannot be drawn: {told(error)}")
    for left in (out / "figures").glob(".*.png"):  # of a process that was killed as it wrote
        left.unlink(missing_ok=True)
    for title, figure in drawn.items():
        try:
            save(figure, out / "figures" / f"{title}.png")
        except UnwritableError as error:
            failures.append(str(error))
            break
    return failures


def told(error: Exception) -> str:
    """An error in a line: its type, where that says more than a wrong value would, and text."""
    text = one_line(error)
    return text if isinstance(error, (ValueError, OSError)) else f"{type(error).__name__}: {text}"
