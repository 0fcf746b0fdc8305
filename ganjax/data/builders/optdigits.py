"""UCI's handwritten digits of 8 x 8 pixels."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds


class Optdigits(tfds.core.GeneratorBasedBuilder):
    """Optical recognition of handwritten digits."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012
    BUILDER_CONFIGS = [  # noqa: RUF012
        tfds.core.BuilderConfig(
            name="sklearn",
            description="UCI's 1797 test digits, from scikit-learn; the last 360 for testing",
        ),
        tfds.core.BuilderConfig(
            name="uci",
            description="UCI's digits: 3823 by 30 writers, for testing 1797 by 13 others",
        ),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = "UCI's files optdigits.tra and optdigits.tes"

    def _info(self) -> Any:
        return tfds.core.DatasetInfo(
            builder=self,
            description="Handwritten digits, 8 x 8 pixels; levels 0..16 are stored as "
            "round(255 level / 16).",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(8, 8, 1), encoding_format="png"),
                    "label": tfds.features.ClassLabel(num_classes=10),
                }
            ),
            homepage="https://archive.ics.uci.edu/dataset/80",
            license="CC BY 4.0",
            citation="E. Alpaydin and C. Kaynak. Optical Recognition of Handwritten Digits. UCI "
            "Machine Learning Repository, 1998.",
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        if self.builder_config.name == "sklearn":
            from sklearn.datasets import load_digits

            x, label = load_digits(return_X_y=True)
            parts = {"train": (x[:-360], label[:-360]), "test": (x[-360:], label[-360:])}
        else:
            manual = Path(dl_manager.manual_dir)
            parts = {
                "train": table(manual / "optdigits.tra"),
                "test": table(manual / "optdigits.tes"),
            }
        return {split: self._generate_examples(*part) for split, part in parts.items()}

    def _generate_examples(
        self, x: np.ndarray, label: np.ndarray
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        from PIL import Image

        levels = np.rint(x.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
        for i, (image, digit) in enumerate(zip(levels, label)):
            yield i, {"image": Image.fromarray(image), "label": int(digit)}


def table(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Levels [N, 64] and labels [N] of one of UCI's files; ValueError for another file."""
    rows = np.loadtxt(file, delimiter=",", dtype=np.int64, ndmin=2)
    if (
        rows.shape[1] != 65
        or rows[:, :64].min() < 0
        or rows[:, :64].max() > 16
        or not set(rows[:, 64]) <= set(range(10))
    ):
        raise ValueError(f"{file} is not UCI's table of 64 levels 0..16 and a digit")
    return rows[:, :64], rows[:, 64]
