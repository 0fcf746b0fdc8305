"""One measure of several runs in one picture. Host code."""

from collections.abc import Iterable, Mapping
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from ganjax import figures
from ganjax.experiment import FinishedRow


def curves(
    runs: Mapping[str, Iterable[Mapping[str, Any]]], name: str, limit: float | None = None
) -> Figure:
    """A line for each run, by its name: the mean over seeds over the steps, in a band of ±1 SD (n -
    1 in its denominator).

    runs: rows of metrics.jsonl by run; those without the measure are left out, as are numbers that
    are None. limit: a dashed line, and the
    axis is logarithmic. Raises ValueError where no run has the measure.
    """
    there = {run: list(rows) for run, rows in runs.items()}
    there = {
        run: rows for run, rows in there.items() if any(row.get(name) is not None for row in rows)
    }
    if not there:
        raise ValueError(f"no run has measured {name}")
    figure, axes = figures.panel((4.8, 2.8))
    for colour, (run, rows) in zip(figures.palette(len(there)), there.items()):
        figures.band(axes, rows, name, colour, run)
    if limit is not None:
        axes.set_yscale("log", nonpositive="clip")
        axes.set_ylim(bottom=limit / 100)
        axes.axhline(limit, color=figures.INK, linewidth=0.8, linestyle="--")
    axes.set_title(name, loc="left", fontsize=9, color=figures.INK)
    axes.set_xlabel("step", fontsize=8, color=figures.INK)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.legend(frameon=False, fontsize=8, labelcolor=figures.INK)
    return figure


def rows(
    played: Mapping[str, FinishedRow], measures: Mapping[str, float | None]
) -> tuple[dict[str, Any], dict[str, Figure]]:
    """A `Table.after` without columns: `curves` of all rows for each measure, by its name, with its
    limit.
    """
    runs = {row: each.metrics for row, each in played.items()}
    return {}, {name: curves(runs, name, limit) for name, limit in measures.items()}
