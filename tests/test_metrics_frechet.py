"""Distances between sets of features: closed forms of Gaussians, what the definitions say,
invariance to order and to batches.
"""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from ganjax.metrics import frechet as fr


def normal(seed, n, d, mean=0.0, sd=1.0):
    return np.random.default_rng(seed).normal(mean, sd, (n, d))


def exact(mean, cov, n=10**6):
    """Moments of a Gaussian whose mean and covariance are given."""
    return fr.Moments(n, np.asarray(mean, float), np.asarray(cov, float) * (n - 1))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=8),
    st.integers(1, 6),
    st.sampled_from([0.0, 1e3]),
)
def test_moments_are_numpys_however_the_rows_are_cut(sizes, d, origin):
    x = normal(sum(sizes), sum(sizes), d, origin)
    found = fr.moments(np.split(x, np.cumsum(sizes)[:-1]))
    assert found.n == len(x)
    np.testing.assert_allclose(found.mean, x.mean(0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(
        found.scatter, (x - x.mean(0)).T @ (x - x.mean(0)), rtol=1e-8, atol=1e-8
    )


def test_frechet_does_not_depend_on_batches_or_order():
    x, y = normal(0, 600, 8).astype(np.float32), normal(1, 500, 8, 0.5, 2).astype(np.float32)
    whole = fr.frechet(fr.moments([x]), fr.moments([y]))
    for n in (1, 7, 128):
        batches = [x[i : i + n] for i in range(0, len(x), n)]
        assert fr.frechet(fr.moments(batches), fr.moments([y[::-1]])) == pytest.approx(
            whole, rel=1e-9
        )


def test_frechet_of_gaussians_with_common_axes_is_the_closed_form():
    a, b = exact([1, 2, 3], np.diag([1, 4, 9])), exact([1, 0, 3], np.diag([16, 4, 1]))
    assert fr.frechet(a, b) == pytest.approx(4 + (1 - 4) ** 2 + 0 + (3 - 1) ** 2)
    assert fr.frechet(a, a) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("n", "d"), [(400, 6), (5, 12)])
def test_frechet_is_its_definition_with_a_matrix_root(n, d):
    x, y = normal(0, n, d) @ normal(1, d, d), normal(2, n, d, 0.3) @ normal(3, d, d)
    C_x, C_y = np.cov(x.T), np.cov(y.T)
    ridge = 0 if n > d else 1e-9 * np.eye(d)  # SciPy's root wants full rank
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(
        C_x + C_y - 2 * sqrtm((C_x + ridge) @ (C_y + ridge)).real
    )
    found = fr.frechet(fr.moments([x]), fr.moments([y]))
    assert found == pytest.approx(expected, rel=1e-8 if n > d else 1e-3)
    assert fr.frechet(fr.moments([y]), fr.moments([x])) == pytest.approx(found)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 40))
def test_frechet_of_a_set_with_itself_is_zero_and_a_shift_is_its_square(seed, n):
    x = normal(seed, n, 10)
    shift = normal(seed + 1, 1, 10)
    a = fr.moments([x])
    assert fr.frechet(a, a) == pytest.approx(0, abs=1e-5)  # a root of rounded zeros where n <= d
    assert fr.frechet(a, fr.moments([x + shift])) == pytest.approx((shift**2).sum(), abs=1e-5)


def test_mmd_is_its_definition_and_has_no_bias():
    x, y = normal(0, 5, 3), normal(1, 4, 3, 0.2)

    def kernel(a, b):
        return (a @ b / 3 + 1) ** 3

    def mean(a, b, same):
        return np.mean(
            [
                kernel(p, q)
                for i, p in enumerate(a)
                for j, q in enumerate(b)
                if not (same and i == j)
            ]
        )

    assert fr.mmd(x, y) == pytest.approx(
        mean(x, x, True) + mean(y, y, True) - 2 * mean(x, y, False)
    )
    draws = [fr.mmd(normal(i, 30, 3), normal(1000 + i, 30, 3)) for i in range(400)]
    assert abs(np.mean(draws)) < 4 * np.std(draws) / 20
    assert fr.mmd(normal(0, 500, 3), normal(1, 500, 3, 1)) > 10 * np.std(draws)


def test_kernel_distance_is_a_function_of_the_key_and_takes_small_sets_whole():
    x, y = normal(0, 200, 4), normal(1, 150, 4, 1)
    found, same, other = (
        fr.kernel_distance(x, y, jax.random.key(s), subsets=5, size=50) for s in (0, 0, 1)
    )
    assert found == same
    assert found != other
    whole = fr.kernel_distance(x[:150], y, jax.random.key(0), subsets=3)
    assert whole == {
        "kernel": pytest.approx(fr.mmd(x[:150], y)),
        "kernel_spread": pytest.approx(0, abs=1e-12),
    }


def test_precision_and_recall_by_hand():
    real = np.array([[0.0], [1], [2], [10]])  # balls to the nearest other: radii 1, 1, 1, 8
    fake = np.array([[0.5], [2.5], [20], [21], [3]])  # radii 2, .5, 1, 1, .5
    found = fr.precision_recall(real, fake, k=1)
    assert found == {
        "precision": 3 / 5,
        "recall": 3 / 4,
    }  # of the real ones fake balls hold 0, 1 and 2, not 10
    assert fr.precision_recall(fake, real, k=1) == {"precision": 3 / 4, "recall": 3 / 5}


def test_density_and_coverage_by_hand():
    real = np.array([[0.0], [1], [2], [10]])  # open balls ±1, ±1, ±1, ±8
    fake = np.array([[0.5], [2.5], [20], [21], [3]])  # in 2, 2, 0, 0 and 1 of them
    assert fr.density_coverage(real, fake, k=1) == {"density": 5 / 5, "coverage": 4 / 4}
    assert fr.density_coverage(real, fake[2:4], k=1) == {"density": 0, "coverage": 0}


def test_borders_belong_to_the_balls_of_precision_and_not_of_density():
    real = np.array([[0.0], [2], [4]])
    fake = np.array([[-2.0], [-2]])
    assert fr.precision_recall(real, fake, k=1)["precision"] == 1
    assert fr.density_coverage(real, fake, k=1) == {"density": 0, "coverage": 0}


def test_a_set_is_in_its_own_manifold():
    x = normal(0, 300, 5)
    assert fr.precision_recall(x, x) == {"precision": 1, "recall": 1}
    found = fr.density_coverage(x, x)
    assert found["coverage"] == 1
    assert found["density"] == pytest.approx(
        1, abs=0.2
    )  # itself and k - 1 others; a border counts where rounding says so


def test_two_draws_of_one_distribution_have_density_one_and_the_coverage_of_the_lemma():
    n, m, k = 300, 200, 5
    found = [fr.density_coverage(normal(i, n, 3), normal(100 + i, m, 3), k) for i in range(30)]
    i = np.arange(1, k + 1)
    lemma = 1 - np.prod((n - i) / (n + m - i))
    assert np.mean([each["coverage"] for each in found]) == pytest.approx(lemma, abs=0.01)
    assert np.mean([each["density"] for each in found]) == pytest.approx(1, abs=0.05)


def test_a_dropped_mode_is_lost_in_recall_and_coverage_and_noise_in_precision_and_density():
    modes = np.random.default_rng(0).integers(0, 2, 400)[:, None] * 20.0
    real = normal(1, 400, 2) + modes
    dropped, noisy = (
        normal(2, 400, 2),
        np.concatenate([normal(3, 200, 2) + modes[:200], normal(4, 200, 2, 10, 60)]),
    )
    one, noise = fr.precision_recall(real, dropped), fr.precision_recall(real, noisy)
    assert one["precision"] > 0.9
    assert one["recall"] == pytest.approx((modes == 0).mean(), abs=0.05)
    assert noise["precision"] == pytest.approx(0.5, abs=0.05)
    assert fr.density_coverage(real, dropped)["coverage"] == pytest.approx(
        (modes == 0).mean(), abs=0.08
    )
    assert fr.density_coverage(real, noisy)["density"] == pytest.approx(0.5, abs=0.1)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5))
def test_no_measure_depends_on_the_order_of_rows_and_a_turn_of_the_features_changes_no_neighbour(
    seed, k
):
    x, y = normal(seed, 40, 4), normal(seed + 1, 30, 4, 0.5)
    turn = np.linalg.qr(normal(seed + 2, 4, 4))[0]
    order = np.random.default_rng(seed).permutation
    for measure in (fr.precision_recall, fr.density_coverage):
        assert measure(order(x) @ turn, order(y) @ turn, k) == {
            n: pytest.approx(v) for n, v in measure(x, y, k).items()
        }


def test_what_cannot_be_measured_is_refused():
    x = normal(0, 10, 3)
    with pytest.raises(ValueError, match="not finite"):
        fr.moments([x, np.full((2, 3), np.nan)])
    with pytest.raises(ValueError, match="no features"):
        fr.moments([])
    with pytest.raises(ValueError, match="3 numbers each, not 2"):
        fr.moments([x, x[:, :2]])
    with pytest.raises(ValueError, match="equally many features"):
        fr.frechet(fr.moments([x]), fr.moments([x[:, :2]]))
    with pytest.raises(ValueError, match="two rows or more"):
        fr.frechet(fr.moments([x]), fr.moments([x[:1]]))
    with pytest.raises(ValueError, match="two rows or more"):
        fr.kernel_distance(x, x[:1], jax.random.key(0))
    with pytest.raises(ValueError, match="more than k = 10"):
        fr.precision_recall(x, x, k=10)
