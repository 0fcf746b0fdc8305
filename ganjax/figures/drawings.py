"""What a run draws beside its samples: how near it is to its end, what G has seen, where z leads.
Host code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import random
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter
from numpy.typing import ArrayLike

from ganjax import figures
from ganjax.data.mixtures import Mixture
from ganjax.figures.strips import strips
from ganjax.game import Bound
from ganjax.metrics import neighbours
from ganjax.metrics.equilibrium import LIMITS
from ganjax.protocols import latent_arithmetic


def plain(
    data: Any, x: ArrayLike, rows: Iterable[Mapping[str, Any]], *, G: Bound
) -> Mapping[str, Figure]:
    """On a mixture the way to the equilibrium; of images 0..1 the nearest training images and lines
    in z (Goodfellow et al. 2014).
    """
    if isinstance(data, Mixture):
        return {"equilibrium": equilibrium(rows)}
    return {"nearest": nearest(data, x), "interpolation": walk(G)} if np.ndim(x) == 4 else {}


def equilibrium(rows: Iterable[Mapping[str, Any]]) -> Figure:
    """The value and D's accuracy over the steps, and those of the best answer D* to the same G:
    mean ± SD over seeds, dashed the limits.

    rows: of metrics.jsonl, with what `metrics.equilibrium` measures.
    """
    rows = list(rows)
    figure = Figure((7.2, 2.8), dpi=150, layout="constrained")
    for i, (name, limit) in enumerate(LIMITS.items()):
        axes = figures.plain(figure.add_subplot(1, 2, i + 1))
        axes.axhline(
            limit,
            color=figures.INK,
            linewidth=0.8,
            linestyle="--",
            label="-log 4" if name == "value" else "1/2",
        )
        figures.band(axes, rows, f"{name}_best", figures.COLOURS[1], "D*")
        figures.band(axes, rows, name, figures.COLOURS[0], "D")
        axes.set_title(name, loc="left", fontsize=9, color=figures.INK)
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.legend(frameon=False, fontsize=8, labelcolor=figures.INK)
    figure.supxlabel("step", fontsize=8, color=figures.INK)
    return figure


def nearest(data: Any, x: ArrayLike, n: int = 12) -> Figure:
    """The first n samples [N, H, W, C] of 0..1, each above the nearest training image, by the
    distance of their pixels.
    """
    made, real = np.asarray(x)[:n], np.asarray(data["x"])
    real = real / np.float32(255) if real.dtype == np.uint8 else real
    return strips(np.stack([made, real[neighbours.nearest(made, real)]], 1), ("G(z)", "data"))


def walk(G: Bound, low: float = 0.0, lines: int = 8, points: int = 9) -> Figure:
    """What G makes, low..1, of points on straight lines between random z, a line in each row."""
    a, b = (G.noise(random.key(i), lines)[:, None] for i in range(2))  # [lines, 1, Z]
    z = a + jnp.linspace(0, 1, points)[:, None] * (b - a)
    return figures.grid(G(z.reshape(lines * points, -1)), low, 1.0, columns=points)


def sums(data: Any, G: Bound, n: int = 12) -> Mapping[str, Figure]:
    """{"arithmetic": what G makes of n sums of z, between what it makes of their three terms and
    what is wanted}; {} without an answer.
    """
    found = latent_arithmetic.played(data, random.key(0), G)
    if found is None or not len(found.wanted):
        return {}
    shown = np.linspace(0, len(found.wanted) - 1, n).astype(int)
    images = [
        *found.terms[shown].swapaxes(0, 1),
        found.made[shown],
        found.means[found.wanted[shown]],
    ]
    return {"arithmetic": strips(np.stack(images, 1), ("a+", "- a-", "+ b-", "= ?", "b+"))}
