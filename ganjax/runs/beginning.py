"""A run that begins with parameters of another: `ganjax run … --from RUN`.

Its folder keeps them in start.npz, so that it goes on, or begins again, without the other folder.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ganjax import play, sharding
from ganjax.game import Game
from ganjax.runs import population, storage
from ganjax.runs.checkpoint import Checkpoints
from ganjax.runs.record import RunRecord, read_record

FILE = "start.npz"  # parameters by path, [S, ...] of S lanes that differ, [1, ...] of one for all
PARTS = ("params", "ema", "aux")


def source_of(
    folder: Path, players: Sequence[str] | None, like: play.State, lanes: int
) -> tuple[dict[str, Any], bytes]:
    """What options.json says of the run that others begin with, and their start.npz.

    players: their names; None: all that both games have. like: shapes of a lane of the new run;
    lane i begins with lane i of the other run, or with its only one. The newest readable checkpoint
    is read, without the other run's code. Raises ValueError, one line, where it does not fit: the
    first leaf that differs is named.
    """
    record = read_record(folder)
    with Checkpoints(folder / "checkpoints", record.tie, read_only=True) as checkpoints:
        found = checkpoints.restore(None)
    if found is None:
        raise ValueError(f"{folder} has no checkpoint yet")
    own = [_lane(found.state, record, name) for name in record.each]
    if 1 < len(own) < lanes:
        raise ValueError(
            f"--from {folder}: it has {len(own)} lanes, and {lanes} are asked for: lane i begins "
            "with lane i, or all with the only one"
        )
    own = own[:lanes]
    names = _players(folder, players, like, own[0])
    arrays: dict[str, Any] = {}
    for name, leaf in _leaves(like, names).items():
        stored = name
        if name.startswith("ema") and name not in own[0]:  # a run without averages has the like
            stored = name.replace("ema", "params", 1)
        shapes = [list(lane[stored].shape) if stored in lane else None for lane in own[:1]]
        if shapes[0] != list(leaf.shape):
            there = f"is {shapes[0]} there" if shapes[0] is not None else "is not there"
            raise ValueError(
                f"--from {folder} does not fit: {name} {there}, and {list(leaf.shape)} here"
            )
        arrays[name] = np.stack([lane[stored].astype(leaf.dtype) for lane in own])
    for name in own[0]:
        if name.startswith(("params", "aux")) and _player(name) in names and name not in arrays:
            raise ValueError(
                f"--from {folder} does not fit: {name} is {list(own[0][name].shape)} there, and is "
                "not here"
            )
    file = io.BytesIO()
    np.savez(file, **arrays)
    told = {"path": str(folder.resolve()), "step": found.step, "players": names}
    return {**told, "params": storage.tree_digest(arrays)}, file.getvalue()


def initial(out: Path, game: Game, record: RunRecord, data: Any) -> population.Lanes:
    """The lanes of a run before its first step; optimisers are new.

    Raises ValueError, one line, where start.npz is not the one that was written.
    """
    lanes = population.initial(game, record, data)
    if record.source is None:
        return lanes
    arrays = _read(out / FILE, record.source["params"])
    order = list(record.each)
    begun = []
    for names, lane in zip(record.chunks, lanes):
        # of one lane for all it is taken for each
        at = [min(order.index(name), len(next(iter(arrays.values()))) - 1) for name in names]
        together = lane.step.ndim > 0
        given = {n: jnp.asarray(x[at if together else at[0]]) for n, x in arrays.items()}
        placed, _ = sharding.place(_trees(lane, record.source["players"], given), data, together)
        start = partial(_start, game)
        begun.append(jax.tree.map(jnp.copy, (jax.vmap(start) if together else start)(lane, placed)))
    return begun


def _start(game: Game, state: play.State, given: Mapping[str, Any]) -> play.State:
    game = game.at(state.numbers)
    params, ema, aux = ({**getattr(state, part), **given[part]} for part in PARTS)
    fresh = {name: game.players[name].init_opt(params[name]) for name in given["params"]}
    past = game.dynamics.first({name: params[name] for name in game.movers})
    return state.replace(params=params, ema=ema, aux=aux, opt={**state.opt, **fresh}, past=past)


def _read(path: Path, digest: str) -> dict[str, np.ndarray]:
    try:
        with np.load(path) as file:
            arrays = dict(file)
        if storage.tree_digest(arrays) == digest:
            return arrays
    except Exception:  # a damaged file may raise anything
        pass
    raise ValueError(f"{path} is missing, or not the one that `ganjax run --from` wrote")


def _lane(flat: Mapping[str, Any], record: RunRecord, name: int) -> dict[str, np.ndarray]:
    """The leaves of a lane by path, "params['G']['Dense_0']['bias']" say, of a state as it is
    saved.
    """
    at = next(i for i, names in enumerate(record.chunks) if name in names)
    prefix, i = f"[{at}].", record.chunks[at].index(name)
    return {
        path.removeprefix(prefix): np.asarray(leaf)[i]
        if record.lanes == "vmap"
        else np.asarray(leaf)
        for path, leaf in flat.items()
        if path.startswith(prefix) and path.removeprefix(prefix).startswith(PARTS)
    }


def _player(path: str) -> str:
    """Whose leaf it is."""
    return path.split("'")[1]


def _players(
    folder: Path, asked: Sequence[str] | None, like: play.State, own: Mapping[str, Any]
) -> list[str]:
    """The players that begin with the other run's parameters."""
    here = [name for name, tree in like.params.items() if jax.tree.leaves(tree)]
    there = list(dict.fromkeys(_player(path) for path in own if path.startswith("params")))
    known = f"here there are {', '.join(here)}, in {folder} {', '.join(there)}"
    for name in asked or []:
        if name not in here or name not in there:
            raise ValueError(f"--players {name}: {known}")
    if not (names := [name for name in here if name in (asked or there)]):
        raise ValueError(f"--from {folder}: no player is in both; {known}")
    return names


def _parts(state: play.State, names: Sequence[str]) -> dict[str, Any]:
    """What is learnt of some players."""
    return {
        part: {name: tree for name, tree in getattr(state, part).items() if name in names}
        for part in PARTS
    }


def _leaves(state: play.State, names: Sequence[str]) -> dict[str, Any]:
    """The leaves of `_parts` by path; none that is empty."""
    return {
        part + jax.tree_util.keystr(path): leaf
        for part, trees in _parts(state, names).items()
        for path, leaf in jax.tree_util.tree_leaves_with_path(trees)
        if leaf.size
    }


def _trees(state: play.State, names: Sequence[str], given: Mapping[str, Any]) -> dict[str, Any]:
    """`_parts` with the given leaves in them."""

    def leaf(part: str, path: Any, old: Any) -> Any:
        return given.get(part + jax.tree_util.keystr(path), old)

    return {
        part: jax.tree_util.tree_map_with_path(partial(leaf, part), trees)
        for part, trees in _parts(state, names).items()
    }
