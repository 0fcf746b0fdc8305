"""Sets by name and path: what is found, what is refused, and in which words."""

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from ganjax import data
from ganjax.data import dataset, tfds


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def save(path: Path, **arrays: Any) -> str:
    np.savez(path, **arrays)
    return str(path)


def refused(*args: Any, **kwargs: Any) -> str:
    """The error of `find`, or of reading what it found: one line."""
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z") as caught:
        data.find(*args, **kwargs).load()
    return str(caught.value)


def test_importing_needs_neither_tfds_nor_grain_nor_sklearn_nor_pillow() -> None:
    heavy = "{'tensorflow_datasets', 'grain', 'sklearn', 'PIL', 'tensorflow'}"
    code = f"import sys, ganjax.data; print({heavy} & set(sys.modules))"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "set()"
    )


def test_the_embedded_digits_are_those_of_scikit_learn() -> None:
    found = data.find("digits")
    arrays = found.load()
    assert isinstance(arrays, dict)
    original = load_digits()
    assert (found.shape, found.classes, found.examples) == ((8, 8, 1), 10, 1797)
    assert arrays["x"].dtype == np.uint8
    np.testing.assert_array_equal(np.rint(arrays["x"][..., 0] / 255 * 16), original.images)
    np.testing.assert_array_equal(arrays["label"], original.target)
    assert (arrays["x"].min(), arrays["x"].max()) == (0, 255)
    assert found.bytes == sum(values.nbytes for values in arrays.values())


@pytest.mark.parametrize("name", [name for name in data.names() if name in data.MIXTURES])
def test_mixtures_are_sets(name: str) -> None:
    found = data.find(name, split="test")
    mixture = found.load()
    assert isinstance(mixture, data.Mixture)
    assert found.shape == (mixture.dim,)
    assert found.classes is None
    assert found.resident


def test_unknown_names_are_answered_with_near_ones() -> None:
    assert refused("rign") == "there is no dataset 'rign': did you mean ring?"
    assert "did you mean fashion_mnist" in refused("fashionmnist")
    assert "known are ring, grid" in refused("zzz")
    assert refused("no/such/folder") == "there is no file or folder no/such/folder"
    assert refused("none.npz") == "there is no file or folder none.npz"


def test_an_unprepared_set_is_answered_at_once_with_the_command_that_prepares_it(
    tmp_path: Path,
) -> None:
    assert (
        refused("mnist")
        == f"mnist is not prepared in {tmp_path / 'tfds'}: run `ganjax data prepare mnist`"
    )
    assert refused("mnist", "/d").endswith("in /d: run `ganjax data prepare mnist --data-dir /d`")
    assert refused("emoji_styles:google").endswith(
        "run `ganjax data prepare emoji_styles --manual DIR`"
    )
    assert refused("emoji_styles:apple") == (
        "emoji_styles has no picture 'apple': its pictures are google, twitter, fluent3d, openmoji"
    )
    assert refused("stacked_mnist").endswith("run `ganjax data prepare mnist`")
    assert (
        refused("furniture_voxels/16")
        == "furniture_voxels has no config '16': its configs are 32, 64"
    )


def test_half_prepared_sets_are_no_sets(tmp_path: Path) -> None:
    for name in ("incomplete.AB12CD_3.0.1", "tmp", "3.0"):
        folder = tmp_path / "tfds" / "mnist" / name
        folder.mkdir(parents=True)
        (folder / "dataset_info.json").write_text("{}")
    (tmp_path / "tfds" / "mnist" / "3.0.1").mkdir()
    assert "is not prepared" in refused("mnist")
    assert tfds.prepared_folder("mnist") is None


def test_the_newest_version_is_taken(tmp_path: Path) -> None:
    for name in ("3.0.9", "3.0.10", "2.9.9"):
        folder = tmp_path / "tfds" / "mnist" / name
        folder.mkdir(parents=True)
        (folder / "dataset_info.json").write_text("{}")
    where = tfds.prepared_folder("mnist")
    assert where is not None
    assert where.name == "3.0.10"


def test_a_foreign_file_in_a_set_is_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "tfds" / "mnist" / "3.0.1"
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text("not json")
    assert f"{folder} is not a prepared TFDS dataset" in refused("mnist")


def test_npz_of_images_with_labels(tmp_path: Path) -> None:
    x, label = (
        np.arange(5 * 4 * 3 * 3, dtype=np.uint8).reshape(5, 4, 3, 3),
        np.array([0, 2, 1, 2, 0]),
    )
    found = data.find(save(tmp_path / "a.npz", x=x, label=label))
    arrays = found.load()
    assert isinstance(arrays, dict)
    assert (found.shape, found.classes, found.examples) == ((4, 3, 3), 3, 5)
    np.testing.assert_array_equal(arrays["x"], x)
    np.testing.assert_array_equal(arrays["label"], label)
    assert arrays["label"].dtype == np.int32


def test_npz_of_grey_images_and_of_vectors(tmp_path: Path) -> None:
    grey = data.find(save(tmp_path / "grey.npz", x=np.zeros((5, 4, 4), np.uint8)))
    assert grey.shape == (4, 4, 1)
    assert grey.classes is None
    assert grey.load()["x"].shape == (5, 4, 4, 1)  # type: ignore[call-overload]
    vectors = data.find(save(tmp_path / "vectors.npz", x=np.ones((5, 7))))
    assert vectors.shape == (7,)
    assert vectors.load()["x"].dtype == np.float32  # type: ignore[call-overload]
    assert vectors.bytes == 5 * 7 * 4


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"y": np.zeros((2, 2))}, "holds y: an array named x is wanted"),
        ({"x": np.zeros((5, 4, 4))}, r"x is float64 \[5, 4, 4\]; wanted is uint8"),
        ({"x": np.zeros((5, 7), np.uint8)}, r"x is uint8 \[5, 7\]"),
        ({"x": np.zeros((0, 7))}, "x is empty"),
        (
            {"x": np.zeros((5, 7)), "label": np.arange(4)},
            r"label is int64 \[4\]; wanted is one integer from 0 for each of 5 examples",
        ),
        ({"x": np.zeros((5, 7)), "label": -np.arange(5)}, "label is int64"),
        ({"x": np.zeros((5, 7)), "label": np.zeros(5)}, "label is float64"),
        ({"x": np.array([[1.0, np.nan]])}, "numbers that are not finite"),
        ({"x": np.array([[1, None]], object)}, "x is object"),
    ],
)
def test_npz_of_something_else_is_refused(
    tmp_path: Path, arrays: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        data.find(save(tmp_path / "a.npz", **arrays)).load()


def test_foreign_and_truncated_npz_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.npz"
    text.write_text("hello")
    assert "text.npz is not an .npz file that can be read" in refused(str(text))
    whole = Path(save(tmp_path / "whole.npz", x=np.zeros((5000, 8, 8), np.uint8)))
    part = tmp_path / "part.npz"
    part.write_bytes(whole.read_bytes()[:2000])
    assert "part.npz is not an .npz file" in refused(str(part))
    damaged = bytearray(whole.read_bytes())
    damaged[200_000] ^= 255
    (tmp_path / "damaged.npz").write_bytes(damaged)
    assert "damaged.npz: x cannot be read" in refused(str(tmp_path / "damaged.npz"))
    (tmp_path / "x.txt").write_text("")
    assert "neither a folder of images nor an .npz file" in refused(str(tmp_path / "x.txt"))


@settings(max_examples=200, deadline=None)
@given(
    st.text(st.characters(exclude_characters="/~."), max_size=300),
    st.sampled_from(["train", "", "a[", "train[:5]"]),
)
def test_any_other_text_is_answered_in_one_line(name: str, split: str) -> None:
    if name not in data.names():
        with pytest.raises(ValueError, match=r"\A[^\n]+\Z"):
            data.find(name, split=split)


def test_odd_places_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for name in ("x" * 5000, "a/" + "x" * 5000, "a\nb", "a\0b", "~nobody-at-all/x", "", " "):
        refused(name)
    assert "is not prepared" in refused("mnist", str(tmp_path / "file"))
    assert "is not prepared" in refused("mnist", "~nobody-at-all")
    (tmp_path / "folder.npz").mkdir()
    assert "holds no images" in refused(str(tmp_path / "folder.npz"))


def test_one_split_means_one_split(tmp_path: Path) -> None:
    assert refused("digits", split="test") == "digits has one split, train: 'test' is not there"
    assert "has one split, train" in refused(
        save(tmp_path / "a.npz", x=np.zeros((2, 2))), split="test"
    )


def test_resizing_is_done_only_where_it_is_asked_for() -> None:
    found = data.find("digits", size=16, channels=3)
    arrays = found.load()
    assert isinstance(arrays, dict)
    assert found.shape == (16, 16, 3)
    assert arrays["x"].shape == (1797, 16, 16, 3)
    assert found.bytes > arrays["x"].nbytes
    small = data.find("digits").load()
    assert isinstance(small, dict)
    blocks = arrays["x"][..., 0].reshape(1797, 8, 2, 8, 2).mean((2, 4))
    assert np.corrcoef(blocks.ravel(), small["x"].ravel())[0, 1] > 0.98
    assert "ring has no images" in refused("ring", size=8)
    assert refused("digits", size=0) == "the size of an image is a number of pixels from 1, not 0"
    assert refused("digits", channels=2) == "images have 1 or 3 channels, not 2"


def test_oblong_images_are_resized_with_a_crop_alone(tmp_path: Path) -> None:
    x = np.zeros((3, 8, 12, 1), np.uint8)
    x[:, :, 2:10] = 200
    path = save(tmp_path / "a.npz", x=x)
    assert refused(path, size=4).endswith("12 x 8 would be distorted to 4 x 4: ask for a crop")
    cropped = data.find(path, size=4, crop=True).load()["x"]  # type: ignore[call-overload]
    np.testing.assert_array_equal(cropped, 200)


def test_what_a_game_requires() -> None:
    digits = data.find("digits")
    assert data.require(digits, (8, None, 1), labels=True) is digits
    with pytest.raises(
        ValueError,
        match="digits has examples of 8 x 8 x 1 where 64 x 64 x 3 is wanted: ask for a resize",
    ):
        data.require(digits, (64, 64, 3))
    with pytest.raises(
        ValueError,
        match="ring has points of 2 numbers; images of any size and 1 channel are wanted",
    ):
        data.require(data.find("ring"), (None, None, 1))
    with pytest.raises(ValueError, match="ring has no labels, and labels are asked for"):
        data.require(data.find("ring"), labels=True)


def test_sets_over_the_limit_are_not_resident() -> None:
    at_limit = dataset.Dataset("a", (1,), dict, bytes=dataset.RESIDENT_BYTES)
    assert at_limit.resident
    assert not dataset.Dataset("a", (1,), dict, bytes=dataset.RESIDENT_BYTES + 1).resident


def test_names_come_before_folders_of_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    (tmp_path / "photos").mkdir()
    assert data.find("digits").examples == 1797
    assert "photos holds no images" in refused("photos")


@pytest.mark.parametrize(
    ("label", "classes", "names"),
    [
        ([1, 2, 3, 1], [0, 1, 2, 0], ("1", "2", "3")),
        ([100000, 7, 7, 7], [1, 0, 0, 0], ("7", "100000")),
        (np.array([2**32, 0, 2**63, 0], np.uint64), [1, 0, 2, 0], None),
    ],
)
def test_labels_with_gaps_are_numbered_anew_and_a_line_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, label: Any, classes: list[int], names: Any
) -> None:
    found = data.find(save(tmp_path / "a.npz", x=np.zeros((4, 2)), label=np.array(label)))
    arrays = found.load()
    np.testing.assert_array_equal(arrays["label"], classes)  # type: ignore[call-overload]
    assert found.classes == max(classes) + 1
    assert names is None or found.class_names == names
    (record,) = caplog.records
    assert f"labels {', '.join(found.class_names)} are classes 0 to" in record.getMessage()


def test_labels_by_other_names_are_taken_and_other_arrays_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    x, label = np.zeros((4, 2)), np.array([0, 1, 0, 1])
    for name in ("labels", "y"):
        found = data.find(save(tmp_path / f"{name}.npz", **{"x": x, name: label}))
        np.testing.assert_array_equal(found.load()["label"], label)  # type: ignore[call-overload]
    assert data.find(save(tmp_path / "pairs.npz", x=x, y=x, z=x)).classes is None
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / 'labels.npz'}: labels is taken for label",
        f"{tmp_path / 'y.npz'}: y is taken for label",
        f"{tmp_path / 'pairs.npz'}: left out: y, z",
    ]


def test_endings_may_be_capital(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a.npz", x=np.zeros((4, 2)))
    (tmp_path / "a.npz").rename(tmp_path / "A.NPZ")
    monkeypatch.chdir(tmp_path)
    assert data.find("A.NPZ").examples == 4


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_damage_of_an_npz_is_one_line(draws: st.DataObject) -> None:
    import io
    import tempfile

    made = io.BytesIO()
    label = np.arange(6) % 2
    draws.draw(st.sampled_from([np.savez, np.savez_compressed]))(
        made, x=np.arange(6 * 16, dtype=np.uint8).reshape(6, 4, 4), label=label
    )
    damaged = bytearray(made.getvalue())
    for _ in range(draws.draw(st.integers(1, 3))):
        damaged[draws.draw(st.integers(0, len(damaged) - 1))] = draws.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "a.npz"
        file.write_bytes(damaged)
        with contextlib.suppress(ValueError):  # any other error fails here
            data.find(str(file)).load()
