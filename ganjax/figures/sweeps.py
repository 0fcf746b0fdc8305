"""Lanes of several settings: their curves, and what they came to by the swept numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ganjax.figures.curves import mean_band, quartile_band
from ganjax.figures.style import COLOURS, INK, label_steps, legend_of_lines, palette, plain_axes

Rows = Sequence[Mapping[str, Any]]
MOST = 8  # settings with a curve each


def of_sweep(
    sweep: Mapping[str, Sequence[float]], rows: Rows, changing: bool = False
) -> dict[str, Figure]:
    """ "curves", mean ± SD over the seeds of each setting, or, of more than MOST settings, the
    median and the quartiles of all lanes; and "sweep", the last step's numbers by the swept ones: a
    heat map of the means over seeds for two options, mean ± SD for one.

    rows: those of metrics.jsonl, {"step", "seed", "lane", swept numbers …, NAME: number, …}. A lane
    that diverged is left out of means; a cell without any other is marked by a cross. changing: the
    swept numbers change with the steps; "curves" has them too, a line for each lane, and there is
    no "sweep". Raises ValueError for no rows.
    """
    if not rows:
        raise ValueError("there are no measures to draw")
    last = max(row["step"] for row in rows)
    own = {"step", "seed", "lane", "time", *sweep}
    names = list(dict.fromkeys(name for row in rows for name in row if name not in own))
    moving = [n for n in names if len({row["step"] for row in rows if n in row}) > 1]
    if changing:
        panels = [*(moving or names), *sweep]
        return {"curves": _panels(panels, partial(_changing, sweep=sweep, rows=rows))}
    settings = list(dict.fromkeys(tuple(row[option] for option in sweep) for row in rows))
    draw = partial(_curves, sweep=sweep, settings=settings, rows=rows)
    figures = {"curves": _panels(moving or names, draw)}
    ended = [row for row in rows if row["step"] == last]
    if len(sweep) == 2:
        figures["sweep"] = _panels(names, partial(_heat_map, sweep=sweep, rows=ended))
    elif len(sweep) == 1:
        figures["sweep"] = _panels(names, partial(_line, sweep=sweep, rows=ended))
    return figures


def means(
    sweep: Mapping[str, Sequence[float]], rows: Rows, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and sample SD over seeds of one metric, with an axis for each swept option; NaN where no
    lane has the number.
    """
    shape = tuple(len(values) for values in sweep.values())
    mean, sd = np.full(shape, np.nan), np.full(shape, np.nan)
    for at in np.ndindex(shape):
        wanted = {option: values[i] for (option, values), i in zip(sweep.items(), at)}
        cell = [row for row in rows if all(row[n] == v for n, v in wanted.items())]
        found = [float(row[name]) for row in cell if row.get(name) is not None]
        if found:
            mean[at] = np.mean(found)
            sd[at] = np.std(found, ddof=1) if len(found) > 1 else 0.0
    return mean, sd


def _panels(names: Sequence[str], draw: Callable[..., None]) -> Figure:
    columns = min(len(names), 3)
    rows = math.ceil(len(names) / columns)
    figure = Figure((3.2 * columns, 2.4 * rows), dpi=150, layout="constrained")
    for i, name in enumerate(names):
        draw(figure.add_subplot(rows, columns, i + 1), name=name)
    return figure


def _curves(
    axes: Axes,
    name: str,
    sweep: Mapping[str, Any],
    settings: Sequence[tuple[float, ...]],
    rows: Rows,
) -> None:
    plain_axes(axes)
    if len(settings) <= MOST:
        for colour, setting in zip(palette(len(settings)), settings):
            own = [row for row in rows if tuple(row[option] for option in sweep) == setting]
            told = ", ".join(f"{o} {v:g}" for o, v in zip(sweep, setting))
            mean_band(axes, own, name, colour, told)
        if axes.get_subplotspec().num1 == 0:  # type: ignore[union-attr]
            legend_of_lines(axes)
    else:
        quartile_band(axes, rows, name, COLOURS[0])
    label_steps(axes, name)


def _changing(axes: Axes, name: str, sweep: Mapping[str, Any], rows: Rows) -> None:
    plain_axes(axes)
    if name in sweep:
        for lane in dict.fromkeys(row["lane"] for row in rows):
            own = [(row["step"], row[name]) for row in rows if row["lane"] == lane]
            axes.plot(*zip(*own), color=COLOURS[0], alpha=0.5, linewidth=0.8)
        if min(row[name] for row in rows) > 0:
            axes.set_yscale("log")
    else:
        quartile_band(axes, rows, name, COLOURS[0])
    label_steps(axes, name)


def _heat_map(axes: Axes, name: str, sweep: Mapping[str, Sequence[float]], rows: Rows) -> None:
    mean, _ = means(sweep, rows, name)
    (down, rows_), (across, columns) = sweep.items()
    image = axes.imshow(mean, aspect="auto", cmap="viridis")
    for i, j in np.argwhere(np.isnan(mean)):
        axes.plot(j, i, marker="x", color=INK, markersize=8)
    axes.set_xticks(range(len(columns)), [f"{v:g}" for v in columns], fontsize=6)
    axes.set_yticks(range(len(rows_)), [f"{v:g}" for v in rows_], fontsize=6)
    axes.set_xlabel(across, fontsize=7, color=INK)
    axes.set_ylabel(down, fontsize=7, color=INK)
    axes.set_title(name, fontsize=8, color=INK)
    assert axes.figure is not None
    axes.figure.colorbar(image, ax=axes).ax.tick_params(labelsize=6)


def _line(axes: Axes, name: str, sweep: Mapping[str, Sequence[float]], rows: Rows) -> None:
    plain_axes(axes)
    ((option, values),) = sweep.items()
    mean, sd = means(sweep, rows, name)
    axes.errorbar(values, mean, sd, color=COLOURS[0], linewidth=1.4, marker="o", markersize=3)
    if min(values) > 0 and max(values) / min(values) >= 10:
        axes.set_xscale("log")
    label_steps(axes, name)
    axes.set_xlabel(option, fontsize=7, color=INK)
