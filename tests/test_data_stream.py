"""Streams of batches by Grain, where it is installed."""

from pathlib import Path

import numpy as np
import pytest
from data_files import uci_folder

from ganjax import data

grain = pytest.importorskip("grain", reason="streams need Grain: pip install 'ganjax[grain]'")


@pytest.fixture
def rows(tmp_path: Path) -> data.Dataset:
    """Ten examples whose x and label are their number."""
    np.savez(tmp_path / "rows.npz", x=np.arange(10.0)[:, None], label=np.arange(10))
    return data.find(str(tmp_path / "rows.npz"))


def taken(found: data.Dataset, seed: int, n: int, steps: int, step: int = 0) -> np.ndarray:
    batches = found.stream(seed, n, step, threads=2)
    return np.concatenate([next(batches)["label"] for _ in range(steps)])


def test_each_epoch_is_a_permutation_and_another_than_the_last(rows: data.Dataset) -> None:
    epochs = taken(rows, 0, 5, 8).reshape(4, 10)
    np.testing.assert_array_equal(np.sort(epochs), np.tile(np.arange(10), (4, 1)))
    assert len(np.unique(epochs, axis=0)) == 4


def test_batches_cross_from_one_epoch_to_the_next(rows: data.Dataset) -> None:
    epochs = taken(rows, 3, 4, 5).reshape(2, 10)
    np.testing.assert_array_equal(np.sort(epochs), np.tile(np.arange(10), (2, 1)))


def test_a_stream_is_a_function_of_seed_and_step(rows: data.Dataset) -> None:
    whole = taken(rows, 0, 4, 12)
    np.testing.assert_array_equal(taken(rows, 0, 4, 12), whole)
    for step in (1, 7, 11):
        np.testing.assert_array_equal(taken(rows, 0, 4, 12 - step, step), whole[4 * step :])
    assert (taken(rows, 1, 4, 12) != whole).any()


def test_rows_stay_together(rows: data.Dataset) -> None:
    batch = next(rows.stream(0, 10))
    np.testing.assert_array_equal(batch["x"][:, 0], batch["label"])


def test_a_prepared_set_streams_from_its_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    data.prepare("optdigits/uci", str(uci_folder(tmp_path / "uci")))
    found = data.find("optdigits/uci")
    batch = next(found.stream(0, 23))
    assert not list(
        (tmp_path / "tfds").glob("**/ganjax-*")
    )  # no cache: the set was not read as a whole
    arrays = found.load()
    assert isinstance(arrays, dict)
    order, expected = (np.lexsort(x.reshape(23, 64).T) for x in (batch["x"], arrays["x"]))
    np.testing.assert_array_equal(batch["x"][order], arrays["x"][expected])
    np.testing.assert_array_equal(batch["label"][order], arrays["label"][expected])


def test_a_mixture_is_not_streamed() -> None:
    with pytest.raises(ValueError, match="ring is a mixture: it is drawn from, not streamed"):
        data.find("ring").stream(0, 4)
