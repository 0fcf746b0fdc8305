"""How often the states of a few units are, each drawn as an image."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ganjax.figures.style import INK, legend_of_lines, palette, panel


def shares_of_states(images: ArrayLike, shares: Mapping[str, ArrayLike]) -> Figure:
    """States as images [n, H, W] or [n, H, W, 1] of 0..1 below their shares [n], a line for each
    name.
    """
    figure, axes = panel((7.2, 2.4))
    x = np.asarray(images, np.float32)
    x = x.reshape(x.shape[:3])
    for colour, (name, share) in zip(palette(len(shares)), shares.items()):
        percent = 100 * np.asarray(share)
        axes.plot(percent, "o-", color=colour, markersize=3, linewidth=1, label=name)
    axes.set_ylim(bottom=0)
    axes.set_xlim(-0.6, len(x) - 0.4)
    axes.set_xticks([])
    axes.set_title("share of images, %", loc="left", fontsize=9, color=INK)
    for i, image in enumerate(x):
        inset = axes.inset_axes((i - 0.35, -0.22, 0.7, 0.2), transform=axes.get_xaxis_transform())
        inset.imshow(1 - image, cmap="gray", vmin=-0.3, vmax=1)
        inset.set(xticks=[], yticks=[])
    legend_of_lines(axes)
    return figure
