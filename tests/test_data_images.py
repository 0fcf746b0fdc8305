"""A user's folder of images: what is taken, what is left out, what is refused."""

import logging
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganjax import data


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def put(path: Path, image: np.ndarray | Image.Image) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path)
    return path


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def arrays(path: Path, **options: object) -> dict[str, np.ndarray]:
    found = data.find(str(path), **options).load()  # type: ignore[arg-type]
    assert isinstance(found, dict)
    return found


def refused(path: Path, **options: object) -> str:
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z") as caught:
        arrays(path, **options)
    return str(caught.value)


def test_images_are_taken_as_they_are_in_the_order_of_their_names(tmp_path: Path) -> None:
    images = noise(4, 6, 5, 3)
    for name, image in zip("cabd", images):
        put(tmp_path / "set" / f"{name}.png", image)
    (tmp_path / "set" / "notes.txt").write_text("no image")
    found = data.find(str(tmp_path / "set"))
    assert (found.shape, found.classes, found.examples) == ((6, 5, 3), None, 4)
    assert sorted(arrays(tmp_path / "set")) == ["x"]
    np.testing.assert_array_equal(arrays(tmp_path / "set")["x"], images[[1, 2, 0, 3]])


def test_subfolders_are_classes(tmp_path: Path) -> None:
    for name, n in {"dog": 3, "cat": 2}.items():
        for i in range(n):
            put(tmp_path / name / f"{i}.png", noise(4, 4, seed=i))
    (tmp_path / "empty").mkdir()
    found = data.find(str(tmp_path))
    assert (found.shape, found.classes) == ((4, 4, 1), 2)
    np.testing.assert_array_equal(arrays(tmp_path)["label"], [0, 0, 1, 1, 1])


def test_a_folder_named_train_makes_splits(tmp_path: Path) -> None:
    put(tmp_path / "train" / "a.png", noise(4, 4))
    put(tmp_path / "test" / "a.png", noise(4, 4, seed=1))
    np.testing.assert_array_equal(
        arrays(tmp_path, split="test")["x"][0, ..., 0], noise(4, 4, seed=1)
    )
    np.testing.assert_array_equal(arrays(tmp_path)["x"][0, ..., 0], noise(4, 4))
    assert "has no split 'val'" in refused(tmp_path, split="val")


def test_five_hundred_pictures_as_a_user_has_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rng = np.random.default_rng(0)
    for i in range(500):
        height, width = rng.integers(20, 40, 2)
        put(tmp_path / "mine" / f"{i:03}.png", noise(height, width, 3, seed=i))
    broken = tmp_path / "mine" / "007.png"
    broken.write_bytes(broken.read_bytes()[:600])
    deep = put(tmp_path / "mine" / "100.png", np.full((30, 30), 1000, np.uint16))
    before = {
        file: (file.read_bytes(), file.stat().st_mtime_ns) for file in (tmp_path / "mine").iterdir()
    }

    assert "holds images of" in refused(tmp_path / "mine")
    assert "ask for a size" in refused(tmp_path / "mine")
    assert "not square" in refused(tmp_path / "mine", size=16)
    assert "holds 1 grey and 499 colour images: ask for channels, 1 or 3" in refused(
        tmp_path / "mine", size=16, crop=True
    )
    with caplog.at_level(logging.WARNING):
        x = arrays(tmp_path / "mine", size=16, crop=True, channels=3)["x"]
    assert x.shape == (498, 16, 16, 3)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 3
    assert lines[0].startswith(f"left out {broken}: ")
    assert lines[1] == f"left out {deep}: more than 8 bits per channel (I;16)"
    assert lines[2] == f"took 498 of the 500 images in {tmp_path / 'mine'}"
    assert before == {
        file: (file.read_bytes(), file.stat().st_mtime_ns) for file in (tmp_path / "mine").iterdir()
    }


def test_the_second_reading_comes_from_the_cache_and_says_the_same(
    tmp_path: Path, cache: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "set" / "a.png", noise(4, 4))
    (tmp_path / "set" / "b.png").write_bytes(b"no png")
    with caplog.at_level(logging.WARNING):
        first = arrays(tmp_path / "set")
        said = [record.getMessage() for record in caplog.records]
        caplog.clear()
        with monkeypatch.context() as patch:
            patch.setattr("ganjax.data.image_folder.resize_image", None)
            second = arrays(tmp_path / "set")
    assert [record.getMessage() for record in caplog.records] == said
    assert len(said) == 2
    np.testing.assert_array_equal(first["x"], second["x"])
    assert len(list((cache / "ganjax").iterdir())) == 1


def test_a_changed_folder_is_read_again(tmp_path: Path) -> None:
    file = put(tmp_path / "set" / "a.png", noise(4, 4))
    arrays(tmp_path / "set")
    put(file, noise(4, 4, seed=1))
    os.utime(file, ns=(1, 1))
    np.testing.assert_array_equal(arrays(tmp_path / "set")["x"][0, ..., 0], noise(4, 4, seed=1))


def test_a_damaged_cache_is_made_again(tmp_path: Path, cache: Path) -> None:
    put(tmp_path / "set" / "a.png", noise(4, 4))
    first = arrays(tmp_path / "set")
    (file,) = (cache / "ganjax").iterdir()
    damaged = bytearray(file.read_bytes())
    damaged[len(damaged) // 2] ^= 255
    file.write_bytes(damaged[:-40])
    np.testing.assert_array_equal(arrays(tmp_path / "set")["x"], first["x"])


def test_reading_works_where_no_cache_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "set" / "a.png", noise(4, 4))
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert arrays(tmp_path / "set")["x"].shape == (1, 4, 4, 1)


def test_transparency_lies_on_white_and_palettes_are_colours(tmp_path: Path) -> None:
    clear = np.zeros((4, 4, 4), np.uint8)
    clear[:2] = (10, 20, 30, 255)
    put(tmp_path / "set" / "a.png", clear)
    put(tmp_path / "set" / "b.png", Image.fromarray(clear[..., :3]).quantize(4))
    x = arrays(tmp_path / "set")["x"]
    np.testing.assert_array_equal(x[0, :2, :, :], np.broadcast_to([10, 20, 30], (2, 4, 3)))
    np.testing.assert_array_equal(x[0, 2:], 255)
    np.testing.assert_array_equal(x[1], clear[..., :3])


def test_crop_takes_the_middle_square_and_grey_is_luminance(tmp_path: Path) -> None:
    image = np.zeros((4, 8, 3), np.uint8)
    image[:, 2:6] = (255, 0, 0)
    put(tmp_path / "set" / "a.png", image)
    np.testing.assert_array_equal(arrays(tmp_path / "set", crop=True)["x"][0], image[:, 2:6])
    np.testing.assert_array_equal(
        arrays(tmp_path / "set", crop=True, channels=1)["x"], 76
    )  # ITU-R 601


def test_sixteen_bits_in_colour_are_noticed_too(tmp_path: Path) -> None:
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    rows = b"".join(b"\0" + bytes(2 * 6) for _ in range(2))  # 2 x 2 pixels of 3 x 16 bits
    header = struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)
    png = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    (tmp_path / "deep.png").write_bytes(png)
    assert "more than 8 bits per channel" in refused(tmp_path)


def test_empty_and_ambiguous_folders_are_refused(tmp_path: Path) -> None:
    assert "holds no images" in refused(tmp_path)
    (tmp_path / "a.png").write_bytes(b"no png")
    assert "holds no image that can be read" in refused(tmp_path)
    put(tmp_path / "cat" / "b.png", noise(4, 4))
    assert "beside folders of images (cat): only one can be meant" in refused(tmp_path)
