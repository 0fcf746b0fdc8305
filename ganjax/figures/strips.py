"""Images that belong together, under each other. Host code."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ganjax import figures


def strips(images: ArrayLike, names: Sequence[str]) -> Figure:
    """K rows of n images [n, K, H, W, C] of 0..1, 1 or 3 channels, each row with its name of at
    most five letters.

    What lies beyond 0..1 is clipped, NaN is black.
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
    return figures.framed(np.broadcast_to(sheet, (*sheet.shape[:2], 3)), names)


def details(x: ArrayLike) -> Figure:
    """`strips` of n images as they came about, [n, levels, H, W, C], coarse to fine: between two
    the difference, around grey.
    """
    chain = np.asarray(x, np.float32).swapaxes(0, 1)
    rows = [(f"I{len(chain) - 1}", chain[0])]
    for k, (before, after) in zip(reversed(range(len(chain) - 1)), pairwise(chain)):
        rows += [(f"h{k}", 0.5 + after - before), (f"I{k}", after)]
    return strips(np.stack([row for _, row in rows], 1), [name for name, _ in rows])
