"""The same emoji drawn by four makers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from ganjax.data.builders import emoji

SIZE = 64
STYLES = ("google", "twitter", "fluent3d", "openmoji")
CATEGORIES = [
    "Activities",
    "Animals & Nature",
    "Flags",
    "Food & Drink",
    "Objects",
    "People & Body",
    "Smileys & Emotion",
    "Symbols",
    "Travel & Places",
]


class EmojiStyles(tfds.core.GeneratorBasedBuilder):
    """Aligned pictures of emoji in four openly licensed styles."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "either emoji64.npz (google, twitter, fluent3d, openmoji uint8 [N, 64, 64, 3], key, "
        "category), or four npm packages, unpacked: emoji-datasource-google as emoji-google, "
        "emoji-datasource-twitter as emoji-twitter, @lobehub/fluent-emoji-3d as emoji-fluent3d, "
        "openmoji as openmoji"
    )

    def _info(self) -> Any:
        label = tfds.features.ClassLabel(names=CATEGORIES)
        pictures = {
            style: tfds.features.Image(shape=(SIZE, SIZE, 3), encoding_format="png")
            for style in STYLES
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description="Emoji that exist in four styles, 64 x 64 pixels on white, one row per "
            "emoji. Train and test share no emoji: they are split by the emoji without skin tone "
            "and gender.",
            features=tfds.features.FeaturesDict(
                pictures
                | {"category": label, "key": tfds.features.Text(), "base": tfds.features.Text()}
            ),
            homepage="https://github.com/iamcal/emoji-data",
            license="google: Apache-2.0 (Noto Emoji); twitter: CC BY 4.0 (Twemoji); fluent3d: MIT "
            "(Fluent Emoji); openmoji: CC BY-SA 4.0",
            citation="Noto Emoji, Google; Twemoji, Twitter and contributors; Fluent Emoji, "
            "Microsoft; OpenMoji, the open-source emoji and icon project, HfG Schwaebisch Gmuend. "
            "Tables: emoji-data, Cal Henderson.",
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        manual = Path(dl_manager.manual_dir)
        return {split: self._generate_examples(manual, split) for split in ("train", "test")}

    def _generate_examples(self, manual: Path, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
        rows = (
            packed(manual / "emoji64.npz")
            if (manual / "emoji64.npz").exists()
            else drawn(manual, split)
        )
        for key, category, pictures in rows:
            if emoji.split(key) == split:
                yield key, pictures | {"category": category, "key": key, "base": emoji.base(key)}


def packed(file: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(emoji, category, pictures) from one file of arrays."""
    from PIL import Image

    with np.load(file, allow_pickle=False) as arrays:
        keys, categories = arrays["key"], arrays["category"]
        pictures = {style: arrays[style] for style in STYLES}
    for i, (key, category) in enumerate(zip(keys, categories)):
        yield (
            emoji.code(str(key)),
            str(category),
            {style: Image.fromarray(x[i]) for style, x in pictures.items()},
        )


def drawn(manual: Path, split: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(emoji, category, pictures) of the emoji of a split, from the makers' files."""
    files = {
        "google": emoji.files(manual / "emoji-google" / "img" / "google" / "64", ".png"),
        "twitter": emoji.files(manual / "emoji-twitter" / "img" / "twitter" / "64", ".png"),
        "fluent3d": emoji.files(manual / "emoji-fluent3d" / "assets", ".webp"),
        "openmoji": emoji.openmoji(manual / "openmoji", "color"),
    }
    category = {}
    for row in json.loads((manual / "emoji-google" / "emoji.json").read_text()):
        for name in (row, *(row.get("skin_variations") or {}).values()):
            category[emoji.code(name["unified"])] = row["category"]
    for key in sorted(set.intersection(*map(set, files.values())) & set(category)):
        if category[key] in CATEGORIES and emoji.split(key) == split:
            yield (
                key,
                category[key],
                {style: emoji.picture(files[style][key], SIZE) for style in STYLES},
            )
