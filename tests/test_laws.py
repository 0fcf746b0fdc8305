"""What holds for every game: those of games.py, and every experiment at its quick options."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Literal

import flax.linen as nn
import games
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import random
from laws import (
    ALL,
    DENSE,
    TEAMS,
    after,
    close,
    finite_and_moved,
    lane,
    over,
    same_bits,
    setting,
    steeper,
)

from ganjax import keys, play
from ganjax.game import Game, Player, Turn
from ganjax.nets.layers import SpectralNorm


@over(ALL)
def test_a_step_is_finite_and_moves_every_member_of_every_mover(name):
    game, data = setting(name)
    state, log = after(name)
    finite_and_moved(game, play.init(game, random.key(0), data), state, log)


@over(ALL)
def test_a_seed_is_a_run_to_the_bit_and_however_it_is_split(name):
    whole = after(name, (4,))
    for parts in ((1, 3), (2, 2), (3, 1), (1, 1, 1, 1)):
        assert same_bits(after(name, parts), whole)
    assert not same_bits(after(name, (4,), seed=1)[0].params, whole[0].params)


@over(TEAMS)
def test_what_a_team_shares_has_no_team_axis(name):
    game, data = setting(name)
    state = play.template(game, random.key(0), data)
    for player, params in state.params.items():
        net = game.players[player]
        alone = jax.eval_shape(
            lambda net=net: dataclasses.replace(net, n=None, shared=(), per=first_of(net)).init(
                random.key(0)
            )[0]
        )
        for top, tree in params.items():
            axes = () if net.n is None or top in net.shared else (net.n,)
            for one, leaf in zip(jax.tree.leaves(alone[top]), jax.tree.leaves(tree), strict=True):
                assert leaf.shape == (*axes, *one.shape)


def first_of(player: Player) -> dict[str, Any]:
    """What its first member has for itself."""
    return {key: np.asarray(value)[0] if player.n else value for key, value in player.per.items()}


Change = Callable[[Game], Game]


def lanes_are_single_runs(name: str, change: Change = lambda game: game) -> None:
    """The lanes of the changed game's population are single runs of the game."""
    game, data = setting(name)
    population = play.init(game, jax.vmap(random.key)(jnp.arange(2)), data)
    for seed in (0, 1):
        alone = play.init(game, random.key(seed), data)
        assert same_bits(lane(population.params, seed), alone.params)
    state, log = play.run(change(game), population, data, 1)
    for seed in (0, 1):
        alone, alone_log = after(name, (1,), seed)
        close(lane(state, seed), alone)
        close({k: v[:, seed] for k, v in log.items()}, alone_log)


def forms_of_a_team_agree(name: str, change: Change = lambda game: game) -> None:
    """The changed game, compiled in the other form of a team, makes the game's step."""
    game, data = setting(name)
    other = {
        p: dataclasses.replace(net, form="vmap" if net.unrolled else "unroll")
        for p, net in game.players.items()
    }
    changed = change(dataclasses.replace(game, players=other))
    state, log = play.run(changed, play.init(changed, random.key(0), data), data, 1)
    close((state, log), after(name))


def forms_of_a_run_agree(name: str, change: Change = lambda game: game) -> None:
    """The changed game, played in the other form of a run, makes the game's step."""
    game, data = setting(name)
    form: Literal["scan", "dispatch"] = "scan" if game.convolves else "dispatch"
    changed = change(game)
    close(
        play.run(changed, play.init(changed, random.key(0), data), data, 1, form),
        after(name),
    )


@over(DENSE, default=("r1", "gman_dropout"))
def test_the_lanes_of_a_population_are_single_runs(name):
    lanes_are_single_runs(name)


@over(TEAMS, default=("cogan", "bn_team"))
def test_the_forms_of_a_team_play_the_same(name):
    forms_of_a_team_agree(name)


@over(ALL, default=("r1",))
def test_the_forms_of_a_run_play_the_same(name):
    forms_of_a_run_agree(name)


@pytest.mark.parametrize(
    ("law", "name"),
    [
        (lanes_are_single_runs, "r1"),
        (forms_of_a_team_agree, "cogan"),
        (forms_of_a_run_agree, "r1"),
    ],
)
@pytest.mark.parametrize("player", ["G", "D"])
def test_a_gradient_three_times_too_large_is_seen(law, name, player):
    """After one step of Adam the parameters alone would not show it."""
    with pytest.raises(AssertionError, match="opt"):
        law(name, lambda game: steeper(game, player))


@pytest.mark.parametrize("n", [None, 2])
@pytest.mark.parametrize(
    "net",
    [games.Critic((3,), norm=True), games.Critic(spectral=True), games.dense((2,))],
    ids=["BN", "SN", "dense"],
)
def test_inputs_stacked_behind_the_batch_axis_are_seen_apart(net, n):
    player = Player(net, games.ADAM, games.SHAPE, n=n)
    D = player.bind(*player.init(random.key(0)))
    fake = (
        random.normal(random.key(1), (4, 3, *games.SHAPE))
        * jnp.array([1.0, 2.0, 3.0])[:, None, None, None]
    )  # [B, K, H, W, 1]
    call = jax.jit(lambda x: D(x))
    together = call(fake)
    for k in range(3):
        close(together[:, k], call(fake[:, k]))
    if n:
        each = jax.jit(D.each)(fake[:, :n])  # [B, n, ...]
        for i in range(n):
            close(each[:, i], together[:, i, i])


def test_averaged_parameters_follow_the_recurrence():
    decay, average = 0.9, play.init(*one_of("r1")).params["G"]
    for steps in (1, 2, 3):
        state = after("r1", (1,) * steps)[0]
        average = jax.tree.map(lambda a, p: decay * a + (1 - decay) * p, average, state.params["G"])
        close(state.ema["G"], average)
    assert set(state.ema) == {"G"}
    G = play.bound(setting("r1")[0], state)["G"]
    assert same_bits(G.params, state.ema["G"])


def one_of(name: str) -> tuple[Game, jax.Array, Any]:
    """What init takes."""
    game, data = setting(name)
    return game, random.key(0), data


def test_memory_is_committed_once_a_step():
    """CycleGAN has two turns a step; the pool takes the last turn's fakes, so those of the moved
    generators.
    """
    game, data = setting("cyclegan")
    states = [after("cyclegan", (1,) * steps)[0] for steps in (1, 2, 3)]
    assert [int(state.memory["y"][1]) for state in states] == [games.B, 2 * games.B, 3 * games.B]
    batch = game.draw(data, keys.stream(random.fold_in(random.key(0), 0), "draw"))
    fakes = game.players["G"].bind(states[0].params["G"])(batch["x"])
    np.testing.assert_allclose(states[0].memory["y"][0][: games.B], fakes, rtol=1e-4, atol=1e-5)
    assert same_bits(states[0].memory["y"][0][: games.B], states[1].memory["y"][0][: games.B])


def test_the_log_holds_a_movers_loss_before_its_own_turn():
    game, data = setting("r1")  # turns: D, then G
    key = random.fold_in(random.key(0), 0)
    batch = game.draw(data, keys.stream(key, "draw"))
    losses = jax.jit(lambda params: game.apply(params, batch, keys.stream(key, "loss"), aux={}))
    before, (state, log) = play.init(game, random.key(0), data).params, after("r1")
    first, second = losses(before), losses({"D": state.params["D"], "G": before["G"]})
    for name, value in (("D", first["D"]), ("G", second["G"]), ("R_1", second["R_1"])):
        np.testing.assert_allclose(log[name][0], value, rtol=1e-5)
    assert abs(first["G"] - second["G"]) > 1e-4


# A gate that the losses hold shut at even steps, before a critic with auxiliary state; nothing else
# can move it.
class Norm(nn.Module):
    """[B, 2] -> [B, 2]."""

    @nn.compact
    def __call__(self, x):
        return SpectralNorm(nn.Dense(2))(x)


def gated_losses(batch, key, *, G, D, step):
    score = D(G()[None])
    return {"D": score.sum(), "G": -score.sum(), "open": (step % 2 == 0).astype(jnp.float32)}


def moved(before: play.State, later: play.State, name: str) -> set[str]:
    """The parts of the state in which a player is not what it was."""
    parts = {
        part: (getattr(before, part), getattr(later, part))
        for part in ("params", "opt", "ema", "aux")
    }
    return {part for part, (a, b) in parts.items() if name in a and not same_bits(a[name], b[name])}


def test_behind_a_shut_gate_a_player_stays_as_it_was():
    gate = Turn(("D",), when=lambda step, log: log["open"] > 0.5)
    players = {
        "G": Player(games.Logits(2), games.ADAM, None),
        "D": Player(Norm(), games.ADAM, (2,), ema=0.5),
    }
    game = Game(players, gated_losses, [gate, ["G"]], lambda data, key: data)
    states = [play.init(game, random.key(0), {})]
    for _ in range(3):
        states.append(play.run(game, jax.tree.map(jnp.copy, states[-1]), {}, 1)[0])
    turns = [(moved(a, b, "G"), moved(a, b, "D")) for a, b in pairwise(states)]
    everything = {"params", "opt", "ema", "aux"}
    assert turns == [
        ({"params", "opt"}, set()),
        ({"params", "opt"}, everything),
        ({"params", "opt"}, set()),
    ]


def blown_up_losses(batch, key, *, U, V, step):
    u, v = U().sum(), V().sum()
    return {"U": u * jnp.where((step >= 2) & (u > 0), jnp.inf, 1), "V": v}


def test_a_game_that_is_lost_stays_where_it_was():
    player = Player(games.Logits(1), optax.sgd(1e-4), None)
    game = Game({"U": player, "V": player}, blown_up_losses, [["U"], ["V"]], lambda data, key: data)
    seeds = jax.vmap(random.key)(jnp.arange(4))
    first = play.init(game, seeds, {})
    lost = np.asarray(first.params["U"]["logits"][:, 0] > 0)  # [S]
    assert 0 < lost.sum() < 4
    state, log = play.run(game, first, {}, 5)
    np.testing.assert_array_equal(state.step, np.where(lost, 2, 5))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.params))
    for seed in range(4):
        alone, _ = play.run(game, play.init(game, seeds[seed], {}), {}, 2 if lost[seed] else 5)
        longer, own = play.run(game, play.init(game, seeds[seed], {}), {}, 5)
        assert longer.alive == (not lost[seed])
        assert same_bits(alone.replace(alive=longer.alive), longer)
        assert same_bits(
            alone.params, jax.tree.map(lambda leaf, seed=seed: leaf[seed], state.params)
        )
        assert np.isinf(own["U"]).any() == lost[seed]
    np.testing.assert_array_equal(np.isinf(log["U"]), np.arange(5)[:, None] >= np.where(lost, 2, 5))
