"""Checkpoints of whole states, by Orbax: asynchronous, atomic, tied to the run that made them."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from ganjax import sharding

KEPT = 3


class Checkpoints:
    """The checkpoints of one run, by step. `tie` is a text that its checkpoints carry.

    A reader must not clean up: what looks half written may be a save under way in another process.
    """

    def __init__(self, folder: Path, tie: str, read_only: bool = False):
        logging.getLogger("absl").setLevel(logging.ERROR)
        self.folder, self.tie = folder, tie
        if read_only:
            options = ocp.CheckpointManagerOptions(read_only=True)
        else:
            options = ocp.CheckpointManagerOptions(
                max_to_keep=KEPT, cleanup_tmp_directories=True, create=True
            )
        self.manager = ocp.CheckpointManager(folder.resolve(), options=options)

    def save(self, step: int, tree: Any) -> None:
        """Begins to save a tree of arrays. It is copied first: the arrays may then be donated."""
        if step in self.manager.all_steps():  # one that could not be read
            self.manager.delete(step)
        args = ocp.args.Composite(
            state=ocp.args.StandardSave(_flat(tree)), tie=ocp.args.JsonSave({"tie": self.tie})
        )
        self.manager.save(step, args=args, force=True)

    def restore(self, like: Any) -> tuple[int, Any] | None:
        """(step, tree like the given one) of the newest readable checkpoint, or None without one.

        The tree is put where a new state would be. A checkpoint that cannot be read is passed over
        with a line on stderr. Raises ValueError where one belongs to other options.
        """
        # not where it was saved: the devices may be others
        place = sharding.replicated() or jax.sharding.SingleDeviceSharding(jax.devices()[0])

        def abstract(x: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place)

        shapes = jax.tree.map(abstract, jax.eval_shape(_flat, like))
        for step in sorted(self.manager.all_steps(), reverse=True):
            try:
                # the tie first: a state of other options may have other shapes and look damaged
                tie = self._read(step, tie=ocp.args.JsonRestore())["tie"]
                if tie == self.tie:
                    state = self._read(step, state=ocp.args.StandardRestore(shapes))
            except Exception as error:  # a damaged file may raise anything
                told = f"checkpoint {step} is passed over, it cannot be read"
                print(f"{told}: {type(error).__name__}", file=sys.stderr)
                continue
            if tie != self.tie:
                raise ValueError(
                    f"{self.folder.parent} holds checkpoints of a run with other options"
                )
            return step, _unflat(state, like)
        return None

    def _read(self, step: int, **item: Any) -> Any:
        """One item of a checkpoint: `_read(3, state=…)`."""
        (name,) = item
        return self.manager.restore(step, args=ocp.args.Composite(**item))[name]

    def close(self) -> None:
        """Waits until everything is on the disk."""
        self.manager.wait_until_finished()
        self.manager.close()


def _plain(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf


def _flat(tree: Any) -> dict[str, Any]:
    # A flat dict of plain arrays: no optimiser's tuple types, no typed keys, no numbers as names to
    # lose on the way, and none without entries, which Orbax refuses.
    return {
        jax.tree_util.keystr(path): _plain(leaf)
        for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]
        if leaf.size
    }


def _unflat(flat: dict[str, Any], like: Any) -> Any:
    def leaf(path: Any, old: Any) -> Any:
        if not old.size:
            return jnp.zeros(old.shape, old.dtype)
        value = flat[jax.tree_util.keystr(path)]
        return (
            jax.random.wrap_key_data(value)
            if jnp.issubdtype(old.dtype, jax.dtypes.prng_key)
            else value
        )

    return jax.tree_util.tree_map_with_path(leaf, like)
