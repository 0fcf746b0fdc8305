"""Every game that the laws are tested on, states after a few steps, and how states are compared."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import games
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array, random
from runs import EXPERIMENTS, GOLDEN

from ganjax import play
from ganjax.game import Bound, Game

Losses = Callable[..., Mapping[str, Any]]

# Beside an experiment's quick options: every player moves from the first steps on, and nets are
# small.
ALSO: dict[str, dict[str, Any]] = {
    "c_rnn_gan.py": {"pretrain": 0, "cells": 10, "units": 16},
    "dbn.py": {"tune": 0.25, "width": 16, "steps": 300},
}

BY_DEFAULT = ("sn_team", "bn_team")  # of the games with convolutions, which take long to compile
# Experiments whose quick run test_experiments.py plays, with the same assertion of its first step;
# beyond it the laws are the engine's, which the games of games.py try in every form.
PLAYED = {name for name, file in EXPERIMENTS.items() if file.name in GOLDEN and name not in ALSO}


@functools.cache
def setting(name: str) -> tuple[Game, Any]:
    """The game and its data."""
    if name in EXPERIMENTS:
        experiment = EXPERIMENTS[name].build(EXPERIMENTS[name].quick | ALSO.get(name, {}))
        return experiment.played, experiment.data
    return {**games.DENSE, **games.CONVOLUTIONAL}[name]()


def over(names: list[str], default: tuple[str, ...] | None = None) -> pytest.MarkDecorator:
    """Once for each game: by default the dense ones and two with convolutions, less the experiments
    that are played elsewhere, or those that are named; the others are slow.
    """
    at_once = (
        {
            name
            for name in names
            if name in BY_DEFAULT or not (name in PLAYED or setting(name)[0].convolves)
        }
        if default is None
        else {*default}
    )
    return pytest.mark.parametrize(
        "name",
        [name if name in at_once else pytest.param(name, marks=pytest.mark.slow) for name in names],
    )


ALL = [*games.DENSE, *games.CONVOLUTIONAL, *EXPERIMENTS]
DENSE = [name for name in ALL if not setting(name)[0].convolves]
TEAMS = [name for name in ALL if any(player.n for player in setting(name)[0].players.values())]


def numbers(tree: Any) -> dict[str, np.ndarray]:
    """Every leaf by its path, on the host."""
    plain = lambda x: random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x  # noqa: E731
    return {
        jax.tree_util.keystr(path): np.asarray(plain(leaf))
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


@functools.cache
def after(
    name: str, parts: tuple[int, ...] = (1,), seed: int = 0
) -> tuple[play.State, dict[str, np.ndarray]]:
    """The state after so many steps in so many runs, and the log of all."""
    game, data = setting(name)
    state, logs = play.init(game, random.key(seed), data), []
    for steps in parts:
        state, log = play.run(game, state, data, steps)
        logs.append(log)
    return jax.tree.map(np.asarray, state.replace(key=random.key_data(state.key))), jax.tree.map(
        lambda *log: np.concatenate(log), *logs
    )


def lane(tree: Any, i: int) -> Any:
    """One lane of a population, or one member of a team."""
    return jax.tree.map(lambda leaf: leaf[i], tree)


def finite_and_moved(game: Game, first: play.State, state: play.State, log: Any) -> None:
    """Asserts that after the first step all is finite, and that every member of every mover is not
    what it was, nor is what a team shares.

    A player whose turns all have a condition that does not hold yet stays as it was.
    """
    assert state.step == 1
    taken = [t for t in game.schedule if t.when is None or t.when(first.step, first.log)]
    movers = {name for turn in taken for name in turn.movers}
    assert all(
        np.isfinite(leaf).all()
        for leaf in jax.tree.leaves((state.params, state.opt, state.ema, state.aux, log))
    )
    for player in game.players:
        shared, n = game.players[player].shared, game.players[player].n
        pairs = [
            (top, *pair)
            for top in first.params[player]
            for pair in leaves(first.params[player][top], state.params[player][top])
        ]
        for i in range(n or 1):
            own = [
                (a, b) if n is None else (a[i], b[i]) for top, a, b in pairs if top not in shared
            ]
            assert any((a != b).any() for a, b in own) == (player in movers), player
        if shared:
            assert any((a != b).any() for top, a, b in pairs if top in shared) == (player in movers)


def leaves(a: Any, b: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of leaves."""
    return list(zip(map(np.asarray, jax.tree.leaves(a)), map(np.asarray, jax.tree.leaves(b))))


def same_bits(a: Any, b: Any) -> bool:
    """Whether every leaf is the same."""
    a, b = numbers(a), numbers(b)
    return a.keys() == b.keys() and all(np.array_equal(a[path], b[path]) for path in a)


def close(a: Any, b: Any, rtol: float = 1e-5) -> None:
    """Asserts that each leaf differs by at most `rtol` of its norm; an optimiser's, by twice that.

    An optimiser keeps squares of gradients, and a square doubles an error. Its state is compared as
    Adam's first step shows no more of a gradient than its sign.
    """
    a, b = numbers(a), numbers(b)
    assert a.keys() == b.keys()
    for path in a:
        x, y = a[path].astype(np.float64), b[path].astype(np.float64)
        allowed = (2 * rtol if ".opt" in path else rtol) * np.linalg.norm(y)
        assert np.linalg.norm(x - y) <= allowed, path


def with_losses(game: Game, change: Callable[[Losses], Losses], *players: str, **rest: Any) -> Game:
    """The game with other losses, which take these players too; `rest` are its other fields."""
    losses = change(game.losses)
    own = inspect.signature(game.losses)
    more = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in players]
    losses.__signature__ = own.replace(parameters=[*own.parameters.values(), *more])  # type: ignore[attr-defined]
    return replace(game, losses=losses, **rest)


def steeper(game: Game, name: str) -> Game:
    """The game with the same losses, but three times the gradient of one player."""

    def grown(leaf: Array) -> Array:
        return leaf + 2 * (leaf - jax.lax.stop_gradient(leaf))

    def change(losses: Losses) -> Losses:
        def changed(batch: Any, key: Array, **players: Any) -> Mapping[str, Any]:
            bound: Bound = players[name]
            params = jax.tree.map(grown, bound.params)
            changed = bound.replace(variables={**bound.variables, "params": params})
            return losses(batch, key, **{**players, name: changed})

        return changed

    return with_losses(game, change)
