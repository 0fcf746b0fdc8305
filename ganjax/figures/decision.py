"""Where a classifier of two classes changes its mind, over the square of two inputs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ganjax.figures.samples import SHADE
from ganjax.figures.style import COLOURS, INK, plain_axes

LOW, HIGH, SIDE = -0.5, 1.5, 101  # of the square, and points along it


def mesh() -> np.ndarray:
    """The points of the square at which scores are wanted, float32 [SIDE, SIDE, 2]."""
    line = np.linspace(LOW, HIGH, SIDE, dtype=np.float32)
    return np.stack(np.meshgrid(line, line), -1)


def decision_lines(panels: Mapping[str, tuple[ArrayLike, ArrayLike, ArrayLike]]) -> Figure:
    """A panel for each name: the examples, the line of each seed where its score is 0, and shaded
    the share of seeds whose score is above it.

    panels: x [n, 1 or 2], y [n] of -1 (open) and 1 (filled), scores [S, SIDE, SIDE] at the points
    of `mesh`. Of one input the second axis says nothing. Raises ValueError for other shapes.
    """
    figure = Figure((2.2 * len(panels), 2.4), dpi=150, layout="constrained")
    for i, (name, given) in enumerate(panels.items()):
        x, y, scores = map(np.asarray, given)
        if x.ndim != 2 or x.shape[1] not in (1, 2) or scores.shape[1:] != (SIDE, SIDE):
            raise ValueError(
                f"examples of 1 or 2 numbers and scores at {SIDE} x {SIDE} points are wanted, "
                f"not {list(x.shape)} and {list(scores.shape)}"
            )
        axes = plain_axes(figure.add_subplot(1, len(panels), i + 1))
        share = (scores > 0).mean(0)
        place = (LOW, HIGH, LOW, HIGH)
        axes.imshow(share, cmap=SHADE, vmin=0, vmax=1, extent=place, origin="lower")
        for score in scores:
            if score.min() < 0 < score.max():
                axes.contour(
                    score, [0], colors=COLOURS[0], linewidths=0.9, extent=place, origin="lower"
                )
        height = x[:, 1] if x.shape[1] == 2 else np.full(len(x), 0.5)
        colours = np.where(np.asarray(y) > 0, COLOURS[4], "white")
        axes.scatter(x[:, 0], height, s=36, c=colours, edgecolors=INK, linewidths=0.9, zorder=3)
        axes.set_title(name, loc="left", fontsize=9, color=INK)
        axes.set(xlim=(LOW, HIGH), ylim=(LOW, HIGH), xticks=(0, 1), aspect="equal")
        axes.set_yticks((0, 1) if x.shape[1] == 2 else ())
    return figure
