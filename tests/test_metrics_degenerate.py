"""Ties, duplicates, rows far away, unsigned pixels, and too few of them: the right values, by brute
force on integers or in closed form.
"""

import contextlib
import logging
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.datasets import load_digits

from ganjax.data.mixtures import ring
from ganjax.metrics import classifiers, distances, equilibrium, neighbours, pairs, parzen
from ganjax.metrics import frechet as fr


@contextlib.contextmanager
def count_compilations():
    """The names of the functions that JAX compiles meanwhile."""
    names = []

    class Handler(logging.Handler):
        def emit(self, record):
            if found := re.match(r"Compiling (?:jit\()?(\w+)", record.getMessage()):
                names.append(found[1])

    log, handler = logging.getLogger("jax"), Handler()
    log.addHandler(handler)
    try:
        with jax.log_compiles():
            yield names
    finally:
        log.removeHandler(handler)


def bits(seed, n, d=16):
    return np.random.default_rng(seed).integers(0, 2, (n, d))


def squares(x, y):
    """Squared distances of integers, exact."""
    return np.square(x[:, None].astype(int) - y[None]).sum(-1)


def in_balls(x, y, k, border):
    """The definition on integers: which y [m] lie in which balls [n] around x."""
    own = squares(x, x)
    np.fill_diagonal(own, np.iinfo(int).max)
    radius = np.sort(own, 1)[:, k - 1]
    return squares(y, x) <= radius if border else squares(y, x) < radius


# Levels that are no binary fractions, and a far origin, round otherwise on either side of a tie.
FORMS = {
    "bits": lambda x: x.astype(float),
    "tenths": lambda x: 0.1 * x + 0.3,
    "levels": lambda x: (37 * x).astype(np.uint8),
    "far": lambda x: x + 1e6 / 3,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("d", [16, 17, 40])
def test_ties_lie_on_the_border_however_they_are_rounded(form, d):
    x, y = bits(0, 300, d), bits(1, 200, d)
    a, b = FORMS[form](x), FORMS[form](y)
    found = fr.precision_recall(a, b, k=3)
    assert found["precision"] == in_balls(x, y, 3, True).any(1).mean()
    assert found["recall"] == in_balls(y, x, 3, True).any(1).mean()
    inside = in_balls(x, y, 5, False)
    assert fr.density_coverage(a, b, k=5) == {
        "density": pytest.approx(inside.sum(1).mean() / 5, rel=1e-14),
        "coverage": inside.any(0).mean(),
    }


@pytest.mark.parametrize("d", [3, 64])
def test_a_set_has_density_one_against_itself_and_duplicates_have_none(d):
    x = np.random.default_rng(0).normal(size=(300, d))
    assert fr.density_coverage(x, x) == {"density": pytest.approx(1, rel=1e-14), "coverage": 1}
    many = np.repeat(x[:30], 10, 0)  # each ball has the radius 0, and an open one is empty
    assert fr.density_coverage(many, many) == {"density": 0, "coverage": 0}
    assert fr.precision_recall(many, many) == {"precision": 1, "recall": 1}


@pytest.mark.parametrize("form", FORMS)
def test_equal_distances_share_the_better_rank_however_they_are_rounded(form):
    x, gallery = bits(0, 400, 20), bits(1, 400, 20)
    gallery[::2] = x[::2]
    gallery[1] = gallery[0]
    exact = squares(x, gallery)
    expected = 1 + (exact < np.diagonal(exact)[:, None]).sum(1)
    found = pairs.ranks(FORMS[form](x), FORMS[form](gallery))
    np.testing.assert_array_equal(found, expected)
    assert len(set(expected)) > 20


@pytest.mark.parametrize("d", [2, 16, 17, 200])
@pytest.mark.parametrize("origin", [0.0, 1e7])
def test_distances_have_their_digits_however_near_and_far_the_rows_are(d, origin):
    rng = np.random.default_rng(d)
    y = rng.normal(size=(50, d)) + origin
    x = np.concatenate([y[:20], y[:20] + 1e-3 * rng.normal(size=(20, d)), y[:3] + 1e10])
    found = np.concatenate([distance for _, distance in distances.blocks(x, y)])
    exact = np.square(x[:, None] - y).sum(-1)
    np.testing.assert_allclose(found, exact, rtol=1e-11)
    np.testing.assert_array_equal(np.diagonal(found)[:20], 0)


def test_blocks_cut_the_rows_and_the_memory(monkeypatch):
    x, y = bits(0, 50, 20).astype(float), bits(1, 40, 20).astype(float)
    monkeypatch.setattr(distances, "BLOCK", 7 * 40)
    monkeypatch.setattr(distances, "NUMBERS", 60)
    cut = list(distances.blocks(x, y))
    assert [rows.stop - rows.start for rows, _ in cut] == [7] * 7 + [1]
    np.testing.assert_array_equal(np.concatenate([v for _, v in cut]), squares(x, y))


@pytest.mark.parametrize("d", [5, 64])
def test_a_sample_far_away_changes_a_parzen_window_by_its_share_alone(d):
    rng = np.random.default_rng(0)
    samples, x = rng.normal(size=(200, d)), rng.normal(size=(50, d))
    samples[:3] = [[1e10] * d, [-1e30] * d, [3e38] * d]
    exact = -np.square(x[:, None] - samples[3:]).sum(-1) / 2
    expected = logsumexp(exact, 1) - np.log(200) - d / 2 * np.log(2 * np.pi)
    np.testing.assert_allclose(parzen.log_density(x, samples, [1.0])[0], expected, rtol=1e-12)


def test_unsigned_pixels_do_not_wrap_around():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (2, 5, 4, 4, 1)).astype(np.uint8)
    gap = np.abs(x.astype(int) - y).reshape(5, -1)
    for a, b in ((x, y), (jnp.asarray(x), jnp.asarray(y))):
        np.testing.assert_allclose(pairs.l1(a, b), gap.mean(1), rtol=1e-6)
        found = pairs.agreement(a, b, tolerance=100.0)
        np.testing.assert_allclose(found, (gap <= 100).mean(1), rtol=1e-6)
    assert pairs.l1(x > 127, y > 127).shape == (5,)


@pytest.mark.parametrize("offset", [1e3, 1e4, -1e5])
@pytest.mark.parametrize("C", [1e-3, 0.1])
def test_an_svm_learns_from_features_far_from_the_origin(offset, C):
    digits = load_digits()
    x, y = digits.data / 16, digits.target
    near = classifiers.svm_error((x[::2], y[::2]), (x[1::2], y[1::2]), C)
    x = x + offset
    far = classifiers.svm_error((x[::2], y[::2]), (x[1::2], y[1::2]), C)
    assert far == pytest.approx(near, abs=0.02)


def test_the_kernel_distance_keeps_its_digits_beside_a_row_far_away():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 3)), rng.normal(size=(20, 3))
    x[0] = [1e7, 0, 0]
    x[1:, 0] = 0  # orthogonal to it: their kernel is 1

    def exact(a, b):
        return (a @ b.T / 3 + 1) ** 3

    off = ~np.eye(20, dtype=bool)
    y[:, 0] = 0
    expected = exact(x, x)[off].mean() + exact(y, y)[off].mean() - 2 * exact(x, y).mean()
    assert fr.mmd(x, y) == pytest.approx(expected, rel=1e-12)


def test_small_sets_are_compared_whole_and_nothing_is_compiled_twice():
    x, y = np.random.default_rng(0).normal(size=(2, 30, 4))
    key = jax.random.key(0)
    with count_compilations() as seen:
        assert fr.kernel_distance(x, y, key)["kernel"] == fr.mmd(x, y)
    assert seen.count("_draw_subsets") == 0
    with count_compilations() as seen:
        first = fr.kernel_distance(x, y[:20], key)
        assert fr.kernel_distance(x, y[:20], key) == first
    assert seen.count("_draw_subsets") == 1


@pytest.mark.parametrize(("n", "d"), [(50, 4), (5, 30), (2, 1)])
def test_frechet_is_never_negative_and_zero_of_a_set_with_itself(n, d):
    for seed in range(20):
        x = np.random.default_rng(seed).normal(size=(n, d)) * 100
        assert fr.frechet(fr.moments([x]), fr.moments([x])) == 0
        assert fr.frechet(fr.moments([x]), fr.moments([x[::-1]])) >= 0
        assert fr.frechet(fr.moments([x]), fr.moments([x[::-1]])) < 1e-3


def test_a_density_of_one_sample_is_refused():
    with pytest.raises(ValueError, match=r"\Atwo samples or more are wanted[^\n]+\Z"):
        equilibrium.optimal(ring(), jnp.zeros((1, 2)), jax.random.key(0))


def test_of_equally_near_examples_the_first_counts_and_a_border_is_reached():
    x = np.array([[0.0], [0.25], [0.5], [0.75]]).repeat(20, 1)
    found = neighbours.class_shares([[1.0] * 20, [0.375] * 20], x, [0, 1, 2, 3])
    np.testing.assert_array_equal(found, [0, 0.5, 0, 0.5])
    double = np.concatenate([x, x])
    np.testing.assert_array_equal(neighbours.nearest_rows(x, double), [0, 1, 2, 3])
    labels = np.array([0, 1, 2, 3, 9, 9, 9, 9])
    assert classifiers.one_nn(double, labels, x, labels[:4]) == 0
