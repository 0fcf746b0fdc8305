"""Arrays as Matplotlib figures: samples over a density, histograms, contact sheets, curves. Host
code; no pyplot, no global state.
"""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Patch
from matplotlib.ticker import EngFormatter, FixedLocator, MaxNLocator
from numpy.typing import ArrayLike

from ganjax.data.mixtures import Mixture

# Okabe and Ito's colours, told apart with any kind of colour vision; the faint yellow is left out.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
INK, PALE = "#404040", "#C8CDD3"
SHADE = LinearSegmentedColormap.from_list("density", ["#FFFFFF", "#E4E8EC", "#A9B4BF"])


def samples(
    data: Mixture | Mapping[str, ArrayLike], x: ArrayLike, low: float = 0.0, high: float = 1.0
) -> Figure:
    """The figure that suits the data: `scatter` for two numbers an example, `histogram` for one,
    `grid` for images.

    data: what was learnt from, a Mixture or a dict with "x" [N, ...]. x: samples [n, ...] or, from
    K generators, [n, K, ...].
    low, high: the black and white of image samples, of which the first 64 are shown, or 32 of each
    generator. Raises ValueError for samples of another shape, and for data without a figure.
    """
    points = np.asarray(x, np.float32)
    real = data if isinstance(data, Mixture) else np.asarray(data["x"])
    shape = (real.dim,) if isinstance(real, Mixture) else real.shape[1:]
    if (
        points.ndim not in (len(shape) + 1, len(shape) + 2)
        or points.shape[points.ndim - len(shape) :] != shape
    ):
        raise ValueError(
            f"samples of shape {list(shape)} are wanted, for one or more generators, not an array {list(points.shape)}"
        )
    if shape == (1,):
        return histogram(real, points)
    if shape == (2,):
        return scatter(real, points)
    if len(shape) == 2 or (len(shape) == 3 and shape[-1] in (1, 3)):
        shown = points[: 64 if points.ndim == len(shape) + 1 else 32]
        return grid(shown if len(shape) == 3 else shown[..., None], low, high)
    raise ValueError(
        f"examples of shape {list(shape)} have no figure: one or two numbers, or an image with 1 or 3 channels, are wanted"
    )


def scatter(data: Mixture | ArrayLike, x: ArrayLike, points: int = 4000) -> Figure:
    """Samples x [n, 2] or, one colour per generator, [n, K, 2] over the density of a mixture or
    over real points [N, 2].

    Circles are 3 SD around a mixture's modes, within which a sample counts as good. At most
    `points` samples of each generator are drawn, the first ones. The frame depends on the data
    alone, so that figures of one run can be laid side by side; samples outside the frame are
    counted in its corner.
    """
    each = by_generator(x, 2)[:points]  # [n, K, 2]
    centre, reach = frame(data)
    low, high = centre - reach, centre + reach
    figure, axes = panel((4.2, 4.2))
    if isinstance(data, Mixture):
        line = np.linspace(-1, 1, 480)
        place = np.stack(
            np.meshgrid(centre[0] + reach * line, centre[1] + reach * line), -1
        )  # [480, 480, 2]
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
    outside = 1 - ((each >= low) & (each <= high)).all(-1).mean()
    if outside:
        axes.text(
            0.98,
            0.02,
            f"{outside:.1%} outside",
            transform=axes.transAxes,
            ha="right",
            va="bottom",
            color=INK,
            fontsize=8,
        )
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
    legend(axes, colours)
    return figure


def histogram(data: Mixture | ArrayLike, x: ArrayLike) -> Figure:
    """Samples x [n, 1] or [n, K, 1] as a density, one generator stacked on another, under the exact
    density or that of real samples [N, 1].

    The frame depends on the data alone: bars above three times the data's peak are cut off, samples
    outside the frame are counted in its corner, and are part of the n by which the bars are scaled.
    """
    each = by_generator(x, 1)[..., 0]  # [n, K]
    centre, reach = frame(data)
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
    outside = 1 - ((each >= low) & (each <= high)).mean()
    if outside:
        axes.text(
            0.99,
            0.96,
            f"{outside:.1%} outside",
            transform=axes.transAxes,
            ha="right",
            va="top",
            color=INK,
            fontsize=8,
        )
    axes.set(
        xlim=(low, high),
        ylim=(0, min(1.08 * max(floor.max(), density.max()), 3 * density.max())),
        yticks=[],
    )
    axes.spines["left"].set_visible(False)
    legend(axes, colours)
    return figure


def grid(
    images: ArrayLike, low: float = 0.0, high: float = 1.0, columns: int | None = None
) -> Figure:
    """A contact sheet of images [n, H, W] or [n, H, W, C], or of K generators' images [n, K, H, W]
    or [n, K, H, W, C], a block for each.

    A last axis of 1 or 3 is taken for channels. low and high are black and white, what lies beyond
    is clipped, NaN is black. Each pixel of an image becomes a square of whole pixels. Raises
    ValueError for arrays of another shape.
    """
    tiles = np.asarray(images, np.float32)
    tiles = tiles if tiles.ndim > 3 and tiles.shape[-1] in (1, 3) else tiles[..., None]
    tiles = tiles if tiles.ndim == 5 else tiles[:, None]  # [n, K, H, W, C]
    if tiles.ndim != 5 or not tiles.size:
        raise ValueError(
            f"images are wanted as [n, H, W], [n, H, W, C], [n, K, H, W] or [n, K, H, W, C], not {list(np.shape(images))}"
        )
    n, k, height, width, _ = tiles.shape
    tiles = np.nan_to_num(np.clip((tiles - low) / (high - low), 0, 1))
    columns = columns or (math.ceil(math.sqrt(n)) if k == 1 else min(n, 16))
    rows, scale, gap = math.ceil(n / columns), max(1, 640 // (columns * width)), 2
    tiles = tiles.repeat(scale, 2).repeat(scale, 3)
    cell = np.array(tiles.shape[2:4]) + gap
    block_gap = 0 if rows == 1 else 4 * gap
    sheet = np.ones(
        (k * rows * cell[0] + (k - 1) * block_gap + gap, columns * cell[1] + gap, 3), np.float32
    )
    for i, j in np.ndindex(n, k):
        top = j * (rows * cell[0] + block_gap) + i // columns * cell[0] + gap
        left = i % columns * cell[1] + gap
        sheet[top : top + scale * height, left : left + scale * width] = tiles[i, j]
    return framed(sheet, [f"G{j + 1}" for j in range(k)] if k > 1 else [])


def framed(sheet: np.ndarray, names: Sequence[str]) -> Figure:
    """A picture [H, W, 3] pixel by pixel, with names of its equal horizontal parts in a margin on
    the left.
    """
    margin, dpi = (
        (44 if names else 0),
        128,
    )  # a power of two, so that inches times dpi is again the number of pixels
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


def curves(rows: Iterable[Mapping[str, Any]], names: Sequence[str] | None = None) -> Figure:
    """One panel per name over the steps: the mean over seeds and a band of ±1 SD (n - 1 in its
    denominator).

    rows: those of metrics.jsonl, {"step", "seed", NAME: number, …}; names: which, and in which
    order (default: all that were measured at
    more steps than one, or else all). A number that is missing or not finite is left out of its
    step's mean. Raises ValueError for no row or no such name.
    """
    rows = list(rows)
    known = list(
        dict.fromkeys(name for row in rows for name in row if name not in ("step", "seed", "time"))
    )
    missing = [name for name in names or [] if name not in known]
    if not known:
        raise ValueError("there are no measures to draw")
    if missing:
        raise ValueError(f"no measure named {', '.join(missing)}; known are {', '.join(known)}")
    moving = [name for name in known if len({row["step"] for row in rows if name in row}) > 1]
    chosen = list(names or moving or known)
    first, last = min(row["step"] for row in rows), max(row["step"] for row in rows)
    columns = min(len(chosen), 3)
    figure = Figure(
        (3.2 * columns, 2.2 * math.ceil(len(chosen) / columns)), dpi=150, layout="constrained"
    )
    for i, name in enumerate(chosen):
        axes = plain(figure.add_subplot(math.ceil(len(chosen) / columns), columns, i + 1))
        band(axes, rows, name, COLOURS[0])
        axes.set_title(name, loc="left", fontsize=9, color=INK)
        axes.xaxis.set_major_locator(
            MaxNLocator(5, integer=True, steps=[1, 2, 5, 10])
            if last > first
            else FixedLocator([first])
        )
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.set_xlim(first - 0.02 * (last - first) - 0.5, last + 0.02 * (last - first) + 0.5)
    figure.supxlabel("step", fontsize=8, color=INK)
    return figure


def band(
    axes: Axes, rows: Iterable[Mapping[str, Any]], name: str, colour: str, label: str = ""
) -> None:
    """The mean over seeds of one measure over the steps, and a band of ±1 SD; arguments as in
    `curves`.
    """
    at: dict[int, list[float]] = {}
    for row in rows:
        if name in row and row[name] is not None and math.isfinite(row[name]):
            at.setdefault(row["step"], []).append(float(row[name]))
    steps = sorted(at)
    mean = np.array([np.mean(at[step]) for step in steps])
    sd = np.array([np.std(at[step], ddof=1) if len(at[step]) > 1 else 0.0 for step in steps])
    axes.fill_between(steps, mean - sd, mean + sd, color=colour, alpha=0.18, linewidth=0)
    axes.plot(
        steps,
        mean,
        color=colour,
        linewidth=1.4,
        marker="o" if len(steps) == 1 else None,
        markersize=4,
        label=label,
    )


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Writes a PNG, whole or not at all; the same figure gives the same bytes. Raises ValueError,
    one line, where it cannot.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"{path} should end in .png: figures are written as PNG")
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(part, format="png", metadata={"Software": None})
        os.replace(part, path)
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        if part.is_file():
            part.unlink()


def by_generator(x: ArrayLike, dim: int) -> np.ndarray:
    """Samples [n, dim] or [n, K, dim] as [n, K, dim]. Raises ValueError for another shape."""
    each = np.asarray(x, np.float64)
    if each.ndim not in (2, 3) or each.shape[-1] != dim or not each.size:
        raise ValueError(
            f"samples are wanted as [n, {dim}] or [n, K, {dim}], not {list(each.shape)}"
        )
    return each if each.ndim == 3 else each[:, None]


def frame(data: Mixture | ArrayLike) -> tuple[np.ndarray, float]:
    """Centre [d] and half the side of a square that holds a mixture, or real points [N, d], with
    air around it.
    """
    if isinstance(data, Mixture):
        mean, sd = np.asarray(data.mean, np.float64), 5 * np.asarray(data.sd, np.float64)[:, None]
        low, high = (mean - sd).min(0), (mean + sd).max(0)
    else:
        low, high = np.min(data, 0).astype(np.float64), np.max(data, 0).astype(np.float64)
    return (low + high) / 2, 0.58 * float((high - low).max()) or 1.0


def palette(k: int) -> list[str]:
    """k colours: Okabe and Ito's where they last, otherwise steps of viridis."""
    return (
        list(COLOURS[:k])
        if k <= len(COLOURS)
        else [to_hex(colormaps["viridis"](t)) for t in np.linspace(0, 0.95, k)]
    )


def panel(inches: tuple[float, float]) -> tuple[Figure, Axes]:
    """A figure with one plain panel."""
    figure = Figure(inches, dpi=150, layout="constrained")
    return figure, plain(figure.add_subplot())


def plain(axes: Axes) -> Axes:
    """The same axes with thin grey lines below and on the left, and small print."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set(color=PALE, linewidth=0.8)
    axes.tick_params(colors=INK, labelsize=7, length=2, width=0.6, color=PALE)
    return axes


def legend(axes: Axes, colours: Sequence[str]) -> None:
    """Names of the generators above the panel, where there are more than one."""
    if len(colours) > 1:
        named = [Patch(color=colour, label=f"G{k + 1}") for k, colour in enumerate(colours)]
        axes.legend(
            handles=named, loc="lower left", bbox_to_anchor=(0, 1), ncols=min(len(named), 8), frameon=False, fontsize=8, labelcolor=INK,
            handlelength=0.7, handleheight=0.7, handletextpad=0.4, columnspacing=1.0, borderaxespad=0.2,
        )  # fmt: skip
