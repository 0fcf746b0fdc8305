"""A pool of old fakes, of which a discriminator sees some (Shrivastava et al. 2017; CycleGAN, section 4): a game's memory."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array, random

Pool = tuple[Array, Array]  # images [n, ...], and how many ever came, int32


def empty(n: int, shape: tuple[int, ...]) -> Pool:
    """A pool of n images, none of which is there yet."""
    return jnp.zeros((n, *shape)), jnp.int32(0)


def exchange(pool: Pool, fake: Array, key: Array) -> tuple[Array, Pool]:
    """What a discriminator sees in place of fakes [B, ...], and the next pool. Raises ValueError where B is larger than the pool.

    Until the pool is full, it takes in every fake, and all are seen. From then on each fake, with probability 1/2, takes the place of an
    old one, which is seen in its stead; no old one is seen twice.
    """
    images, count = pool
    n, B = len(images), len(fake)
    if n < B:
        raise ValueError(f"a batch of {B} does not fit a pool of {n}")
    row_key, coin_key = random.split(key)
    full = count >= n
    rows = jnp.where(full, random.permutation(row_key, n)[:B], count + jnp.arange(B))  # beyond the end nothing is written
    swap = (full & random.bernoulli(coin_key, 0.5, (B,))).reshape(-1, *[1] * (fake.ndim - 1))
    old = images[rows]
    return jnp.where(swap, old, fake), (images.at[rows].set(jnp.where(swap | ~full, fake, old)), jnp.minimum(count + B, n))
