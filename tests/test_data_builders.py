"""Our TFDS builders, without TensorFlow, on tiny files of the kinds that their makers publish."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_files import (
    DARK_WAVE,
    EMOJI,
    FLAG,
    WAVE,
    bach_file,
    emoji_folder,
    furniture_folder,
    loaded,
)

from ganjax import data
from ganjax.data.builders import emoji


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_emoji_of_four_styles_stay_aligned_and_skin_tones_together(tmp_path: Path) -> None:
    data.prepare("emoji_styles", str(emoji_folder(tmp_path / "files")))
    train, test = (loaded("emoji_styles", split) for split in ("train", "test"))
    assert len(train["x"]) + len(test["x"]) == len(EMOJI)
    assert len(test["x"]) > 0
    for arrays in (train, test):
        np.testing.assert_array_equal(
            arrays["x"][:, 0, 0, 0], arrays["y"][:, 0, 0, 0]
        )  # the red of an emoji is its own
        assert set(arrays["x"][:, 0, 0, 1]) == {0}
        assert set(arrays["y"][:, 0, 0, 1]) == {120}
    reds = [{EMOJI[red // 5] for red in arrays["x"][:, 0, 0, 0]} for arrays in (train, test)]
    assert not reds[0] & reds[1]
    assert {WAVE, DARK_WAVE} <= reds[0] or {WAVE, DARK_WAVE} <= reds[1]
    assert set(loaded("emoji_styles:openmoji")["x"][:, 0, 0, 1]) == {180}
    assert data.find("emoji_styles").classes == 9


def test_openmoji_pairs_have_no_flags(tmp_path: Path) -> None:
    data.prepare("openmoji_pairs/128", str(emoji_folder(tmp_path / "files")))
    train, test = (loaded("openmoji_pairs/128", split) for split in ("train", "test"))
    assert train["x"].shape[1:] == (128, 128, 1)
    assert train["y"].shape[1:] == (128, 128, 3)
    reds = set(train["y"][:, 0, 0, 0]) | set(test["y"][:, 0, 0, 0])
    assert reds == {EMOJI.index(name) * 5 for name in EMOJI if name != FLAG}


def test_arrays_do_for_emoji_as_well(tmp_path: Path) -> None:
    n = len(EMOJI)
    styles: dict[str, Any] = {
        style: np.full((n, 64, 64, 3), 40 * i, np.uint8)
        for i, style in enumerate(("google", "twitter", "fluent3d", "openmoji"))
    }
    np.savez(
        tmp_path / "emoji64.npz", key=np.array(EMOJI), category=np.array(["Objects"] * n), **styles
    )
    np.savez(
        tmp_path / "openmoji_pairs64.npz",
        name=np.array(EMOJI),
        line=styles["google"][..., 0],
        color=styles["openmoji"],
    )
    data.prepare("emoji_styles", str(tmp_path))
    data.prepare("openmoji_pairs", str(tmp_path))
    assert set(loaded("emoji_styles:twitter")["x"].ravel()) == {40}
    assert len(loaded("openmoji_pairs", "train+test")["x"]) == n - 1


def test_code_points_have_one_spelling() -> None:
    assert emoji.code("1f469-1f3fb-200d-2764-fe0f.png") == "1F469-1F3FB-200D-2764"
    assert emoji.code("0023-FE0F-20E3.svg") == "23-20E3"
    assert emoji.base("1F469-1F3FB-200D-1F91D-200D-1F469-1F3FF") == emoji.base("1F46D") == "1F46B"
    assert (
        emoji.base("1F468-1F3FB-200D-1FAEF-200D-1F468-1F3FF")
        == emoji.base("1F93C-200D-2640")
        == "1F93C"
    )
    assert emoji.base("1F469-200D-1F52C") == emoji.base("1F9D1-1F3FC-200D-1F52C") == "1F9D1-1F52C"
    assert emoji.split("1FAF1-1F3FB-200D-1FAF2-1F3FC") == emoji.split("1F91D")
    assert all(map(emoji.is_flag, ("1F1EB-1F1F7", "1F3F4-200D-2620", "E42A")))
    assert not emoji.is_flag("1F600")


def test_events_are_padded_with_zeros_to_one_length(tmp_path: Path) -> None:
    data.prepare("bach_chorales", str(bach_file(tmp_path / "files")))
    train, test = (loaded("bach_chorales", split) for split in ("train", "test"))
    assert train["x"].shape == (19, 1024, 4)
    np.testing.assert_array_equal(test["length"], [14, 24])
    with np.load(tmp_path / "files/bach_events.npz") as arrays:
        np.testing.assert_array_equal(train["x"][1, :6], arrays["ev"][5:11])
    assert not train["x"][1, 6:].any()


def test_a_cube_fills_its_voxels(tmp_path: Path) -> None:
    data.prepare("furniture_voxels", str(furniture_folder(tmp_path / "files")))
    train, test = (loaded("furniture_voxels", split)["x"] for split in ("train", "test"))
    assert (len(train), len(test)) == (20, 2)
    assert set(np.unique(train)) == {0, 255}
    assert (train == train[0]).all()
    assert (train[:, 1:31, 1:31, 1:31] == 255).all()
    assert (train == 255).sum() == 20 * 30**3


def test_a_tetrahedron_is_a_sixth_of_its_cube() -> None:
    from ganjax.data.builders.furniture_voxels import mesh, voxels

    corners = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 2 3\nf 1 2 4\nf 1 3 4\nf 2 3 4\n"
    solid = voxels(*mesh(corners), 64)
    assert solid.sum() / 62**3 == pytest.approx(
        1 / 6, rel=0.1
    )  # the surface's own voxels make it a little larger
    with pytest.raises(ValueError, match="without a surface"):
        voxels(*mesh("v 0 0 0\n"), 8)
