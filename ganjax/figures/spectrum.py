"""Eigenvalues of a game's Jacobian along a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ganjax.figures.style import INK, PALE, panel


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
    for values, limits in ((re, axes.set_xlim), (im, axes.set_ylim)):
        reach = 1.15 * max(1e-3, float(np.abs(values).max(initial=0.0)))
        limits(-reach, reach)
    bar = figure.colorbar(drawn, ax=axes)
    bar.set_label("step", fontsize=8, color=INK)
    bar.ax.tick_params(labelsize=7, colors=INK)
    bar.outline.set_visible(False)
    axes.set_xlabel("real part", fontsize=8, color=INK)
    axes.set_title("eigenvalues of ∂ξ/∂θ, imaginary part", loc="left", fontsize=9, color=INK)
    return figure
