"""Which examples are held out from training, by one rule.

A dataset's own "test" split is its test set. Where it has none, and test examples are asked for, a
sixth of its examples is held out. Validation examples are a sixth of the training examples. Every
sixth is chosen by `hold_out`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ganjax.data.dataset import Dataset


class Splits(NamedTuple):
    """Training, validation and test examples; valid and test are None without a test split."""

    train: Dataset
    valid: Dataset | None = None
    test: Dataset | None = None


def hold_out(n: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows of n examples that are kept, and the sixth (rounded down) that is held out.

    Both are parts of one fixed permutation of 0 … n - 1. Raises ValueError below 6 examples.
    """
    if n < 6:
        raise ValueError(f"a sixth of {n} examples cannot be held out: 6 or more are wanted")
    order = np.random.default_rng(0).permutation(n)
    return order[n // 6 :], order[: n // 6]


def split_dataset(found: Dataset) -> Splits:
    """Three splits of a dataset with a test split of its own; any other one is for training alone.

    Of MNIST that is 50,000, 10,000 and 10,000 images (as many as Goodfellow et al. 2014 take).
    Nothing is read. Raises ValueError where the test split has other shapes or classes.
    """
    test = test_split(found)
    if test is None or found.examples is None or found.examples < 6:
        return Splits(found)
    kept, held = hold_out(found.examples)
    return Splits(take_rows(found, kept), take_rows(found, held), test)


def train_and_test(found: Dataset) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The arrays of a dataset for training and for testing: its test split, or a sixth held out.

    Raises ValueError where neither can be had.
    """
    test = test_split(found)
    arrays = read_arrays(found)
    if test is not None:
        return arrays, read_arrays(test)
    kept, held = hold_out(len(arrays["x"]))
    return select_rows(arrays, kept), select_rows(arrays, held)


def test_split(found: Dataset) -> Dataset | None:
    """A dataset's own test split, or None. Raises ValueError for other shapes or classes in it."""
    if found.test is None:
        return None
    test = found.test()
    if (test.shape, test.classes) != (found.shape, found.classes):
        raise ValueError(
            f"the test split of {found.name} has examples of shape {list(test.shape)} in "
            f"{test.classes} classes, its training split {list(found.shape)} in {found.classes}"
        )
    return test


def take_rows(found: Dataset, rows: np.ndarray) -> Dataset:
    """The dataset of these rows [n] of another one, in this order. Nothing is read yet."""
    assert found.examples is not None
    read_rows = found.read_rows
    return replace(
        found,
        read=lambda: select_rows(read_arrays(found), rows),
        examples=len(rows),
        bytes=found.bytes * len(rows) // found.examples,
        read_rows=read_rows and (lambda chosen: read_rows(rows[chosen])),
        test=None,
    )


def read_arrays(found: Dataset) -> dict[str, np.ndarray]:
    """All arrays of a dataset. Raises ValueError for a mixture, which has none."""
    arrays = found.read()
    if not isinstance(arrays, dict):
        raise ValueError(f"{found.name} is a mixture: it has no examples to hold out")
    return arrays


def select_rows(arrays: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
    """The same rows of every array."""
    return {name: values[rows] for name, values in arrays.items()}
