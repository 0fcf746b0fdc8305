"""Every experiment at its quick options: a run to its last line, and what is compiled against what
is not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from jax import random
from laws import finite_and_moved
from runs import EXPERIMENTS, GOLDEN, call, evaluate_few

from ganjax import play
from ganjax.experiment import Experiment, with_players
from ganjax.game import Game
from ganjax.runs import storage
from ganjax.tables import checking

# What users get; tests are compiled without optimisation.
OPTIMISED: dict[str, Any] = {
    "xla_backend_optimization_level": 3,
    "xla_cpu_use_fusion_emitters": True,
}
# Compilers round otherwise: see docs/bits.md.
GOLDEN_REL = 1e-3

# Long ones with a near relative: alexnet, triple_gan, cogan, cyclegan.
RELATIVES = ("adversarial.py", "triple_gan_cifar.py", "cogan_adapt.py", "pix2pix.py")


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n in RELATIVES else n for n in EXPERIMENTS],
)
def test_a_run_is_measured_evaluated_and_drawn(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate_few(monkeypatch)
    played = kept(monkeypatch)
    out = tmp_path / "run"
    how = ["--quick", "--steps=3", "--every=3", "--quiet", "--no-cache"]
    assert call("run", EXPERIMENTS[name].path, *how, "--out", out, axes=True) == (0, "", "")
    digest = json.loads((out / "digest.json").read_text())
    rows = storage.read_rows(out / "metrics.jsonl")
    assert digest["steps"] == checking.STEPS
    finite_and_moved(*played[0])
    if (known := EXPERIMENTS[name].name) in GOLDEN:
        made = checking.losses(known, rows[-1])
        assert made == pytest.approx(GOLDEN[known], rel=GOLDEN_REL, abs=1e-4)
    assert digest["metrics"] == storage.metrics_digest(rows)
    assert [row["step"] for row in rows] == [3]
    assert [metric for metric, value in rows[-1].items() if value is None] == []
    drawn = {path.name: path.read_bytes() for path in (out / "figures").iterdir()}
    samples = EXPERIMENTS[name].build(EXPERIMENTS[name].quick).sample is not None
    assert {"curves.png", *(["samples.png"] if samples else [])} <= set(drawn)
    assert all(png.startswith(b"\x89PNG") for png in drawn.values())


Played = tuple[Game, play.State, play.State, dict[str, np.ndarray]]


def kept(monkeypatch: pytest.MonkeyPatch) -> list[Played]:
    """A list of dispatches, the first of one step: game, states before and after, the log."""
    played: list[Played] = []
    run = play.run
    on_host = partial(jax.tree.map, np.asarray)

    def kept(game: Game, state: play.State, data: Any, n: int) -> Any:
        first = on_host(state.replace(key=None))
        state, log = run(game, state, data, n)
        played.append((game, first, on_host(state.replace(key=None)), on_host(log)))
        return state, log

    monkeypatch.setattr(play, "run", kept)
    return played


def compiled_as_for_users(function: Any, *args: Any) -> Any:
    """The function's value from a program of the flags that users get."""
    return jax.jit(function).lower(*args).compile(compiler_options=OPTIMISED)(*args)


def agree(compiled: Any, eager: Any) -> None:
    """Asserts that each leaf differs by at most 1e-5 of its norm, or of a tenth of the largest.

    A small gradient may be all rounding: of a bias before a normalisation, of a difference of two
    scores.
    """
    paths = jax.tree.leaves_with_path(eager)
    norms = [np.linalg.norm(np.asarray(leaf, np.float64)) for _, leaf in paths]
    for (path, x), y, norm in zip(paths, jax.tree.leaves(compiled), norms, strict=True):
        error = np.linalg.norm(np.asarray(x, np.float64) - np.asarray(y, np.float64))
        assert error <= 1e-5 * max(norm, max(norms) / 10), jax.tree_util.keystr(path)


def tiny(name: str) -> Experiment:
    """The experiment at its quick options with a batch of 4, where it has one."""
    small = {"batch": 4} if "batch" in EXPERIMENTS[name].options() else {}
    if name == "hopfield.py":  # its batch divides its patterns
        small = {"batch": 3}
    return EXPERIMENTS[name].build({**EXPERIMENTS[name].quick, **small})


def compare_losses(name: str, movers: tuple[str, ...] = ()) -> None:
    """Asserts that the losses, and the movers' gradients, are the same compiled and not."""
    experiment = tiny(name)
    game = experiment.played
    state = play.init(game, random.key(0), experiment.data)
    batch = game.draw(experiment.data, random.key(1))
    rest = {"aux": state.aux, "step": state.step, "memory": state.memory}

    def values(params: Any, batch: Any, key: jax.Array, rest: Mapping[str, Any]) -> Any:
        if movers:
            grads, out = play.field(game, params, batch, key, movers, **rest)
        else:
            grads, out = {}, game.apply(params, batch, key, **rest)
        return grads, {n: value for n, value in out.items() if n != "memory"}

    args = (state.params, batch, random.key(2), rest)
    grads, losses = compiled_as_for_users(values, *args)
    eager_grads, eager_losses = values(*args)
    for loss in eager_losses:  # one may be a difference of two energies of about 50 nats
        np.testing.assert_allclose(losses[loss], eager_losses[loss], rtol=1e-5, atol=5e-6)
    if movers:
        agree(grads, eager_grads)


def some(*default: str) -> pytest.MarkDecorator:
    """Once for each experiment, the others slow: a wrong program is XLA's, by kinds of nets."""
    names = [
        name if name.removesuffix(".py") in default else pytest.param(name, marks=pytest.mark.slow)
        for name in EXPERIMENTS
    ]
    return pytest.mark.parametrize("name", names)


@some("gan", "gman", "mad_gan_sim", "grid", "rbm", "hopfield", "ctc")
def test_losses_and_gradients_are_compiled_right(name: str) -> None:
    compare_losses(name, tuple(sorted(tiny(name).played.movers)))


# without compilation the gradients of convolutions take long
@some("cogan", "gan3d")
def test_losses_are_compiled_right(name: str) -> None:
    compare_losses(name)


@some("gan", "gman", "cdcgan", "rbm", "c_rnn_gan", "channels", "dynamics", "perceptron")
def test_measures_are_compiled_right(name: str) -> None:
    experiment = tiny(name)
    game = experiment.played
    state = play.init(game, random.key(0), experiment.data)

    def measured(state: play.State, data: Any, key: jax.Array) -> Any:
        players = play.bound(game, state)
        return with_players(experiment.measure, players, data, key)

    args = (state, experiment.data, random.key(1))
    compiled, eager = compiled_as_for_users(measured, *args), measured(*args)
    assert compiled.keys() == eager.keys()
    for metric in eager:
        np.testing.assert_allclose(compiled[metric], eager[metric], rtol=1e-5, err_msg=metric)
