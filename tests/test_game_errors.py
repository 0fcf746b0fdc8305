"""What a user gets wrong in a game is told in one line that names what was expected."""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager
from typing import Any

import games
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jaxtyping import TypeCheckError
from jaxtyping import config as jaxtyping_config

from ganjax import aggregates, play
from ganjax.data import transforms
from ganjax.game import Game, Player, Turn
from ganjax.losses import relativistic
from ganjax.metrics import pairs
from ganjax.penalties import squared_norm
from ganjax.protocols import domain_adaptation

NET, SGD = games.dense(), optax.sgd(0.1)


@contextmanager
def refused(*words: str):
    """One line that holds every word. Types are not enforced, as for users."""
    jaxtyping_config.update("jaxtyping_disable", True)
    try:
        with pytest.raises(ValueError, match=r".") as caught:
            yield
    finally:
        jaxtyping_config.update("jaxtyping_disable", False)
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text, text


def losses(batch, key, *, G, D):
    return {"G": jnp.float32(0), "D": jnp.float32(0)}


def game(losses=losses, turns=(("G", "D"),), **rest):
    return Game(
        {"G": Player(NET, SGD, (2,)), "D": Player(NET, SGD, (2,))},
        losses,
        turns,
        lambda data, key: data,
        **rest,
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"n": 0}, ["n >= 1", "n=0"]),
        ({"shared": ("trunk",)}, ["trunk", "needs a team", "n"]),
        ({"ema": 1.0}, ["ema", "[0, 1)", "1.0"]),
        ({"ema": -0.1}, ["ema", "[0, 1)", "-0.1"]),
        ({"n": 3, "per": {"rate": np.zeros(2)}}, ["per['rate']", "3 members", "(2,)"]),
        ({"n": 3, "per": {"rate": 0.5}}, ["per['rate']", "3 members", "()"]),
    ],
)
def test_a_player_whose_fields_contradict_each_other(fields, words):
    with refused(*words):
        Player(NET, SGD, (2,), **fields)


def test_a_team_that_shares_what_its_net_has_not():
    with refused("trunk", "Dense_0", "out"):
        Player(NET, SGD, (2,), n=2, shared=("trunk",)).init(jax.random.key(0))
    with refused("shares all of its submodules"):
        Player(NET, SGD, (2,), n=2, shared=("Dense_0", "out")).init(jax.random.key(0))


def test_a_net_of_another_library():
    net: Any = nnx.Linear(2, 2, rngs=nnx.Rngs(0))
    with refused("flax.linen.Module", "flax.nnx", "Linear"):
        Player(net, SGD, (2,))


def bound(n=None, sees=(2,), net=NET):
    player = Player(net, SGD, sees, n=n)
    return player.bind(player.init(jax.random.key(0))[0], name="D")


@pytest.mark.parametrize(
    "shapes",
    [[(4, 3)], [(2,)], [(4, 2), (4, 2)], []],
    ids=["another size", "no batch axis", "one input too many", "no input"],
)
def test_an_input_of_another_shape(shapes):
    with refused("D sees ((2,),)", "[B, ..., *shape]", f"got {tuple(shapes)}"):
        bound()(*map(jnp.zeros, shapes))


def test_inputs_whose_leading_axes_differ():
    with refused("D sees ((2,), (3,))", "(4, 5, 2)", "(4, 3)"):
        bound(sees=((2,), (3,)))(jnp.zeros((4, 5, 2)), jnp.zeros((4, 3)))


@pytest.mark.parametrize(
    "shape", [(4, 2), (4, 2, 2), (3, 2)], ids=["no team axis", "another team", "no batch axis"]
)
def test_each_with_an_input_that_is_not_one_for_each_member(shape):
    with refused("D sees ((2,),)", "[B, ..., 3, *shape]", f"got ({shape},)"):
        bound(n=3).each(jnp.zeros(shape))


def test_what_only_a_team_has():
    with refused("D is a single player"):
        bound().n  # noqa: B018
    with refused("D.each needs a team"):
        bound().each(jnp.zeros((4, 1, 2)))


def test_what_a_player_without_inputs_has_not():
    for n in (None, 3):
        numbers = bound(n=n, sees=None, net=games.Logits(2))
        with refused("D sees no input", "no noise"):
            numbers.noise(jax.random.key(0), 4)
    with refused("D.each needs an input for each member"):
        numbers.each()


@pytest.mark.parametrize(
    ("turns", "words"),
    [
        ([], ["turns name no mover", "G, D"]),
        ([[]], ["turns name no mover", "G, D"]),
        ([["G"], ["C"]], ["turns name 'C'", "G, D"]),
        ([Turn(("C",))], ["turns name 'C'", "G, D"]),
        ([["D", "G", "D"]], ["twice", "D, G, D"]),
        (["D", "G"], ["lists of players", "[['D'], ['G']]", "got ['D', 'G']"]),
        ("DG", ["lists of players", "[['D'], ['G']]", "got 'DG'"]),
    ],
)
def test_turns_that_do_not_fit_the_players(turns, words):
    with refused(*words):
        game(turns=turns)


def test_a_turn_of_one_name():
    movers: Any = "D"
    with refused("lists of players", "[['D'], ['G']]"):
        game(turns=[Turn(movers)])


def test_losses_whose_arguments_are_not_the_players():
    with refused("losses asks for 'C'", "G, D", "step and memory"):
        game(lambda batch, key, *, G, D, C: {})
    with refused("losses does not take 'D'", "G"):
        game(lambda batch, key, *, G: {})
    with refused("losses asks for memory", "no first memory"):
        game(lambda batch, key, *, G, D, memory: {})


def test_other_fields_of_a_game():
    with refused("fresh", "'step' or 'turn'", "'epoch'"):
        game(fresh="epoch")
    with refused("a player cannot be called 'step'"):
        Game(
            {"step": Player(NET, SGD, (2,))},
            lambda batch, key, *, step: {},
            [["step"]],
            lambda data, key: data,
        )


@pytest.mark.parametrize(
    "key",
    [jax.random.key, lambda seed: jax.random.split(jax.random.key(seed), 2)],
    ids=["one", "population"],
)
def test_losses_that_return_something_else(key):
    zero = jnp.float32(0)
    memory = lambda: jnp.zeros(3)  # noqa: E731
    wrong = {
        ("no loss of D", "G, value"): game(lambda batch, key, *, G, D: {"G": zero, "value": zero}),
        ("scalars", "D", "(4,)"): game(lambda batch, key, *, G, D: {"G": zero, "D": jnp.zeros(4)}),
        ("scalars", "value", "(2,)"): game(
            lambda batch, key, *, G, D: {"G": zero, "D": zero, "value": jnp.zeros(2)}
        ),
        ("memory like the first one", "(3,)", "(4,)"): game(
            lambda batch, key, *, G, D, memory: {"G": zero, "D": zero, "memory": jnp.zeros(4)},
            memory=memory,
        ),
        ("memory like the first one", "(3,)", "None"): game(
            lambda batch, key, *, G, D, memory: {"G": zero, "D": zero}, memory=memory
        ),
    }
    for words, bad in wrong.items():
        with refused(*words):
            play.init(bad, key(0), {})


def test_data_that_a_player_cannot_see():
    cgan, data = games.cgan()
    with refused("D sees", "(8, 8, 1)", "(4, 6, 8, 1)"):
        play.init(cgan, jax.random.key(0), data | {"x": data["x"][:, :6]})
    flat = dataclasses.replace(cgan.players["G"], net=games.dense((64,)))
    with refused("D sees", "(8, 8, 1)", "(4, 64)"):
        play.init(
            dataclasses.replace(cgan, players=cgan.players | {"G": flat}), jax.random.key(0), data
        )


def test_a_relativistic_payoff_without_real_scores():
    with refused("g(fake, real)"):
        relativistic.g(jnp.zeros(3))


def test_losses_that_cannot_be_differentiated_or_kept():
    zero = jnp.float32(0)
    with refused("loss of D", "float", "int32"):
        play.init(
            game(lambda batch, key, *, G, D: {"G": zero, "D": jnp.int32(1)}), jax.random.key(0), {}
        )
    with refused("losses returns a memory", "no first memory"):
        play.init(
            game(lambda batch, key, *, G, D: {"G": zero, "D": zero, "memory": zero}),
            jax.random.key(0),
            {},
        )


@pytest.mark.parametrize(
    ("key", "word"),
    [(jax.random.PRNGKey(0), "uint32[2]"), (7, "got 7"), (np.int32(7), "got ")],
    ids=["an old key", "a seed", "a seed of NumPy"],
)
def test_a_key_that_is_not_a_typed_one(key, word):
    with refused("jax.random.key(seed)", word):
        play.init(game(), key, {})


def test_a_run_of_another_form_or_of_negative_length():
    state = play.init(game(), jax.random.key(0), {})
    form: Any = "loop"
    with refused("scan or dispatch", "'loop'"):
        play.run(game(), state, {}, 1, form=form)
    with refused("0 or more steps", "-1"):
        play.run(game(), state, {}, -1)


def test_a_penalty_on_more_than_one_sample_a_row():
    with refused("one sample after the batch axis", "(4, 3, 2)"):
        squared_norm(bound(net=games.dense()), jnp.zeros((4, 3, 2)))


def test_losses_may_take_all_players_at_once():
    taking_all = game(lambda batch, key, **players: {name: jnp.float32(0) for name in players})
    assert set(play.init(taking_all, jax.random.key(0), {}).log) == {"G", "D"}


def test_types_and_shapes_are_enforced_under_pytest():
    D = bound(net=games.dense())
    with pytest.raises(TypeCheckError, match="fake"):
        aggregates.values(jnp.zeros((4, 3)), jnp.zeros((4, 2)))  # scores of three, and of two
    with pytest.raises(TypeCheckError, match="key"):
        D.noise(jax.random.PRNGKey(0), 4)
    images = jnp.zeros((4, 8, 8, 1))
    with pytest.raises(TypeCheckError, match="y"):
        pairs.l1(images, images[:3])
    with pytest.raises(TypeCheckError, match="x"):
        domain_adaptation.to_28_pixels(np.zeros((4, 8, 8, 1)))  # not uint8
    with pytest.raises(TypeCheckError, match="x"):
        transforms.views(jnp.zeros((4, 2, 8, 8, 1), int), "equal")
