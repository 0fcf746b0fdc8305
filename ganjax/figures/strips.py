"""Images that belong together, one below the other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ganjax.figures.style import pixel_figure
from ganjax.metrics.inputs import in_unit_range
from ganjax.metrics.neighbours import nearest_rows


def strips(images: ArrayLike, names: Sequence[str]) -> Figure:
    """K rows of n images [n, K, H, W, C] of 0..1, 1 or 3 channels, each row with its name of at
    most five letters.

    Values beyond 0..1 are clipped, NaN is black.
    """
    x = np.nan_to_num(np.clip(np.asarray(images, np.float32), 0, 1))
    n, K, _, width, _ = x.shape
    scale = max(1, 960 // (n * width))
    x = np.pad(
        x.repeat(scale, 2).repeat(scale, 3),
        [(0, 0), (0, 0), (1, 1), (1, 1), (0, 0)],
        constant_values=1,
    )
    _, _, H, W, C = x.shape
    sheet = x.transpose(1, 2, 0, 3, 4).reshape(K * H, n * W, C)
    return pixel_figure(np.broadcast_to(sheet, (*sheet.shape[:2], 3)), names)


def pyramid_strips(x: ArrayLike) -> Figure:
    """`strips` of n Laplacian pyramids, images [n, levels, H, W, C] from coarse to fine: between
    two levels is their difference, around grey.
    """
    chain = np.asarray(x, np.float32).swapaxes(0, 1)
    rows = [(f"I{len(chain) - 1}", chain[0])]
    for k, (before, after) in zip(reversed(range(len(chain) - 1)), pairwise(chain)):
        rows += [(f"h{k}", 0.5 + after - before), (f"I{k}", after)]
    return strips(np.stack([row for _, row in rows], 1), [name for name, _ in rows])


def nearest_strips(x: ArrayLike, real: ArrayLike, n: int = 12) -> Figure:
    """The first n samples [N, H, W, C] in 0..1, each above the training image whose pixels are
    nearest; real: uint8 or 0..1.
    """
    samples, images = np.asarray(x)[:n], in_unit_range(np.asarray(real))
    pairs = np.stack([samples, images[nearest_rows(samples, images)]], 1)
    return strips(pairs, ("G(z)", "data"))
