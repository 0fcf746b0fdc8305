"""Labels carried from one set of digits to another: what is learnt from, what is held out, what is
recognised.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import random

from ganjax.game import Player
from ganjax.nets import cogan
from ganjax.protocols import domain_adaptation


def squares(n: int, side: int, seed: int = 0, classes: int = 3) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    label = np.arange(n, dtype=np.int32) % classes
    return {"x": rng.integers(0, 256, (n, side, side, 1), np.uint8), "label": label}


def saved(folder, **sets) -> list[str]:
    for name, arrays in sets.items():
        np.savez(folder / f"{name}.npz", **arrays)
    return [str(folder / f"{name}.npz") for name in sets]


def test_the_second_set_comes_without_labels_and_its_test_images_are_not_learnt_from(tmp_path):
    first, second = squares(60, 28), squares(90, 28, seed=1)
    found, classes = domain_adaptation.load_pair(*saved(tmp_path, first=first, second=second))
    assert classes == 3
    rows = {name: {row.tobytes() for row in found[name]} for name in ("x", "y", "test_y")}
    assert not rows["y"] & rows["test_y"]
    assert rows["y"] | rows["test_y"] == {row.tobytes() for row in second["x"]}
    assert rows["x"] <= {row.tobytes() for row in first["x"]}
    named = {row.tobytes(): label for row, label in zip(second["x"], second["label"], strict=True)}
    assert all(
        named[row.tobytes()] == label
        for row, label in zip(found["test_y"], found["test_label"], strict=True)
    )


def test_sets_of_different_classes_are_refused(tmp_path):
    paths = saved(tmp_path, three=squares(60, 28), four=squares(60, 28, classes=4))
    with pytest.raises(ValueError, match=r"3 classes and .* has 4"):
        domain_adaptation.load_pair(*paths)


def test_equally_many_classes_of_other_names_are_refused(tmp_path):
    gap = squares(60, 28)
    gap["label"] = np.where(gap["label"] == 1, 7, gap["label"])
    paths = saved(tmp_path, all=squares(60, 28), gap=gap)
    with pytest.raises(ValueError, match=r"has a class 1 where .* has 2: the same ones are wanted"):
        domain_adaptation.load_pair(*paths)


@settings(deadline=None, max_examples=30)  # each size is compiled
@given(st.integers(1, 20), st.integers(0, 255))
def test_a_small_square_fills_the_inner_twenty_pixels(side, grey):
    framed = domain_adaptation.to_28_pixels(np.full((1, side, side, 1), grey, np.uint8))
    assert framed.dtype == np.uint8
    np.testing.assert_array_equal(framed[0, 4:24, 4:24, 0], grey)
    assert framed.shape == (1, 28, 28, 1)
    assert framed.astype(int).sum() == 400 * grey


def test_images_of_28_pixels_stay_and_others_are_refused():
    x = squares(2, 28)["x"]
    np.testing.assert_array_equal(domain_adaptation.to_28_pixels(x), x)
    for height, width in ((24, 24), (8, 9), (28, 14)):
        with pytest.raises(ValueError, match=f"{height} x {width}"):
            domain_adaptation.to_28_pixels(np.zeros((1, height, width, 1), np.uint8))


def test_each_member_is_scored_by_its_own_answers():
    net = cogan.Discriminator(10, cogan.widths(2))
    D = Player(
        net, optax.identity(), (28, 28, 1), n=2, shared=("layer1", "layer2", "score", "label")
    )
    bound = D.bind(D.init(random.key(0))[0])
    x = squares(7, 28)["x"]
    answers = np.asarray(bound(jnp.asarray(x) / 255, method="label").argmax(-1))  # [7, 2]
    for member in (0, 1):
        assert domain_adaptation.accuracy(bound, x, answers[:, member], member) == 1
        assert domain_adaptation.accuracy(bound, x, (answers[:, member] + 1) % 10, member) == 0


def test_the_papers_widths_and_their_proportions():
    assert cogan.widths(50) == cogan.Discriminator().widths
    assert cogan.widths(15) == (6, 15, 150)
