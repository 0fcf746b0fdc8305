"""Drawing batches on the device, and transforms of images there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import random
from scipy import ndimage

from ganjax import data
from ganjax.data import stacked_mnist, transforms

KEY = random.key(7)
draw = jax.jit(data.draw, static_argnums=2)
few = settings(max_examples=8, deadline=None)
seeds = st.integers(0, 2**31 - 1)


def images(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_a_batch_has_the_rows_of_the_set() -> None:
    x = images(0, 5, 3, 4, 1)
    batch = data.draw({"x": x, "label": np.arange(5, dtype=np.int32)}, KEY, 40, low=0.0, high=255.0)
    assert batch["x"].dtype == jnp.float32
    assert batch["label"].dtype == jnp.int32
    np.testing.assert_allclose(batch["x"], x[batch["label"]], atol=1e-4)


def test_every_row_is_drawn_about_equally_often() -> None:
    n, rows = 6000, 12
    label = data.draw({"x": np.zeros((rows, 1), np.float32), "label": np.arange(rows)}, KEY, n)[
        "label"
    ]
    counts = np.bincount(label, minlength=rows)
    chi2 = ((counts - n / rows) ** 2 / (n / rows)).sum()
    assert counts.min() > 0
    assert chi2 < 40  # 11 degrees of freedom: exceeded with probability 4e-5


@few
@given(seeds, st.sampled_from([1, 16]))
def test_the_same_key_draws_the_same_batch_and_another_does_not(seed: int, n: int) -> None:
    arrays = {"x": np.random.default_rng(seed).normal(size=(1000, 3)).astype(np.float32)}
    once, again, other = (draw(arrays, random.key(s), n)["x"] for s in (seed, seed, seed + 1))
    np.testing.assert_array_equal(once, again)
    np.testing.assert_array_equal(once, data.draw(arrays, random.key(seed), n)["x"])
    assert n < 3 or (np.asarray(once) != np.asarray(other)).any()


@few
@given(seeds)
def test_pairs_stay_pairs(seed: int) -> None:
    x = images(seed, 50, 2, 2, 1)
    batch = data.draw({"x": x, "y": 255 - x}, random.key(seed), 20)
    np.testing.assert_allclose(batch["x"], -batch["y"], atol=1e-6)


def test_both_ends_of_uint8_are_exact() -> None:
    x = np.array([0, 255, 128], np.uint8)
    np.testing.assert_array_equal(data.scaled(jnp.asarray(x))[:2], [-1, 1])
    np.testing.assert_array_equal(jax.jit(data.scaled)(x)[:2], [-1, 1])
    np.testing.assert_array_equal(data.scaled(jnp.asarray(x), 0.0, 1.0)[:2], [0, 1])
    np.testing.assert_array_equal(data.scaled(jnp.asarray([0.5, 300.0])), [0.5, 300.0])


def test_a_mixture_gives_fresh_samples() -> None:
    ring = data.find("ring").load()
    assert isinstance(ring, data.Mixture)
    batch = jax.jit(data.draw, static_argnums=2)(ring, KEY, 50)["x"]
    assert batch.shape == (50, 2)
    assert len(np.unique(np.asarray(batch), axis=0)) == 50


@few
@given(seeds, st.sampled_from([(6, 5, 1), (2, 7, 3), (2, 2, 4, 4, 1)]))
def test_the_edge_is_the_grey_dilation_minus_the_image(seed: int, shape: tuple[int, ...]) -> None:
    x = images(seed, 2, *shape)
    window = (1,) * (x.ndim - 3) + (3, 3, 1)
    expected = ndimage.grey_dilation(x, size=window) - x
    np.testing.assert_array_equal(transforms.edge(jnp.asarray(x)), expected)
    np.testing.assert_allclose(transforms.edge(jnp.asarray(x) / 255), expected / 255, atol=1e-6)
    scaled = transforms.edge(data.scaled(jnp.asarray(x)), low=-1.0)
    np.testing.assert_allclose(scaled, data.scaled(jnp.asarray(expected)), atol=1e-6)


def test_the_edge_of_a_dot_is_the_ring_around_it() -> None:
    dot = jnp.zeros((5, 5, 1)).at[2, 2].set(1.0)
    ring = np.zeros((5, 5, 1))
    ring[1:4, 1:4] = 1
    ring[2, 2] = 0
    np.testing.assert_array_equal(transforms.edge(dot), ring)


@few
@given(seeds)
def test_a_negative_twice_is_the_image(seed: int) -> None:
    x = jnp.asarray(images(seed, 3, 4, 4, 1))
    np.testing.assert_array_equal(transforms.negative(transforms.negative(x)), x)
    np.testing.assert_allclose(transforms.negative(x / 255), 1 - x / 255, atol=1e-6)
    np.testing.assert_allclose(
        transforms.negative(data.scaled(x), -1.0), -data.scaled(x), atol=1e-6
    )


@few
@given(seeds, st.sampled_from([2, 31, 100]))
def test_halves_are_disjoint_and_lack_nothing(seed: int, n: int) -> None:
    first, second = transforms.halves(random.key(seed), n)
    assert (len(first), len(second)) == (n - n // 2, n // 2)
    np.testing.assert_array_equal(np.sort(np.concatenate([first, second])), np.arange(n))


@few
@given(seeds)
def test_stacked_digits_carry_their_number(seed: int) -> None:
    x, label = images(seed, 30, 4, 4, 1), np.random.default_rng(seed).integers(0, 10, 30)
    rows = stacked_mnist.random_triples(random.key(seed), 8, 30)
    batch = stacked_mnist.stacked(x, label, rows)
    for channel, power in enumerate((100, 10, 1)):
        np.testing.assert_array_equal(batch["x"][..., channel], x[rows[:, channel], ..., 0])
        np.testing.assert_array_equal(batch["label"] // power % 10, label[rows[:, channel]])


@few
@given(seeds)
def test_compositional_digits_stand_in_their_cells(seed: int) -> None:
    x, label = images(seed, 30, 4, 5, 1), np.random.default_rng(seed).integers(0, 10, 30)
    rows = stacked_mnist.random_triples(random.key(seed), 8, 30)
    batch = stacked_mnist.compositional(x, label, rows)
    assert batch["x"].shape == (8, 8, 10, 1)
    for (top, left), k in {(0, 0): 0, (4, 0): 1, (0, 5): 2}.items():
        np.testing.assert_array_equal(batch["x"][:, top : top + 4, left : left + 5], x[rows[:, k]])
    assert not batch["x"][:, 4:, 5:].any()
    np.testing.assert_array_equal(batch["label"], label[rows] @ [100, 10, 1])


def test_all_thousand_modes_are_in_the_stacked_set() -> None:
    label = np.arange(70_000) % 10
    rows = stacked_mnist.random_triples(KEY, stacked_mnist.EXAMPLES, 70_000)
    assert len(np.unique(label[rows] @ [100, 10, 1])) == 1000


def test_a_band_is_the_image_without_its_low_pass() -> None:
    x = data.scaled(jnp.asarray(images(0, 2, 8, 8, 1)))
    h, low_pass, coarse = transforms.band(x, 4)
    np.testing.assert_allclose(h + low_pass, x, atol=1e-6)
    np.testing.assert_allclose(low_pass, transforms.resize(coarse, 8), atol=1e-6)
    flat, _, grey = transforms.band(jnp.full((1, 8, 8, 1), 0.3), 4)
    np.testing.assert_allclose(flat, 0, atol=1e-6)
    np.testing.assert_allclose(grey, 0.3, atol=1e-6)


def test_padding_leaves_the_image_in_the_middle() -> None:
    x = jnp.asarray(images(0, 3, 28, 28, 1))
    out = transforms.pad(x, 32)
    np.testing.assert_array_equal(out[:, 2:30, 2:30], x)
    assert out.sum() == x.sum()
    np.testing.assert_array_equal(transforms.pad(jnp.zeros((3, 3, 1)), 4, value=-1.0)[3], -1)
    with pytest.raises(ValueError, match="28 x 28 do not fit into 16 x 16"):
        transforms.pad(x, 16)


@few
@given(seeds, st.sampled_from([1, 4]))
def test_labelled_examples_are_balanced_distinct_and_of_their_class(seed: int, k: int) -> None:
    label = np.random.default_rng(seed).permutation(np.repeat(np.arange(5), [4, 9, 5, 20, 7]))
    rows = transforms.labelled_rows(random.key(seed), label, k, 5)
    assert len(set(rows.tolist())) == 5 * k
    np.testing.assert_array_equal(label[rows], np.repeat(np.arange(5), k))
    np.testing.assert_array_equal(rows, transforms.labelled_rows(random.key(seed), label, k, 5))


def test_every_example_can_be_a_labelled_one() -> None:
    label = np.arange(12) % 3
    seen = {
        row
        for seed in range(40)
        for row in transforms.labelled_rows(random.key(seed), label, 1, 3).tolist()
    }
    assert seen == set(range(12))


def test_more_labelled_examples_than_there_are_is_an_error() -> None:
    with pytest.raises(
        ValueError,
        match="3 labelled examples of each class are asked for, and the smallest class has 2",
    ):
        transforms.labelled_rows(KEY, np.array([0, 0, 1, 1, 1]), 3, 2)
    with pytest.raises(ValueError, match="the smallest class has 0"):
        transforms.labelled_rows(KEY, np.array([0, 0]), 1, 2)
