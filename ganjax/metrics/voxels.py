"""How alike two sets of solid shapes are, by the intersection over union of their voxels. Host
code.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32
from numpy.typing import ArrayLike


def iou(a: ArrayLike, b: ArrayLike) -> Float32[np.ndarray, "n m"]:
    """The intersection over union of each shape of a [n, ...] with each of b [m, ...].

    A voxel is full above one half, of 0..1 or of uint8. Two empty shapes have the value 0. Raises
    ValueError for shapes that do not fit together.
    """
    x, y = solid(a), solid(b)
    if x.shape[1:] != y.shape[1:]:
        raise ValueError(
            f"shapes of {list(y.shape[1:])} voxels are wanted, not {list(x.shape[1:])}"
        )
    x, y = (s.reshape(len(s), -1).astype(np.float32) for s in (x, y))
    both = x @ y.T
    either = x.sum(1)[:, None] + y.sum(1) - both
    return both / np.maximum(either, 1)


def solid(x: ArrayLike) -> np.ndarray:
    """Which voxels are full, bool: those above one half, of 0..1 or of uint8."""
    array = np.asarray(x)
    return array > (127 if array.dtype == np.uint8 else 0.5)


def coverage(samples: ArrayLike, x: ArrayLike) -> dict[str, float]:
    """{"iou_samples": mean over samples [n, ...] of the largest IoU with a real shape of x
    [N, ...], "iou_shapes": mean over real shapes of the largest IoU with a sample, "coverage": the
    share of real shapes that are nearest to some sample}.

    The last is COV of Achlioptas et al. 2018 (section 4) with IoU for the distance, for which they
    take as many samples as shapes; the second is one minus their MMD. Recalled, not read.
    """
    alike = iou(samples, x)
    nearest = np.unique(alike.argmax(1)[alike.max(1) > 0])
    return {
        "iou_samples": float(alike.max(1).mean()),
        "iou_shapes": float(alike.max(0).mean()),
        "coverage": len(nearest) / alike.shape[1],
    }
