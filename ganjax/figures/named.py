"""Images with the names that a classifier gives them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ganjax.figures.style import COLOURS, INK


def named_images(
    images: ArrayLike, names: Sequence[object], right: ArrayLike, columns: int = 8
) -> Figure:
    """Images [n, H, W, 1 or 3] in 0..1, each below its name; a name that is not right [n] is
    coloured.
    """
    x, known = np.clip(np.asarray(images, np.float32), 0, 1), np.asarray(right)
    rows = -(-len(x) // columns)
    figure = Figure((0.75 * columns, 0.95 * rows), dpi=120, layout="constrained")
    for i, (image, name) in enumerate(zip(x, names)):
        axes = figure.add_subplot(rows, columns, i + 1)
        axes.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=1)
        axes.set_title(str(name), fontsize=10, color=INK if known[i] else COLOURS[4], pad=2)
        axes.set_axis_off()
    return figure
