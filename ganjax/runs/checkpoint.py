"""Checkpoints of whole states, by Orbax: in the background, atomic, tied to the run that made them,
and checked on restore.
"""

from __future__ import annotations

import errno
import logging
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from ganjax import sharding
from ganjax.host import one_line
from ganjax.runs import hosts
from ganjax.runs.storage import tree_digest

KEPT = 3
# Errors of the machine, not of a file: a later try may succeed.
PASSING = {
    getattr(errno, name)
    for name in ("EAGAIN", "EBUSY", "EMFILE", "ENFILE", "ENOMEM", "ESTALE", "ETIMEDOUT")
}


class Saved(NamedTuple):
    """A checkpoint that was read."""

    step: int
    state: Any
    note: dict[str, Any]  # what was saved with it


class Kept:
    """Which checkpoints Orbax does not remove: the newest, and those that are spared."""

    def __init__(self) -> None:
        self.spared: frozenset[int] = frozenset()

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        """For each checkpoint, by step, whether it stays."""
        old = len(checkpoints) - KEPT
        return [i >= old or each.step in self.spared for i, each in enumerate(checkpoints)]


class Checkpoints:
    """The checkpoints of one run, by step. `tie` is a text that its checkpoints carry.

    Beside the state they carry its digest, which is computed in the thread that saves. A reader
    must not clean up: what looks half written may be a save under way in another process.
    """

    def __init__(self, folder: Path, tie: str, read_only: bool = False):
        logging.getLogger("absl").setLevel(logging.CRITICAL)
        self.folder, self.tie, self.kept = folder, tie, Kept()
        if read_only:
            options = ocp.CheckpointManagerOptions(read_only=True)
        else:
            options = ocp.CheckpointManagerOptions(
                preservation_policy=self.kept,
                cleanup_tmp_directories=True,
                create=True,
                enable_async_checkpointing=False,
            )
        self.manager = ocp.CheckpointManager(folder.resolve(), options=options)
        self.thread = ThreadPoolExecutor(1)
        self.saving: Future[None] | None = None

    def save(
        self,
        step: int,
        tree: Any,
        note: Mapping[str, Any] | None = None,
        spared: Iterable[int] = (),
    ) -> None:
        """Begins to save a tree of arrays, and a note that JSON can hold. Older checkpoints are
        removed, but for those of the steps that are spared.

        The tree is copied first: the arrays may then be donated. Raises OSError where the save
        before could not be written.
        """
        self.wait()
        self.kept.spared = frozenset(spared)
        own = jax.device_get(sharding.whole(_flat(tree)))
        copy = {path: np.array(leaf) for path, leaf in own.items()}
        if jax.process_count() > 1:  # Orbax waits for the other processes by a program of its own
            self._write(step, copy, dict(note or {}))
        else:
            self.saving = self.thread.submit(self._write, step, copy, dict(note or {}))

    def _write(self, step: int, flat: dict[str, np.ndarray], note: dict[str, Any]) -> None:
        about = {"tie": self.tie, "state": tree_digest(flat), "note": note}
        args = ocp.args.Composite(state=ocp.args.StandardSave(flat), tie=ocp.args.JsonSave(about))
        try:
            if step in self.manager.all_steps():  # one that could not be read
                self.manager.delete(step)
            self.manager.save(step, args=args, force=True)
        except Exception as error:  # Orbax and what it writes with have errors of many types
            raise OSError(
                f"checkpoint {step} of {self.folder.parent} cannot be written, those before it "
                f"are as they were: {one_line(error).split(' [tensorstore_spec')[0]}"
            ) from error

    def wait(self) -> None:
        """Waits for the save under way. Raises OSError where it could not be written."""
        if self.saving is not None:
            saving, self.saving = self.saving, None
            saving.result()

    def restore(
        self, like: Any, newest: int | None = None, wanted: int | None = None
    ) -> Saved | None:
        """The newest good checkpoint, its state like the given tree; None where none was saved.
        With `newest` those of later steps are not looked at; with `wanted` only that step is.
        Without a tree, None, the state is a dict of its leaves by path.

        The tree is put where a new state would be. A checkpoint that cannot be read, whose state is
        not the one that was saved, or that belongs to another run, is passed over with a line on
        stderr. Raises ValueError where there are checkpoints but no good one, and for a step that
        is not kept; OSError or MemoryError for what may pass, such as a busy disk.
        """
        self.wait()
        # not where it was saved: the devices may be others
        place = sharding.replicated() or jax.sharding.SingleDeviceSharding(jax.local_devices()[0])

        def abstract(x: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place)

        shapes = None if like is None else jax.tree.map(abstract, jax.eval_shape(_flat, like))
        steps = hosts.first(lambda: sorted(self.manager.all_steps(), reverse=True))
        if wanted is not None:
            steps = self._kept(wanted, steps)
        if newest is not None:
            steps = [step for step in steps if step <= newest]
        foreign: list[int] = []
        for step in steps:
            failed: Exception | None = None
            try:
                # the tie first: a state of other options may have other shapes and look damaged
                about = self._read(step, tie=ocp.args.JsonRestore())
                tie, digest, note = about["tie"], about["state"], dict(about["note"])
                flat: Any = None
                if tie == self.tie:
                    flat = self._read(step, state=ocp.args.StandardRestore(shapes))
            except Exception as error:  # a damaged file may raise anything
                if _passes(error):
                    raise
                failed = error
            if hosts.largest(failed is not None):
                told = f"checkpoint {step} is passed over, it cannot be read"
                where = type(failed).__name__ if failed else "by another process"
                print(f"{told}: {where}", file=sys.stderr)
                continue
            if tie != self.tie:
                foreign.append(step)
                continue
            if tree_digest(sharding.whole(flat)) != digest:
                told = f"checkpoint {step} is passed over, its state is not the one that was saved"
                print(told, file=sys.stderr)
                continue
            for other in foreign:
                print(f"checkpoint {other} is passed over, it is another run's", file=sys.stderr)
            return Saved(step, flat if like is None else _unflat(flat, like), note)
        if foreign:
            raise ValueError(
                f"{self.folder.parent} holds checkpoints of another run, whose game, options or "
                "seeds are others, and no good one of its own"
            )
        if wanted is not None and steps:
            raise ValueError(f"{self.folder.parent}: its checkpoint {wanted} is not good")
        if steps:
            known = ", ".join(map(str, sorted(steps)))
            raise ValueError(
                f"{self.folder.parent}: none of its checkpoints ({known}) is good, and nothing was "
                "changed; `ganjax resume --restart` sets them aside and plays from step 0"
            )
        return None

    def _kept(self, step: int, steps: list[int]) -> list[int]:
        """The step, if it is one of those kept."""
        if steps and step not in steps:
            known = ", ".join(map(str, sorted(steps)))
            raise ValueError(f"{self.folder.parent} keeps no step {step}: it keeps {known}")
        return [step] if steps else []

    def remove_after(self, step: int) -> None:
        """Removes the checkpoints of later steps."""
        self.wait()
        for later in self.manager.all_steps():
            if later > step:
                self.manager.delete(later)

    def _read(self, step: int, **item: Any) -> Any:
        """One item of a checkpoint: `_read(3, state=…)`."""
        (name,) = item
        return self.manager.restore(step, args=ocp.args.Composite(**item))[name]

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # Also where something else has failed: a save that is under way while Python ends waits
        # for threads that are no longer started.
        with suppress(OSError) if kind else nullcontext():
            self.close()

    def close(self) -> None:
        """Waits until everything is on the disk. Raises OSError where it cannot be written."""
        try:
            self.wait()
        finally:
            self.thread.shutdown()
            self.manager.close()


def _passes(error: Exception) -> bool:
    """Whether an error is one of the machine at the moment, not of a damaged file."""
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
        return True
    return isinstance(error, OSError) and error.errno in PASSING


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
