"""OpenMoji's drawings as black lines and in colour: pairs that agree pixel by pixel."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from ganjax.data.builders import emoji


class OpenmojiPairs(tfds.core.GeneratorBasedBuilder):
    """Line drawings of emoji and the same drawings in colour."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012
    BUILDER_CONFIGS = [  # noqa: RUF012
        tfds.core.BuilderConfig(name=str(size), description=f"{size} x {size} pixels")
        for size in (64, 128)
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "OpenMoji's folders color/svg and black/svg, or color/618x618 and black/618x618, or a "
        "folder openmoji of these; for 64 pixels openmoji_pairs64.npz will do as well (color uint8 "
        "[N, 64, 64, 3], line uint8 [N, 64, 64], name)"
    )

    @property
    def size(self) -> int:
        return int(self.builder_config.name)

    def _info(self) -> Any:
        return tfds.core.DatasetInfo(
            builder=self,
            description="OpenMoji's emoji twice, as black lines and in colour, on white; flags are "
            "left out, whose lines are an empty box. Train and test are split by the emoji without "
            "skin tone and gender.",
            features=tfds.features.FeaturesDict(
                {
                    "line": tfds.features.Image(
                        shape=(self.size, self.size, 1), encoding_format="png"
                    ),
                    "colour": tfds.features.Image(
                        shape=(self.size, self.size, 3), encoding_format="png"
                    ),
                    "key": tfds.features.Text(),
                }
            ),
            homepage="https://openmoji.org",
            license="CC BY-SA 4.0",
            citation="OpenMoji, the open-source emoji and icon project, HfG Schwaebisch Gmuend, "
            "https://openmoji.org",
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        manual = Path(dl_manager.manual_dir)
        return {split: self._generate_examples(manual, split) for split in ("train", "test")}

    def _generate_examples(self, manual: Path, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
        pack = manual / f"openmoji_pairs{self.size}.npz"
        rows = packed(pack) if pack.exists() else drawn(manual, self.size, split)
        for key, line, colour in rows:
            if emoji.split(key) == split and not emoji.is_flag(key):
                yield key, {"line": line.convert("L"), "colour": colour, "key": key}


def packed(file: Path) -> Iterator[tuple[str, Any, Any]]:
    """(emoji, line, colour) from one file of arrays."""
    from PIL import Image

    with np.load(file, allow_pickle=False) as arrays:
        names, lines, colours = arrays["name"], arrays["line"], arrays["color"]
    for name, line, colour in zip(names, lines, colours):
        yield emoji.code(str(name)), Image.fromarray(line), Image.fromarray(colour)


def drawn(manual: Path, size: int, split: str) -> Iterator[tuple[str, Any, Any]]:
    """(emoji, line, colour) of the emoji of a split, from OpenMoji's files."""
    folder = manual / "openmoji" if (manual / "openmoji").is_dir() else manual
    lines, colours = emoji.openmoji(folder, "black"), emoji.openmoji(folder, "color")
    for key in sorted(set(lines) & set(colours)):
        if emoji.split(key) == split and not emoji.is_flag(key):
            yield key, emoji.picture(lines[key], size), emoji.picture(colours[key], size)
