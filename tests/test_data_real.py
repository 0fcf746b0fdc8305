"""The real sets, where a folder holds them: GANJAX_TEST_DATA=FOLDER with FOLDER/tfds, FOLDER/packs,
FOLDER/raw.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ganjax import data

ROOT = Path(os.environ.get("GANJAX_TEST_DATA", ""))
TFDS = str(ROOT / "tfds")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.environ.get("GANJAX_TEST_DATA"),
        reason="set GANJAX_TEST_DATA to a folder that holds the real sets",
    ),
]

CHANNEL_MEANS = {
    "mnist": [0.1307],
    "fashion_mnist": [0.2860],
    "cifar10": [0.4914, 0.4822, 0.4465],
}  # of the training images, in [0, 1]
SIZES = {"mnist": 60_000, "fashion_mnist": 60_000, "cifar10": 50_000}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def arrays(name: str, split: str = "train", data_dir: str = TFDS) -> dict[str, np.ndarray]:
    found = data.find(name, data_dir, split).load()
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("split", ["train", "test"])
def test_images_and_labels_are_those_that_tfds_reads(name: str, split: str) -> None:
    import tensorflow_datasets as tfds

    source = tfds.data_source(name, split=split, data_dir=TFDS, download=False)
    found = arrays(name, split)
    assert len(source) == len(found["x"]) == (SIZES[name] if split == "train" else 10_000)
    for first in range(0, len(source), 1000):
        rows = source.__getitems__(range(first, first + 1000))
        np.testing.assert_array_equal(
            found["x"][first : first + 1000], np.stack([row["image"] for row in rows])
        )
        np.testing.assert_array_equal(
            found["label"][first : first + 1000], [row["label"] for row in rows]
        )


@pytest.mark.parametrize("name", SIZES)
def test_statistics_are_the_published_ones(name: str) -> None:
    found = arrays(name)
    np.testing.assert_allclose((found["x"] / 255).mean((0, 1, 2)), CHANNEL_MEANS[name], atol=1e-4)
    counts = np.bincount(found["label"])
    assert len(counts) == 10
    assert name == "mnist" or set(counts) == {SIZES[name] // 10}


@pytest.mark.parametrize("name", SIZES)
def test_sets_open_without_tensorflow_and_in_silence(name: str) -> None:
    code = (
        f"from ganjax import data; import sys; data.find({name!r}, {TFDS!r}).load(); "
        "print('tensorflow' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
    assert not run.stderr


@pytest.mark.parametrize(
    ("name", "shape"), {"stacked_mnist": (28, 28, 3), "compositional_mnist": (56, 56, 1)}.items()
)
def test_sets_made_from_mnist_have_a_thousand_classes(name: str, shape: tuple[int, ...]) -> None:
    found, again = arrays(name), arrays(name)
    assert found["x"].shape == (25_600, *shape)
    assert found["x"].dtype == np.uint8
    np.testing.assert_array_equal(found["x"], again["x"])
    assert (np.bincount(found["label"], minlength=1000) > 0).all()
    floor = np.bincount(found["label"]) / 25_600
    assert (floor * np.log(1000 * floor)).sum() == pytest.approx(
        999 / 51_200, rel=0.4
    )  # of 25 600 fair draws


OURS = {"emoji_styles": 3372, "openmoji_pairs": 4123, "bach_chorales": 368, "furniture_voxels": 820}


@pytest.mark.parametrize(("name", "rows"), OURS.items())
def test_our_sets_are_prepared_from_the_packs(tmp_path: Path, name: str, rows: int) -> None:
    data.prepare(name, str(ROOT / "packs"), str(tmp_path))
    assert len(arrays(name, "train+test", str(tmp_path))["x"]) == rows


def test_furniture_from_the_libraries_is_that_of_the_pack(tmp_path: Path) -> None:
    data.prepare("furniture_voxels", str(ROOT / "raw"), str(tmp_path / "raw"))
    data.prepare("furniture_voxels", str(ROOT / "packs"), str(tmp_path / "packs"))
    raw, pack = (
        arrays("furniture_voxels", "train+test", str(tmp_path / kind))["x"] > 0
        for kind in ("raw", "packs")
    )
    both, either = (raw & pack).sum((1, 2, 3, 4)), (raw | pack).sum((1, 2, 3, 4))
    assert np.median(both / either) > 0.9
    assert (raw.any((1, 2, 3, 4))).all()
