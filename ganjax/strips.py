"""Images that belong together, under each other. Host code."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ganjax import figures


def strips(images: ArrayLike, names: Sequence[str]) -> Figure:
    """K rows of n images [n, K, H, W, C] of 0..1, 1 or 3 channels, each row with its name of at most five letters.

    What lies beyond 0..1 is clipped, NaN is black.
    """
    x = np.nan_to_num(np.clip(np.asarray(images, np.float32), 0, 1))
    n, K, _, width, _ = x.shape
    scale = max(1, 960 // (n * width))
    x = np.pad(x.repeat(scale, 2).repeat(scale, 3), [(0, 0), (0, 0), (1, 1), (1, 1), (0, 0)], constant_values=1)
    _, _, H, W, C = x.shape
    sheet = x.transpose(1, 2, 0, 3, 4).reshape(K * H, n * W, C)
    return figures.framed(np.broadcast_to(sheet, (*sheet.shape[:2], 3)), names)
