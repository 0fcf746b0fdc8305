"""Pools of old fakes, of which discriminators see some (Shrivastava et al. 2017; CycleGAN, section
4): a game's memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax.numpy as jnp
from jax import Array, random

from ganjax.keys import stream

Pool = tuple[Array, Array]  # images [n, ...], and how many of them are there, int32


def empty(n: int, shape: tuple[int, ...], names: Sequence[str] = ("x", "y")) -> dict[str, Pool]:
    """A pool by each name for n images of a shape, none of which is there yet."""
    return {name: (jnp.zeros((n, *shape)), jnp.int32(0)) for name in names}


def exchange(
    pools: Mapping[str, Pool], fakes: Mapping[str, Array], key: Array
) -> tuple[dict[str, Array], dict[str, Pool]]:
    """What is seen in place of the fakes [B, ...] of each name, and the next pools. Raises
    ValueError where B is larger than a pool.

    Until a pool is full, it takes in every fake, and all are seen. From then on each fake, with
    probability 1/2, takes the place of an old one, which is seen in its stead; of one batch no two
    take the same place.
    """
    swapped = {
        name: swap(pools[name], fake, stream(key, "pool", name)) for name, fake in fakes.items()
    }
    return {name: seen for name, (seen, _) in swapped.items()}, {
        name: pool for name, (_, pool) in swapped.items()
    }


def swap(pool: Pool, fake: Array, key: Array) -> tuple[Array, Pool]:
    """`exchange` for one pool."""
    (images, count), B = pool, len(fake)
    if len(images) < B:
        raise ValueError(f"a batch of {B} does not fit a pool of {len(images)}")
    row_key, coin_key = random.split(key)
    full = count >= len(images)
    rows = jnp.where(
        full, random.permutation(row_key, len(images))[:B], count + jnp.arange(B)
    )  # nothing is written beyond the end
    out = (full & random.bernoulli(coin_key, 0.5, (B,))).reshape(-1, *[1] * (fake.ndim - 1))
    old = images[rows]
    images = images.at[rows].set(jnp.where(out | ~full, fake, old))
    return jnp.where(out, old, fake), (images, jnp.minimum(count + B, len(images)))
