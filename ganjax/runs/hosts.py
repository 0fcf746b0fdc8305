"""Several processes that play one run: how they meet, what the first does alone, what all agree on.

Each process runs the same command. The first has the run's folder: it alone writes there, and tells
the others what it found. Whatever depends on a clock, a signal or a file is agreed on, as all must
call the same programs in the same order.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, suppress
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from ganjax.host import UnwritableError, one_line

T = TypeVar("T")
# The variables of a process that a cluster started, and those that say of how many it is one.
# `jax.distributed.initialize` finds the rest.
CLUSTERS = {
    "SLURM": (
        ("SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_PROCID", "SLURM_LOCALID"),
        "SLURM_NTASKS",
    ),
    "Open MPI": (("OMPI_MCA_orte_hnp_uri", "OMPI_COMM_WORLD_RANK"), "OMPI_COMM_WORLD_SIZE"),
}
RAISED = {kind.__name__: kind for kind in (ValueError, UnwritableError, OSError)}


class Meeting(NamedTuple):
    """Where the processes of a run meet, as asked for."""

    coordinator: str | None = None  # HOST:PORT, of process 0, or "auto": JAX finds all three
    process_id: int | None = None
    num_processes: int | None = None
    timeout: int = 300  # seconds


def meet(asked: Meeting, environment: Mapping[str, str] = os.environ) -> None:
    """Waits for the other processes of a run, where there are some: as asked for, or as the
    environment of a cluster says. To be called before JAX knows its devices.

    Raises ValueError, one line, where the three things that were asked for do not fit. Where the
    others do not answer in time it ends the process with one line and exit status 2: JAX would
    abort.
    """
    where, process, count, timeout = asked
    if (where, process, count) == (None, None, None):
        cluster = cluster_of(environment)
        if cluster is None:
            return
    else:
        cluster = check(asked)
        if count == 1:
            return
    where = None if where == "auto" else where
    with suppress(AttributeError):  # its handler of SIGTERM would take the place of ours
        jax.config.update("jax_enable_preemption_service", False)
    told = f"ganjax: {cluster} did not answer, or not all processes came, in {timeout} s"
    watch = threading.Timer(timeout, _end, [told])
    watch.daemon = True
    watch.start()
    how = None if where is None else "deactivate"
    try:
        jax.distributed.initialize(
            where,
            count,
            process,
            cluster_detection_method=how,
            initialization_timeout=timeout + 60,
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise ValueError(f"the processes do not meet at {cluster}: {one_line(error)}") from error
    finally:
        watch.cancel()


def _end(told: str) -> None:
    print(told, file=sys.stderr, flush=True)
    os._exit(2)


def check(asked: Meeting) -> str:
    """The coordinator that was asked for. Raises ValueError, one line, where that does not fit."""
    where, process, count, _ = asked
    if (where, process, count) == ("auto", None, None):
        return "the coordinator that JAX finds"
    if where is None or process is None or count is None:
        raise ValueError("--coordinator, --process-id and --num-processes belong together")
    host, _, port = where.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 2**16:
        raise ValueError(f"--coordinator is HOST:PORT, of process 0; got {where}")
    if process >= count:
        raise ValueError(f"--process-id is below --num-processes, {count}; got {process}")
    return f"the coordinator {where}"


def cluster_of(environment: Mapping[str, str]) -> str | None:
    """What to call the coordinator where a cluster started this process beside others; or None."""
    for name, (needed, count) in CLUSTERS.items():
        number = environment.get(count, "")
        if all(n in environment for n in needed) and number.isdigit() and int(number) > 1:
            return f"the coordinator that {name} names"
    if "," in environment.get("TPU_WORKER_HOSTNAMES", ""):
        return "the coordinator of the TPU pod"
    return None


def is_first() -> bool:
    """Whether this process has the run's folder."""
    return jax.process_index() == 0


def first(function: Callable[[], T]) -> T:
    """What the function gives in the first process, in all of them; JSON must hold it.

    ValueError and OSError are raised in all of them.
    """
    if jax.process_count() == 1:
        return function()
    said: dict[str, Any] = {}
    raised: Exception | None = None
    if is_first():
        try:
            said = {"value": function()}
        except (ValueError, OSError) as error:
            raised, kind = error, next(n for n, k in RAISED.items() if isinstance(error, k))
            said = {"error": type(error).__name__ if type(error).__name__ in RAISED else kind}
            said["line"] = str(error)
    said = json.loads(_told(json.dumps(said).encode()))
    if raised:
        raise raised
    if "error" in said:
        raise RAISED[said["error"]](said["line"])
    value: T = said["value"]
    return value


def together(function: Callable[[], T]) -> T:
    """What the function gives in this process, once it has given something in all of them.

    Where it raises ValueError or OSError in one, that is raised in all.
    """
    if jax.process_count() == 1:
        return function()
    raised: Exception | None = None
    try:
        value = function()
    except (ValueError, OSError) as error:
        raised = error
    failed = largest(0 if raised is None else jax.process_count() - jax.process_index())
    if not failed:
        return value
    at = jax.process_count() - failed  # the first of those that failed
    line = _told(str(raised).encode(), at).decode()
    raise ValueError(f"process {at}: {line}") from raised


def alike(text: str, what: str) -> None:
    """Raises ValueError in all processes where one has another text."""
    if jax.process_count() > 1:
        digest = hashlib.sha256(text.encode()).digest()
        others = multihost_utils.process_allgather(np.frombuffer(digest, np.uint8))
        if (others != others[0]).any():
            raise ValueError(f"the processes have not the same {what}")


def largest(number: int) -> int:
    """The largest of the processes' numbers."""
    if jax.process_count() == 1:
        return number
    return int(np.max(multihost_utils.process_allgather(np.int32(number))))


class Folder(AbstractContextManager[None]):
    """A context of the first process alone, such as a lock; what entering raises, all raise."""

    def __init__(self, context: AbstractContextManager[None]):
        self.context, self.stack = context, ExitStack()

    def __enter__(self) -> None:
        first(lambda: self.stack.enter_context(self.context))

    def __exit__(self, *raised: Any) -> None:
        self.stack.close()


def leave(status: int) -> int:
    """The exit status of a process that failed. One of several ends at once: the others may be
    gone, and JAX would wait for them.
    """
    if jax.process_count() > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


def _told(data: bytes, at: int = 0) -> bytes:
    """The bytes of one process, in all of them."""
    source = jax.process_index() == at
    size = int(multihost_utils.broadcast_one_to_all(np.int32(len(data)), source))
    block = np.zeros(1 << max(10, size.bit_length()), np.uint8)  # few programs, of few sizes
    if source:
        block[:size] = np.frombuffer(data, np.uint8)
    return np.asarray(multihost_utils.broadcast_one_to_all(block, source))[:size].tobytes()
