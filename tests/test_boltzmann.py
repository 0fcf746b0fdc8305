"""Boltzmann machines against sums over all states, textbook formulas and finite differences."""

from __future__ import annotations

from itertools import product
from typing import Any

import boltzmann as exact
import dbn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import rbm
from jax import random
from laws import same_bits
from runs import build

from ganjax import play
from ganjax.metrics import partition
from ganjax.metrics.classifiers import svm_error, tuned_svm
from ganjax.nets.boltzmann import Boltzmann, Machine, marginal_logits
from ganjax.protocols import boltzmann, deep_belief


def machine_of(
    V: int, H: int, scale: float = 1.0, classes: int = 0, within: bool = False
) -> Machine:
    """A machine of random weights and biases."""
    rng = np.random.default_rng(V + H)
    b, c, W = (scale * rng.normal(size=size) for size in ((V,), (H,), (V, H)))
    L, J = (np.triu(scale * rng.normal(size=(n, n)), 1) for n in (V, H))
    connected = {"L": jnp.float32(L + L.T), "J": jnp.float32(J + J.T)} if within else {}
    return Machine(jnp.float32(b), jnp.float32(c), jnp.float32(W), **connected, classes=classes)


def all_states(n: int, classes: int = 0) -> np.ndarray:
    """Every state of n units, of which the last `classes` are one-hot, float64."""
    plain = np.array(list(product([0.0, 1.0], repeat=n - classes))).reshape(-1, n - classes)
    if not classes:
        return plain
    return np.array([[*x, *label] for x in plain for label in np.eye(classes)])


def energies(m: Machine, classes: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All v, all h, and E of each pair, by sums over pairs of units in float64."""
    b, c, W = (np.asarray(a, np.float64) for a in (m.b, m.c, m.W))
    vs, hs = all_states(len(b), classes), all_states(len(c))
    E = -(vs @ b)[:, None] - hs @ c - vs @ W @ hs.T
    for i in range(len(b)):
        for j in range(i):
            E -= float(m.L[i, j] if m.L is not None else 0) * (vs[:, i] * vs[:, j])[:, None]
    for i in range(len(c)):
        for j in range(i):
            E -= float(m.J[i, j] if m.J is not None else 0) * hs[:, i] * hs[:, j]
    return vs, hs, E


def close(a: Any, b: Any, atol: float = 2e-5) -> None:
    np.testing.assert_allclose(np.asarray(a, np.float64), b, rtol=1e-5, atol=atol)


@pytest.mark.parametrize("within", [False, True])
def test_the_energy_is_a_sum_over_pairs_of_units(within: bool) -> None:
    m = machine_of(5, 3, within=within)
    vs, hs, E = energies(m)
    close(m.energy(jnp.float32(vs)[:, None], jnp.float32(hs)), E)


@pytest.mark.parametrize("classes", [0, 3])
def test_free_energies_and_conditionals_are_sums_over_the_other_layer(classes: int) -> None:
    m = machine_of(6, 3, classes=classes)
    vs, hs, E = energies(m, classes)
    p = np.exp(-E)
    close(m.free_energy(jnp.float32(vs)), -np.log(p.sum(1)))
    close(m.hidden_free_energy(jnp.float32(hs)), -np.log(p.sum(0)))
    close(m.up(jnp.float32(vs)), p @ hs / p.sum(1)[:, None])
    close(m.down(jnp.float32(hs)), p.T @ vs / p.sum(0)[:, None])


def test_a_label_and_an_image_given_the_other_are_those_of_the_joint_machine() -> None:
    K = 3
    m = machine_of(5, 4, classes=K)
    vs, _, E = energies(m, K)
    p = np.exp(-E).sum(1).reshape(4, K)  # of x and y
    x = vs.reshape(4, K, 5)[:, 0, :2]
    posterior = jax.nn.softmax(-m.label_energies(jnp.float32(x)))
    close(posterior, p / p.sum(1, keepdims=True))
    for y in range(K):
        given = np.exp(-np.asarray(m.given(jnp.int32(y)).free_energy(jnp.float32(x)), np.float64))
        close(given / given.sum(), p[:, y] / p[:, y].sum())
    # each example with a label of its own
    both = m.given(jnp.arange(4) % K).free_energy(jnp.float32(x))
    close(both[1], m.given(jnp.int32(1)).free_energy(jnp.float32(x[1])))


@pytest.mark.parametrize("classes", [0, 2])
def test_gibbs_chains_end_in_the_machine_s_distribution(classes: int) -> None:
    m, n = machine_of(4, 2, classes=classes), 2**15
    vs, _, E = energies(m, classes)
    p = np.exp(-E).sum(1) / np.exp(-E).sum()
    start = jnp.zeros((n, 4))
    v = np.asarray(jax.jit(m.gibbs, static_argnums=2)(random.key(0), start, 30))
    share = (v[:, None] == vs).all(-1).mean(0)
    assert share.sum() == 1  # labels are one-hot
    assert abs(share - p).sum() / 2 < 4 * np.sqrt(len(vs) / n)


@pytest.mark.parametrize("n", [3, 14])  # in one block, in four
def test_a_sum_over_all_states_visits_each_once(n: int) -> None:
    w = jnp.linspace(-1, 1, n)
    found = jax.jit(lambda: partition.log_partition(lambda s: -s @ w, n))()
    close(found, np.log1p(np.exp(np.asarray(w, np.float64))).sum())
    assert len(np.unique(partition.states(3), axis=0)) == 8


@pytest.mark.parametrize("classes", [0, 10])
def test_annealed_importance_sampling_agrees_with_enumeration_to_a_tenth_of_a_nat(
    classes: int,
) -> None:
    """15 hidden units, with weights about as large as learnt ones."""
    m = machine_of(64, 15, scale=0.5, classes=classes)
    exact = partition.log_partition(m.hidden_free_energy, 15)
    base = 0.3 * jnp.ones(64)
    run = jax.jit(boltzmann.annealed_log_z, static_argnums=(3, 4))
    found, error = run(m, random.key(0), base, 2000, 128)
    assert abs(found - exact) < 0.1
    assert 0 < error < 0.1
    assert abs(m.replace(b=base).hidden_free_energy(jnp.zeros(15)) - exact) > 1  # it is no luck


def test_annealing_from_a_machine_to_itself_is_exact() -> None:
    m = machine_of(6, 3).replace(W=jnp.zeros((6, 3)), c=jnp.zeros(3))
    found, error = boltzmann.annealed_log_z(m, random.key(0), m.b, 3, 4)
    close(found, np.log(np.exp(-energies(m)[2]).sum()))
    close(error, 0, atol=1e-6)


def test_the_log_likelihood_is_that_of_a_distribution() -> None:
    """Labels are summed out."""
    K = 2
    m = machine_of(6, 3, classes=K)
    vs, _, E = energies(m, K)
    p = np.exp(-E).sum(1).reshape(-1, K).sum(1)
    x = vs.reshape(-1, K, 6)[:, 0, :4]
    arrays = {"test_x": (255 * x).astype(np.uint8).reshape(-1, 2, 2, 1)}
    log_z = partition.log_partition(m.hidden_free_energy, 3)
    close(boltzmann.log_likelihood(m, arrays, log_z), np.log(p / p.sum()).mean())


def test_the_pseudo_likelihood_is_that_of_each_pixel_given_all_other_units() -> None:
    m = machine_of(5, 3, classes=2)
    vs, _, E = energies(m, 2)
    p = {tuple(v): value for v, value in zip(vs, np.exp(-E).sum(1))}
    total = 0.0
    for v in vs:
        for i in range(3):
            other = v.copy()
            other[i] = 1 - v[i]
            total += np.log(p[tuple(v)] / (p[tuple(v)] + p[tuple(other)])) / len(vs)
    close(boltzmann.pseudo_likelihood(m, jnp.float32(vs), 3), total)


def field(experiment: Any, memory: Any = None) -> tuple[Any, Any, Any, Any]:
    """State, batch, gradients and losses of a game of one player, on one batch."""
    game = experiment.played
    state = play.init(game, random.key(0), experiment.data)
    params = jax.tree.map(lambda p: p + 0.3 * random.normal(random.key(1), p.shape), state.params)
    batch = game.draw(experiment.data, random.key(2))
    rest = {"memory": state.memory if memory is None else memory}
    grads, out = play.field(game, params, batch, random.key(3), tuple(game.movers), **rest)
    return params, batch, grads, out


@pytest.mark.parametrize("restricted", [False, True])
def test_the_gradient_of_a_boltzmann_machine_is_that_of_finite_differences(
    restricted: bool,
) -> None:
    """Of the log-likelihood in float64, by the sum over pairs of units above."""
    o = {"restricted": restricted, "hidden": 2, "size": 2, "batch": 8}
    params, batch, grads, out = field(build(exact, **o))
    x = np.asarray(boltzmann.visible(batch, random.key(3)))
    names = [*params["B"]]
    assert set(names) == {"b", "c", "W", *([] if restricted else ["L", "J"])}

    def loss(params: dict[str, np.ndarray]) -> float:
        p = {name: np.asarray(value, np.float64) for name, value in params.items()}
        for name in {"L", "J"} & set(p):  # what stands above and below the diagonal is averaged
            p[name] = (p[name] + p[name].T) / 2
        vs, _, E = energies(Machine(**p))  # type: ignore[arg-type]
        log_p = np.log(np.exp(-E).sum(1)) - np.log(np.exp(-E).sum())
        number = [int(np.flatnonzero((vs == v).all(1))[0]) for v in x]
        return -float(log_p[number].mean())

    at = {name: np.asarray(value, np.float64) for name, value in params["B"].items()}
    np.testing.assert_allclose(out["B"], loss(at), rtol=1e-5)
    for name in names:
        for index in np.ndindex(at[name].shape):
            step = np.zeros_like(at[name])
            step[index] = 1e-3
            ahead, behind = (loss(at | {name: at[name] + s}) for s in (step, -step))
            close(grads["B"][name][index], (ahead - behind) / 2e-3, atol=1e-5)


@pytest.mark.parametrize("persistent", [False, True])
def test_the_gradient_is_contrastive_divergence_s(persistent: bool) -> None:
    """<v h>_k - <v h>_0 for weights, means of hidden units in place of samples at both ends."""
    o = {**rbm.QUICK, "k": 2, "labels": True, "persistent": persistent}
    game = build(rbm, **o)
    params, batch, grads, out = field(game)
    p = {name: np.asarray(value, np.float64) for name, value in params["R"].items()}
    v_0 = np.asarray(boltzmann.visible(batch, random.key(3), 10), np.float64)
    v_k = np.asarray(out["memory"], np.float64)
    h_0, h_k = (1 / (1 + np.exp(-p["c"] - v @ p["W"])) for v in (v_0, v_k))
    B = len(v_0)
    close(grads["R"]["W"], (v_k.T @ h_k - v_0.T @ h_0) / B)
    close(grads["R"]["b"], (v_k - v_0).mean(0))
    close(grads["R"]["c"], (h_k - h_0).mean(0))
    assert (v_k != v_0).any()
    assert (v_k[:, 64:].sum(1) == 1).all()
    # only persistent chains start where they ended
    other = field(game, memory=jnp.ones_like(out["memory"]))[3]
    assert same_bits(other["memory"], out["memory"]) == (not persistent)


def test_the_machine_of_the_marginals_has_the_mean_image() -> None:
    x = np.array([[0, 0, 255], [0, 255, 255], [0, 51, 255]], np.uint8)
    p = 1 / (1 + np.exp(-marginal_logits(x, np.array([0, 1, 1]), 2)))
    mean = np.array([0, 1.2, 3, 1, 2])
    np.testing.assert_allclose(p, (mean + 0.5) / 4, rtol=1e-5)


def test_a_boltzmann_machine_is_sampled_exactly() -> None:
    experiment = build(exact, hidden=2, size=2)
    params = field(experiment)[0]
    B = experiment.played.players["B"].bind(params["B"])
    vs, _, E = energies(B())
    assert experiment.sample is not None
    v = np.asarray(experiment.sample(random.key(0), 2**14, B=B)).reshape(-1, 4)
    share = (v[:, None] == vs).all(-1).mean(0)
    p = np.exp(-E).sum(1) / np.exp(-E).sum()
    assert abs(share - p).sum() / 2 < 4 * np.sqrt(16 / 2**14)


def test_layers_of_a_dbn_move_one_after_another_then_together() -> None:
    o = {**dbn.QUICK, "tune": 0.25, "steps": 8, "width": 4, "batch": 4}
    experiment = build(dbn, **o)
    game, data = experiment.played, experiment.data
    state, moved = play.init(game, random.key(0), data), []
    for _ in range(8):
        before = jax.tree.map(np.asarray, state.params)
        state, _ = play.run(game, state, data, 1)
        now = {name for name in before if not same_bits(before[name], state.params[name])}
        moved.append(now)
    everyone = {"R1", "R2", "C"}
    assert moved == [*[{"R1"}] * 3, *[{"R2"}] * 3, everyone, everyone]


def test_a_layer_learns_from_the_means_of_the_one_below() -> None:
    """R2's gradient of its visible biases is the mean of its chain minus that of its data."""
    experiment = build(dbn, **{**dbn.QUICK, "tune": 0.0, "batch": 1000})
    params, batch, grads, _ = field(experiment)
    R1 = experiment.played.players["R1"].bind(params["R1"])()
    R2 = experiment.played.players["R2"].bind(params["R2"])()
    data = R1.up(batch["x"]).mean(0)
    chain = R2.down(R2.up(R1.up(batch["x"]))).mean(0)  # about
    np.testing.assert_allclose(grads["R2"]["b"], chain - data, atol=0.1)
    assert float(jnp.abs(chain - data).max()) > 0.15


def test_a_stack_passes_means_up_and_down() -> None:
    machines = [machine_of(6, 4), machine_of(4, 3)]
    x = np.random.default_rng(0).uniform(size=(2, 6))

    def unit(a: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-a))

    up = x
    for m in machines:
        up = unit(np.asarray(m.c) + up @ np.asarray(m.W))
    close(deep_belief.features(machines, jnp.float32(x)), up)
    down = up
    for m in machines[::-1]:
        down = unit(np.asarray(m.b) + down @ np.asarray(m.W).T)
    close(deep_belief.pass_down(machines, jnp.float32(up)), down)


def test_a_tuned_svm_has_the_better_c() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 300)
    x = rng.normal(size=(300, 5)) + 1.5 * y[:, None]
    train, test = (x[:200], y[:200]), (x[200:], y[200:])
    errors = [svm_error(train, test, C) for C in (1e-9, 1.0)]
    assert errors[1] < 0.1 < errors[0]
    assert tuned_svm(train, test, (1e-9, 1.0)) == errors[1]
    assert tuned_svm(train, test, (1.0, 1e-9)) == errors[1]


def test_a_net_s_connections_within_a_layer_are_symmetric_without_a_diagonal() -> None:
    net = Boltzmann(4, 3, restricted=False)
    m: Any = net.apply(net.init(random.key(0)))
    for A in (m.L, m.J):
        assert (A == A.T).all()
        assert (jnp.diag(A) == 0).all()
        assert (A != 0).any()


@pytest.mark.parametrize(
    ("file", "options", "said"),
    [
        (rbm, {"k": 0}, "k must be 1 or more; got 0"),
        (dbn, {"k": 0}, "k must be 1 or more; got 0"),
        (dbn, {"depth": 0}, "depth must be 1 or more; got 0"),
        (
            rbm,
            {"log_z": "exact"},
            "an exact sum over states takes at most 20 hidden units, 2^20 states; got 64",
        ),
        (
            exact,
            {"hidden": 12},
            "an exact sum over states takes at most 20 visible and hidden units, 2^20 states; "
            "got 21",
        ),
        (rbm, {"data": "ring"}, "any x any x any is wanted"),
        (dbn, {"data": "ring"}, "any x any x any is wanted"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(
    file: Any, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$") as error:
        build(file, **options)
    assert said in str(error.value)


@pytest.mark.parametrize(("file", "options"), [(rbm, {"labels": True}), (dbn, {"tune": 0.5})])
def test_labels_are_refused_on_images_without_labels(
    file: Any, options: dict[str, Any], tmp_path: Any
) -> None:
    path = tmp_path / "images.npz"
    np.savez(path, x=np.zeros((12, 4, 4), np.uint8))
    with pytest.raises(ValueError, match="has no labels, and labels are asked for"):
        build(file, data=str(path), **options)
    assert "label" not in build(file, data=str(path)).data
