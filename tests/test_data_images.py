"""A user's folder of images: what is taken, what is left out, what is refused."""

import logging
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganjax import cli, data


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


def warned(caplog: pytest.LogCaptureFixture, path: Path, **options: object) -> list[str]:
    """What is said while a folder is found and read."""
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        arrays(path, **options)
    return [record.getMessage() for record in caplog.records]


def test_whatever_is_left_out_is_counted_in_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "set"
    for name in ("a/0.png", "a/deep/1.PNG", "b/0.png"):
        put(root / name, noise(4, 4, seed=len(name)))
    assert warned(caplog, root) == []
    put(tmp_path / "elsewhere" / "2.png", noise(4, 4, seed=9))
    (root / "a" / "linked").symlink_to(tmp_path / "elsewhere")
    assert warned(caplog, root) == []
    assert len(arrays(root)["x"]) == 4
    (root / "a" / "loop").symlink_to(root)
    (root / "a" / "gone.png").symlink_to(root / "nowhere")
    (root / "b" / "photo.heic").write_bytes(b"")
    (root / "notes.txt").write_text("")
    put(root / "b" / ".thumb.png", noise(4, 4))
    (root / "empty").mkdir()
    assert warned(caplog, root) == [
        f"took 4 of the 4 images in {root}; left out: 1 dead link (a/gone.png), "
        "2 files of another kind (.heic, .txt), 1 folder without images (empty), "
        "1 hidden (b/.thumb.png), 1 link that leads back (a/loop)"
    ]
    assert len(arrays(root)["x"]) == 4


def test_folders_of_runs_are_no_classes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a/0.png", "b/0.png", "runs/gan/figures/samples.png"):
        put(tmp_path / "set" / name, noise(4, 4))
    run = tmp_path / "set" / "runs" / "gan"
    (run / "options.json").write_text('{"experiment": "gan", "seeds": [0], "steps": 2}')
    (said,) = warned(caplog, tmp_path / "set")
    assert "1 folder of a run (runs/gan), 1 folder without images (runs)" in said
    assert data.find(str(tmp_path / "set")).class_names == ("a", "b")
    (run / "options.json").write_text("[]")  # a user's own file
    assert data.find(str(tmp_path / "set")).class_names == ("a", "b", "runs")


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    for name in ("bus", "car", "train"):
        put(tmp_path / "vehicles" / name / "0.png", noise(4, 4))
    found = data.find(str(tmp_path / "vehicles"))
    assert (found.class_names, found.examples) == (("bus", "car", "train"), 3)
    put(tmp_path / "vehicles" / "test" / "0.png", noise(4, 4))
    assert "holds train beside bus, car: only splits" in refused(tmp_path / "vehicles")
    put(tmp_path / "nested" / "train" / "cat" / "0.png", noise(4, 4))
    put(tmp_path / "nested" / "bus" / "0.png", noise(4, 4))
    assert "holds train beside bus: only splits" in refused(tmp_path / "nested")


def test_splits_are_known_by_their_usual_names_and_what_no_one_reads_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("Training/a.png", "Testing/a.png", "valid/a.png", "logo.png"):
        put(tmp_path / "set" / name, noise(4, 4, seed=len(name)))
    found = data.find(str(tmp_path / "set"))
    assert found.classes is None
    assert found.test is not None
    assert len(arrays(tmp_path / "set", split="val")["x"]) == 1
    (said,) = warned(caplog, tmp_path / "set")
    assert said.endswith("left out: 1 image beside the splits (logo.png), 1 image of valid")
    (tmp_path / "set" / "dev").mkdir()
    (said,) = warned(caplog, tmp_path / "set")
    assert "1 folder without images (dev), 1 image beside" in said
    (tmp_path / "set" / "TEST").mkdir()
    assert "two of them are the same split" in refused(tmp_path / "set")


def test_classes_have_one_number_in_all_splits(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("train/ant", "train/bee", "train/cat", "test/bee", "test/dog"):
        put(tmp_path / "set" / name / "0.png", noise(4, 4, seed=len(name)))
    root = str(tmp_path / "set")
    train, test = data.train_and_test(data.find(root))
    np.testing.assert_array_equal(train["label"], [0, 1, 2])
    np.testing.assert_array_equal(test["label"], [1, 3])
    for split, missing in {"train": "dog", "test": "ant, cat"}.items():
        assert data.find(root, split=split).class_names == ("ant", "bee", "cat", "dog")
        (said,) = warned(caplog, tmp_path / "set", split=split)
        assert said.endswith(f"classes without an example: {missing}")


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
def test_photographs_stand_upright(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, ending: str
) -> None:
    from PIL import ImageOps

    image = Image.new("RGB", (16, 8), "white")
    image.paste((200, 0, 0), (0, 0, 8, 8))
    image.paste((0, 0, 200), (8, 0, 16, 4))
    for turn in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = turn
        file = tmp_path / str(turn) / f"0.{ending}"
        file.parent.mkdir()
        image.save(file, exif=exif, quality=95)
        with Image.open(file) as opened:
            expected = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
        assert expected.shape == ((8, 16, 3) if turn < 5 else (16, 8, 3))
        np.testing.assert_array_equal(arrays(file.parent)["x"][0], expected)
        if ending != "tif":  # Pillow turns these
            said = warned(caplog, file.parent)
            assert [line.split("; ")[1] for line in said] == ["turned upright: 1"] * (turn > 1)


def test_a_png_may_say_its_orientation_behind_its_pixels(tmp_path: Path) -> None:
    image, exif = Image.fromarray(noise(4, 6, 3)), Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "set").mkdir()
    file = tmp_path / "set" / "0.png"
    image.save(file, exif=exif)
    png = file.read_bytes()
    start = png.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(png[start : start + 4], "big")
    file.write_bytes(png[:start] + png[end:-12] + png[start:end] + png[-12:])
    turned = np.asarray(image.transpose(Image.Transpose.ROTATE_270))
    np.testing.assert_array_equal(arrays(tmp_path / "set")["x"][0], turned)


def test_the_first_frame_alone_of_an_animation_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    (tmp_path / "set").mkdir()
    frames[0].save(tmp_path / "set" / "0.gif", save_all=True, append_images=frames[1:])
    (said,) = warned(caplog, tmp_path / "set")
    assert said.endswith("first frame alone: 1 animation")
    np.testing.assert_array_equal(arrays(tmp_path / "set")["x"][0, 0, 0], [255, 0, 0])


def grey_png(path: Path, bits: int, rows: list[bytes], side: int, clear: int) -> None:
    """A grey PNG of few bits, by hand: Pillow writes none with a transparent level."""
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, bits, 0, 0, 0, 0))
        + chunk(b"tRNS", struct.pack(">H", clear))
        + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
        + chunk(b"IEND", b"")
    )


def test_a_transparent_level_lies_on_white(tmp_path: Path) -> None:
    colour = np.zeros((4, 4, 3), np.uint8)
    colour[:2] = (10, 20, 30)
    for mode, clear in {"RGB": (10, 20, 30), "L": 18}.items():
        image = Image.fromarray(colour).convert(mode)
        (tmp_path / mode).mkdir()
        image.save(tmp_path / mode / "0.png", transparency=clear)
        x = arrays(tmp_path / mode)["x"][0]
        np.testing.assert_array_equal(x[:2], 255)
        np.testing.assert_array_equal(x[2:], 0)
    grey_png(tmp_path / "1" / "0.png", 1, [b"\x40", b"\xc0"], 2, 0)
    np.testing.assert_array_equal(arrays(tmp_path / "1")["x"][0, ..., 0], 255)
    grey_png(tmp_path / "2" / "0.png", 2, [b"\x10", b"\x60"], 2, 1)  # levels 0 1, 1 2 of 3
    np.testing.assert_array_equal(arrays(tmp_path / "2")["x"][0, ..., 0], [[0, 255], [255, 170]])
    grey_png(tmp_path / "4" / "0.png", 4, [b"\x05", b"\x5f"], 2, 5)  # levels 0 5, 5 15 of 15
    np.testing.assert_array_equal(arrays(tmp_path / "4")["x"][0, ..., 0], [[0, 255], [255, 255]])


def test_an_image_replaced_under_its_old_size_and_time_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "set" / "0.bmp"
    for level in (10, 200):
        put(file, np.full((4, 4), level, np.uint8))
        os.utime(file, (1, 1))
        np.testing.assert_array_equal(arrays(tmp_path / "set")["x"], level)


def test_the_number_of_examples_is_that_of_the_images_that_can_be_read(tmp_path: Path) -> None:
    for i in range(13):
        put(tmp_path / "set" / f"{i:02}.png", noise(4, 4, seed=i))
    whole = (tmp_path / "set" / "12.png").read_bytes()
    (tmp_path / "set" / "12.png").write_bytes(whole[:-30])
    found = data.find(str(tmp_path / "set"))
    assert found.examples == 12
    assert len(found.load()["x"]) == len(found.load()["x"]) == 12  # type: ignore[call-overload]


def test_nothing_is_cached_where_there_is_no_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "set" / "a.png", noise(4, 4))
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    monkeypatch.chdir(tmp_path)
    assert arrays(Path("set"))["x"].shape == (1, 4, 4, 1)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["set"]


def test_the_contact_sheet_comes_with_the_names_of_classes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("bee/0.png", "bee/1.png", "ant/0.png"):
        put(tmp_path / "set" / name, noise(4, 4))
    sheet = tmp_path / "sheet.PNG"
    assert cli.main(["data", "show", str(tmp_path / "set"), "--out", str(sheet)]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "class  name  examples",
        "0      ant   1",
        "1      bee   2",
    ]
    assert err == ""
    with Image.open(sheet) as image:
        assert image.format == "PNG"
