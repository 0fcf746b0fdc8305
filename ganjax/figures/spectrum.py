"""How games move: eigenvalues of their Jacobian along a run, and distances from rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ganjax.figures.style import INK, PALE, label_steps, palette, panel

LARGE = 100  # an eigenvalue from which on an axis is logarithmic outside -1 … 1


def spectrum_along(rows: Iterable[Mapping[str, Any]]) -> Figure:
    """The complex plane with the eigenvalues re_i + i im_i of each row, coloured by its step.

    rows: those of metrics.jsonl; numbers that are None are left out. Gradient descent in small
    steps comes to rest where all eigenvalues lie to the right of the line.
    """
    points = np.array(
        [
            (row["step"], row[name], row[f"im_{name[3:]}"])
            for row in rows
            for name in row
            if name.startswith("re_") and row[name] is not None
        ]
    ).reshape(-1, 3)
    figure, axes = panel((4.4, 3.2))
    axes.axvline(0, color=INK, linewidth=0.8, linestyle="--")
    axes.axhline(0, color=PALE, linewidth=0.6)
    step, re, im = points.T
    drawn = axes.scatter(re, im, c=step, s=12, cmap="viridis", linewidths=0, zorder=2)
    for values, scale, limits in (
        (re, axes.set_xscale, axes.set_xlim),
        (im, axes.set_yscale, axes.set_ylim),
    ):
        reach = 1.3 * max(0.5, float(np.abs(values).max(initial=0.0)))
        low = -reach if values.min(initial=0.0) < -0.01 * reach else -0.05 * reach
        if reach > LARGE:  # eigenvalues of nets lie powers of ten apart
            scale("symlog", linthresh=1.0)
            low = min(1.3 * float(values.min(initial=0.0)), -1.0)
        limits(low, reach)
    bar = figure.colorbar(drawn, ax=axes)
    bar.set_label("step", fontsize=8, color=INK)
    bar.ax.tick_params(labelsize=7, colors=INK)
    bar.outline.set_visible(False)
    axes.set_xlabel("real part", fontsize=8, color=INK)
    axes.set_title("eigenvalues of ∂ξ/∂θ, imaginary part", loc="left", fontsize=9, color=INK)
    return figure


def orbit(rows: Iterable[Mapping[str, Any]], names: tuple[str, str]) -> Figure:
    """The way of two players of one parameter each, a line for each seed that ends in a dot, around
    the cross where they rest.

    rows: those of metrics.jsonl, with at_NAME for both names; numbers that are None are left out.
    """
    figure, axes = panel((3.6, 3.6))
    by_seed: dict[int, list[tuple[float, ...]]] = {}
    for row in rows:
        place = tuple(row[f"at_{name}"] for name in names)
        by_seed.setdefault(row["seed"], []).append(tuple(np.nan if v is None else v for v in place))
    for colour, places in zip(palette(len(by_seed)), by_seed.values()):
        x, y = np.array(places, np.float64).T
        axes.plot(x, y, ".-", color=colour, linewidth=0.8, markersize=4)
        axes.plot(x[-1:], y[-1:], "o", color=colour, markersize=7)
    axes.plot([0], [0], "+", color=INK, markersize=10)
    axes.axis("equal")
    axes.set_xlabel(names[0], fontsize=8, color=INK)
    axes.set_title(names[1], loc="left", fontsize=9, color=INK)
    return figure


def distances(runs: Mapping[str, Iterable[Mapping[str, Any]]]) -> Figure:
    """The distance from rest over the steps on a logarithmic axis: a colour for each run, a line
    for each of its seeds.

    runs: rows of metrics.jsonl by run. The axis ends at a millionth, where distances are rounding.
    """
    figure, axes = panel((6.4, 3.2))
    for colour, (run, rows) in zip(palette(len(runs)), runs.items()):
        by_seed: dict[int, list[tuple[int, float]]] = {}
        for row in rows:
            by_seed.setdefault(row["seed"], []).append((row["step"], row["distance"] or np.nan))
        for i, points in enumerate(by_seed.values()):
            step, far = np.array(points, np.float64).T
            axes.plot(step, far, color=colour, linewidth=0.8, label="" if i else run)
    axes.set_yscale("log", nonpositive="clip")
    axes.set_ylim(bottom=1e-6)
    label_steps(axes, "distance from rest")
    axes.set_xlabel("step", fontsize=8, color=INK)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8,
                labelcolor=INK)  # fmt: skip
    return figure
