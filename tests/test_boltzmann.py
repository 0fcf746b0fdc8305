"""Boltzmann machines against sums over all states."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random
from machines import close, energies, machine_of

from ganjax.metrics import partition
from ganjax.metrics.classifiers import svm_error, tuned_svm
from ganjax.nets.boltzmann import Boltzmann, marginal_logits
from ganjax.protocols import boltzmann, deep_belief


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


def test_the_machine_of_the_marginals_has_the_mean_image() -> None:
    x = np.array([[0, 0, 255], [0, 255, 255], [0, 51, 255]], np.uint8)
    p = 1 / (1 + np.exp(-marginal_logits(x, np.array([0, 1, 1]), 2)))
    mean = np.array([0, 1.2, 3, 1, 2])
    np.testing.assert_allclose(p, (mean + 0.5) / 4, rtol=1e-5)


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
