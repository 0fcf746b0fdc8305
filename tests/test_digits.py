"""Digits are read as what they are, and noise and one digit alone are seen as such."""

from typing import Any

import numpy as np
import pytest

from ganjax import data
from ganjax.protocols import classifier, digits


@pytest.fixture(scope="module")
def real() -> tuple[np.ndarray, np.ndarray]:
    """Digits in 0..1, and their labels, that the classifier has not seen."""
    found: Any = data.find("digits").load()
    x, label = (np.asarray(found[name])[1::2] for name in ("x", "label"))
    return x / np.float32(x.max()), label


def test_real_digits_are_read_and_one_alone_is_commonest(
    real: tuple[np.ndarray, np.ndarray],
) -> None:
    x, label = real
    reader, other = digits.readers()
    assert (classifier.predict(reader, other) == label).mean() > 0.95
    every, nines = digits.reading(other), digits.reading(other[label == 9])
    assert every == digits.real_digits()["real digits"]
    assert every["sure"] > 0.95
    assert 0.08 < every["rarest"] < every["commonest"] < 0.12
    assert nines["commonest"] > 0.9
    noise = np.random.default_rng(0).random(x.shape, np.float32)
    assert digits.reading(noise)["sure"] < every["sure"] - 0.05


def test_probabilities_are_of_the_classes_that_are_predicted(
    real: tuple[np.ndarray, np.ndarray],
) -> None:
    reader, other = digits.readers()
    share = classifier.probabilities(reader, other[:50])
    np.testing.assert_allclose(share.sum(-1), 1, rtol=1e-5)
    assert (share.argmax(-1) == classifier.predict(reader, other[:50])).all()
