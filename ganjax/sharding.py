"""Data parallelism: the batch is divided over the devices, everything else is replicated on each.

    with sharding.use_devices(4):
        state, log = play.run(game, play.init(game, key, data), data, 1000)

`jax.jit` compiles the step of a single device for a mesh with one axis, "data". This module
constrains how batches and noise are sharded, and the compiler does the rest: a mean, a batch
statistic or a gradient is one over the whole batch. The random draws do not depend on the number of
devices.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
from jax.sharding import AxisType, NamedSharding, PartitionSpec, Sharding

REPLICATED = PartitionSpec()
BY_BATCH = PartitionSpec("data")


def use_devices(n: int) -> AbstractContextManager[Any]:
    """A context in which `play.init`, `play.template` and `play.run` use the first n devices.

    With n = 0 or 1 it changes nothing. The context belongs to a thread. Raises ValueError where
    there are fewer devices.
    """
    if n < 2:
        return nullcontext()
    if n > jax.device_count():
        kind = jax.devices()[0].device_kind
        raise ValueError(f"{n} devices are asked for, and there are {jax.device_count()} ({kind})")
    return jax.set_mesh(jax.make_mesh((n,), ("data",), (AxisType.Auto,), devices=jax.devices()[:n]))


def device_count() -> int:
    """The number of devices over which the context divides a batch; 1 outside a context."""
    return jax.sharding.get_abstract_mesh().shape.get("data", 1)


def replicated() -> Sharding | None:
    """The sharding of an array with a copy on each device; None outside a context."""
    return NamedSharding(jax.sharding.get_mesh(), REPLICATED) if device_count() > 1 else None


def replicate(tree: Any) -> Any:
    """Outside jit: the tree with a copy on each device; outside a context, on the one device."""
    return jax.device_put(tree, replicated())


def shard_batch(tree: Any) -> Any:
    """Inside jit: every leaf [B, ...] divided along B over the devices.

    Raises ValueError where B cannot be divided into equal parts.
    """
    n = device_count()
    if n == 1:
        return tree
    leaves = [leaf for leaf in jax.tree.leaves(tree) if leaf.ndim]
    if odd := [len(leaf) for leaf in leaves if len(leaf) % n]:
        raise ValueError(
            f"a batch of {odd[0]} cannot be cut into {n} equal parts, one for each device"
        )
    return jax.tree.map(
        lambda leaf: jax.lax.with_sharding_constraint(leaf, BY_BATCH) if leaf.ndim else leaf, tree
    )


def keep_replicated(tree: Any) -> Any:
    """Inside jit: every leaf with a copy on each device."""
    return tree if device_count() == 1 else jax.lax.with_sharding_constraint(tree, REPLICATED)
