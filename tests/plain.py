"""Figures without axes, for tests that look at none."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

savefig = Figure.savefig


def without_axes(figure: Figure, *args: Any, **rest: Any) -> None:
    """Saves what a figure shows of its data: layout, ticks and words take most of the time."""
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_axis_off()
        if legend := axes.get_legend():
            legend.remove()
    savefig(figure, *args, **rest)
