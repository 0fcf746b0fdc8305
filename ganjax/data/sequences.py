"""Sequences of several lengths in one array: padding on the host, and masks on the device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Int32, Shaped


def pad(
    rows: Sequence[Shaped[np.ndarray, "_ ..."]], length: int | None = None
) -> tuple[Shaped[np.ndarray, "n T ..."], Int32[np.ndarray, " n"]]:
    """Arrays [t_i, ...] as one [n, T, ...] with zeros behind them, and their lengths.

    length: T; None: that of the longest. Raises ValueError for no array, and for one that is longer
    than T.
    """
    if not rows:
        raise ValueError("there is no sequence to pad")
    lengths = np.array([len(row) for row in rows], np.int32)
    T = int(lengths.max()) if length is None else length
    if lengths.max() > T:
        raise ValueError(f"a sequence of {lengths.max()} does not fit into {T}")
    out = np.zeros((len(rows), T, *rows[0].shape[1:]), rows[0].dtype)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out, lengths


def mask(lengths: Shaped[Array | np.ndarray, "*B"], T: int) -> Bool[Array, "*B {T}"]:
    """True where a sequence is, False where its padding is."""
    return jnp.arange(T) < jnp.asarray(lengths)[..., None]


def strided(lengths: Any, stride: int) -> Any:
    """The lengths, numbers or arrays, where every `stride`-th entry is kept, from the first on."""
    return -(-lengths // stride)
