"""A dataset that does not fit the device is paged, and a run on it resumes to its bits."""

import signal
from itertools import islice
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from runs import call, outcome, signalled

from ganjax import data, play
from ganjax.data import dataset
from ganjax.data.dataset import Page
from ganjax.data.paging import page_through
from ganjax.runs import storage


def numbered(place: Path, n: int) -> data.Dataset:
    """n examples of 12 bytes whose x and label are their number."""
    np.savez(place, x=np.arange(float(n))[:, None].repeat(2, 1), label=np.arange(n))
    return data.find(str(place))


def test_a_set_that_needs_pages_needs_grain_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "RESIDENT_BYTES", 1000)
    monkeypatch.setitem(__import__("sys").modules, "grain", None)
    with pytest.raises(ValueError, match=r"streaming needs Grain: pip install 'ganjax\[grain\]'"):
        data.find("digits").load()


def test_data_without_pages_is_never_turned() -> None:
    arrays = {"x": np.zeros((4, 2))}
    ((end, same),) = page_through(arrays, 7, 2, jax.device_put)
    assert same is arrays
    assert end > 2**31


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits of a few bytes, where Grain is installed."""
    pytest.importorskip("grain", reason="pages need Grain: pip install 'ganjax[grain]'")
    monkeypatch.setattr(dataset, "RESIDENT_BYTES", 100)
    monkeypatch.setattr(dataset, "PAGE_BYTES", 60)


@pytest.mark.usefixtures("small")
def test_the_pages_of_an_epoch_are_the_set_in_another_order_than_the_last(tmp_path: Path) -> None:
    found = numbered(tmp_path / "a.npz", 20)  # 240 bytes: four pages of five rows
    first = found.load()
    assert isinstance(first, Page)
    labels = [page["label"] for page in islice(found.pages(), 8)]
    np.testing.assert_array_equal(first["label"], labels[0])
    epochs = np.concatenate(labels).reshape(2, 20)
    np.testing.assert_array_equal(np.sort(epochs), np.tile(np.arange(20), (2, 1)))
    assert (epochs[0] != epochs[1]).any()
    np.testing.assert_array_equal(next(found.pages(5))["label"], labels[5])


@pytest.mark.usefixtures("small")
def test_a_page_stands_for_the_arrays_of_a_set(tmp_path: Path) -> None:
    page = numbered(tmp_path / "a.npz", 20).load()
    assert isinstance(page, Page)
    assert set(page) == set(page.keys()) == {"x", "label"}
    assert "label" in page
    assert len(page) == 2
    batch = jax.jit(lambda page, key: data.draw(page, key, 64))(page, jax.random.key(0))
    np.testing.assert_array_equal(batch["x"][:, 0], batch["label"])
    np.testing.assert_array_equal(np.unique(batch["label"]), np.sort(page["label"]))


@pytest.mark.usefixtures("small")
def test_a_page_lies_there_until_its_rows_are_drawn_and_is_a_function_of_the_step(
    tmp_path: Path,
) -> None:
    page = numbered(tmp_path / "a.npz", 20).load()
    whole = list(islice(page_through(page, 0, 2, jax.device_put), 6))
    assert [end for end, _ in whole] == [2, 4, 6, 8, 10, 12]
    for step in range(12):
        end, data = next(page_through(page, step, 2, jax.device_put))
        assert end == whole[step // 2][0]
        np.testing.assert_array_equal(data["label"], whole[step // 2][1]["label"])


@pytest.mark.usefixtures("small")
def test_two_sets_turn_their_pages_together(tmp_path: Path) -> None:
    x, y = numbered(tmp_path / "x.npz", 20).load(), numbered(tmp_path / "y.npz", 30).load()
    fixed = np.zeros(3)
    turned = list(islice(page_through({"x": x, "y": y, "z": fixed}, 0, 1, jax.device_put), 6))
    assert [end for end, _ in turned] == [5, 10, 15, 20, 25, 30]
    for name, n in (("x", 20), ("y", 30)):
        seen = np.concatenate([data[name]["label"] for _, data in turned])[:n]
        np.testing.assert_array_equal(np.sort(seen), np.arange(n))
    assert all(data["z"] is fixed for _, data in turned)


@pytest.mark.usefixtures("small")
def test_a_run_by_pages_goes_on_to_its_bits_and_a_lane_is_the_run_of_its_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        dataset, "PAGE_BYTES", 2**14
    )  # of digits' 119 KiB: 192 rows, 6 steps a page
    monkeypatch.setattr(dataset, "RESIDENT_BYTES", 2**14)
    options = "--data=digits --k=2 --width=8 --z=4 --batch=32 --steps=16 --every=4 --save-every=5"
    run, seen = ["run", "mad_gan", "--quiet", "--no-cache", *options.split()], {}
    two = [*run, "--seeds=2", "--lanes=sequential"]

    def watched(game: Any, state: Any, page: Any, n: int, play_run: Any = play.run) -> Any:
        seen.update(
            {step: np.asarray(page["x"]) for step in range(int(state.step), int(state.step) + n)}
        )
        return play_run(game, state, page, n)

    with monkeypatch.context() as patch:
        patch.setattr(play, "run", watched)
        assert call(*run, "--out", tmp_path / "one") == (0, "", "")
    assert [i for i in range(1, 16) if (seen[i] != seen[i - 1]).any()] == [6, 12]
    assert call(*two, "--out", tmp_path / "two") == (0, "", "")
    digests = [outcome(tmp_path / name)["digest"] for name in ("one", "two")]
    assert digests[1]["seeds"]["0"] == digests[0]["params"]
    with monkeypatch.context() as patch:
        patch.setattr(storage, "append_rows", signalled(2, signal.SIGTERM))
        assert call(*two, "--out", tmp_path / "stopped") == (143, "", "")
    assert call("resume", tmp_path / "stopped", "--quiet") == (0, "", "")
    assert outcome(tmp_path / "stopped") == outcome(tmp_path / "two")
