"""Errors against the number of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from ganjax.figures.style import INK, legend_of_lines, palette, panel


def error_curves(errors: Mapping[str, np.ndarray], labels: Sequence[str]) -> Figure:
    """A line for each classifier, errors [len(labels), seeds] in 0..1: the mean over seeds and a
    band of ±1 SD (n - 1). NaN stands for a seed that is missing.
    """
    figure, axes = panel((5.0, 3.4))
    places = np.arange(len(labels))
    for (name, each), colour in zip(errors.items(), palette(len(errors))):
        mean = np.nanmean(each, 1)
        axes.plot(places, mean, color=colour, marker="o", markersize=3, linewidth=1.2, label=name)
        if each.shape[1] > 1:
            sd = np.nanstd(each, 1, ddof=1)
            axes.fill_between(places, mean - sd, mean + sd, color=colour, alpha=0.2, linewidth=0)
    axes.set_xticks(places, labels)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("labels of each kind", fontsize=8, color=INK)
    axes.set_title("share of test shapes that are misread", loc="left", fontsize=9, color=INK)
    legend_of_lines(axes)
    return figure
