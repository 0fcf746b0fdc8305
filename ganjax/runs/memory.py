"""Whether a run fits the memory of its device, by XLA's analysis of its step, before it starts."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from ganjax import play, sharding
from ganjax.game import Game
from ganjax.runs import population
from ganjax.runs.record import RunRecord

# A game is not compiled ahead where its states take less than this share of the memory, and ten
# thousand times its batch would fit.
SMALL, SMALL_BATCH = 0.01, 1e-4
FILLED = 0.9  # of what is free, by lanes that are played together


def check(game: Game, record: RunRecord, data: Any) -> None:
    """Raises ValueError, one line that says what would fit, where a run does not fit the memory.

    The step is compiled for it, once: `play.run` finds the program that was made here. What
    measures and evaluates is not looked at.
    """
    free = free_bytes()
    if free is None:
        return
    on_host = jax.default_backend() == "cpu"
    one = play.template(game, jax.random.key(0), data)
    seeds, state = len(record.each), _bytes(one)
    states = seeds * state * (2 if on_host else 1)  # on the host its copy, which is saved
    given = 0 if on_host else _bytes(data)  # the host has them already
    if states + given > free:
        fits = int((free - given) / states * seeds)
        whose = f"the states of {seeds} seeds take" if seeds > 1 else "the states take"
        advice = f"{fits} seeds would fit" if fits > 0 else "smaller nets would fit"
        raise ValueError(f"{whose} {_said(states + given)}, and {_said(free)} are free: {advice}")
    batch = jax.eval_shape(game.draw, data, jax.random.key(0))
    if states + given < SMALL * free and seeds * _bytes(batch) < SMALL_BATCH * free:
        return
    with sharding.use_mesh(record.mesh):
        step = _step_bytes(game, population.template(game, record, data)[0], data)
    if step is None or states + given + step > free:
        raise ValueError(_refusal(record, states + given, step, free))


def lanes_per_batch(game: Game, data: Any, lanes: int) -> int | None:
    """How many lanes an accelerator plays together; None for all, where they fit or its memory is
    not known. On CPU, where `population.form` chooses by the cache, always None.
    """
    free = free_bytes()
    if free is None or jax.default_backend() == "cpu":
        return None
    return fitting_lanes(game, data, lanes, free)


def fitting_lanes(game: Game, data: Any, lanes: int, free: int) -> int | None:
    """How many lanes fit so many bytes together, by XLA's analysis of the step of one; None for
    all. The states of all lanes lie on the device, those of a batch are played.
    """
    one = play.template(game, jax.random.key(0), data)
    states, given = lanes * _bytes(one), _bytes(data)
    batch = jax.eval_shape(game.draw, data, jax.random.key(0))
    if states + given < SMALL * free and lanes * _bytes(batch) < SMALL_BATCH * free:
        return None
    step = _step_bytes(game, one, data)
    n = 1 if step is None else together(step, free - states - given, lanes)
    return n if n < lanes else None


def together(lane: int, free: int, lanes: int) -> int:
    """Lanes of a batch, where each takes so many bytes: as few batches as fit nine tenths of what
    is free, and those of one size, or nearly, as each size is a program.
    """
    most = min(lanes, max(1, int(FILLED * free) // max(1, lane)))
    return -(-lanes // -(-lanes // most))


def free_bytes() -> int | None:
    """The bytes that the device has left for this process; None where that is not known."""
    stats = jax.local_devices()[0].memory_stats()
    if stats and "bytes_limit" in stats:
        return int(stats["bytes_limit"] - stats["bytes_in_use"])
    left: list[float] = []
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        known = {line.split(":")[0]: line.split()[1] for line in lines}
        left.append(int(known["MemAvailable"]) * 1024)
        group = Path("/sys/fs/cgroup")  # a container's own limit
        most = (group / "memory.max").read_text().strip()
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        taken = int((group / "memory.current").read_text()) - int(stat["inactive_file"])
        left.append(math.inf if most == "max" else int(most) - taken)
    except (OSError, KeyError, ValueError, IndexError):
        pass
    return int(min(left)) if left else None


def _step_bytes(game: Game, state: play.State, data: Any) -> int | None:
    """What the compiled step takes beside its arguments; None where it cannot even be compiled."""
    try:
        if game.convolves and jax.default_backend() == "cpu":
            lowered = play.dispatched.lower(game, state, data)
        else:
            lowered = play.scanned.lower(game, state, data, jnp.int32(1), play.CAPACITY)
        found: Any = lowered.compile().memory_analysis()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return None
    if found is None:
        return 0
    beside = found.output_size_in_bytes - found.alias_size_in_bytes
    return int(found.temp_size_in_bytes + max(0, beside))


def _refusal(record: RunRecord, states: int, step: int | None, free: int) -> str:
    """What would fit: the memory of a step goes with its batch, and with the seeds under vmap."""
    if step is None:
        return f"the step does not fit the device, of which {_said(free)} are free: a smaller batch"
    told = f"the run takes {_said(states + step)}, and {_said(free)} are free: "
    seeds = len(record.each)
    if record.lanes == "vmap" and (fits := int(0.9 * free / (states + step) * seeds)):
        return f"{told}about {fits} seeds would fit, or --lanes sequential"
    share, batch = 0.9 * (free - states) / step, record.options.get("batch")
    if isinstance(batch, int) and int(batch * share) > 0:
        return f"{told}about --batch {int(batch * share)} would fit"
    return f"{told}about {share:.0%} of the batch would fit"


def _bytes(tree: Any) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _said(count: int) -> str:
    return f"{count / 2**30:.3g} GiB"
