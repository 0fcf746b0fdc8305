"""Several devices: the batch is divided over them, or the lanes of a population, or both.

    with sharding.use_devices(4):
        state, log = play.run(game, play.init(game, key, data), data, 1000)

A mesh has an axis "data", over which every batch is divided, and an axis "lanes", over which the
lanes of a population are. Everything else has a copy on each device. `jax.jit` compiles the step of
a single device for the mesh. This module constrains how batches, noise and lanes are sharded, and
the compiler does the rest: a mean, a batch statistic or a gradient is one over the whole batch. The
random draws do not depend on the number of devices. The devices may belong to several processes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache, partial
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, NamedSharding, PartitionSpec, Sharding

AXES = ("lanes", "data")  # neighbours, which are close, share a batch
REPLICATED = PartitionSpec()
BY_BATCH = PartitionSpec("data")
BY_LANE = PartitionSpec("lanes")


def mesh_of(text: str) -> dict[str, int]:
    """The devices along each axis, from a text such as "data=2,lanes=4".

    Raises ValueError, one line, for any other text.
    """
    parts = [part.partition("=") for part in text.split(",")]
    good = all(axis in AXES and n.isascii() and n.isdigit() and int(n) for axis, _, n in parts)
    if not good or len({axis for axis, *_ in parts}) < len(parts):
        raise ValueError(f"a mesh is data=N, lanes=N or data=N,lanes=N, from 1; got {text!r}")
    return {axis: int(n) for axis, _, n in parts}


def text_of(mesh: Mapping[str, int]) -> str:
    """The text that `mesh_of` reads."""
    return ",".join(f"{axis}={n}" for axis, n in mesh.items())


def use_devices(n: int) -> AbstractContextManager[Any]:
    """A context in which `play.init`, `play.template` and `play.run` divide batches over the first
    n devices, as `use_mesh` says.
    """
    return use_mesh({"data": n})


def use_mesh(mesh: Mapping[str, int]) -> AbstractContextManager[Any]:
    """A context in which `play.init`, `play.template` and `play.run` use so many devices along each
    axis, "data" and "lanes", the first ones.

    With one device it changes nothing. The context belongs to a thread. Raises ValueError where
    there are fewer devices.
    """
    axes = {axis: mesh[axis] for axis in AXES if mesh.get(axis, 1) > 1}
    n = math.prod(axes.values())
    if n < 2:
        return nullcontext()
    if n > jax.device_count():
        kind = jax.devices()[0].device_kind
        raise ValueError(f"{n} devices are asked for, and there are {jax.device_count()} ({kind})")
    auto = (AxisType.Auto,) * len(axes)
    made = jax.make_mesh(tuple(axes.values()), tuple(axes), auto, devices=jax.devices()[:n])
    return jax.set_mesh(made)


def device_count() -> int:
    """The number of devices over which the context divides a batch; 1 outside a context."""
    return jax.sharding.get_abstract_mesh().shape.get("data", 1)


def divides_lanes() -> bool:
    """Whether the context divides the lanes of a population over devices."""
    return "lanes" in jax.sharding.get_abstract_mesh().shape


def replicated() -> Sharding | None:
    """The sharding of an array with a copy on each device; None outside a context."""
    return _of(REPLICATED)


def _of(spec: PartitionSpec) -> Sharding | None:
    inside = jax.sharding.get_abstract_mesh().shape
    return NamedSharding(jax.sharding.get_mesh(), spec) if inside else None


def replicate(tree: Any) -> Any:
    """Outside jit: the tree with a copy on each device; outside a context, on the one device."""
    return placer()(tree)


def place(state: Any, data: Any, population: bool) -> tuple[Any, Any]:
    """Outside jit: a state and its data on the devices of the context, the lanes of a population
    divided over them; outside a context, as they are.
    """
    if replicated() is None:
        return state, data
    spec = BY_LANE if population and divides_lanes() else REPLICATED
    return _placed(_of(spec), state), replicate(data)


def placer() -> Callable[[Any], Any]:
    """`replicate` of this context, for any thread."""
    return partial(_placed, replicated())


def _placed(sharding: Sharding | None, tree: Any) -> Any:
    if sharding is None or sharding.is_fully_addressable:
        return jax.device_put(tree, sharding)
    return jax.tree.map(partial(_spread, sharding), tree)


def _spread(sharding: Sharding, leaf: Any) -> Any:
    # `device_put` would compare a leaf of this process with that of each other one.
    if isinstance(leaf, jax.Array):
        if leaf.sharding.is_equivalent_to(sharding, leaf.ndim):
            return leaf
        if not leaf.is_fully_addressable:
            return _mover(sharding)(leaf)
        if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(_spread(sharding, jax.random.key_data(leaf)))
    own = np.asarray(leaf)
    return jax.make_array_from_callback(own.shape, sharding, lambda index: own[index])


@lru_cache(maxsize=8)
def _mover(sharding: Sharding) -> Callable[[Any], Any]:
    # `device_put` takes no leaf that other processes have parts of
    return jax.jit(lambda x: x, out_shardings=sharding)


def whole(tree: Any) -> Any:
    """Outside jit: every leaf whole in this process. Leaves that other processes have parts of are
    copied to its first device; others are as they are.
    """
    return jax.tree.map(_whole, tree)


def _whole(leaf: Any) -> Any:
    if not isinstance(leaf, jax.Array) or leaf.is_fully_addressable:
        return leaf
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(_whole(jax.random.key_data(leaf)))
    if leaf.is_fully_replicated:
        return leaf.addressable_data(0)
    return jax.device_put(multihost_utils.process_allgather(leaf, tiled=True))


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
    """Inside jit: every leaf with a copy on each device; inside `by_lane`, on each that has the
    lane.
    """
    return tree if device_count() == 1 else jax.lax.with_sharding_constraint(tree, REPLICATED)


def by_lane(step: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Inside jit: the step of a population, each device with its own lanes; as it is where the
    context divides none. Its arguments are the state and the data.
    """
    if not divides_lanes():
        return step
    # The compiler alone would gather the lanes of convolutions.
    parts = (BY_LANE, REPLICATED)
    return jax.shard_map(
        step, in_specs=parts, out_specs=BY_LANE, axis_names={"lanes"}, check_vma=False
    )
