"""What a start does not wait for: traces that were made before, and modules that come later."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from games import ADAM, B, Z, dense
from jax import random

from ganjax import data, play
from ganjax.data import draw
from ganjax.game import Game, Player
from ganjax.nets.layers import BatchNorm, Conv, ConvTranspose
from ganjax.runs.discovery import experiment_file
from ganjax.runs.request import prepare_run

BUILT = """
import sys
import ganjax.cli, ganjax.runs.sweeping, ganjax.runs.train
from ganjax.runs.discovery import experiment_file
gan = experiment_file("gan")
assert len(gan.build(gan.quick).data["x"]) == 1797
heavy = {"scipy", "sklearn", "pandas", "tensorflow", "tensorflow_datasets", "grain", "bokeh"}
print(sorted(heavy & set(sys.modules)))
"""


def test_a_run_of_the_digits_needs_neither_scipy_nor_what_comes_later() -> None:
    command = [sys.executable, "-c", BUILT]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_the_digits_are_the_same_where_scikit_learn_keeps_them_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def arrays() -> Any:
        return data.find("digits").load()

    here = arrays()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for name, values in arrays().items():
        np.testing.assert_array_equal(values, here[name])
        assert values.dtype == here[name].dtype


def counted(traces: list[int]) -> tuple[Game, dict[str, np.ndarray]]:
    """A game that notes each trace of its losses, and its data."""

    def losses(batch: Any, key: Any, *, G: Any, D: Any) -> dict[str, Any]:
        traces.append(1)
        fake, real = D(G(G.noise(key, B))), D(batch["x"])
        return {"G": -fake.mean(), "D": fake.mean() - real.mean()}

    players = {
        "G": Player(dense((3,)), ADAM, (Z,), ema=0.9),
        "D": Player(dense(), ADAM, (3,)),
    }
    rows = {"x": np.ones((8, 3), np.float32)}
    return Game(players, losses, [["D"], ["G"]], lambda rows, key: draw(rows, key, B)), rows


@pytest.mark.parametrize("lanes", [None, 3])
def test_a_first_state_is_traced_once_for_all_who_ask(lanes: int | None) -> None:
    traces: list[int] = []
    game, rows = counted(traces)
    key = random.key(0) if lanes is None else random.split(random.key(0), lanes)
    shapes = play.template(game, key, rows)
    play.template(game, key, rows)
    state = play.init(game, key, jax.tree.map(jnp.asarray, rows))
    assert len(traces) == 1
    assert jax.tree.map(lambda x: (x.shape, x.dtype), state) == jax.tree.map(
        lambda x: (x.shape, x.dtype), shapes
    )
    plain = [jax.random.key_data(state.key), jax.random.key_data(key)]
    leaves = [leaf for leaf in jax.tree.leaves(state.replace(key=None)) if leaf.size] + plain
    places = [leaf.unsafe_buffer_pointer() for leaf in leaves]
    assert len(set(places)) == len(places)  # so that a run may be given all of it, and none else
    play.run(game, state, rows, 1)
    assert key.shape == random.key_data(key).shape[:-1]


def test_a_request_is_checked_with_one_trace_of_the_first_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    traced: list[str] = []
    inner = Game.check_losses

    def check(self: Game, *args: Any) -> None:
        traced.append("first state")
        inner(self, *args)

    monkeypatch.setattr(Game, "check_losses", check)
    file = experiment_file("gan")
    asked = prepare_run(file, {**file.quick, "data": "ring", "width": 8, "steps": 2})
    play.init(asked.experiment.played, random.key(0), asked.experiment.data)
    assert traced == ["first state"]


@pytest.mark.parametrize("layer", [Conv, ConvTranspose])
def test_a_call_of_a_layer_does_not_trace_its_initialisers(layer: Any) -> None:
    calls: list[int] = []

    def ones(*args: Any) -> Any:
        calls.append(1)
        return nn.initializers.ones(*args)

    net = nn.Sequential([layer(2, 3, kernel_init=ones), BatchNorm(scale=ones)])
    x = jnp.ones((2, 4, 4, 1))
    variables = net.init(random.key(0), x)
    made = len(calls)
    assert made >= 2
    net.apply(variables, x)
    jax.eval_shape(net.apply, variables, x)
    assert len(calls) == made


def test_every_program_of_a_command_is_kept_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    from ganjax.runs import surroundings

    told: dict[str, Any] = {}
    monkeypatch.setattr(jax.config, "update", told.__setitem__)
    surroundings.start(cache=True, fast=True)
    assert told["jax_persistent_cache_min_compile_time_secs"] == 0


class Counted(nn.Module):
    """A net that tells the shapes of the inputs of its traces; Python reads its slope."""

    seen: Any  # what it tells them

    @nn.compact
    def __call__(self, x: jax.Array, slope: Any = 1.0) -> jax.Array:
        self.seen(x.shape)
        return nn.Dense(1)(slope * x if slope > 1 else x)


@pytest.mark.parametrize("n", [None, 3])
def test_a_net_is_traced_once_for_inputs_of_one_shape(n: int | None) -> None:
    """However often it is called and differentiated in a step, and for each member of a team."""
    seen: list[tuple[int, ...]] = []
    player = Player(Counted(seen.append), ADAM, (2,), n=n, form="unroll")
    params, _ = player.init(random.key(0))

    def loss(params: Any, x: jax.Array) -> jax.Array:
        D = player.bind(params)
        return (D(x) * D(2 * x) + D(x[:3]).sum() + D(x, key=random.key(1))).sum()

    seen.clear()
    x = jnp.ones((5, 2))
    jax.make_jaxpr(jax.grad(loss))(params, x)
    jax.make_jaxpr(jax.value_and_grad(loss))(params, x)
    assert sorted(seen) == [(3, 2), (5, 2), (5, 2)]  # with a key the third


def test_a_trace_is_of_its_own_player() -> None:
    """Players of one net and other numbers have traces of their own, and Python reads these."""
    seen: list[tuple[int, ...]] = []
    net = Counted(seen.append)
    plain, steep = Player(net, ADAM, (2,)), Player(net, ADAM, (2,), per={"slope": 3.0})
    params, _ = plain.init(random.key(0))
    x = jnp.ones((1, 2))
    np.testing.assert_allclose(steep.bind(params)(x), 3 * plain.bind(params)(x), rtol=1e-6)
    np.testing.assert_array_equal(plain.bind(params)(x), net.apply({"params": params}, x))
