"""Hopfield's net: Hebb's rule is a step, the energy falls, heat, capacity."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import hopfield as experiment_file
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import random
from runs import build, call

from ganjax import data, play
from ganjax.figures.capacity import capacity_curves
from ganjax.metrics.capacity import fall
from ganjax.nets import hopfield
from ganjax.protocols import associative_memory as memory

UNITS = 12


def signs(seed: int, *shape: int) -> np.ndarray:
    """-1 and 1 by coins."""
    return np.random.default_rng(seed).choice([-1.0, 1.0], shape).astype(np.float32)


def symmetric(seed: int, n: int = UNITS) -> np.ndarray:
    """Symmetric normal weights, with a diagonal, which must not count."""
    W = np.random.default_rng(seed).normal(size=(n, n)).astype(np.float32)
    return (W + W.T) / 2


def brute_energy(W: np.ndarray, s: np.ndarray) -> float:
    """-Σ_{i<j} W_ij s_i s_j, pair by pair."""
    return -sum(W[i, j] * s[i] * s[j] for i, j in itertools.combinations(range(len(s)), 2))


def test_the_energy_is_the_sum_over_pairs() -> None:
    W, s = symmetric(0), signs(1, 3, UNITS)
    expected = [brute_energy(W, each) for each in s]
    np.testing.assert_allclose(hopfield.energy(W, jnp.asarray(s)), expected, rtol=1e-5)


def after_storing(**options: Any) -> tuple[np.ndarray, np.ndarray]:
    """W and the patterns at a run's end."""
    experiment = build(experiment_file, **options)
    game = experiment.played
    state = play.init(game, random.key(0), experiment.data)
    state, _ = play.run(game, state, experiment.data, experiment.steps)
    return np.asarray(state.params["H"]["W"]), np.asarray(state.params["X"]["patterns"])


@pytest.mark.parametrize("batch", [1, 2, 8])
def test_steps_down_the_energy_are_hebbs_rule_to_the_bit(batch: int) -> None:
    """64 units: the rate 2 B / 64 and all sums are exact in float32."""
    W, x = after_storing(units=64, patterns=8, batch=batch)
    by_hand = np.sum([np.outer(each, each) for each in x], 0) / 64
    np.fill_diagonal(by_hand, 0)
    np.testing.assert_array_equal(W, by_hand)
    np.testing.assert_array_equal(W, hopfield.hebb(x))
    assert set(np.unique(x)) == {-1, 1}


def test_hebbs_rule_is_a_step_for_other_numbers_of_units_to_rounding() -> None:
    W, x = after_storing(units=30, patterns=5)
    np.testing.assert_allclose(W, hopfield.hebb(x), atol=1e-6)


one_by_one = jax.jit(hopfield.recall, static_argnums=(3, 5))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_the_energy_never_rises_and_ends_where_no_unit_wants_to_turn(w: int, s: int) -> None:
    W = symmetric(w)
    states = one_by_one(W, signs(s, 4, UNITS), random.key(w), 30)
    E = np.asarray(hopfield.energy(W, states))  # [31, 4]
    assert (np.diff(E, axis=0) <= 1e-4).all()
    changed = (np.asarray(states[1:]) != np.asarray(states[:-1])).any(-1)
    assert (np.diff(E, axis=0)[changed] < 0).all()
    off = W - np.diag(np.diag(W))
    last = np.asarray(states[-1])
    assert (last * (last @ off) >= -2 * hopfield.TIE).all()


def test_units_that_move_together_may_cycle_where_single_ones_rest() -> None:
    W = jnp.array([[0.0, 1.0], [1.0, 0.0]])
    s = jnp.array([[1.0, -1.0]])
    together = one_by_one(W, s, random.key(0), 3, 0.0, True)
    np.testing.assert_array_equal(together[:, 0], [[1, -1], [-1, 1], [1, -1], [-1, 1]])
    alone = np.asarray(one_by_one(W, s, random.key(0), 3))[-1, 0]
    assert alone[0] == alone[1]


def test_without_a_field_a_unit_stays() -> None:
    s = jnp.asarray(signs(0, 5, 6))
    for together in (False, True):
        states = one_by_one(jnp.zeros((6, 6)), s, random.key(0), 1, 0.0, together)
        np.testing.assert_array_equal(states[-1], s)


def test_cold_updates_are_those_without_heat() -> None:
    W, s = symmetric(3), signs(4, 50, UNITS)
    cold, none = (one_by_one(W, s, random.key(5), 3, T) for T in (1e-7, 0.0))
    np.testing.assert_array_equal(cold, none)
    warm = one_by_one(W, s, random.key(5), 3, 5.0)
    assert (np.asarray(warm) != np.asarray(none)).any()


def test_with_heat_states_come_as_often_as_boltzmann_says() -> None:
    """Three units: all eight states, exp(-E / T) each; 8192 chains of 30 sweeps."""
    W, T, chains = symmetric(7, 3), 0.8, 8192
    states = np.asarray(one_by_one(W, signs(0, chains, 3), random.key(1), 30, T))[20:]
    every = np.array(list(itertools.product([-1.0, 1.0], repeat=3)))
    weight = np.exp([-brute_energy(W, s) / T for s in every])
    code = ((states + 1) / 2) @ [4, 2, 1]  # [11, chains]
    share = np.array([(code == k).mean() for k in range(8)])
    # The SD of a share over independent chains is at most .0055.
    np.testing.assert_allclose(share, weight / weight.sum(), atol=0.02)


def test_damage_turns_over_the_share_that_is_asked_for() -> None:
    x = jnp.asarray(signs(0, 40, 50))
    for share, units in ((0.0, 0), (0.1, 5), (0.5, 25)):
        wrong = np.asarray(hopfield.damaged(x, random.key(0), share) != x)
        np.testing.assert_array_equal(wrong.sum(1), units)
        np.testing.assert_allclose(hopfield.overlap(x, hopfield.damaged(x, random.key(0), share)),
                                   1 - 2 * units / 50, rtol=1e-6)  # fmt: skip
    assert len(np.unique(wrong, axis=0)) == 40  # each pattern has its own


def measured(**options: Any) -> Mapping[str, float]:
    """The measures at a run's end."""
    experiment = build(experiment_file, **options)
    game = experiment.played
    state = play.init(game, random.key(0), experiment.data)
    state, _ = play.run(game, state, experiment.data, experiment.steps)
    players = play.bound(game, state)
    found = experiment.measure(experiment.data, random.key(1), **players)
    return {name: float(value) for name, value in found.items()}


def test_few_damaged_patterns_are_recalled_and_many_are_not() -> None:
    few = measured(units=100, patterns=4, damage=0.2)
    assert few == {"overlap": 1.0, "recalled": 1.0, "overlap_together": 1.0}
    many = measured(units=100, patterns=60, sweeps=20)
    assert many["overlap"] < 0.6
    assert many["recalled"] < 0.2


def test_damaged_digits_are_recalled() -> None:
    assert measured(kind="digits", patterns=3, damage=0.15)["overlap"] > 0.95


def test_a_pattern_is_an_image_of_its_own_class() -> None:
    arrays: Any = data.find("digits").load()
    pixels = arrays["x"].reshape(len(arrays["x"]), -1)
    bits = np.where(pixels > np.median(pixels, 0), 1, -1)
    drawn = memory.image_patterns(arrays, 4)
    for seed in (0, 1):
        for k, pattern in enumerate(np.asarray(drawn(random.key(seed)))):
            assert k in arrays["label"][(bits == pattern).all(1)]
    assert (drawn(random.key(0)) != drawn(random.key(1))).any()


def test_a_fall_is_where_the_overlap_crosses_the_level() -> None:
    assert fall([0.1, 0.2, 0.3], [1.0, 0.95, 0.85]) == pytest.approx(0.25)
    assert fall([0.1, 0.2, 0.3], [1.0, 0.5, 0.95]) == pytest.approx(0.12)  # the first crossing
    assert np.isnan(fall([0.1, 0.2], [1.0, 0.95]))
    assert np.isnan(fall([0.1, 0.2], [0.8, 0.5]))
    with pytest.raises(ValueError, match="rising loads"):
        fall([0.2, 0.1], [1.0, 0.5])


def row(units: int, patterns: int, overlaps: list[float]) -> Any:
    """A finished row of a table."""
    options = SimpleNamespace(units=units, patterns=patterns)
    metrics = [{"step": patterns, "seed": i, "overlap": m} for i, m in enumerate(overlaps)]
    started = [{"step": 1, "seed": i, "overlap": -1.0} for i in range(len(overlaps))]
    return SimpleNamespace(
        experiment=SimpleNamespace(options=options, steps=patterns), metrics=started + metrics
    )


def test_the_capacity_of_each_seed_is_read_off_its_own_curve() -> None:
    finished = {
        "b": row(100, 20, [0.8, 0.7]), "a": row(100, 10, [1.0, 1.0]), "c": row(50, 5, [1.0, 1.0]),
    }  # fmt: skip
    columns, figures = memory.capacity(finished)
    assert columns == {"fall, 100 units": {"fall": pytest.approx([0.15, 0.1 + 0.1 / 3])}}
    lines = figures["capacity"].axes[0].lines
    np.testing.assert_allclose(lines[0].get_xydata(), [[0.1, 1.0], [0.2, 0.75]])
    assert lines[1].get_label() == "50 units"
    assert capacity_curves({"one": ([0.1], [[1.0]])}, 0.138, 0.9).axes


@pytest.mark.parametrize(
    ("patterns", "said"),
    [
        ([[1.0, 0.0]], "patterns are made of -1 and 1; got 0"),
        ([[1.0, np.nan]], "patterns are made of -1 and 1; got nan"),
        (np.zeros((0, 5)), r"P >= 1, not \[0, 5\]"),
        ([1.0, -1.0], r"not \[2\]"),
    ],
)
def test_what_is_no_pattern_is_refused(patterns: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        hopfield.hebb(patterns)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--patterns=0"], "patterns must be above 0; got 0"),
        (["--damage=0.7"], "damage must be 0 or more and at most 0.5; got 0.7"),
        (["--temperature=-1"], "temperature must be 0 or more; got -1"),
        (["--units=1"], "units must be 2 or more; got 1"),
        (["--patterns=6", "--batch=4"], "batch divides the patterns; got 6 patterns, batch 4"),
        (["--kind=digits", "--patterns=11"], "one image for each of 10 classes; got 11 patterns"),
        (["--kind=digits", "--units=100"], "digits have 64 pixels, a unit for each; got units 100"),
    ],
)
def test_bad_options_are_refused_in_one_line(options: list[str], said: str) -> None:
    status, out, err = call("run", "experiments/hopfield.py", *options)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert said in err
