"""Tables of numbers as heat maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ganjax.figures.style import panel


def heat_map(
    values: ArrayLike, rows: Sequence[str], columns: Sequence[str], *, digits: int = 2
) -> Figure:
    """Numbers [R, C] as a heat map, each written into its cell.

    Raises ValueError where the counts of names and numbers differ.
    """
    V = np.asarray(values, np.float64)
    if V.shape != (len(rows), len(columns)):
        raise ValueError(
            f"a table of {len(rows)} rows and {len(columns)} columns is wanted, "
            f"not an array {list(V.shape)}"
        )
    figure, axes = panel((1.6 + 0.8 * len(columns), 1.0 + 0.6 * len(rows)))
    axes.imshow(V, cmap="viridis", aspect="auto")
    middle = (np.nanmin(V) + np.nanmax(V)) / 2
    for i, j in np.ndindex(*V.shape):
        colour = "black" if V[i, j] > middle else "white"
        axes.text(j, i, f"{V[i, j]:.{digits}f}", ha="center", va="center", fontsize=8, color=colour)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    return figure


def value_map(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """The final value of K generators against N discriminators, means over seeds; each player's
    name comes with its weight.

    rows: of metrics.jsonl, with V_k_n, u_k and w_n; None is left out.
    """
    last = [row for row in rows if row["step"] == rows[-1]["step"]]
    mean = {name: np.mean([row[name] for row in last if row[name] is not None]) for name in last[0]}
    K, N = (sum(name.startswith(letter) for name in mean) for letter in ("u_", "w_"))
    V = [[mean[f"V_{k}_{n}"] for n in range(N)] for k in range(K)]
    names = [
        [f"{X}{i + 1}\n{mean[f'{w}_{i}']:.2f}" for i in range(n)]
        for X, w, n in (("G", "u", K), ("D", "w", N))
    ]
    return heat_map(V, *names)
