"""Several runs in one picture: their samples, and one metric over the steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ganjax.data.mixtures import Mixture
from ganjax.figures.curves import mean_band
from ganjax.figures.samples import image_sheet, scatter_on
from ganjax.figures.style import INK, label_steps, legend_of_lines, palette, plain_axes

Rows = Iterable[Mapping[str, Any]]


def overview(
    points: Mapping[str, tuple[Mixture | ArrayLike, ArrayLike]],
    images: Mapping[str, ArrayLike],
    curves: Mapping[str, Rows],
    metric: str,
) -> Figure:
    """Above, points over their data by title, and the metric of runs; below, images by title.

    points: (data, samples [n, (K,) 2]). images: samples [n, (K,) H, W, C] in 0..1, a block for each
    of K generators. curves: rows of metrics.jsonl by run, drawn as mean ± SD over seeds.
    """
    columns = max(len(points) + 1, len(images), 1)
    figure = Figure((3.6 * columns, 7.6), dpi=110, layout="constrained")
    grid = figure.add_gridspec(2, columns, height_ratios=(1, 1.05))
    for i, (title, (data, x)) in enumerate(points.items()):
        axes = plain_axes(figure.add_subplot(grid[0, i]))
        axes.set_title(title, loc="left", fontsize=9, color=INK)
        scatter_on(axes, data, x)
    axes = plain_axes(figure.add_subplot(grid[0, len(points)]))
    for colour, (run, rows) in zip(palette(len(curves)), curves.items()):
        mean_band(axes, rows, metric, colour, run)
    label_steps(axes, f"{metric} over the steps")
    legend_of_lines(axes)
    for i, (title, x) in enumerate(images.items()):
        axes = figure.add_subplot(grid[1, i])
        sheet, _ = image_sheet(x, columns=6, gap=12)
        axes.imshow(sheet, interpolation="nearest")
        axes.set_axis_off()
        axes.set_title(title, loc="left", fontsize=9, color=INK)
    return figure
