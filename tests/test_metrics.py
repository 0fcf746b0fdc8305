"""Measures on mixtures and on labelled examples: closed forms, floors, and what a failed generator
gets.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import random
from scipy import stats
from sklearn.datasets import load_digits

from ganjax.data.mixtures import Mixture, grid, imbalanced, mixture, mixture1d, mixture1d_20, ring
from ganjax.metrics import mixtures, neighbours

N = 1_048_576
measure = jax.jit(mixtures.measure)
shares = jax.jit(mixtures.mode_shares)
coverage = jax.jit(mixtures.coverage)
mode_kl = jax.jit(mixtures.mode_kl)
divergences = jax.jit(mixtures.histogram_divergences, static_argnums=4)


def fresh(toy: Mixture, seed: int, n: int) -> np.ndarray:
    """n samples of a mixture, [n, d], by NumPy: independent of the library's own draws, and nothing
    to compile.
    """
    rng = np.random.default_rng(seed)
    mean, sd, weight = (np.asarray(each, np.float64) for each in toy)
    mode = rng.choice(toy.modes, n, p=weight / weight.sum())
    return (mean[mode] + sd[mode, None] * rng.normal(size=(n, toy.dim))).astype(np.float32)


def test_nearest_counts_in_the_modes_own_sds():
    toy = mixture([[0.0], [10.0]], [1, 4])
    mode, distance = mixtures.nearest_mode(toy, jnp.array([[1.0], [4.0], [22.0]]))
    np.testing.assert_array_equal(
        mode, [0, 1, 1]
    )  # 4 is nearer to 0, but 4 SD from it and 1.5 SD from 10
    np.testing.assert_allclose(distance, [1, 1.5, 3])


def test_shares_and_coverage_by_hand():
    toy = mixture([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]], 1)
    x = jnp.array(
        [[0.0, 2.9], [2.9, 0.0], [10.0, 0.0], [5.0, 5.0], [2.2, 2.2]]
    )  # the last is 3.11 SD off
    np.testing.assert_allclose(shares(toy, x), [0.4, 0.2, 0])
    assert {name: float(value) for name, value in coverage(toy, x).items()} == {
        "modes": 2,
        "quality": pytest.approx(0.6),
    }
    p = np.array([2, 1]) / 3
    np.testing.assert_allclose(mode_kl(toy, x), (p * np.log(3 * p)).sum(), rtol=1e-6)


@pytest.mark.parametrize(
    ("toy", "expected"),
    [(ring(), stats.chi2.cdf(9, 2)), (mixture([[0.0], [99.0]], 2), stats.chi2.cdf(9, 1))],
)
def test_a_perfect_sampler_covers_all_modes_with_the_quality_of_a_normal(toy, expected):
    found = coverage(toy, fresh(toy, 0, 20_000))
    assert found["modes"] == toy.modes
    assert abs(found["quality"] - expected) < 4 * np.sqrt(expected * (1 - expected) / 20_000)


def test_mode_kl_has_its_floor_for_a_perfect_sampler_and_sees_a_lost_mode():
    toy, n = imbalanced(ring(), 4.0), 2000
    kl = np.mean(
        [mode_kl(toy, fresh(toy, seed, n)) for seed in range(100)]
    )  # its SD is 5 % of the floor
    assert 0.8 < kl / ((toy.modes - 1) / (2 * n)) < 1.2
    lost = mixture(toy.mean[1:], toy.sd[1:], toy.weight[1:])
    np.testing.assert_allclose(
        mode_kl(toy, fresh(lost, 0, 50_000)), -np.log(1 - toy.weight[0]), atol=2e-3
    )


def test_counting_is_numpys_histogram():
    x = np.concatenate(
        [np.random.default_rng(0).normal(50, 60, 5000), [np.nan, np.inf, -np.inf]]
    ).astype(np.float32)
    ours = mixtures.histogram(jnp.array(x), -10.0, 130.0, 280)
    np.testing.assert_array_equal(ours, np.histogram(x[np.isfinite(x)], 280, (-10, 130))[0])


def test_histogram_divergences_by_hand():
    real = np.array([0.5, 0.5, 1.5, 3.5])  # counts 2 1 0 1
    x = np.array([0.5] * 3 + [1.5] * 3 + [2.5, 9.0])  # counts 3 3 1 0, one outside
    found = divergences(x, real, 0.0, 4.0, 4)
    scaled = N * (np.array([3, 3, 0]) / 8 - np.array([2, 1, 1]) / 4)
    np.testing.assert_allclose(
        found["chi2"], (scaled**2 / (N * np.array([2, 1, 1]) / 4)).sum(), rtol=1e-6
    )
    np.testing.assert_allclose(found["kl"], stats.entropy([3, 3, 0], [2, 1, 1]), rtol=1e-6)
    assert found["outside"] == 0.25
    assert found["chi2_rare"] == 1


def test_rare_bins_share_of_chi2_by_hand():
    real = np.repeat([0.5, 1.5, 2.5], [5, 4, 1])
    x = np.repeat([0.5, 1.5, 2.5], [3, 4, 3])
    terms = np.array([2**2 / 5, 0, 2**2 / 1])  # the first bin holds five
    found = divergences(x, real, 0.0, 4.0, 4)
    np.testing.assert_allclose(found["chi2_rare"], terms[2] / terms.sum(), rtol=1e-6)


def test_samples_equal_to_the_real_ones_are_at_distance_zero():
    x = fresh(mixture1d(), 0, 1000)[:, 0]
    found = divergences(x, x, -10.0, 130.0, 280)
    assert found == {
        "chi2": pytest.approx(0, abs=1e-6),
        "chi2_rare": pytest.approx(0.5, abs=0.5),  # of nothing but rounding
        "kl": pytest.approx(0, abs=1e-6),
        "outside": 0,
    }


@pytest.mark.parametrize(("n", "m"), [(20_000, 20_000), (10_000, 40_000)])
def test_floors_of_two_independent_draws_of_one_density(n, m):
    rng = np.random.default_rng(0)
    draws = [(rng.random(n, np.float32), rng.random(m, np.float32)) for _ in range(200)]
    found = [
        divergences(x, real, 0.0, 1.0, 20) for x, real in draws
    ]  # 20 bins, 19 degrees of freedom; the mean's SD is 2.3 % of it
    assert np.mean([each["chi2"] for each in found]) / (N * (1 / n + 1 / m) * 19) == pytest.approx(
        1, abs=0.1
    )
    assert np.mean([each["kl"] for each in found]) / ((1 / n + 1 / m) / 2 * 19) == pytest.approx(
        1, abs=0.1
    )


def test_at_the_authors_size_a_perfect_sampler_has_two_a_bin():
    x, real = (fresh(mixture1d(), seed, N)[:, 0] for seed in (0, 1))
    found = divergences(x, real, -10.0, 130.0, 280)
    kept = (np.histogram(real, 280, (-10, 130))[0] > 0).sum()
    assert 1.5 < found["chi2"] / kept < 2.5
    assert 0.5 < found["kl"] / (kept / N) < 1.5
    assert found["outside"] < 1e-4


def test_bounds_are_the_authors_for_their_five_gaussians():
    assert tuple(map(float, mixtures.bounds(mixture1d()))) == (-10, 130)
    assert mixtures.BINS_PER_MODE * mixture1d().modes == 280
    assert tuple(map(float, mixtures.bounds(mixture([[3.0]], 2)))) == (-7, 13)


@pytest.mark.parametrize("toy", [ring(), mixture1d_20()])
@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, 1e30])
def test_a_generator_that_fails_altogether_gets_finite_numbers(toy, value):
    found = measure(toy, jnp.full((500, toy.dim), value), random.key(0))
    assert found["modes"] == found["quality"] == 0
    assert all(np.isfinite(number) for number in found.values())
    assert found["kl"] >= np.log(toy.modes) - 1e-5


@given(st.integers(0, 2**31 - 1), st.floats(0.01, 10))
@settings(max_examples=20, deadline=None)
def test_measures_do_not_depend_on_the_order_of_samples_and_kl_is_not_negative(seed, spread):
    toy = grid()
    rng = np.random.default_rng(seed)
    x = fresh(toy, seed, 300) + spread * 0.05 * rng.normal(size=(300, 2)).astype(np.float32)
    found, shuffled = (measure(toy, points, random.key(0)) for points in (x, rng.permutation(x)))
    assert found == shuffled
    assert found["kl"] >= -1e-6
    np.testing.assert_allclose(shares(toy, x).sum(), found["quality"], rtol=1e-6)


def test_measure_is_jittable_and_goes_over_populations():
    toy = mixture1d_20()
    x = np.stack([fresh(toy, seed, 500) for seed in range(3)])
    found = jax.jit(jax.vmap(mixtures.measure, (None, 0, None)))(toy, x, random.key(1))
    assert {name: value.shape for name, value in found.items()} == dict.fromkeys(
        ["modes", "quality", "kl", "chi2", "chi2_rare", "outside"], (3,)
    )
    np.testing.assert_allclose(found["kl"][1], measure(toy, x[1], random.key(1))["kl"], rtol=1e-4)


@pytest.fixture(scope="module")
def digits():
    found = load_digits()
    return (found.images[::2], found.target[::2]), (found.images[1::2], found.target[1::2])


def test_fresh_digits_are_good_and_of_ten_classes(digits):
    (new, kind), (x, label) = digits
    found = neighbours.coverage(new, x, label)
    assert found["modes"] == 10
    assert found["quality"] == pytest.approx(0.95, abs=0.03)
    np.testing.assert_allclose(
        neighbours.class_shares(new, x, label), np.bincount(kind) / len(kind), atol=0.02
    )


@pytest.mark.parametrize("lost", range(10))
def test_a_lost_digit_is_seen(digits, lost):
    (new, kind), (x, label) = digits
    share = neighbours.class_shares(new[kind != lost], x, label)
    assert share[lost] < 0.01  # what is left are errors of the nearest neighbour
    if lost in (0, 2, 4, 6):
        assert neighbours.coverage(new[kind != lost], x, label)["modes"] == 9


def test_noise_and_broken_numbers_are_not_good(digits):
    _, (x, label) = digits
    noise = np.random.default_rng(0).uniform(0, 16, (200, 8, 8))
    assert neighbours.coverage(noise, x, label) == {"modes": 0, "quality": 0}
    assert neighbours.coverage(np.full((3, 8, 8), np.nan), x, label) == {"modes": 0, "quality": 0}
    half = np.concatenate([x[:50], np.full((50, 8, 8), np.inf)])
    assert neighbours.coverage(half, x, label)["quality"] == 0.5


def test_labels_may_be_any_numbers():
    x, label = np.array([[0.0], [1.0], [10.0], [11.0]]), np.array([7, 7, -2, -2])
    np.testing.assert_array_equal(
        neighbours.class_shares([[0.5], [10.5], [10.6], [5.0]], x, label), [0.5, 0.25]
    )


@pytest.mark.parametrize("samples", [np.zeros((0, 8, 8)), np.zeros((3, 64)), np.zeros((3, 8, 9))])
def test_samples_of_another_shape_are_refused(digits, samples):
    _, (x, label) = digits
    with pytest.raises(ValueError, match="samples of shape"):
        neighbours.class_shares(samples, x, label)
    with pytest.raises(ValueError, match="real examples with a label each"):
        neighbours.class_shares(x, x, label[1:])
