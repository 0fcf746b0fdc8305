"""Randomness as a function of seed, stream, step and member: no state carries a key along."""

from __future__ import annotations

from zlib import crc32

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Key


def stream(key: Key[Array, ""], *names: str | int) -> Key[Array, ""]:
    """The key of a named stream: `key` folded once with the CRC-32 of the names, joined by "/"."""
    return jax.random.fold_in(key, crc32("/".join(map(str, names)).encode()))


def members(key: Key[Array, ""], n: int) -> Key[Array, {n}]:
    """n keys, one for each member of a team. Key i does not depend on n."""
    return jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(n))
