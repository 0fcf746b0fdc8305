"""Pools of old fakes that discriminators see in place of new ones; a pool is a game's memory.

Shrivastava et al. 2017; Zhu et al. 2017 (CycleGAN), section 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import chex
import jax.numpy as jnp
from jax import Array, random
from jaxtyping import Float, Key

from ganjax.keys import stream

Pool = tuple[Array, Array]  # images [n, ...], and how many of the places are filled, int32


def empty(n: int, shape: tuple[int, ...], names: Sequence[str] = ("x", "y")) -> dict[str, Pool]:
    """An empty pool under each name, with places for n images of the shape."""
    return {name: (jnp.zeros((n, *shape)), jnp.int32(0)) for name in names}


def exchange(
    pools: Mapping[str, Pool], fakes: Mapping[str, Array], key: Key[Array, ""]
) -> tuple[dict[str, Array], dict[str, Pool]]:
    """The images that discriminators see for the fakes [B, ...] of each name, and the next pools.

    A pool that is not full takes in every fake, and the fakes are seen. Once it is full, each fake
    with probability 1/2 replaces an image of the pool, which is seen in its stead; fakes of one
    batch replace different images. Raises ValueError where a batch is larger than its pool.
    """
    swapped = {
        name: swap(pools[name], fake, stream(key, "pool", name)) for name, fake in fakes.items()
    }
    seen = {name: images for name, (images, _) in swapped.items()}
    return seen, {name: pool for name, (_, pool) in swapped.items()}


def swap(
    pool: Pool, fake: Float[Array, "B ..."], key: Key[Array, ""]
) -> tuple[Float[Array, "B ..."], Pool]:
    """`exchange` for one pool."""
    images, count = pool
    B = len(fake)
    if len(images) < B:
        raise ValueError(f"a batch of {B} does not fit a pool of {len(images)}")
    chex.assert_shape(fake, (B, *images.shape[1:]))
    row_key, coin_key = random.split(key)
    full = count >= len(images)
    # JAX drops what is written beyond the last row.
    rows = jnp.where(full, random.permutation(row_key, len(images))[:B], count + jnp.arange(B))
    out = (full & random.bernoulli(coin_key, 0.5, (B,))).reshape(-1, *[1] * (fake.ndim - 1))
    old = images[rows]
    images = images.at[rows].set(jnp.where(out | ~full, fake, old))
    return jnp.where(out, old, fake), (images, jnp.minimum(count + B, len(images)))
