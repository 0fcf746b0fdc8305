"""Samples as figures: points over a density, histograms, grids of images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from numpy.typing import ArrayLike

from ganjax.data.mixtures import Mixture
from ganjax.figures.style import (
    INK,
    PALE,
    legend_of_generators,
    palette,
    panel,
    pixel_figure,
    plain_axes,
)

SHADE = LinearSegmentedColormap.from_list("density", ["#FFFFFF", "#E4E8EC", "#A9B4BF"])


def sample_figure(
    data: Mixture | Mapping[str, ArrayLike],
    x: ArrayLike,
    low: float = 0.0,
    high: float = 1.0,
    most: int | None = None,
    columns: int | None = None,
) -> Figure:
    """The figure that suits the data: `scatter` for two numbers an example, `histogram` for one,
    `marginals` for more, `image_grid` for images.

    data: the training data, a Mixture or a dict with "x" [N, ...]. x: samples [n, ...] or, from K
    generators, [n, K, ...]. low, high: black and white of image samples. most: images that are
    shown, of each generator; without it 64, or 32 of each of several. columns: of a grid. Raises
    ValueError for samples of another shape, and for data without a figure.
    """
    points = np.asarray(x, np.float32)
    real = data if isinstance(data, Mixture) else np.asarray(data["x"])
    shape = (real.dim,) if isinstance(real, Mixture) else real.shape[1:]
    if (
        points.ndim not in (len(shape) + 1, len(shape) + 2)
        or points.shape[points.ndim - len(shape) :] != shape
    ):
        raise ValueError(
            f"samples of shape {list(shape)} are wanted, for one or more generators, "
            f"not an array {list(points.shape)}"
        )
    if shape == (1,):
        return histogram(real, points)
    if shape == (2,):
        return scatter(real, points)
    if len(shape) == 1 and shape[0] > 2:
        return marginals(real, points)
    if len(shape) == 2 or (len(shape) == 3 and shape[-1] in (1, 3)):
        shown = points[: most or (64 if points.ndim == len(shape) + 1 else 32)]
        return image_grid(shown if len(shape) == 3 else shown[..., None], low, high, columns)
    raise ValueError(
        f"examples of shape {list(shape)} have no figure: points, or images with 1 or 3 channels, "
        "are wanted"
    )


def scatter(data: Mixture | ArrayLike, x: ArrayLike, points: int = 4000) -> Figure:
    """Samples x [n, 2] or, one colour per generator, [n, K, 2] over the density of a mixture or
    over real points [N, 2].

    Circles are 3 SD around a mixture's modes, within which a sample counts as good. The first
    `points` samples of each generator are drawn. The frame depends on the data alone, so that
    figures of one run can be laid side by side; its corner states the share of samples outside.
    """
    figure, axes = panel((4.2, 4.2))
    legend_of_generators(axes, scatter_on(axes, data, x, points))
    return figure


def scatter_on(
    axes: Axes, data: Mixture | ArrayLike, x: ArrayLike, points: int = 4000
) -> list[str]:
    """Draws what `scatter` shows into a panel; the colours of the generators."""
    each = _by_generator(x, 2)[:points]  # [n, K, 2]
    centre, reach = _frame(data)
    low, high = centre - reach, centre + reach
    if isinstance(data, Mixture):
        line = np.linspace(-1, 1, 480)
        mesh = np.meshgrid(centre[0] + reach * line, centre[1] + reach * line)
        place = np.stack(mesh, -1)  # [480, 480, 2]
        log_density = np.asarray(data.log_prob(place.astype(np.float32)))
        # The fifth root shows the tails: what is 3 SD out keeps 40 % of the shade.
        shade = np.exp((log_density - log_density.max()) / 5)
        axes.imshow(
            shade,
            cmap=SHADE,
            extent=(low[0], high[0], low[1], high[1]),
            origin="lower",
            interpolation="bilinear",
        )
        circles = [
            Circle((float(a), float(b)), 3 * float(sd)) for (a, b), sd in zip(data.mean, data.sd)
        ]
        axes.add_collection(
            PatchCollection(circles, facecolor="none", edgecolor=INK, linewidth=0.6, zorder=3),
            autolim=False,
        )
    else:
        real = np.asarray(data)[:points]
        axes.scatter(real[:, 0], real[:, 1], s=5, c=PALE, linewidths=0)
    colours = palette(each.shape[1])
    # Sample by sample, so that no generator covers another.
    axes.scatter(
        each[..., 0].ravel(),
        each[..., 1].ravel(),
        s=4,
        c=colours * len(each),
        alpha=0.7,
        linewidths=0,
        zorder=2,
    )
    inside = ((each >= low) & (each <= high)).all(-1).mean()
    _count_outside(axes, 1 - inside, 0.98, 0.02, "bottom")
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
    return colours


def histogram(data: Mixture | ArrayLike, x: ArrayLike) -> Figure:
    """Samples x [n, 1] or [n, K, 1] as a density, one generator stacked on another, under the exact
    density or that of real samples [N, 1].

    The frame depends on the data alone: bars above three times the data's peak are cut off. Its
    corner states the share of samples outside, which count in the n that scales the bars.
    """
    each = _by_generator(x, 1)[..., 0]  # [n, K]
    centre, reach = _frame(data)
    low, high = float(centre[0] - reach), float(centre[0] + reach)
    bins = max(140, 28 * data.modes) if isinstance(data, Mixture) else 140
    edges = np.linspace(low, high, bins + 1)
    figure, axes = panel((6.4, 3.0))
    if isinstance(data, Mixture):
        line = np.linspace(low, high, 2000, dtype=np.float32)
        density = np.exp(np.asarray(data.log_prob(line[:, None])))
        axes.plot(line, density, color=INK, linewidth=1, zorder=3)
    else:
        density = np.histogram(data, edges)[0] / np.size(data) / (edges[1] - edges[0])
        axes.stairs(density, edges, color=INK, linewidth=1, zorder=3)
    floor = np.zeros(bins)
    colours = palette(each.shape[1])
    for k, colour in enumerate(colours):
        inside = each[:, k][np.isfinite(each[:, k])]
        top = floor + np.histogram(inside, edges)[0] / each.size / (edges[1] - edges[0])
        axes.stairs(top, edges, baseline=floor, fill=True, color=colour, alpha=0.75, linewidth=0)
        floor = top
    _count_outside(axes, 1 - ((each >= low) & (each <= high)).mean(), 0.99, 0.96, "top")
    axes.set(
        xlim=(low, high),
        ylim=(0, min(1.08 * max(floor.max(), density.max()), 3 * density.max())),
        yticks=[],
    )
    axes.spines["left"].set_visible(False)
    legend_of_generators(axes, colours)
    return figure


def marginals(data: Mixture | ArrayLike, x: ArrayLike, most: int = 12) -> Figure:
    """The numbers of samples x [n, d] or [n, K, d] one by one, as `histogram` draws them, of real
    points [N, d] or a mixture; the first `most` of them.

    A panel's frame depends on the data alone.
    """
    dim = data.dim if isinstance(data, Mixture) else np.shape(data)[1]
    each = _by_generator(x, dim)  # [n, K, d]
    shown = min(dim, most)
    columns = min(shown, 4)
    figure, first = panel((2.4 * columns, 1.8 * -(-shown // columns)))
    first.remove()
    grid = figure.subplots(-(-shown // columns), columns, squeeze=False).ravel()
    colours = palette(each.shape[1])
    for i, axes in enumerate(grid):
        if i >= shown:
            axes.remove()
            continue
        one = _marginal(data, i)
        centre, reach = _frame(one)
        edges = np.linspace(float(centre[0] - reach), float(centre[0] + reach), 41)
        if isinstance(one, Mixture):
            line = np.linspace(edges[0], edges[-1], 500, dtype=np.float32)
            density = np.exp(np.asarray(one.log_prob(line[:, None])))
            plain_axes(axes).plot(line, density, color=INK, linewidth=1)
        else:
            density = np.histogram(one, edges)[0] / len(one) / (edges[1] - edges[0])
            plain_axes(axes).stairs(density, edges, color=INK, linewidth=1)
        for k, colour in enumerate(colours):
            inside = each[:, k, i][np.isfinite(each[:, k, i])]
            share = np.histogram(inside, edges)[0] / len(each) / (edges[1] - edges[0])
            axes.stairs(share, edges, color=colour, linewidth=1)
        axes.set(xlim=(edges[0], edges[-1]), ylim=(0, 2 * density.max()), yticks=[])
        axes.set_xlabel(f"number {i + 1} of {dim}", fontsize=7)
        axes.spines["left"].set_visible(False)
    legend_of_generators(grid[0], colours)
    return figure


def image_grid(
    images: ArrayLike, low: float = 0.0, high: float = 1.0, columns: int | None = None
) -> Figure:
    """A grid of images [n, H, W] or [n, H, W, C], or of K generators' images [n, K, H, W] or [n, K,
    H, W, C], a block for each.

    A last axis of 1 or 3 is taken for channels. low and high are black and white; values beyond
    are clipped, NaN is black. A pixel of an image becomes a square of pixels. Raises ValueError for
    arrays of another shape.
    """
    sheet, k = image_sheet(images, low, high, columns)
    return pixel_figure(sheet, [f"G{j + 1}" for j in range(k)] if k > 1 else [])


def image_sheet(
    images: ArrayLike,
    low: float = 0.0,
    high: float = 1.0,
    columns: int | None = None,
    gap: int = 2,
) -> tuple[np.ndarray, int]:
    """What `image_grid` shows, [height, width, 3] in 0..1, and the number of its blocks.

    gap: white pixels between images.
    """
    tiles = np.asarray(images, np.float32)
    tiles = tiles if tiles.ndim > 3 and tiles.shape[-1] in (1, 3) else tiles[..., None]
    tiles = tiles if tiles.ndim == 5 else tiles[:, None]  # [n, K, H, W, C]
    if tiles.ndim != 5 or not tiles.size:
        raise ValueError(
            "images are wanted as [n, H, W], [n, H, W, C], [n, K, H, W] or [n, K, H, W, C], "
            f"not {list(np.shape(images))}"
        )
    n, k, height, width, _ = tiles.shape
    tiles = np.nan_to_num(np.clip((tiles - low) / (high - low), 0, 1))
    columns = columns or (math.ceil(math.sqrt(n)) if k == 1 else min(n, 16))
    rows = math.ceil(n / columns)
    scale = max(1, 640 // (columns * width))
    tiles = tiles.repeat(scale, 2).repeat(scale, 3)
    cell = np.array(tiles.shape[2:4]) + gap
    block_gap = 0 if rows == 1 else 4 * gap
    tall = k * rows * cell[0] + (k - 1) * block_gap + gap
    sheet = np.ones((tall, columns * cell[1] + gap, 3), np.float32)
    for i, j in np.ndindex(n, k):
        top = j * (rows * cell[0] + block_gap) + i // columns * cell[0] + gap
        left = i % columns * cell[1] + gap
        sheet[top : top + scale * height, left : left + scale * width] = tiles[i, j]
    return sheet, k


def _count_outside(axes: Axes, share: float, x: float, y: float, va: str) -> None:
    if share:
        text = axes.text(x, y, f"{share:.1%} outside", transform=axes.transAxes)
        text.set(ha="right", va=va, color=INK, fontsize=8)


def _by_generator(x: ArrayLike, dim: int) -> np.ndarray:
    """Samples [n, dim] or [n, K, dim] as [n, K, dim]. Raises ValueError for another shape."""
    each = np.asarray(x, np.float64)
    if each.ndim not in (2, 3) or each.shape[-1] != dim or not each.size:
        raise ValueError(
            f"samples are wanted as [n, {dim}] or [n, K, {dim}], not {list(each.shape)}"
        )
    return each if each.ndim == 3 else each[:, None]


def _marginal(data: Mixture | ArrayLike, i: int) -> Any:
    """One number of a mixture, or of real points [N, d] as [N, 1]."""
    if isinstance(data, Mixture):
        return data._replace(mean=data.mean[:, i : i + 1])
    return np.asarray(data)[:, i : i + 1]


def _frame(data: Mixture | ArrayLike) -> tuple[np.ndarray, float]:
    """The centre [d], and half the side of a square around a mixture or real points [N, d], with a
    margin.
    """
    if isinstance(data, Mixture):
        mean, sd = np.asarray(data.mean, np.float64), 5 * np.asarray(data.sd, np.float64)[:, None]
        low, high = (mean - sd).min(0), (mean + sd).max(0)
    else:
        low, high = np.min(data, 0).astype(np.float64), np.max(data, 0).astype(np.float64)
    return (low + high) / 2, 0.58 * float((high - low).max()) or 1.0
