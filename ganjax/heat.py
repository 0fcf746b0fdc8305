"""A table of numbers as a picture."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ganjax import figures


def table(values: ArrayLike, rows: Sequence[str], columns: Sequence[str], *, digits: int = 2) -> Figure:
    """Numbers [R, C] as a heat map, each written into its cell. Host code; raises ValueError where names and numbers do not agree."""
    V = np.asarray(values, np.float64)
    if V.shape != (len(rows), len(columns)):
        raise ValueError(f"a table of {len(rows)} rows and {len(columns)} columns is wanted, not an array {list(V.shape)}")
    figure, axes = figures.panel((1.6 + 0.8 * len(columns), 1.0 + 0.6 * len(rows)))
    axes.imshow(V, cmap="viridis", aspect="auto")
    middle = (np.nanmin(V) + np.nanmax(V)) / 2
    for i, j in np.ndindex(*V.shape):
        colour = "black" if V[i, j] > middle else "white"
        axes.text(j, i, f"{V[i, j]:.{digits}f}", ha="center", va="center", fontsize=8, color=colour)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    return figure
