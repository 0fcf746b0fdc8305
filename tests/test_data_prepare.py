"""Preparing, reading back, listing and showing sets."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_files import bach_file, furniture_folder, loaded, uci_folder

from ganjax import data
from ganjax.data import tfds
from ganjax.figures.preview import example_pictures


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def refused(*args: Any) -> str:
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z") as caught:
        data.prepare(*args)
    return str(caught.value)


def test_neither_preparing_nor_reading_imports_tensorflow() -> None:
    code = (
        "import sys, ganjax.data as d; d.prepare('optdigits'); d.find('optdigits').load(); "
        "print('tensorflow' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split()[-1] == "False"


def test_digits_of_uci_are_prepared_as_they_are(tmp_path: Path) -> None:
    row = data.prepare("optdigits/uci", str(uci_folder(tmp_path / "uci")))
    assert row["prepared"]
    assert row["where"] == str(tmp_path / "tfds/optdigits/uci/1.0.0")
    test = np.loadtxt(tmp_path / "uci/optdigits.tes", delimiter=",", dtype=int)
    read = loaded("optdigits/uci", "test")
    order = np.lexsort(read["x"].reshape(11, 64).T)
    expected = np.rint(test[:, :64] * 255 / 16).astype(np.uint8)
    np.testing.assert_array_equal(
        read["x"].reshape(11, 64)[order], expected[np.lexsort(expected.T)]
    )
    np.testing.assert_array_equal(read["label"][order], test[np.lexsort(expected.T), 64])
    assert len(loaded("optdigits/uci")["x"]) == 23


def test_splits_and_slices_agree_and_the_cache_changes_nothing(tmp_path: Path) -> None:
    data.prepare("optdigits/uci", str(uci_folder(tmp_path / "uci")))
    whole = loaded("optdigits/uci")
    again = loaded("optdigits/uci")
    for field in ("x", "label"):
        np.testing.assert_array_equal(whole[field], again[field])
        np.testing.assert_array_equal(
            loaded("optdigits/uci", "train[5:9]")[field], whole[field][5:9]
        )
        both = loaded("optdigits/uci", "train[:3]+test")[field]
        np.testing.assert_array_equal(
            both, np.concatenate([whole[field][:3], loaded("optdigits/uci", "test")[field]])
        )
    rows = data.find("optdigits/uci").read_rows
    assert rows is not None
    np.testing.assert_array_equal(rows(np.array([7, 0, 7]))["x"], whole["x"][[7, 0, 7]])
    for split in ("val", "train[", "train[3:3]"):
        with pytest.raises(ValueError, match=r"\A[^\n]+\Z"):
            data.find("optdigits/uci", split=split)


def test_damaged_records_are_refused_and_left_as_they_are(tmp_path: Path) -> None:
    where = Path(data.prepare("optdigits/uci", str(uci_folder(tmp_path / "uci")))["where"])
    (record,) = where.glob("*train*")
    whole = record.read_bytes()
    record.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        ValueError,
        match=r"\A[^\n]*damaged file[^\n]*remove the folder and prepare the dataset again\Z",
    ):
        loaded("optdigits/uci")
    assert record.stat().st_size == len(whole) // 2
    record.unlink()
    with pytest.raises(ValueError, match=f"lacks {record.name}"):
        loaded("optdigits/uci")


def test_a_cache_of_other_records_is_not_taken(tmp_path: Path) -> None:
    where = Path(data.prepare("optdigits/uci", str(uci_folder(tmp_path / "uci")))["where"])
    first = loaded("optdigits/uci")
    (cached,) = where.glob("ganjax-*.npz")
    with np.load(cached) as arrays:
        stamp, label = arrays["stamp"], arrays["label"]
    np.savez(cached, stamp=str(stamp) + "!", x=first["x"] * 0, label=label)
    np.testing.assert_array_equal(loaded("optdigits/uci")["x"], first["x"])
    np.savez(
        cached, stamp=stamp, x=first["x"] * 0, label=label
    )  # the right stamp: it is the cache that is read
    assert not loaded("optdigits/uci")["x"].any()


def test_preparing_twice_changes_nothing_and_needs_no_files(tmp_path: Path) -> None:
    row = data.prepare("optdigits/uci", str(uci_folder(tmp_path / "uci")))
    files = {file: file.stat().st_mtime_ns for file in Path(row["where"]).iterdir()}
    assert data.prepare("optdigits/uci") == row
    assert {file: file.stat().st_mtime_ns for file in Path(row["where"]).iterdir()} == files


def test_what_is_built_in_needs_no_preparation() -> None:
    assert data.prepare("digits")["where"] == "built in"
    assert data.prepare("ring")["prepared"]


def test_preparing_fails_in_one_line(tmp_path: Path) -> None:
    assert "'nope' cannot be prepared: mnist, fashion_mnist" in refused("nope")
    assert "it is made from files of yours, --manual DIR: either emoji64.npz" in refused(
        "emoji_styles"
    )
    assert refused("optdigits/uci").endswith(
        "--manual DIR: UCI's files optdigits.tra and optdigits.tes"
    )
    assert (
        refused("emoji_styles", str(tmp_path / "none")) == f"there is no folder {tmp_path / 'none'}"
    )
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "x").write_text("")
    assert "holds no .png files" in refused("emoji_styles", str(empty))
    assert "optdigits.tra not found" in refused("optdigits/uci", str(empty))
    (empty / "optdigits.tra").write_text("1,2,3\n")
    assert "is not UCI's table" in refused("optdigits/uci", str(empty))
    assert "holds neither a PluginFurnitureCatalog.properties nor .sh3f files" in refused(
        "furniture_voxels", str(empty)
    )
    blocked = tmp_path / "blocked"
    blocked.write_text("")
    assert refused("optdigits", None, str(blocked)).startswith("optdigits cannot be prepared: ")


def test_nothing_is_prepared_in_a_folder_called_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "there is no home folder to expand ~nobody-at-all" in refused(
        "optdigits", None, "~nobody-at-all/sets"
    )
    assert not list(tmp_path.iterdir())


def test_labels_past_32_bits_do_not_wrap_around() -> None:
    with pytest.raises(ValueError, match=r"\Alabel holds integers that do not fit 32 bits\Z"):
        tfds.stack_columns({"x": [np.zeros(3)], "label": [np.int64(2**32)]}, (3,))


def test_an_interrupted_preparation_leaves_no_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ganjax.data.builders.optdigits import Optdigits

    uci = uci_folder(tmp_path / "uci")
    before = {file.name: file.read_bytes() for file in uci.iterdir()}
    with monkeypatch.context() as patch:

        def interrupted(self: Any, x: np.ndarray, label: np.ndarray) -> Any:
            raise KeyboardInterrupt
            yield

        patch.setattr(Optdigits, "_generate_examples", interrupted)
        with pytest.raises(KeyboardInterrupt):
            data.prepare("optdigits/uci", str(uci))
    assert tfds.prepared_folder("optdigits/uci") is None
    assert before == {file.name: file.read_bytes() for file in uci.iterdir()}
    data.prepare("optdigits/uci", str(uci))
    assert len(loaded("optdigits/uci")["x"]) == 23


@pytest.mark.skipif("tensorflow" in sys.modules, reason="TensorFlow is here")
def test_stock_sets_without_tensorflow_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install 'ganjax[tensorflow]'" in refused("mnist")


def test_stock_sets_name_the_files_that_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: True)
    (tmp_path / "train-images-idx3-ubyte.gz").write_text("")
    assert (
        "lacks t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz, train-labels-idx1-ubyte.gz"
        in refused("mnist", str(tmp_path))
    )

    def unreachable(*_: Any) -> None:
        raise OSError("no network")

    monkeypatch.setattr("socket.getaddrinfo", unreachable)
    monkeypatch.setattr("urllib.request.getproxies", dict)
    assert (
        "cannot be reached; --manual DIR takes a folder that holds cifar-10-binary.tar.gz"
        in refused("cifar10")
    )


def test_the_list_has_a_row_for_each_set_and_its_place(tmp_path: Path) -> None:
    data.prepare("optdigits/uci", str(uci_folder(tmp_path / "uci")))
    rows = {row["name"]: row for row in data.listing()}
    assert {name.split("/")[0] for name in rows} == set(data.names())
    assert all(
        set(row) == {"name", "size", "shape", "licence", "about", "prepared", "where"}
        for row in rows.values()
    )
    assert rows["optdigits/uci"]["prepared"]
    assert rows["ring"]["where"] == "built in"
    assert not rows["mnist"]["prepared"]
    assert rows["mnist"]["where"] == "ganjax data prepare mnist"
    assert rows["optdigits/sklearn"]["where"] == "ganjax data prepare optdigits/sklearn"
    assert (
        rows["furniture_voxels/64"]["where"]
        == "ganjax data prepare furniture_voxels/64 --manual DIR"
    )
    assert rows["openmoji_pairs/128"]["shape"] == (128, 128, 1)


def test_contact_sheets(tmp_path: Path) -> None:
    pairs: dict[str, Any] = {
        "line": np.zeros((45, 64, 64), np.uint8),
        "color": np.full((45, 64, 64, 3), 200, np.uint8),
        "name": np.array([f"1f6{i:02}" for i in range(45)]),
    }
    np.savez(tmp_path / "openmoji_pairs64.npz", **pairs)
    data.prepare("openmoji_pairs", str(tmp_path))
    data.prepare("bach_chorales", str(bach_file(tmp_path / "bach")))
    data.prepare("furniture_voxels", str(furniture_folder(tmp_path / "furniture")))
    shapes = {
        "digits": (5, 8, 8, 1),
        "ring": (1, 256, 256, 1),
        "mixture1d": (1, 64, 256, 1),
        "openmoji_pairs": (5, 64, 128, 3),
        "bach_chorales": (5, 64, 128, 1),
        "furniture_voxels": (5, 32, 32, 1),
    }
    for name, shape in shapes.items():
        sheet = example_pictures(data.find(name), 5)
        assert sheet.shape == shape
        assert sheet.dtype == np.float32
        assert len(np.unique(sheet)) > 1
        assert -1 <= sheet.min() < sheet.max() <= 1
    np.savez(tmp_path / "vectors.npz", x=np.zeros((4, 7)))
    with pytest.raises(ValueError, match="has examples of 7, which are no pictures"):
        example_pictures(data.find(str(tmp_path / "vectors.npz")))
