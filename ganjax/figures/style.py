"""The look of all figures: colours, plain panels, legends; and how a figure is saved.

No pyplot, no global state.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter

from ganjax.host import UnwritableError, whole_file

# Okabe and Ito's colours, told apart with any kind of colour vision; the faint yellow is left out.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
INK, PALE = "#404040", "#C8CDD3"


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Writes a PNG; the same figure gives the same bytes. An old file stays whole until the new one
    is.

    Raises ValueError for another ending, UnwritableError, one line, where it cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"{path} should end in .png: figures are written as PNG")
    try:
        with whole_file(path) as scratch:
            figure.savefig(scratch, format="png", metadata={"Software": None})
    except OSError as error:
        raise UnwritableError.of(path, error) from None


def palette(k: int) -> list[str]:
    """k colours: Okabe and Ito's where they last, otherwise steps of viridis."""
    return (
        list(COLOURS[:k])
        if k <= len(COLOURS)
        else [to_hex(colormaps["viridis"](t)) for t in np.linspace(0, 0.95, k)]
    )


def panel(inches: tuple[float, float]) -> tuple[Figure, Axes]:
    """A figure with one panel of plain axes."""
    figure = Figure(inches, dpi=150, layout="constrained")
    return figure, plain_axes(figure.add_subplot())


def plain_axes(axes: Axes) -> Axes:
    """The same axes, with thin grey lines below and on the left, and small print."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set(color=PALE, linewidth=0.8)
    axes.tick_params(colors=INK, labelsize=7, length=2, width=0.6, color=PALE)
    return axes


def label_steps(axes: Axes, title: str) -> None:
    """Titles a panel whose horizontal axis is the steps."""
    axes.set_title(title, loc="left", fontsize=9, color=INK)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def legend_of_lines(axes: Axes) -> None:
    """A legend of the labelled lines."""
    axes.legend(frameon=False, fontsize=8, labelcolor=INK)


def legend_of_generators(axes: Axes, colours: Sequence[str]) -> None:
    """A legend of two or more generators, above the panel."""
    if len(colours) > 1:
        named = [Patch(color=colour, label=f"G{k + 1}") for k, colour in enumerate(colours)]
        axes.legend(
            handles=named, loc="lower left", bbox_to_anchor=(0, 1), ncols=min(len(named), 8),
            frameon=False, fontsize=8, labelcolor=INK, handlelength=0.7, handleheight=0.7,
            handletextpad=0.4, columnspacing=1.0, borderaxespad=0.2,
        )  # fmt: skip


def pixel_figure(sheet: np.ndarray, names: Sequence[str]) -> Figure:
    """A picture [H, W, 3] pixel by pixel; names of its equal horizontal parts are in a margin on
    the left.
    """
    margin = 44 if names else 0
    dpi = 128  # a power of two, so that inches times dpi is again the number of pixels
    height, width = sheet.shape[:2]
    figure = Figure(((width + margin) / dpi, height / dpi), dpi=dpi)
    axes = figure.add_axes((margin / (width + margin), 0, width / (width + margin), 1))
    axes.imshow(sheet, interpolation="nearest", aspect="auto")
    axes.set_axis_off()
    for j, (name, colour) in enumerate(zip(names, palette(len(names)))):
        axes.text(
            -10,
            (j + 0.5) * height / len(names),
            name,
            ha="right",
            va="center",
            color=colour,
            fontsize=8,
            fontweight="bold",
        )
    return figure
