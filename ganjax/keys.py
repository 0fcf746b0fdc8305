"""Randomness as a function of (seed, stream, step, member): nothing carries a key along."""

from zlib import crc32

import jax
from jax import Array


def stream(key: Array, *names: str | int) -> Array:
    """The key of a named stream: `key` folded once, with the CRC-32 of the path that the names
    make.
    """
    return jax.random.fold_in(key, crc32("/".join(map(str, names)).encode()))


def members(key: Array, n: int) -> Array:
    """n keys, [n]; the i-th is the same whatever n is."""
    return jax.vmap(jax.random.fold_in, (None, 0))(key, jax.numpy.arange(n))
