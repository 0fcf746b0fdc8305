"""What a memory recalls against its load."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ganjax.figures.style import INK, legend_of_lines, palette, panel


def capacity_curves(
    curves: Mapping[str, tuple[ArrayLike, ArrayLike]], limit: float, level: float
) -> Figure:
    """Overlap against patterns a unit, a line for each name: mean over seeds and a band of ±1 SD.

    curves: loads [n] and overlaps [seeds, n]. limit, level: a dashed line across each axis.
    """
    figure, axes = panel((4.8, 3.0))
    for colour, (name, (load, overlap)) in zip(palette(len(curves)), curves.items()):
        y = np.asarray(overlap, np.float64)
        mean, sd = y.mean(0), y.std(0, ddof=1) if len(y) > 1 else 0 * y[0]
        axes.fill_between(load, mean - sd, mean + sd, color=colour, alpha=0.18, linewidth=0)
        axes.plot(load, mean, color=colour, linewidth=1.4, marker="o", markersize=3, label=name)
    axes.axvline(limit, color=INK, linewidth=0.8, linestyle="--", label=f"{limit:g}")
    axes.axhline(level, color=INK, linewidth=0.6, linestyle=":")
    axes.set_xlabel("patterns a unit", fontsize=8, color=INK)
    axes.set_title("overlap after recall", loc="left", fontsize=9, color=INK)
    legend_of_lines(axes)
    return figure
