"""TFDS's own test of our builders, which needs TensorFlow; test_data_builders.py needs none."""

import tempfile
from pathlib import Path

import pytest

pytest.importorskip(
    "tensorflow", reason="tfds.testing needs TensorFlow: pip install 'ganjax[tensorflow]'"
)
pytest.importorskip("dill", reason="tfds.testing needs dill: pip install dill")

import tensorflow_datasets as tfds
from data_files import EMOJI, FLAG, bach_file, emoji_folder, furniture_folder, uci_folder

from ganjax.data.builders import (
    bach_chorales,
    emoji,
    emoji_styles,
    furniture_voxels,
    openmoji_pairs,
    optdigits,
)

FILES = Path(tempfile.mkdtemp())
SPLITS = {
    split: sum(emoji.split(emoji.code(name)) == split for name in EMOJI)
    for split in ("train", "test")
}
FLAG_SPLIT = emoji.split(emoji.code(FLAG))


class TestOptdigits(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = optdigits.Optdigits
    BUILDER_CONFIG_NAMES_TO_TEST = ["uci"]  # noqa: RUF012
    EXAMPLE_DIR = str(uci_folder(FILES / "uci"))
    SPLITS = {"train": 23, "test": 11}  # noqa: RUF012
    MOCK_OUT_FORBIDDEN_OS_FUNCTIONS = False


class TestEmojiStyles(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = emoji_styles.EmojiStyles
    EXAMPLE_DIR = str(emoji_folder(FILES / "emoji"))
    SPLITS = SPLITS
    MOCK_OUT_FORBIDDEN_OS_FUNCTIONS = False


class TestOpenmojiPairs(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = openmoji_pairs.OpenmojiPairs
    EXAMPLE_DIR = str(FILES / "emoji")
    SPLITS = SPLITS | {FLAG_SPLIT: SPLITS[FLAG_SPLIT] - 1}  # no flags
    MOCK_OUT_FORBIDDEN_OS_FUNCTIONS = False


class TestBachChorales(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = bach_chorales.BachChorales
    EXAMPLE_DIR = str(bach_file(FILES / "bach"))
    SPLITS = {"train": 19, "test": 2}  # noqa: RUF012
    MOCK_OUT_FORBIDDEN_OS_FUNCTIONS = False


class TestFurnitureVoxels(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = furniture_voxels.FurnitureVoxels
    EXAMPLE_DIR = str(furniture_folder(FILES / "furniture"))
    SPLITS = {"train": 20, "test": 2}  # noqa: RUF012
    OVERLAPPING_SPLITS = ["test"]  # noqa: RUF012
    MOCK_OUT_FORBIDDEN_OS_FUNCTIONS = False
