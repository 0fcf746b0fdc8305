"""Several devices: the batch is laid out over them, all else is whole on each; what `jax.pmap` is
made of in today's JAX.

    with mesh.over(4):
        state, log = play.run(game, play.init(game, key, data), data, 1000)

The step is the one that a single device plays, compiled by `jax.jit` for a mesh with the axis
"data". Batches and noise are cut along B here, and the compiler follows them: a mean is one over
the whole batch, batch statistics and gradients too. Draws are the same on any number of devices.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
from jax.sharding import AxisType, NamedSharding, PartitionSpec, Sharding

WHOLE, CUT = PartitionSpec(), PartitionSpec("data")


def over(n: int) -> AbstractContextManager[Any]:
    """A context in which `init`, `template` and `run` are those of the first n devices; 0 and 1
    change nothing.

    Raises ValueError where there are fewer.
    """
    if n < 2:
        return nullcontext()
    if n > jax.device_count():
        raise ValueError(
            f"{n} devices are asked for, and there are {jax.device_count()} ({jax.devices()[0].device_kind})"
        )
    return jax.set_mesh(jax.make_mesh((n,), ("data",), (AxisType.Auto,), devices=jax.devices()[:n]))


def devices() -> int:
    """Over how many devices the context lays a batch."""
    return jax.sharding.get_abstract_mesh().shape.get("data", 1)


def home() -> Sharding | None:
    """Whole on every device of the context; None, JAX's own choice, outside one. The context is
    that of a thread.
    """
    return NamedSharding(jax.sharding.get_mesh(), WHOLE) if devices() > 1 else None


def placed(tree: Any) -> Any:
    """Outside jit: the tree on the device, or whole on each device of the context."""
    return jax.device_put(tree, home())


def spread(tree: Any) -> Any:
    """Inside jit: every leaf [B, ...] cut along B over the devices. Raises ValueError where B
    cannot be cut into equal parts.
    """
    if (n := devices()) == 1:
        return tree
    leaves = [leaf for leaf in jax.tree.leaves(tree) if leaf.ndim]
    if odd := [len(leaf) for leaf in leaves if len(leaf) % n]:
        raise ValueError(
            f"a batch of {odd[0]} cannot be cut into {n} equal parts, one for each device"
        )
    return jax.tree.map(
        lambda leaf: jax.lax.with_sharding_constraint(leaf, CUT) if leaf.ndim else leaf, tree
    )


def whole(tree: Any) -> Any:
    """Inside jit: every leaf whole on each of the devices."""
    return tree if devices() == 1 else jax.lax.with_sharding_constraint(tree, WHOLE)
