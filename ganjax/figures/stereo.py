"""Sequences of two channels as lines."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ganjax.figures.style import COLOURS, INK, plain_axes

SHOWN = 12


def two_lines(x: ArrayLike, names: tuple[str, str], steps: bool = False) -> Figure:
    """The first 12 sequences [n, T, 2], a panel each; steps: as notes that are held."""
    sequences = np.asarray(x)[:SHOWN]
    figure = Figure((7.2, 4.2), dpi=150, layout="constrained")
    for i, sequence in enumerate(sequences):
        axes = plain_axes(figure.add_subplot(3, 4, i + 1))
        for k, name in enumerate(names):
            how = "steps-mid" if steps else "default"
            axes.plot(sequence[:, k], color=COLOURS[k], linewidth=1.2, drawstyle=how, label=name)
        axes.set(ylim=(-1.15, 1.15), yticks=[], xticks=[])
    figure.legend(
        *axes.get_legend_handles_labels(),
        loc="outside upper left", ncols=2, frameon=False, fontsize=8, labelcolor=INK,
    )  # fmt: skip
    return figure
