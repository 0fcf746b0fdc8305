"""Metrics over the steps of a run, or of several, as curves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator

from ganjax.figures.style import (
    COLOURS,
    INK,
    label_steps,
    legend_of_lines,
    palette,
    panel,
    plain_axes,
)
from ganjax.metrics.equilibrium import LIMITS


def curves(rows: Iterable[Mapping[str, Any]], names: Sequence[str] | None = None) -> Figure:
    """A panel for each metric over the steps: the mean over seeds and a band of ±1 SD (n - 1 in its
    denominator).

    rows: those of metrics.jsonl, {"step", "seed", NAME: number, …}. names: the metrics, in order
    (default: all that were measured at more than one step, or else all). A number that is missing
    or not finite is left out of its step's mean. Raises ValueError for no row or no such name.
    """
    rows = list(rows)
    names_of_all = (name for row in rows for name in row if name not in ("step", "seed", "time"))
    known = list(dict.fromkeys(names_of_all))
    missing = [name for name in names or [] if name not in known]
    if not known:
        raise ValueError("there are no measures to draw")
    if missing:
        raise ValueError(f"no measure named {', '.join(missing)}; known are {', '.join(known)}")
    moving = [name for name in known if len({row["step"] for row in rows if name in row}) > 1]
    chosen = list(names or moving or known)
    first, last = min(row["step"] for row in rows), max(row["step"] for row in rows)
    columns = min(len(chosen), 3)
    figure = Figure(
        (3.2 * columns, 2.2 * math.ceil(len(chosen) / columns)), dpi=150, layout="constrained"
    )
    for i, name in enumerate(chosen):
        axes = plain_axes(figure.add_subplot(math.ceil(len(chosen) / columns), columns, i + 1))
        mean_band(axes, rows, name, COLOURS[0])
        label_steps(axes, name)
        axes.xaxis.set_major_locator(
            MaxNLocator(5, integer=True, steps=[1, 2, 5, 10])
            if last > first
            else FixedLocator([first])
        )
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        axes.set_xlim(first - 0.02 * (last - first) - 0.5, last + 0.02 * (last - first) + 0.5)
    figure.supxlabel("step", fontsize=8, color=INK)
    return figure


def mean_band(
    axes: Axes, rows: Iterable[Mapping[str, Any]], name: str, colour: str, label: str = ""
) -> None:
    """Draws the mean over seeds of one metric over the steps, and a band of ±1 SD; rows: as in
    `curves`.
    """
    at: dict[int, list[float]] = {}
    for row in rows:
        if name in row and row[name] is not None and math.isfinite(row[name]):
            at.setdefault(row["step"], []).append(float(row[name]))
    steps = sorted(at)
    mean = np.array([np.mean(at[step]) for step in steps])
    sd = np.array([np.std(at[step], ddof=1) if len(at[step]) > 1 else 0.0 for step in steps])
    axes.fill_between(steps, mean - sd, mean + sd, color=colour, alpha=0.18, linewidth=0)
    axes.plot(
        steps,
        mean,
        color=colour,
        linewidth=1.4,
        marker="o" if len(steps) == 1 else None,
        markersize=4,
        label=label,
    )


def quartile_band(
    axes: Axes, rows: Iterable[Mapping[str, Any]], name: str, colour: str, label: str = ""
) -> None:
    """Draws the median over lanes of one metric over the steps, and a band between the first and
    the third quartile; rows: as in `curves`.
    """
    at: dict[int, list[float]] = {}
    for row in rows:
        if row.get(name) is not None:
            at.setdefault(row["step"], []).append(float(row[name]))
    steps = sorted(at)
    low, middle, high = np.array([np.quantile(at[step], (0.25, 0.5, 0.75)) for step in steps]).T
    axes.fill_between(steps, low, high, color=colour, alpha=0.18, linewidth=0)
    axes.plot(steps, middle, color=colour, linewidth=1.4, label=label)


def curves_of_runs(
    runs: Mapping[str, Iterable[Mapping[str, Any]]],
    name: str,
    limit: float | None = None,
    quartiles: bool = False,
) -> Figure:
    """One metric of several runs in one panel, a line for each run: mean and band as in `curves`,
    or median and quartiles.

    runs: rows of metrics.jsonl by run; runs without the metric are left out, as are numbers that
    are None. limit: a dashed line; with it the axis is logarithmic. Raises ValueError where no run
    has the metric.
    """
    band = quartile_band if quartiles else mean_band
    by_run = {run: list(rows) for run, rows in runs.items()}
    measured = {
        run: rows for run, rows in by_run.items() if any(row.get(name) is not None for row in rows)
    }
    if not measured:
        raise ValueError(f"no run has measured {name}")
    figure, axes = panel((4.8, 2.8))
    for colour, (run, rows) in zip(palette(len(measured)), measured.items()):
        band(axes, rows, name, colour, run)
    if limit is not None:
        axes.set_yscale("log", nonpositive="clip")
        axes.set_ylim(bottom=limit / 100)
        axes.axhline(limit, color=INK, linewidth=0.8, linestyle="--")
    label_steps(axes, name)
    axes.set_xlabel("step", fontsize=8, color=INK)
    legend_of_lines(axes)
    return figure


def equilibrium_curves(rows: Iterable[Mapping[str, Any]]) -> Figure:
    """The value and D's accuracy over the steps, and those of the optimal D* against the same G:
    mean ± SD over seeds; dashed lines are the equilibrium.

    rows: of metrics.jsonl, with the names of `metrics.equilibrium`.
    """
    rows = list(rows)
    figure = Figure((7.2, 2.8), dpi=150, layout="constrained")
    for i, (name, limit) in enumerate(LIMITS.items()):
        axes = plain_axes(figure.add_subplot(1, 2, i + 1))
        label = "-log 4" if name == "value" else "1/2"
        axes.axhline(limit, color=INK, linewidth=0.8, linestyle="--", label=label)
        mean_band(axes, rows, f"{name}_best", COLOURS[1], "D*")
        mean_band(axes, rows, name, COLOURS[0], "D")
        label_steps(axes, name)
        legend_of_lines(axes)
    figure.supxlabel("step", fontsize=8, color=INK)
    return figure
