"""Perceptron: the rule, what it can and cannot learn, and Novikoff's bound."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import perceptron
import pytest
from jax import random
from runs import build, call
from sklearn.svm import SVC

from ganjax import data, keys, play
from ganjax.data.truth_tables import TRUTH, one_against_rest, truth_table
from ganjax.experiment import Experiment
from ganjax.figures.decision import SIDE, decision_lines, mesh
from ganjax.metrics.margin import mistake_bound, separating_margin
from ganjax.protocols import neurons

PLANES = {"and": (-1.5, 1, 1), "or": (-0.5, 1, 1), "not": (0.5, -1)}  # neurons made by hand


def inputs(x: np.ndarray) -> np.ndarray:
    """(1, x)."""
    return np.concatenate([np.ones((len(x), 1)), x], 1)


@pytest.mark.parametrize("task", TRUTH)
def test_a_truth_table_is_pythons_and_a_neuron_made_by_hand_computes_it(task: str) -> None:
    say = {"and": lambda a, b: a & b, "or": lambda a, b: a | b, "xor": lambda a, b: a ^ b}
    table = truth_table(task)
    expected = [1 - int(a) if task == "not" else say[task](*map(int, (a, *b)))
                for a, *b in table["x"]]  # fmt: skip
    np.testing.assert_array_equal(table["y"][:, 0], 2 * np.array(expected) - 1)
    assert len(np.unique(table["x"], axis=0)) == len(table["x"]) == 2 ** table["x"].shape[1]
    if task in PLANES:
        assert (table["y"][:, 0] * (inputs(table["x"]) @ PLANES[task]) > 0).all()


def test_an_unknown_truth_table_is_refused() -> None:
    with pytest.raises(ValueError, match="truth tables are and, or, not, xor; got 'nand'"):
        truth_table("nand")


def svc_margin(x: np.ndarray, y: np.ndarray) -> float:
    """The hard margin of sklearn's SVC on the rows y (1, x) and their mirror images, so that its
    own intercept is 0."""
    rows = y[:, None] * inputs(x)
    both = np.concatenate([rows, -rows])
    side = np.repeat([1, -1], len(rows))
    fitted = SVC(kernel="linear", C=1e9, tol=1e-8).fit(both, side)
    assert abs(fitted.intercept_[0]) < 1e-3
    return float(1 / np.linalg.norm(fitted.coef_))


def test_the_margin_is_that_of_a_support_vector_machine() -> None:
    rng = np.random.default_rng(0)
    for d in (1, 2, 5):
        x = rng.normal(size=(20, d))
        y = np.sign(x @ rng.normal(size=d) + 0.1)
        np.testing.assert_allclose(separating_margin(x, y), svc_margin(x, y), rtol=1e-3)


@pytest.mark.parametrize(("task", "bound"), {"and": 51, "or": 27, "not": 10}.items())
def test_the_bounds_of_truth_tables_are_those_by_hand(task: str, bound: float) -> None:
    """w and γ of AND: (-3, 2, 2), 17^-1/2; OR: (-1, 2, 2), 1/3; NOT: (1, -2), 5^-1/2."""
    table = truth_table(task)
    x, y = table["x"], table["y"][:, 0]
    np.testing.assert_allclose(mistake_bound(x, y), bound, rtol=1e-9)
    np.testing.assert_allclose(separating_margin(x, y), svc_margin(x, y), rtol=1e-4)


def test_what_no_plane_separates_has_no_bound() -> None:
    table = truth_table("xor")
    assert separating_margin(table["x"], table["y"][:, 0]) == 0
    assert mistake_bound(table["x"], table["y"][:, 0]) == np.inf
    assert neurons.evaluate(table, random.key(0)) == {}
    # One neuron that has none among others that have leaves no bound on the sum.
    both = {"x": table["x"], "y": np.concatenate([table["y"], truth_table("or")["y"]], 1)}
    assert neurons.evaluate(both, random.key(0)) == {}


@pytest.mark.parametrize(
    ("x", "y"), [([[0.0], [1.0]], [0, 1]), ([[0.0], [1.0]], [1]), ([[0.0]], [[1]])]
)
def test_labels_that_are_no_signs_are_refused(x: Any, y: Any) -> None:
    with pytest.raises(ValueError, match="labels are -1 or 1, one for each of"):
        mistake_bound(x, y)
    with pytest.raises(ValueError, match="not finite"):
        mistake_bound([[np.nan]], [1])


@cache
def one(*options: tuple[str, Any]) -> Experiment:
    """An experiment, once for all seeds, as programs are compiled for each."""
    return build(perceptron, **dict(options))


def played(
    seed: int, steps: int, **options: Any
) -> tuple[play.State, dict[str, np.ndarray], Experiment]:
    """The state after so many steps, the log of all, and the experiment."""
    experiment = one(*options.items())
    game = experiment.played
    state = play.init(game, random.key(seed), experiment.data)
    state, log = play.run(game, state, experiment.data, steps)
    return state, jax.tree.map(np.asarray, log), experiment


def test_a_step_is_rosenblatts_rule() -> None:
    """In NumPy, with the examples that the game drew: w <- w + y (1, x) at a mistake."""
    state, log, experiment = played(3, 40, task="and")
    draw = jax.jit(partial(neurons.draw, experiment.data, n=1))
    w, mistakes = np.zeros(3), [0]
    for step in range(40):
        batch = draw(keys.stream(random.fold_in(random.key(3), step), "draw"))
        row, y = inputs(np.asarray(batch["x"]))[0], float(batch["y"][0, 0])
        wrong = y * (w @ row) <= 0
        mistakes.append(mistakes[-1] + wrong)
        w += wrong * y * row
    out = state.params["P"]["out"]
    np.testing.assert_array_equal(np.append(out["bias"], out["kernel"]), w)
    np.testing.assert_array_equal(log["mistakes"], mistakes[1:])


@pytest.mark.parametrize("task", PLANES)
def test_a_separable_table_is_learnt_within_novikoffs_bound(task: str) -> None:
    table = truth_table(task)
    R2 = (inputs(table["x"]) ** 2).sum(1).max()
    bound = R2 / svc_margin(table["x"], table["y"][:, 0]) ** 2
    for seed in range(5):
        state, log, experiment = played(seed, 500, task=task)
        assert log["mistakes"][-1] <= bound + 1e-3
        players = play.bound(experiment.played, state)
        assert neurons.measure(experiment.data, random.key(0), **players)["error"] == 0
        assert log["mistakes"][-1] == log["mistakes"][-100]  # it is right on all, and stays


def test_of_xor_one_layer_gets_something_wrong_after_any_number_of_steps() -> None:
    experiment = build(perceptron, task="xor")
    game = experiment.played
    table = experiment.data
    state = play.init(game, random.key(0), table)
    error = jax.jit(partial(neurons.measure, table, random.key(0)))
    for _ in range(100):
        state, _ = play.run(game, state, table, 1)
        assert error(**play.bound(game, state))["error"] >= 0.25


def test_of_xor_two_layers_get_nothing_wrong() -> None:
    for seed in range(3):
        state, _, experiment = played(seed, **perceptron.TWO_LAYERS)
        players = play.bound(experiment.played, state)
        assert neurons.measure(experiment.data, random.key(0), **players)["error"] == 0


def test_ten_neurons_name_the_class_of_the_largest_score() -> None:
    """Digits, held out; ten neurons that guess are wrong nine times in ten."""
    state, log, experiment = played(0, 3000, task="digits")
    P = play.bound(experiment.played, state)["P"]
    error = neurons.measure(experiment.data, random.key(0), P=P)["error"]
    out = jax.tree.map(np.asarray, state.params["P"]["out"])
    train, test = data.train_and_test(data.find("digits"))
    pixels = test["x"].reshape(len(test["x"]), -1) / 255
    guess = (pixels @ out["kernel"] + out["bias"]).argmax(1)
    np.testing.assert_allclose(error, (guess != test["label"]).mean(), rtol=1e-6)
    assert error < 0.2
    assert 10 <= log["mistakes"][-1] < 10 * 3000
    signs = one_against_rest(train, test, 10)["y"]
    np.testing.assert_array_equal(signs.argmax(1), train["label"])
    np.testing.assert_array_equal(signs.sum(1), -8)


def test_a_line_is_drawn_for_each_seed_that_has_one() -> None:
    table = truth_table("or")
    points = mesh()
    line = points.sum(-1) - 0.5
    given = (table["x"], table["y"][:, 0], np.stack([line, 0 * line]))
    figure = decision_lines({"OR": given, "again": given})
    assert [axes.get_title("left") for axes in figure.axes] == ["OR", "again"]
    axes = figure.axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), (line > 0) / 2)
    with pytest.raises(ValueError, match=f"scores at {SIDE} x {SIDE} points"):
        decision_lines({"": (table["x"], table["y"], line[None, 1:])})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--task=nand"], "nand"),
        (["--hidden=-1"], "hidden must be 0 or more; got -1"),
        (["--lr=0"], "lr must be above 0; got 0"),
        (["--steps=0"], "steps must be above 0; got 0"),
    ],
)
def test_bad_options_are_refused_in_one_line(options: list[str], said: str) -> None:
    status, out, err = call("run", "experiments/perceptron.py", *options)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert said in err


def test_a_score_of_zero_is_a_mistake() -> None:
    assert neurons.mistaken(jnp.zeros((1, 2)), jnp.array([[1.0, -1.0]])).all()
