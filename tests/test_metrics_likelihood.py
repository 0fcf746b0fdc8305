"""Parzen windows, nearest neighbours and linear SVMs: closed forms, agreement with scikit-learn,
and what a failed generator gets.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.neighbors import KernelDensity

from ganjax.metrics import classifiers, parzen


@pytest.fixture(scope="module")
def digits():
    found = load_digits()
    x, y = found.images / 16, found.target
    return [(x[i::3], y[i::3]) for i in range(3)]


def kde(sigma, samples):
    # In one leaf, as the error of scikit-learn's tree can exceed what its rtol says.
    return KernelDensity(bandwidth=sigma, leaf_size=len(samples)).fit(samples)


@settings(max_examples=20, deadline=None)
@given(
    st.integers(1, 300),
    st.integers(1, 300),
    st.integers(1, 20),
    st.floats(0.05, 3),
    st.sampled_from([0.0, 1e4]),
)
def test_density_is_that_of_scikit_learn_wherever_the_origin_is(n, m, d, sigma, origin):
    rng = np.random.default_rng(n + 1000 * m)
    samples, x = rng.normal(size=(n, d)), rng.normal(size=(m, d))
    expected = kde(sigma, samples).score_samples(x)
    np.testing.assert_allclose(
        parzen.log_density(x + origin, samples + origin, [sigma])[0], expected, rtol=1e-7, atol=1e-7
    )


def test_one_sample_is_a_gaussian():
    x = np.random.default_rng(0).normal(size=(50, 2, 2))
    expected = [stats.norm.logpdf(x, 0.5, s).sum((1, 2)) for s in (0.1, 2.0)]
    np.testing.assert_allclose(parzen.log_density(x, np.full((1, 2, 2), 0.5), [0.1, 2.0]), expected)


def test_the_window_that_validation_prefers_is_taken_and_the_error_is_the_means():
    rng = np.random.default_rng(0)
    samples, valid, test = (
        rng.normal(0, 0.3, (400, 3)),
        rng.normal(0, 0.3, (200, 3)),
        rng.normal(0, 0.3, (300, 3)),
    )
    found = parzen.log_likelihood(samples, valid, test)
    means = [kde(s, samples).score(valid) for s in parzen.SIGMAS]
    assert found["parzen_sigma"] == parzen.SIGMAS[int(np.argmax(means))]
    each = kde(found["parzen_sigma"], samples).score_samples(test)
    assert found["parzen"] == pytest.approx(each.mean())
    assert found["parzen_error"] == pytest.approx(each.std() / np.sqrt(300))
    np.testing.assert_allclose(parzen.SIGMAS, np.logspace(-1, 0, 10))


def test_parzen_does_not_depend_on_order_or_on_the_dtype_of_pixels(digits):
    samples, valid, test = ((x * 255).astype(np.uint8) for x, _ in digits)
    found = parzen.log_likelihood(samples, valid, test)
    rng = np.random.default_rng(0)
    samples, valid, test = (rng.permutation(x) / 255 for x in (samples, valid, test))
    again = parzen.log_likelihood(samples, valid, test)
    assert again == {name: pytest.approx(value, rel=1e-10) for name, value in found.items()}


def test_broken_samples_add_nothing_to_the_density_but_count():
    samples = np.zeros((4, 2))
    samples[1:] = [[np.nan, 0], [np.inf, 0], [1e9, 0]]
    np.testing.assert_allclose(
        parzen.log_density(np.zeros((1, 2)), samples, [1.0]), np.log(1 / 4) - np.log(2 * np.pi)
    )
    with pytest.raises(ValueError, match="not one of the samples is finite"):
        parzen.log_density(np.zeros((1, 2)), samples[1:3], [1.0])


@pytest.mark.parametrize(
    ("x", "samples", "sigmas", "said"),
    [
        (np.zeros((3, 2)), np.zeros((3, 3)), [1.0], "3 numbers each, not 2"),
        (np.full((3, 2), np.nan), np.zeros((3, 2)), [1.0], "not finite"),
        (np.zeros((0, 2)), np.zeros((3, 2)), [1.0], "n >= 1"),
        (np.zeros((3, 2)), np.zeros((3, 2)), [0.1, 0.0], "above 0"),
        (np.zeros((3, 2)), np.zeros((3, 2)), [], "above 0"),
    ],
)
def test_parzen_refuses_what_it_cannot_measure(x, samples, sigmas, said):
    with pytest.raises(ValueError, match=said):
        parzen.log_density(x, samples, sigmas)


def test_a_set_is_its_own_nearest_neighbour_and_labels_are_what_counts(digits):
    (x, y), (t, t_y), _ = digits
    assert classifiers.one_nn(x, y, x, y) == 0
    assert classifiers.one_nn(x, (y + 1) % 10, x, y) == 1
    error = classifiers.one_nn(x, y, t, t_y)
    by_hand = y[((t[:, None] - x[None]) ** 2).sum((2, 3)).argmin(1)]
    assert error == pytest.approx((by_hand != t_y).mean(), abs=1e-12)
    assert error < 0.05


def test_broken_samples_are_no_neighbours(digits):
    (x, y), (t, t_y), _ = digits
    more = np.concatenate([x, np.full((2, 8, 8), np.nan)])
    assert classifiers.one_nn(more, np.append(y, [0, 0]), t, t_y) == classifiers.one_nn(
        x, y, t, t_y
    )
    with pytest.raises(ValueError, match="599 examples have a label each"):
        classifiers.one_nn(x, y[1:], t, t_y)


def test_the_svm_takes_the_c_that_is_best_on_validation(digits):
    key, grid = jax.random.key(0), (1e-5, 1e-1)
    train, valid, test = digits
    svm = partial(classifiers.few_label_svm, key, train, valid, test, per_class=20, tries=2)
    found = svm(grid=grid, draws=1)
    first = [svm(grid=[C], draws=1) for C in grid]
    assert first[0]["svm_valid"] > first[1]["svm_valid"] + 0.02
    assert found == first[1]
    assert classifiers.svm_error(digits[0], digits[2], 0.1) < 0.1


def test_few_labels_are_balanced_draws_by_key_and_more_of_them_help(digits):
    train, valid, test = (
        (PCA(10, random_state=0).fit(digits[0][0].reshape(-1, 64)).transform(x.reshape(-1, 64)), y)
        for x, y in digits
    )

    def errors(seed, per_class):
        return classifiers.few_label_svm(
            jax.random.key(seed), train, valid, test, per_class, grid=(0.01, 1.0), tries=2, draws=4
        )

    few, same, other, many = errors(0, 2), errors(0, 2), errors(1, 2), errors(0, 40)
    assert few == same
    assert few != other
    assert many["svm"] < few["svm"] - 0.05
    assert many["svm_spread"] < few["svm_spread"]
    with pytest.raises(ValueError, match="smallest class"):
        errors(0, 1000)


@pytest.mark.parametrize("shape", [(6, 16, 16, 3), (6, 4, 4, 2), (2, 8, 8, 8, 2)])
def test_pooling_is_the_max_of_blocks(shape):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    n, *space, C = shape
    blocks = x.reshape(n, *(size for axis in space for size in (4, axis // 4)), C)
    expected = blocks.max(tuple(range(2, 2 + 2 * len(space), 2))).reshape(n, -1)
    np.testing.assert_array_equal(classifiers.max_pooled([x]), expected)
    both = classifiers.max_pooled([x, x])
    assert both.shape == (n, 2 * 4 ** len(space) * C)


def test_pooling_covers_a_space_that_is_no_multiple():
    x = jnp.arange(7.0)[None, :, None] * jnp.ones((1, 7, 7))
    np.testing.assert_array_equal(
        classifiers.max_pooled([x[..., None]])[0].reshape(4, 4)[:, 0], [1, 3, 5, 6]
    )
    with pytest.raises(ValueError, match="pooled to 4"):
        classifiers.max_pooled([jnp.zeros((1, 3, 4, 1))])
