"""Images as members of a team see them who divide the work: each its own resolution, or its own
band of frequencies. Pure functions.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

ROLES = ("equal", "resolutions", "bands")


def views(x: Array, roles: str) -> Array:
    """What each member sees, [B, N, H, W, C] -> the same shape.

    equal: the images. resolutions: member i the means of squares of 2^i pixels. bands: member i < N
    - 1 what resolution i has and i + 1 has
    not, the last the coarsest. Raises ValueError for other roles, and unless H and W are multiples
    of 2^(N - 1).
    """
    N = x.shape[1]
    if roles not in ROLES:
        raise ValueError(f"roles are {', '.join(ROLES)}; got {roles}")
    if roles == "equal":
        return x
    if x.ndim != 5 or any(side % 2 ** (N - 1) for side in x.shape[2:4]):
        raise ValueError(
            f"{N} roles take images whose sides are multiples of {2 ** (N - 1)}, not {list(x.shape[2:])}"
        )
    seen = [coarse(x[:, i], i) for i in range(N)]
    if roles == "bands":
        seen = [seen[i] - coarse(x[:, i], i + 1) for i in range(N - 1)] + seen[-1:]
    return jnp.stack(seen, 1)


def coarse(x: Array, halvings: int) -> Array:
    """Images [B, H, W, C] in squares of 2^halvings pixels, each the mean of its own."""
    side = 2**halvings
    B, H, W, C = x.shape
    return (
        x.reshape(B, H // side, side, W // side, side, C)
        .mean((2, 4))
        .repeat(side, 1)
        .repeat(side, 2)
    )
