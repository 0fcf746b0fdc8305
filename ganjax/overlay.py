"""One measure of several runs in one picture. Host code."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from ganjax import figures
from ganjax.experiment import Played


def curves(runs: Mapping[str, Iterable[Mapping[str, Any]]], name: str, limit: float | None = None) -> Figure:
    """A line for each run, by its name: the mean over seeds over the steps, in a band of ±1 SD (n - 1 in its denominator).

    runs: rows of metrics.jsonl by run; those without the measure are left out, as are numbers that are None. limit: a dashed line, and the
    axis is logarithmic. Raises ValueError where no run has the measure.
    """
    found: dict[str, dict[int, list[float]]] = {run: {} for run in runs}
    for run, rows in runs.items():
        for row in rows:
            if row.get(name) is not None:
                found[run].setdefault(row["step"], []).append(float(row[name]))
    there = {run: at for run, at in found.items() if at}
    if not there:
        raise ValueError(f"no run has measured {name}")
    figure, axes = figures.panel((4.8, 2.8))
    for colour, (run, at) in zip(figures.palette(len(there)), there.items()):
        steps = sorted(at)
        mean = np.array([np.mean(at[step]) for step in steps])
        sd = np.array([np.std(at[step], ddof=1) if len(at[step]) > 1 else 0.0 for step in steps])
        low = mean - sd if limit is None else np.maximum(mean - sd, np.minimum(mean, limit) / 10)  # nothing is below 0 on a log axis
        axes.fill_between(steps, low, mean + sd, color=colour, alpha=0.18, linewidth=0)
        axes.plot(steps, mean, color=colour, linewidth=1.2, label=run)
    if limit is not None:
        axes.set_yscale("log")
        axes.axhline(limit, color=figures.INK, linewidth=0.8, linestyle="--")
    axes.set_title(name, loc="left", fontsize=9, color=figures.INK)
    axes.set_xlabel("step", fontsize=8, color=figures.INK)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.legend(frameon=False, fontsize=8, labelcolor=figures.INK)
    return figure


def rows(played: Mapping[str, Played], measures: Mapping[str, float | None]) -> tuple[dict[str, Any], dict[str, Figure]]:
    """A `Table.after` without columns: `curves` of all rows for each measure, by its name, with its limit."""
    runs = {row: each.metrics for row, each in played.items()}
    return {}, {name: curves(runs, name, limit) for name, limit in measures.items()}
