"""Boosted teams, teams with roles, tournaments of finished games, and curves of several runs."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import gman
import jax
import jax.numpy as jnp
import mad_gan
import numpy as np
import pytest
import roles as roles_experiment
from jax import random
from runs import build

from ganjax import aggregates, play
from ganjax.data.dataset import Dataset
from ganjax.data.transforms import coarsen, views
from ganjax.experiment import Experiment, FinishedRow
from ganjax.figures.curves import curves_of_runs
from ganjax.keys import stream
from ganjax.protocols import classifier
from ganjax.protocols.overlay import overlay
from ganjax.protocols.tournament import tournament

sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731


def boosted_by_hand(margins: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """AdaBoost.OL over minibatches of margins [B, N], learner by learner: α, the votes' logs, and
    the weights [B, N] of each step.
    """
    N = margins[0].shape[1]
    alpha, votes, weights = np.zeros(N), np.zeros(N), []
    for t, q in enumerate(margins, 1):
        s, weight, new = np.zeros(len(q)), np.zeros(q.shape), alpha.copy()
        for i in range(N):
            weight[:, i] = sigmoid(-np.clip(s, -4, 4))
            s = s + alpha[i] * q[:, i]
            new[i] = np.clip(alpha[i] + 4 / np.sqrt(t) * (q[:, i] * sigmoid(-s)).mean(), -2, 2)
            votes[i] -= (s < 0).mean()
        alpha = new
        weights.append(weight)
    return alpha, votes, weights


def test_a_booster_is_adaboost_ol():
    rng = np.random.default_rng(0)
    steps = [
        (rng.normal(0.6, 2, (8, 3)), rng.normal(-0.2, 2, (8, 3))) for _ in range(6)
    ]  # real and fake scores
    alpha, votes, weights = boosted_by_hand([np.concatenate([real, -fake]) for real, fake in steps])
    player = aggregates.boosting_player(3)
    params, _ = player.init(random.key(0))
    opt = player.init_opt(params)
    loss = jax.jit(
        lambda params, real, fake: aggregates.boosting_losses(real, fake, player.bind(params))
    )
    for (real, fake), weight in zip(steps, weights):
        of_d = jax.grad(lambda real, params=params, fake=fake: loss(params, real, fake)["D"])(
            jnp.asarray(real)
        )
        np.testing.assert_allclose(of_d, -weight[:8] * sigmoid(-real) / 16, rtol=1e-4, atol=1e-6)
        grads = jax.grad(lambda params, real=real, fake=fake: loss(params, real, fake)["A"])(params)
        params, opt = player.update(grads, opt, params)
    np.testing.assert_allclose(params["alpha"], alpha, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(params["votes"], votes, rtol=1e-5)
    score = rng.normal(size=(5, 3))
    share = np.exp(votes) / np.exp(votes).sum()
    expected = sum(share[i] * (alpha[: i + 1] * score[:, : i + 1]).sum(1) for i in range(3))
    np.testing.assert_allclose(
        aggregates.boosted_score(jnp.asarray(score), player.bind(params)), expected, rtol=1e-4
    )


def state_of(experiment: Experiment, seed: int = 0) -> Any:
    """The game, and a state that has begun."""
    game = experiment.played
    return game, play.init(game, random.key(seed), experiment.data)


@pytest.mark.parametrize("aggregate", ["F-boost", "P-boost"])
def test_the_generator_faces_the_booster_or_the_best_learner(aggregate):
    options = {**gman.QUICK, "data": "ring", "n": 3, "width": 8, "batch": 8, "aggregate": aggregate}
    experiment = build(gman, **options)
    game, state = state_of(experiment)
    params = {
        **state.params,
        "A": {"alpha": jnp.array([0.5, -0.2, 1.0]), "votes": jnp.array([0.0, 1.0, -1.0])},
    }
    batch = game.draw(experiment.data, random.key(1))
    assert batch["x"].shape == (24, 2)
    out = game.apply(params, batch, random.key(2), aux={}, step=0, memory=game.memory())
    bound = {name: player.bind(params[name], name=name) for name, player in game.players.items()}
    G, D, A = (bound[name] for name in "GDA")
    fake = G(G.noise(random.key(2), 24))
    real, fake = (
        D(x, key=stream(random.key(2), name)) for name, x in (("real", batch["x"]), ("fake", fake))
    )  # [24, 3]: all see the whole batch
    if aggregate == "P-boost":
        expected = aggregates.values(real, fake).max()
    else:
        boosted_real, boosted_fake = (
            aggregates.boosted_score(score, A)[:, None] for score in (real, fake)
        )
        expected = aggregates.values(boosted_real, boosted_fake)[0]
    np.testing.assert_allclose(out["G"], expected, rtol=1e-5)
    np.testing.assert_allclose(out["D"], aggregates.boosting_losses(real, fake, A)["D"], rtol=1e-5)


UNDECIDED = {"mean": {}, "soft": {}, "learned": {}, "mean, modified": {"modified": True}}


@pytest.mark.parametrize("name", UNDECIDED)
@pytest.mark.parametrize("n", [1, 2])
def test_the_curve_of_gman_is_of_the_generators_part_of_the_value(name, n):
    """For undecided D_i G_value is log 1/2 and V twice that; real samples move V alone."""
    aggregate = name.split(",")[0]
    options = {**gman.QUICK, "data": "ring", "n": n, "width": 8, "batch": 4, "aggregate": aggregate}
    experiment = build(gman, **options, **UNDECIDED[name])
    game, state = state_of(experiment)
    key = random.key(2)
    apply = jax.jit(partial(game.apply, aux={}, step=0, memory=game.memory()))
    one, other = (game.draw(experiment.data, random.key(i)) for i in (1, 3))
    first, second = apply(state.params, one, key), apply(state.params, other, key)
    np.testing.assert_allclose(first["G_value"], second["G_value"], rtol=1e-6)
    assert abs(first["value"] - second["value"]) > 1e-3
    assert first["memory"]["window"][0] == first["G_value"]
    even = jax.tree.map(jnp.zeros_like, state.params["D"])
    out = apply({**state.params, "D": even}, one, key)
    np.testing.assert_allclose(out["value"], -2 * np.log(2), rtol=1e-5)
    sign = 1 if UNDECIDED[name] else -1
    np.testing.assert_allclose(out["G_value"], sign * np.log(2), rtol=1e-5)
    np.testing.assert_allclose(out["G"], out["G_value" if UNDECIDED[name] else "value"], rtol=1e-6)


def test_the_generators_part_is_mixed_with_its_own_weights():
    """Two discriminators, sigmoids squashed to .5 and .745: log(1 - s) is -.693 and -1.366."""
    l = aggregates.generator_values(jnp.array([[0.0, np.log(3)]]))
    np.testing.assert_allclose(l, [-0.693147, -1.366492], rtol=1e-5)
    np.testing.assert_allclose(aggregates.arithmetic(l, 1.0), -0.920568, rtol=1e-5)


def test_roles_divide_an_image():
    x = random.normal(random.key(0), (2, 8, 12, 3))
    each = jnp.stack([x] * 3, 1)  # [B, N, H, W, C]
    np.testing.assert_array_equal(views(each, "equal"), each)
    fine = views(each, "resolutions")
    for i in range(3):
        square = np.asarray(fine[:, i]).reshape(2, 8 >> i, 1 << i, 12 >> i, 1 << i, 3)
        np.testing.assert_array_equal(
            square, np.broadcast_to(square[:, :, :1, :, :1], square.shape)
        )
        np.testing.assert_allclose(fine[:, i].mean((1, 2)), x.mean((1, 2)), atol=1e-6)
        np.testing.assert_allclose(coarsen(fine[:, i], i), fine[:, i], atol=1e-6)
    bands = views(each, "bands")
    np.testing.assert_allclose(bands.sum(1), x, atol=1e-6)  # nothing is lost
    products = jnp.einsum("bnhwc,bmhwc->nm", bands, bands)
    np.testing.assert_allclose(
        products - jnp.diag(jnp.diag(products)), 0, atol=1e-3
    )  # and nothing is seen twice
    for wrong, roles in ((each, "equals"), (each[:, :, :6], "bands"), (each[:, :, 0], "bands")):
        with pytest.raises(ValueError, match=r"roles (are|take)"):
            views(wrong, roles)


def test_an_experiment_with_roles_refuses_what_cannot_be_divided():
    assert build(roles_experiment, **roles_experiment.QUICK).played.players["D"].n == 3
    with pytest.raises(ValueError, match="multiples of 8, not"):
        build(roles_experiment, size=12, n=4)
    with pytest.raises(ValueError, match="ring has points of 2 numbers"):
        build(roles_experiment, data="ring")


def test_equal_views_are_gman_0():
    """The same losses, on the same draws."""
    options = {"data": "digits", "n": 2, "width": 8, "batch": 4}
    found = []
    for experiment in (
        build(gman, **options, aggregate="mean"),
        build(roles_experiment, **options, roles="equal"),
    ):
        game, state = state_of(experiment)
        batch = game.draw(experiment.data, random.key(1))
        memory = game.memory() if game.memory else None
        found.append(game.apply(state.params, batch, random.key(2), aux={}, memory=memory))
    for name in "GD":
        np.testing.assert_allclose(found[0][name], found[1][name], rtol=1e-6)


def played(aggregate: str, n: int, seeds: tuple[int, ...], lives: tuple[int, ...]) -> FinishedRow:
    """A row of gman that has just begun."""
    options = {**gman.QUICK, "data": "ring", "n": n, "width": 8, "aggregate": aggregate, "lam": 1.0}
    experiment = build(gman, **options)
    players = {seed: play.bound(*state_of(experiment, seed)) for seed in lives}
    return FinishedRow(experiment, options, seeds, [], lambda: players)


def test_a_tournament_of_games_is_fair():
    """A system does not beat itself, what one wins another loses, and a seed that is gone counts
    for nobody.
    """
    rows = {name: played("learned", 2, (0, 1), (0, 1)) for name in ("a", "again")} | {
        "b": played("F-boost", 3, (0, 1), (0,))
    }
    columns, drawn = tournament(rows)
    assert columns["a"]["against again"] == pytest.approx([0, 0], abs=1e-5)
    won, lost = columns["a"]["against b"][0], columns["b"]["against a"][0]
    assert won is not None
    assert lost is not None
    assert won == pytest.approx(-lost)
    assert won == pytest.approx(columns["again"]["against b"][0])
    assert [columns[row]["score"][1] for row in rows] == [None] * 3
    assert len(drawn["gmam"].axes[0].texts) == 9


def test_curves_of_runs_are_means_over_seeds():
    runs: dict[str, list[dict[str, Any]]] = {
        "one": [{"step": s, "seed": q, "sd": float(s + q)} for s in (10, 20) for q in (1, 3)],
        "none": [{"step": 10, "seed": 1}],
    }
    runs["two"] = [{"step": 10, "seed": 1, "sd": 5.0}, {"step": 10, "seed": 2, "sd": None}]
    (axes,) = curves_of_runs(runs, "sd", 0.1).axes
    lines = {line.get_label(): np.asarray(line.get_xydata()).tolist() for line in axes.get_lines()}
    assert lines["one"] == [[10, 12], [20, 22]]
    assert lines["two"] == [[10, 5]]
    assert "none" not in lines
    assert axes.get_yscale() == "log"
    with pytest.raises(ValueError, match="no run has measured kl"):
        curves_of_runs(runs, "kl")
    any_experiment = cast(Experiment, None)  # none is looked at
    rows = {
        run: FinishedRow(any_experiment, {}, (1, 3), metrics, dict) for run, metrics in runs.items()
    }
    columns, drawn = overlay(rows, {"sd": 0.1})
    assert not columns
    assert list(drawn) == ["sd"]
    assert len(drawn["sd"].axes[0].get_lines()) == len(axes.get_lines())


def test_the_distance_of_a_set_to_itself_is_least(monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (60, 8, 8, 1), np.uint8)
    test = Dataset("noise", (8, 8, 1), lambda: {"x": x, "label": np.zeros(60, np.int32)}, classes=1)
    C = classifier.game((8, 8, 1), 2, 1).players["C"]
    untrained = classifier.Classifier("untrained", C.bind(C.init(random.key(0))[0]), 1.0)
    monkeypatch.setattr(classifier.data, "find", lambda name, data_dir, split, **how: test)
    monkeypatch.setattr(classifier, "of_dataset", lambda name, data_dir, **how: untrained)

    def distance(fake):
        return classifier.frechet_distance(lambda n: fake[:n], "noise", None)["frechet"]

    assert distance(x / np.float32(255)) == pytest.approx(0, abs=1e-6)
    assert distance(np.full((60, 8, 8, 1), 0.5, np.float32)) > 1e-3


@pytest.mark.parametrize("k", [1, 3])
def test_a_binary_discriminator_of_k_generators(k):
    """MA-GAN: D's loss is that of k generators' samples under one name, which weigh together as
    much as real ones; with k = 1 it is MAD-GAN's.
    """
    losses = []
    for binary in (True, False):
        options = {**mad_gan.QUICK, "k": k, "width": 8, "batch": 8, "binary": binary}
        experiment = build(mad_gan, **options)
        game, state = state_of(experiment)
        batch = game.draw(experiment.data, random.key(1))
        losses.append(jax.jit(partial(game.apply, aux={}))(state.params, batch, random.key(2)))
        if binary:
            G, D = (
                player.bind(state.params[name], name=name) for name, player in game.players.items()
            )
            real, fake = D(batch["x"]), D(G(G.noise(random.key(2), 8, each=False)))
            odds = real[:, 1] - real[:, 0], fake[..., 1] - fake[..., 0]  # [B], [B, k]
            expected = jax.nn.softplus(-odds[0]).mean() + jax.nn.softplus(odds[1]).mean()
            np.testing.assert_allclose(losses[0]["D"], expected, rtol=1e-5)
    if k == 1:
        for name in "GD":
            np.testing.assert_allclose(losses[0][name], losses[1][name], rtol=1e-6)


@pytest.mark.parametrize("k", [1, 4])
def test_an_undecided_binary_discriminator_is_at_rest(k):
    """Real and generated samples weigh the same, so 1/2 is D's optimum where they look alike; of
    k + 1 classes the loss is (k + 1) log(k + 1).
    """
    for binary in (True, False):
        options = {**mad_gan.QUICK, "k": k, "width": 8, "batch": 8, "binary": binary}
        game, state = state_of(build(mad_gan, **options))
        params = jax.tree.map(jnp.zeros_like, state.params)
        batch = {"x": jnp.ones((8, 2))}
        grads, out = play.field(game, params, batch, random.key(0), ("D",))
        classes = 2 if binary else k + 1
        np.testing.assert_allclose(out["D"], classes * np.log(classes), rtol=1e-6)
        np.testing.assert_allclose(grads["D"]["out"]["bias"], 0, atol=1e-6)


def test_g_of_the_toy_has_new_noise_and_g_of_the_image_nets_that_of_d():
    o = mad_gan.Options(k=2, width=8, z=4, batch=4, lr=1e-3)
    assert mad_gan.game((1,), o).fresh == "turn"
    assert mad_gan.game((32, 32, 1), o).fresh == "step"
