"""The datasets that are prepared through TensorFlow Datasets."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

STYLES = ("google", "twitter", "fluent3d", "openmoji")


class Entry(NamedTuple):
    """One dataset that `ganjax data prepare` prepares."""

    shapes: tuple[tuple[int, ...], ...]  # of one x, one for each config
    sizes: tuple[str, ...]  # examples for training + for testing, one for each config
    licence: str
    about: str
    # Array -> feature of the TFDS dataset.
    fields: Mapping[str, str] = MappingProxyType({"x": "image", "label": "label"})
    pictures: tuple[str, ...] = ()  # features that may be asked for as NAME:PICTURE
    configs: tuple[str, ...] = ()  # TFDS configs, NAME/CONFIG; the first is the default
    builder: str | None = None  # the class in ganjax.data.builders.NAME; None: TFDS's own
    manual: tuple[bool, ...] = (False,)  # whether only a user's files make it, for each config

    def config_index(self, config: str | None) -> int:
        """The place of a config in the tuples that have one entry for each."""
        return self.configs.index(config) if config else 0


CATALOG = {
    "mnist": Entry(
        ((28, 28, 1),),
        ("60000 + 10000",),
        "CC BY-SA 3.0, as usually given",
        "handwritten digits (LeCun, Cortes, Burges)",
    ),
    "fashion_mnist": Entry(
        ((28, 28, 1),),
        ("60000 + 10000",),
        "MIT",
        "articles of clothing (Xiao, Rasul, Vollgraf 2017)",
    ),
    "cifar10": Entry(
        ((32, 32, 3),),
        ("50000 + 10000",),
        "none stated by its authors",
        "photographs of ten classes (Krizhevsky 2009)",
    ),
    "optdigits": Entry(
        ((8, 8, 1), (8, 8, 1)),
        ("1437 + 360", "3823 + 1797"),
        "CC BY 4.0",
        "handwritten digits (Alpaydin, Kaynak 1998)",
        configs=("sklearn", "uci"),
        builder="Optdigits",
        manual=(False, True),
    ),
    "emoji_styles": Entry(
        ((64, 64, 3),),
        ("3053 + 319",),
        "Apache-2.0, CC BY 4.0, MIT, CC BY-SA 4.0, by style",
        "the same emoji in four styles; x google, y fluent3d; one style as emoji_styles:twitter",
        fields={"x": "google", "y": "fluent3d", "label": "category"},
        pictures=STYLES,
        builder="EmojiStyles",
        manual=(True,),
    ),
    "openmoji_pairs": Entry(
        ((64, 64, 1), (128, 128, 1)),
        ("3782 + 341", "3782 + 341"),
        "CC BY-SA 4.0",
        "emoji as line drawings (x) and in colour (y)",
        fields={"x": "line", "y": "colour"},
        pictures=("line", "colour"),
        configs=("64", "128"),
        builder="OpenmojiPairs",
        manual=(True, True),
    ),
    "bach_chorales": Entry(
        ((1024, 4),),
        ("332 + 36",),
        "music in the public domain, files by music21's corpus",
        "four-part pieces: onset, duration, pitch, voice of each note, zeros after the last",
        fields={"x": "events"},
        builder="BachChorales",
    ),
    "furniture_voxels": Entry(
        ((32, 32, 32, 1), (64, 64, 64, 1)),
        ("738 + 82", "738 + 82"),
        "CC0 and CC BY 3.0, by library",
        "solid shapes of furniture, of six kinds and others",
        fields={"x": "voxels", "label": "kind"},
        configs=("32", "64"),
        builder="FurnitureVoxels",
        manual=(True, True),
    ),
    "speech_prompts": Entry(
        ((249_045,),),
        ("465 + 71",),
        "CC BY-SA 3.0",
        "telephone prompts of one speaker, 8 kHz, up to 31 s, and their texts",
        fields={"x": "audio", "text": "text", "name": "name"},
        builder="SpeechPrompts",
        manual=(True,),
    ),
}
