"""Randomness and members: what one player draws and learns does not depend on who else plays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import games
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import Array, random
from laws import TEAMS, Losses, after, close, over, same_bits, setting, with_losses

from ganjax import play
from ganjax.data import draw
from ganjax.game import Bound, Game, Player

SEED = random.key(0)


def with_bystander(game: Game) -> Game:
    """The game with one more player, who draws noise, drops out, and changes nobody's loss."""

    def change(losses: Losses) -> Losses:
        def changed(batch: Any, key: Array, *, X: Bound, **players: Any) -> Mapping[str, Any]:
            return {**losses(batch, key, **players), "X": X(X.noise(key, 5), key=key).sum()}

        return changed

    X = Player(games.dense(), games.ADAM, (2,), per={"rate": 0.5})
    players, turns = {"X": X, **game.players}, [*game.turns, ["X"]]
    return with_losses(game, change, "X", players=players, turns=turns)


@pytest.mark.parametrize(
    "name",
    ["cgan", "gman_dropout", "cogan", "bn_team", pytest.param("wgan_gp", marks=pytest.mark.slow)],
)
def test_a_new_player_shifts_no_stream(name):
    game, data = setting(name)
    wider = with_bystander(game)
    first = play.init(wider, SEED, data)
    alone = play.init(game, SEED, data)
    for player in game.players:
        assert same_bits(first.params[player], alone.params[player])
    batch = game.draw(data, SEED)
    assert same_bits(batch, wider.draw(data, SEED))
    state, log = play.run(wider, first, data, 1)
    expected, expected_log = after(name)
    for part in ("params", "opt", "ema", "aux"):
        kept = {player: tree for player, tree in getattr(state, part).items() if player != "X"}
        close({part: kept}, {part: getattr(expected, part)})
    close({name: value for name, value in log.items() if name != "X"}, expected_log)


def test_the_noise_and_the_parameters_of_a_member_do_not_depend_on_how_many_there_are():
    teams = [Player(games.dense(), games.ADAM, (3,), n=n) for n in (2, 5)]
    (few, _), (many, _) = (team.init(SEED) for team in teams)
    assert same_bits(few, jax.tree.map(lambda leaf: leaf[:2], many))
    small, large = (team.bind(p, name="G") for team, p in zip(teams, (few, many)))
    noise = large.noise(SEED, 4)  # [B, n, Z]
    np.testing.assert_array_equal(small.noise(SEED, 4), noise[:, :2])
    assert len(np.unique(noise)) == noise.size
    one = large.noise(SEED, 4, each=False)
    assert one.shape == (4, 3)


# Each loss is what its turn drew: rows of the data, and noise.
def drawn_losses(batch, key, *, U, V):
    drawn = {"rows": batch["x"].sum(), "noise": U.noise(key, 4).sum()}
    still = 0 * (U(jnp.ones((1, 2))).sum() + V(jnp.ones((1, 2))).sum())
    return {"U": drawn["rows"] + still, "V": drawn["rows"] + still, **drawn}


def drawn_noise_losses(batch, key, *, U, V):
    out = drawn_losses(batch, key, U=U, V=V)
    still = out["U"] - out["rows"]
    return {"U": out["noise"] + still, "V": out["noise"] + still}


@pytest.mark.parametrize("losses", [drawn_losses, drawn_noise_losses])
@pytest.mark.parametrize("fresh", ["step", "turn"])
def test_fresh_says_whether_each_turn_draws_anew(losses, fresh):
    data = {"x": np.random.default_rng(0).normal(size=(1000, 1)).astype(np.float32)}
    player = Player(games.dense(), optax.sgd(0.1), (2,))
    turns = [["U"], ["V"]]
    game = Game({"U": player, "V": player}, losses, turns, partial(draw, n=8), fresh=fresh)
    _, log = play.run(game, play.init(game, SEED, data), data, 6)
    assert (np.asarray(log["U"]) == np.asarray(log["V"])).all() == (fresh == "step")
    if fresh == "turn":
        assert (np.asarray(log["U"]) != np.asarray(log["V"])).all()
    assert len(np.unique(np.asarray(log["U"]))) == 6  # and each step


def permuted(player: Player, tree: Any, order: np.ndarray) -> Any:
    """The members of a team in another order; what they share stays."""
    return {
        top: sub if top in player.shared else jax.tree.map(lambda leaf: leaf[order], sub)
        for top, sub in tree.items()
    }


@over(TEAMS, default=tuple(name for name in TEAMS if name in games.DENSE or name == "bn_team"))
def test_members_are_told_apart_by_their_parameters_alone(name):
    """In another order they give the same outputs and the same gradients, in that order."""
    game, _ = setting(name)
    for player in game.players.values():
        if not player.n or not player.inputs:
            continue
        order = np.roll(np.arange(player.n), 1)
        per = {key: np.asarray(value)[order] for key, value in player.per.items()}
        other = replace(player, per=per)
        params, aux = player.init(SEED)
        keys = random.split(SEED, len(player.inputs))
        xs = [random.normal(key, (3, player.n, *s)) for key, s in zip(keys, player.inputs)]
        weights = random.normal(SEED, jax.eval_shape(player.bind(params, aux).each, *xs).shape)

        def loss(team, params, aux, xs, weights):
            out = team.bind(params, aux).each(*xs)
            return (weights * jnp.tanh(out)).sum(), out

        both = jax.jit(jax.grad(loss, argnums=1, has_aux=True), static_argnums=0)
        grads, out = both(player, params, aux, xs, weights)
        turned = [permuted(player, tree, order) for tree in (params, aux)]
        grads_, out_ = both(other, *turned, [x[:, order] for x in xs], weights[:, order])
        close(out_, out[:, order])
        close(grads_, permuted(player, grads, order))


@pytest.mark.parametrize(
    ("name", "teams"), {"sn_team": ("D",), "mix": ("D", "W")}.items(), ids=["sn_team", "mix"]
)
def test_permuting_the_members_of_a_team_permutes_the_field(name, teams):
    """For losses that treat the members alike; a table of their weights is permuted with them."""
    game, data = setting(name)
    state = play.init(game, SEED, data)
    n = game.players["D"].n
    assert n is not None
    order = np.roll(np.arange(n), 1)
    batch = game.draw(data, SEED)

    def turned(trees: Mapping[str, Any]) -> dict[str, Any]:
        return {
            player: permuted(game.players[player], tree, order) if player in teams else tree
            for player, tree in trees.items()
        }

    field = jax.jit(partial(play.field, game, movers=tuple(game.movers)))
    grads, out = field(state.params, batch, SEED, aux=state.aux)
    grads_, out_ = field(turned(state.params), batch, SEED, aux=turned(state.aux))
    close(out_, out)
    close(grads_, turned(grads))
    assert not same_bits(grads_["D"], grads["D"])
