"""Toy mixtures: their densities, their draws, and the papers' numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import random
from scipy import stats

from ganjax.data.mixtures import (
    MIXTURES,
    Mixture,
    grid,
    imbalanced,
    mixture,
    mixture1d,
    mixture1d_20,
    ring,
    spiral,
)

draw = jax.jit(Mixture.draw, static_argnums=2)
log_prob = jax.jit(Mixture.log_prob)


@pytest.mark.parametrize("name", MIXTURES)
def test_weights_sum_to_one_and_fields_are_host_arrays(name):
    toy = MIXTURES[name]()
    assert toy.mean.shape == (toy.modes, toy.dim)
    assert toy.sd.shape == toy.weight.shape == (toy.modes,)
    assert all(isinstance(field, np.ndarray) and field.dtype == np.float32 for field in toy)
    np.testing.assert_allclose(toy.weight.sum(), 1, rtol=1e-6)


@pytest.mark.parametrize("name", MIXTURES)
def test_log_prob_is_the_sum_of_scipys_normals(name):
    toy = MIXTURES[name]()
    rng = np.random.default_rng(0)
    x = (
        toy.mean[rng.integers(toy.modes, size=50)] + 2 * toy.sd[0] * rng.normal(size=(50, toy.dim))
    ).astype(np.float32)
    normals = [stats.multivariate_normal(m, s.astype(float) ** 2) for m, s in zip(toy.mean, toy.sd)]
    density = sum(w * normal.pdf(x) for w, normal in zip(toy.weight, normals))
    np.testing.assert_allclose(log_prob(toy, x), np.log(density), rtol=1e-3, atol=1e-3)


def test_log_prob_takes_any_leading_axes_under_jit():
    toy = ring()
    x = np.random.default_rng(0).normal(size=(24, 2)).astype(np.float32)
    folded = log_prob(toy, x.reshape(2, 3, 4, 2))
    assert folded.shape == (2, 3, 4)
    np.testing.assert_allclose(folded.ravel(), toy.log_prob(x), rtol=1e-5)


@pytest.mark.parametrize("toy", [mixture1d(), mixture1d_20()])
def test_density_in_one_dimension_has_mass_one(toy):
    x = np.linspace(-50, 500, 110_001, dtype=np.float32)
    mass = np.trapezoid(
        np.exp(np.asarray(log_prob(toy, x[:, None]), np.float64)), x.astype(np.float64)
    )
    assert abs(mass - 1) < 1e-4


def test_far_from_every_mode_the_density_is_finite_in_logs():
    assert np.isfinite(log_prob(ring(), np.array([1e6, -1e6], np.float32)))


@pytest.mark.parametrize("toy", [mixture1d(), imbalanced(mixture1d_20(), 50.0)])
def test_draws_follow_the_distribution(toy):
    x = np.sort(np.asarray(draw(toy, random.key(7), 20_000))[:, 0])
    cdf = stats.norm.cdf(x[:, None], toy.mean[:, 0], toy.sd) @ toy.weight
    assert stats.kstest(cdf, "uniform").pvalue > 0.01


def test_draws_have_the_moments_of_the_ring():
    toy = ring()
    x = np.asarray(draw(toy, random.key(1), 50_000), np.float64)
    np.testing.assert_allclose(x.mean(0), 0, atol=0.02)
    # By symmetry the covariance is (radius² / 2 + sd²) I.
    np.testing.assert_allclose(
        np.cov(x.T), ((2 / 1.414) ** 2 / 2 + (0.02 / 1.414) ** 2) * np.eye(2), atol=0.02
    )


def test_the_key_decides_the_draw():
    toy = grid()
    same, again, other = (draw(toy, random.key(seed), 8) for seed in (0, 0, 1))
    np.testing.assert_array_equal(same, again)
    assert (same != other).all()


def test_a_mixture_is_a_pytree_whose_copies_can_be_stacked():
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), ring(radius=1.0), ring(radius=3.0))
    x = jax.jit(jax.vmap(lambda toy: toy.draw(random.key(0), 100)))(stacked)
    np.testing.assert_allclose(jnp.linalg.norm(x, axis=-1).mean(1), [1, 3], atol=0.02)


def test_the_papers_numbers():
    np.testing.assert_array_equal(mixture1d().mean[:, 0], [10, 20, 60, 80, 110])
    np.testing.assert_array_equal(mixture1d().sd, [3, 3, 2, 2, 1])
    np.testing.assert_array_equal(mixture1d_20().mean[:, 0], 20 * np.arange(1, 21))
    np.testing.assert_allclose(np.linalg.norm(ring().mean, axis=1), 2 / 1.414, rtol=1e-6)


def test_the_grid_is_that_of_gan_toy():
    """(noise of SD .05 + 2 times a point of -2 … 2 in steps of 1) / 2.828, in closed form."""
    toy = grid()
    axis = np.unique(toy.mean[:, 0].round(4))
    np.testing.assert_allclose(axis, np.array([-4, -2, 0, 2, 4]) / 2.828, atol=1e-4)
    np.testing.assert_allclose(np.diff(axis), 0.707, atol=1e-3)
    assert len({tuple(row) for row in toy.mean.tolist()}) == 25
    np.testing.assert_allclose(toy.sd, 0.05 / 2.828, rtol=1e-6)
    np.testing.assert_allclose(axis.var() + toy.sd[0] ** 2, 1, atol=1e-3)
    x = np.asarray(draw(toy, random.key(2), 50_000), np.float64)
    np.testing.assert_allclose(np.cov(x.T), np.eye(2), atol=0.02)


def test_the_spiral_is_archimedean_with_about_equal_steps():
    mean = spiral().mean.astype(float)
    radius = np.linalg.norm(mean, axis=1)
    angle = np.unwrap(np.arctan2(mean[:, 1], mean[:, 0]))
    np.testing.assert_allclose(np.diff(angle), 7.5 * np.diff(radius), atol=1e-5)
    gap = np.linalg.norm(np.diff(mean, axis=0), axis=1)
    assert gap.max() / gap.min() < 1.1
    assert gap.min() > 6 * spiral().sd[0]


@given(st.floats(0.01, 100), st.integers(1, 12))
@settings(max_examples=30, deadline=None)
def test_imbalanced_weights_are_geometric(ratio, modes):
    weight = imbalanced(ring(modes), ratio).weight.astype(float)
    np.testing.assert_allclose(weight[0] / weight[-1], ratio if modes > 1 else 1, rtol=1e-4)
    np.testing.assert_allclose(weight[1:-1] ** 2, weight[:-2] * weight[2:], rtol=1e-4)


@pytest.mark.parametrize(
    "call",
    [
        lambda: ring(0),
        lambda: ring(sd=0.0),
        lambda: mixture([1.0, 2.0], 1),
        lambda: mixture([[np.nan]], 1),
        lambda: mixture([[1.0], [2.0]], [1, 2, 3]),
        lambda: mixture([[1.0], [2.0]], 1, [1, -1]),
        lambda: imbalanced(ring(), 0.0),
        lambda: imbalanced(ring(), np.inf),
    ],
)
def test_what_is_no_mixture_is_refused_in_one_line(call):
    with pytest.raises(ValueError, match=r"^[^\n]*mixture must be[^\n]*$"):
        call()
