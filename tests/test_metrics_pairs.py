"""Modes by labels, tournaments, and images against the images that they should be: closed forms and
symmetries.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import random
from scipy.ndimage import gaussian_filter

from ganjax.data.stacked_mnist import compositional, random_triples, stacked
from ganjax.metrics import gmam, pairs, stacked_mnist

ssim = jax.jit(pairs.ssim)


def images(seed, n=4, side=20, channels=1):
    return np.random.default_rng(seed).random((n, side, side, channels), np.float32)


@pytest.mark.parametrize("hit", [1, 250, 1000])
def test_equal_shares_of_some_modes_have_the_kl_of_their_number(hit):
    found = stacked_mnist.coverage(jnp.tile(jnp.arange(hit), 3))
    assert found["modes"] == hit
    np.testing.assert_allclose(found["kl"], np.log(1000 / hit), atol=1e-5)


def test_kl_by_hand_and_labels_of_no_mode():
    found = stacked_mnist.coverage(jnp.array([0, 0, 0, 2, -1, 4]), classes=4)
    assert found["modes"] == 2
    np.testing.assert_allclose(found["kl"], 0.75 * np.log(3) + 0.25 * np.log(1), rtol=1e-6)
    assert float(stacked_mnist.coverage(jnp.array([-1]))["kl"]) == pytest.approx(np.log(1000))


def test_a_perfect_sampler_hits_all_modes_at_the_floor_of_its_kl():
    n = stacked_mnist.MADGAN_SAMPLES
    found = stacked_mnist.coverage(random.randint(random.key(0), (n,), 0, 1000))
    assert found["modes"] == 1000
    np.testing.assert_allclose(found["kl"], 999 / (2 * n), rtol=0.15)


def brightest(x):
    """A classifier of the test: the column of the brightest pixel of the first row, 0..9."""
    return x[:, 0, :, 0].argmax(-1) % 10


@pytest.mark.parametrize(
    ("compose", "read"),
    [
        (stacked, stacked_mnist.stacked_labels),
        (compositional, stacked_mnist.compositional_labels),
    ],
)
def test_the_labels_of_composed_images_are_read_back(compose, read):
    x = jnp.zeros((30, 28, 28, 1)).at[jnp.arange(30), 0, jnp.arange(30) % 10].set(1)
    rows = random_triples(random.key(0), 200, 30)
    made = compose(x, jnp.arange(30) % 10, rows)
    np.testing.assert_array_equal(jax.jit(lambda x: read(brightest, x))(made["x"]), made["label"])


def test_gmam_is_the_papers_formula_and_antisymmetric():
    value = -jnp.array(np.random.default_rng(0).random((3, 3, 5), np.float32)) - 0.1
    found = gmam.gmam(value)
    F = np.asarray(value)
    for a, b in np.ndindex(3, 3):
        np.testing.assert_allclose(
            found[a, b], np.log((F[a, b] / F[a, a]) / (F[b, a] / F[b, b])), atol=1e-5
        )
    np.testing.assert_allclose(found, -jnp.swapaxes(found, 0, 1), atol=1e-6)
    np.testing.assert_allclose(jnp.diagonal(found), 0, atol=1e-6)


def test_the_system_whose_generator_hurts_every_critic_wins_the_tournament():
    strength = np.array(
        [1.0, 1.5, 3.0]
    )  # of each generator: it multiplies the value, which is below 0, of every critic
    noise = np.random.default_rng(0).uniform(0.99, 1.01, (3, 3, 2, 5))
    value = -strength[None, :, None, None] * np.array([1, 2, 5])[:, None, None, None] * noise
    value[0, 2, 1] = np.nan  # the third's generator is gone in the second seed
    found = gmam.gmam_table(jnp.asarray(value), "abc")
    for j, b in enumerate("abc"):
        others = {a: found[b][f"against {a}"] for a in "abc" if a != b}
        for i, a in enumerate("abc"):
            expected = 2 * np.log(strength[j] / strength[i])
            whole = [v for v in others.get(a, [0.0, 0.0]) if v is not None]
            np.testing.assert_allclose(whole, expected, atol=0.05)
            assert len(whole) == 2 - ({a, b} == {"a", "c"})
        assert found[b]["score"][0] == pytest.approx(sum(by_seed[0] for by_seed in others.values()))
    assert [found[b]["score"][1] is None for b in "abc"] == [True, False, True]
    assert sorted("abc", key=lambda b: found[b]["score"][0]) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "value",
    [
        np.full((2, 3, 1, 5), -1),
        np.full((2, 2), -1),
        np.full((2, 2, 0, 5), -1),
        np.zeros((2, 2, 1, 2)),
    ],
)
def test_a_tournament_of_other_values_is_refused(value):
    with pytest.raises(ValueError, match=r"wanted as|below 0"):
        gmam.gmam_table(jnp.asarray(value), "ab")


def test_l1_and_agreement_by_hand():
    x = jnp.array([[[[0.0], [0.9]], [[0.4], [1.0]]]])
    y = jnp.array([[[[0.2], [0.85]], [[0.6], [1.0]]]])
    np.testing.assert_allclose(pairs.l1(x, y), [(0.2 + 0.05 + 0.2) / 4], rtol=1e-5)
    np.testing.assert_allclose(pairs.agreement(x, y), [3 / 4])
    np.testing.assert_allclose(pairs.agreement(x, y, tolerance=0.1), [2 / 4])
    on = pairs.foreground(x, y)
    np.testing.assert_array_equal(on[0, ..., 0], [[False, True], [True, True]])
    np.testing.assert_allclose(pairs.agreement(x, y, on), [2 / 3])
    np.testing.assert_allclose(pairs.l1(x, y, on), [0.25 / 3], rtol=1e-5)


def test_an_image_without_counted_pixels_agrees_and_masks_are_broadcast():
    x = jnp.asarray(images(0, 3, channels=3))
    none = jnp.zeros((3, 20, 20, 1), bool)
    np.testing.assert_array_equal(pairs.agreement(x, 1 - x, none), 1)
    np.testing.assert_array_equal(pairs.l1(x, 1 - x, none), 0)
    left = jnp.zeros((1, 20, 20, 1), bool).at[:, :, :10].set(True)
    np.testing.assert_allclose(
        pairs.l1(x, 0 * x, left), np.asarray(x)[:, :, :10].mean((1, 2, 3)), rtol=1e-5
    )


def test_the_foreground_of_a_negative_is_that_of_the_image():
    x, y = jnp.asarray(images(0)), jnp.asarray(images(1))
    np.testing.assert_array_equal(
        pairs.foreground(x, y), pairs.foreground(1 - x, 1 - y, background=1.0)
    )


def reference(x, y):
    """SSIM of two images [H, W] by SciPy's filter, float64, as Wang et al. have it."""

    def blur(v):
        return gaussian_filter(v, 1.5, radius=5)[5:-5, 5:-5]

    x, y = x.astype(float), y.astype(float)
    xm, ym = blur(x), blur(y)
    xv, yv, cov = blur(x * x) - xm**2, blur(y * y) - ym**2, blur(x * y) - xm * ym
    return (
        ((2 * xm * ym + 1e-4) * (2 * cov + 9e-4)) / ((xm**2 + ym**2 + 1e-4) * (xv + yv + 9e-4))
    ).mean()


def test_ssim_is_scipys_filter_put_into_the_formula():
    x, y = images(0, 3, 24, 2), images(1, 3, 24, 2)
    y = 0.5 * x + 0.5 * y
    expected = [np.mean([reference(a[..., c], b[..., c]) for c in range(2)]) for a, b in zip(x, y)]
    np.testing.assert_allclose(pairs.ssim(x, y), expected, rtol=1e-4)
    np.testing.assert_allclose(pairs.ssim(255 * x, 255 * y, 255.0), expected, rtol=1e-4)


@settings(max_examples=20, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1))
def test_ssim_of_flat_images_is_the_closed_form_and_symmetric(a, b):
    x, y = np.full((1, 11, 11, 1), a, np.float32), np.full((1, 11, 11, 1), b, np.float32)
    np.testing.assert_allclose(ssim(x, y), [(2 * a * b + 1e-4) / (a * a + b * b + 1e-4)], rtol=2e-3)
    np.testing.assert_allclose(ssim(x, y), ssim(y, x), rtol=1e-6)


def test_an_image_is_wholly_similar_to_itself_and_no_other_is():
    x = images(0)
    np.testing.assert_allclose(pairs.ssim(x, x), 1, rtol=1e-5)
    assert (pairs.ssim(x, 1 - x) < 0).all()
    assert (pairs.ssim(x, images(1)) < 0.5).all()


@pytest.mark.parametrize("shape", [(1, 10, 20, 1), (11, 11, 1)])
def test_ssim_refuses_images_smaller_than_its_window(shape):
    with pytest.raises(ValueError, match="11 x 11"):
        pairs.ssim(jnp.zeros(shape), jnp.zeros(shape))


def test_ranks_by_hand():
    gallery = np.array([[0.0], [1], [2], [3]])
    np.testing.assert_array_equal(pairs.ranks([[0.1], [1.9], [-5.0]], gallery), [1, 2, 3])
    np.testing.assert_array_equal(pairs.ranks(gallery, gallery), 1)
    with pytest.raises(ValueError, match="the gallery has 4"):
        pairs.ranks(np.zeros((5, 1)), gallery)


def test_ranks_of_images_that_know_nothing_are_uniform():
    rng = np.random.default_rng(0)
    found = pairs.ranks(rng.normal(size=(2000, 3)), rng.normal(size=(2000, 3)))
    assert found.min() >= 1
    assert found.max() <= 2000
    assert found.mean() == pytest.approx(1000, rel=0.05)
    shuffled = rng.permutation(2000)  # the answers move with the questions, or not at all
    x, gallery = rng.normal(size=(2, 2000, 3))
    np.testing.assert_array_equal(
        pairs.ranks(x[shuffled], gallery[shuffled]), pairs.ranks(x, gallery)[shuffled]
    )
