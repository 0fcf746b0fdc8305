"""How far a game is from its end: the value and accuracy of D, and of the best D, in closed form;
what is drawn of it.
"""

import math
from functools import partial

import gan
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import random
from runs import build
from scipy import integrate, stats
from scipy.special import rel_entr

from ganjax import data, play
from ganjax.data.mixtures import hills, mixture, ring
from ganjax.figures.curves import equilibrium_curves
from ganjax.metrics import equilibrium
from ganjax.protocols import standard

LOG4 = math.log(4)
best = jax.jit(equilibrium.optimal)


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(equilibrium, "SAMPLES", 2**10)


def test_a_discriminator_that_cannot_tell_has_minus_log_4_and_one_half():
    found = equilibrium.value(jnp.zeros(7), jnp.zeros((3, 2)))
    assert {name: float(number) for name, number in found.items()} == pytest.approx(
        equilibrium.LIMITS
    )


def test_value_and_accuracy_by_hand():
    found = equilibrium.value(
        jnp.array([math.log(3), -math.log(3)]), jnp.array([-math.log(3)] * 4)
    )  # D of 3/4, 1/4; 1/4
    assert found == pytest.approx(
        {"value": (math.log(3 / 4) + math.log(1 / 4)) / 2 + math.log(3 / 4), "accuracy": 0.75}
    )


def normals(shift, sd):
    """-log 4 + 2 JSD and 1/2 + TV / 2 of N(0, sd²) and N(shift, sd²)."""
    x = np.linspace(-12, 12 + shift, 20_001)
    p, q = stats.norm(0, sd).pdf(x), stats.norm(shift, sd).pdf(x)
    m = (p + q) / 2
    return -LOG4 + integrate.trapezoid(rel_entr(p, m) + rel_entr(q, m), x), stats.norm.cdf(
        shift / (2 * sd)
    )


@settings(max_examples=8, deadline=None)
@given(st.floats(0.2, 4.0))
def test_the_optimal_discriminator_of_two_normals_has_minus_log_4_and_twice_jensen_and_shannon(
    shift,
):
    x = shift + np.random.default_rng(0).normal(size=(2**11, 1)).astype(np.float32)
    found = best(mixture([[0.0]], 1), jnp.asarray(x), random.key(0))
    value, accuracy = normals(shift, math.hypot(1, 0.5))  # both blurred by half an SD
    assert float(found["value_best"]) == pytest.approx(value, abs=0.06)
    assert float(found["accuracy_best"]) == pytest.approx(accuracy, abs=0.03)
    assert float(found["value_best"]) < normals(shift, 1)[0] + 0.06


@pytest.mark.parametrize("toy", [hills(), ring()], ids=["hills", "ring"])
def test_against_the_mixture_itself_the_optimal_discriminator_cannot_tell(toy):
    found = best(toy, toy.draw(random.key(1), 2**11), random.key(0))
    assert float(found["value_best"]) == pytest.approx(-LOG4, abs=0.03)
    assert float(found["accuracy_best"]) == pytest.approx(0.5, abs=0.04)


def test_a_lost_mode_and_samples_elsewhere_are_told_by_the_optimal_discriminator():
    toy, one = mixture([[0.0, 0.0], [10.0, 0.0]], 1), mixture([[0.0, 0.0]], 1)
    found = best(toy, one.draw(random.key(1), 2**11), random.key(0))
    # D* is 1/3 where p is half of q, and 1 on the lost mode.
    assert float(found["value_best"]) == pytest.approx(
        0.5 * math.log(1 / 3) + math.log(2 / 3), abs=0.05
    )
    assert float(found["accuracy_best"]) == pytest.approx(0.75, abs=0.03)
    far = best(toy, 100 + one.draw(random.key(1), 2**11), random.key(0))
    assert float(far["value_best"]) == pytest.approx(0, abs=1e-5)
    assert float(far["accuracy_best"]) == 1


def test_a_run_on_a_mixture_measures_both_and_a_run_on_images_neither():
    x = hills().draw(random.key(0), 64)
    found = jax.jit(
        lambda x: standard.measure_equilibrium(
            hills(), x, random.key(1), lambda x: jnp.zeros(len(x))
        )
    )(x)
    assert set(found) == {"value", "accuracy", "value_best", "accuracy_best"}
    assert float(found["value"]) == pytest.approx(-LOG4)
    images = {"x": np.zeros((4, 8, 8, 1))}
    assert standard.measure_equilibrium(images, x, random.key(1), lambda x: x) == {}


@pytest.mark.parametrize(
    ("name", "turns"),
    [("hills", [("D",), ("D",), ("D",), ("G",)]), ("digits", [("D",), ("D",), ("D", "G")])],
)
def test_k_turns_of_the_discriminator_come_before_each_of_the_generator(name, turns):
    game = build(gan, data=name, k=3, width=8, ema=0.5).played
    assert [turn.movers for turn in game.schedule] == turns
    assert game.fresh == "turn"
    assert game.players["G"].ema == 0.5
    one = build(gan, data=name, width=8).played
    # On images both move at once, from one z; the authors of the toy draw z anew for G's turn.
    assert (len(one.schedule), one.fresh) == (2 if name == "hills" else 1, "turn")


def test_the_table_plays_on_a_known_density_and_prints_the_limits():
    table = gan.TABLES["equilibrium"]
    for row in table.rows.values():
        assert isinstance(data.find(row["data"]).load(), data.Mixture)
        game = build(gan, **row).played
        jax.eval_shape(
            partial(play.step, game), play.template(game, random.key(0), hills()), hills()
        )
    assert table.anchors(None)["equilibrium"] == pytest.approx({"value": -LOG4, "accuracy": 0.5})
    assert set(table.anchors(None)["equilibrium"]) < set(table.columns)


def test_the_way_is_drawn_beside_that_of_the_optimal_discriminator_and_to_the_limits():
    rows = [
        {
            "step": s,
            "seed": q,
            "value": -1.0 - s / 100 - q / 10,
            "value_best": -0.5,
            "accuracy": 0.7,
            "accuracy_best": 0.9,
        }
        for s in (0, 10, 20)
        for q in (0, 1)
    ]
    value, accuracy = equilibrium_curves(iter(rows)).axes
    assert [line.get_label() for line in value.lines] == ["-log 4", "D*", "D"]
    np.testing.assert_allclose(np.asarray(value.lines[0].get_ydata()), -LOG4)
    D = np.asarray(value.lines[2].get_xydata())
    np.testing.assert_allclose(D, [[0, -1.05], [10, -1.15], [20, -1.25]])
    first = [float(np.asarray(line.get_ydata())[0]) for line in accuracy.lines]
    assert first == pytest.approx([0.5, 0.9, 0.7])
