"""Lanes that differ in numbers: one program plays them, each as its own game would."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from runs import EXPERIMENTS

from ganjax import play
from ganjax.experiment import Experiment
from ganjax.game import Game

STEPS = 5


def experiment(**values: Any) -> Experiment:
    """MAD-GAN in miniature on a ring."""
    small = {"data": "ring", "k": 2, "width": 8, "batch": 8, **values}
    return EXPERIMENTS["mad_gan.py"].build(small)


def with_settings(e: Experiment) -> Game:
    """Its game, whose options may be numbers of a lane."""
    return dataclasses.replace(
        e.played, settings=lambda numbers: e.game(dataclasses.replace(e.options, **numbers))
    )


def played(game: Game, data: Any, key: Any, numbers: Any = None) -> play.State:
    return play.run(game, play.init(game, key, data, numbers), data, STEPS)[0]


def test_a_traced_number_has_the_bits_of_a_constant() -> None:
    key = jax.random.key(3)
    for lr in (1e-4, 3e-3):
        e = experiment(lr=lr)
        single = played(e.played, e.data, key)
        lane = played(with_settings(experiment()), e.data, key, {"lr": jnp.float32(lr)})
        assert lane.numbers["lr"] == jnp.float32(lr)
        for a, b in zip(jax.tree.leaves(single.params), jax.tree.leaves(lane.params), strict=True):
            np.testing.assert_array_equal(a, b)


def test_lanes_of_several_numbers_and_seeds_are_their_single_runs() -> None:
    rates, seeds = [1e-4, 3e-3, 1e-2], [0, 0, 4]
    keys = jax.vmap(jax.random.key)(jnp.array(seeds))
    game = with_settings(experiment())
    lanes = played(game, experiment().data, keys, {"lr": jnp.float32(rates)})
    for i, (lr, seed) in enumerate(zip(rates, seeds)):
        e = experiment(lr=lr)
        single = played(e.played, e.data, jax.random.key(seed))
        for a, b in zip(jax.tree.leaves(single.params), jax.tree.leaves(lanes.params), strict=True):
            np.testing.assert_allclose(b[i], a, atol=1e-5)
    moved = lanes.params["G"]["trunk"]["Dense_0"]["kernel"]
    assert not np.allclose(moved[0], moved[1], atol=1e-3)  # the rates do differ


def test_numbers_need_a_game_that_takes_them() -> None:
    e = experiment()
    with pytest.raises(ValueError, match="lanes with numbers of their own need the game's setting"):
        play.init(e.played, jax.random.key(0), e.data, {"lr": jnp.float32(1)})
