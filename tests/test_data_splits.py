"""What is held out: one rule, whoever asks."""

from pathlib import Path

import numpy as np
import pytest
from data_files import uci_folder
from PIL import Image

from ganjax import data
from ganjax.data.domains import domains_of
from ganjax.data.splits import hold_out, take_rows


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("n", [6, 11, 12, 1797])
def test_kept_and_held_rows_are_a_partition_and_held_ones_are_a_sixth(n: int) -> None:
    kept, held = hold_out(n)
    assert len(held) == n // 6
    np.testing.assert_array_equal(np.sort(np.concatenate([kept, held])), np.arange(n))
    assert all(np.array_equal(a, b) for a, b in zip((kept, held), hold_out(n)))


def test_held_out_examples_lie_all_over_the_dataset() -> None:
    held = hold_out(1800)[1]
    assert np.histogram(held, 6, (0, 1800))[0].min() > 25  # 50 are expected, with an SD of 6


def test_fewer_than_six_examples_are_not_split(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.zeros((5, 2)))
    found = data.find(str(tmp_path / "x.npz"))
    with pytest.raises(ValueError, match=r"\Aa sixth of 5 examples cannot be held out[^\n]+\Z"):
        data.train_and_test(found)
    with pytest.raises(ValueError, match=r"\Aring is a mixture[^\n]+\Z"):
        data.train_and_test(data.find("ring"))
    assert data.find_splits(str(tmp_path / "x.npz"))[1:] == (None, None)


def test_digits_have_one_test_set_whoever_asks() -> None:
    train, test = data.train_and_test(data.find("digits"))
    domains = domains_of("digits", "negative")
    np.testing.assert_array_equal(domains.test["x"], test["x"])
    seen = np.concatenate([domains.train["x"], 255 - domains.train["y"]])
    assert sorted(map(bytes, seen)) == sorted(map(bytes, train["x"]))
    assert len(train["x"]) + len(test["x"]) == 1797


def test_the_own_test_split_is_the_test_set(tmp_path: Path) -> None:
    data.prepare("optdigits/uci", str(uci_folder(tmp_path / "uci")))
    train, test = data.train_and_test(data.find("optdigits/uci"))
    assert (len(train["x"]), len(test["x"])) == (23, 11)
    splits = data.find_splits("optdigits/uci")
    assert splits.test is not None
    np.testing.assert_array_equal(splits.test.read()["x"], test["x"])  # type: ignore[call-overload]
    for split in ("test", "train+test"):
        assert data.find("optdigits/uci", split=split).test is None


def test_rows_are_read_lazily_and_stay_together(tmp_path: Path) -> None:
    data.prepare("optdigits/uci", str(uci_folder(tmp_path / "uci")))
    found = data.find("optdigits/uci", size=4)
    rows = np.array([7, 0, 20])
    part = take_rows(found, rows)
    assert (part.examples, part.bytes) == (3, found.bytes * 3 // 23)
    assert not list((tmp_path / "tfds").glob("**/ganjax-*"))  # nothing is decoded yet
    everything, some = found.read(), part.read()
    assert part.read_rows is not None
    for name in ("x", "label"):
        np.testing.assert_array_equal(some[name], everything[name][rows])  # type: ignore[call-overload]
        two = part.read_rows(np.array([2, 0]))[name]
        np.testing.assert_array_equal(two, everything[name][[20, 7]])  # type: ignore[call-overload]


def test_the_test_images_of_a_folder_are_its_test_set_and_must_fit(tmp_path: Path) -> None:
    for split, level, side in (("train", 10, 8), ("test", 200, 12)):
        (tmp_path / "photos" / split).mkdir(parents=True)
        for i in range(12):
            image = Image.new("L", (side, side), level + i)
            image.save(tmp_path / "photos" / split / f"{i:02}.png")
    name = str(tmp_path / "photos")
    train, test = data.train_and_test(data.find(name, size=4))
    assert train["x"].max() < 200 <= test["x"].min()
    splits = data.find_splits(name, size=4)
    assert [part and part.examples for part in splits] == [10, 2, 12]
    with pytest.raises(ValueError, match=r"\Athe test split of [^\n]+ has examples of shape"):
        data.find_splits(name)
