"""Attacks on a classifier as figures: errors by the size of a change, and the changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ganjax.figures.style import INK, legend_of_lines, palette, plain_axes


class Example(NamedTuple):
    """An image [H, W, C] in 0..1 before and after an attack, and how both are read."""

    title: str
    before: np.ndarray
    after: np.ndarray
    read_before: tuple[int, float]  # class, confidence
    read_after: tuple[int, float]


def error_curves(
    sizes: Sequence[float],
    by_size: Mapping[str, Sequence[float]],
    distances: Mapping[str, ArrayLike],
) -> Figure:
    """On the left the error of each attack by its size, a difference of pixels; on the right the
    share of images that an attack has turned within an L2 distance.

    by_size: errors in 0..1, one for each of the sizes. distances: that of each image, inf where the
    attack failed.
    """
    figure = Figure((7.2, 2.9), dpi=150, layout="constrained")
    left, right = (plain_axes(figure.add_subplot(1, 2, i)) for i in (1, 2))
    colours = palette(len(by_size) + len(distances))
    for colour, (name, errors) in zip(colours, by_size.items()):
        left.plot(sizes, errors, color=colour, linewidth=1.4, marker="o", markersize=3, label=name)
    for colour, (name, far) in zip(colours[len(by_size) :], distances.items()):
        array = np.asarray(far, np.float64)
        finite = np.sort(array[np.isfinite(array)])
        share = np.arange(len(finite) + 1) / len(array)
        right.step(np.append(0, finite), share, where="post", color=colour, label=name)
    left.set(xlim=(0, max(sizes)), ylim=(0, 1.02))
    right.set(xlim=(0, None), ylim=(0, 1.02))
    left.set_title("error", loc="left", fontsize=9, color=INK)
    right.set_title("share of images turned", loc="left", fontsize=9, color=INK)
    left.set_xlabel("ε, pixel values in 0..1", fontsize=8, color=INK)
    right.set_xlabel("L2 distance", fontsize=8, color=INK)
    legend_of_lines(left)
    legend_of_lines(right)
    return figure


def perturbations(examples: Sequence[Example]) -> Figure:
    """A row for each example: image, perturbation, result, with labels and confidences.

    The perturbation is around grey, amplified by the factor that is written over it.
    """
    figure = Figure((4.6, 1.75 * len(examples)), dpi=120, layout="constrained")
    for i, (title, before, after, read_before, read_after) in enumerate(examples):
        change = after - before
        factor = 0.5 / max(float(np.abs(change).max()), 1e-6)
        panels = (
            (before, f"{read_before[0]}, {read_before[1]:.1%}"),
            (0.5 + factor * change, f"{title}, × {factor:.3g}"),
            (after, f"{read_after[0]}, {read_after[1]:.1%}"),
        )
        for j, (image, said) in enumerate(panels):
            axes = figure.add_subplot(len(examples), 3, 3 * i + j + 1)
            shown = np.clip(image, 0, 1)
            axes.imshow(np.broadcast_to(shown, (*shown.shape[:2], 3)), interpolation="nearest")
            axes.set_axis_off()
            axes.set_title(said, fontsize=7, color=INK)
    return figure
