"""Telephone prompts of one speaker with their texts."""

import gzip
import re
import wave
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds

RATE = 8000
TEXTS = "core-sounds-en.txt.gz"
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
DIGITS = dict(zip("0123456789", NUMBERS))
SPELT = DIGITS | {"*": "star", "#": "pound"}
# Remarks on a recording, and numbers that may be read in several ways.
UNSURE = re.compile(r"[\[\]<>()@$+/=&]|\d\d|\d[A-Za-z]")


class Prompt(NamedTuple):
    """A recording and what is said in it."""

    name: str
    text: str  # a-z, spaces, apostrophes
    audio: np.ndarray  # int16 [samples]


class SpeechPrompts(tfds.core.GeneratorBasedBuilder):
    """Prompts of the Asterisk telephone exchange whose text is letters, spaces and apostrophes."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Debian's packages asterisk-core-sounds-en and asterisk-core-sounds-en-wav, unpacked into "
        "one folder (core-sounds-en.txt.gz and the .wav files, at any depth)"
    )

    def _info(self) -> Any:
        return tfds.core.DatasetInfo(
            builder=self,
            description="Prompts of one speaker, 8 kHz, mono, with their texts in a-z, space and "
            "apostrophe; single figures, star and pound are spelt out, prompts with other signs "
            "are left out. Those whose name has a CRC-32 that 8 divides are for testing.",
            features=tfds.features.FeaturesDict(
                {
                    "audio": tfds.features.Tensor(shape=(None,), dtype=np.int16, encoding="zlib"),
                    "text": tfds.features.Text(),
                    "name": tfds.features.Text(),
                }
            ),
            homepage="https://www.asterisk.org",
            license="CC BY-SA 3.0",
            citation="Asterisk Core Sounds, English: voice of Allison Smith, Digium, Inc.",
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        found = prompts(Path(dl_manager.manual_dir))
        return {
            "train": self._generate_examples([p for p in found if not held_out(p.name)]),
            "test": self._generate_examples([p for p in found if held_out(p.name)]),
        }

    def _generate_examples(self, found: list[Prompt]) -> Iterator[tuple[int, dict[str, Any]]]:
        for i, prompt in enumerate(found):
            yield i, {"audio": prompt.audio, "text": prompt.text, "name": prompt.name}


def held_out(name: str) -> bool:
    """Whether a prompt is for testing."""
    return zlib.crc32(name.encode()) % 8 == 0


def prompts(folder: Path) -> list[Prompt]:
    """The prompts in a folder, by name. Raises FileNotFoundError without texts or recordings."""
    texts = next(iter(sorted(folder.rglob(TEXTS))), None)
    if texts is None:
        raise FileNotFoundError(f"{folder} holds no {TEXTS}")
    lines = gzip.decompress(texts.read_bytes()).decode().splitlines()
    said = dict(line.split(":", 1) for line in lines if ":" in line and not line.startswith(";"))
    found = []
    for name, words in sorted(said.items()):
        name, text = name.strip(), plain(words)
        file = next(iter(sorted(folder.rglob(f"{name}.wav"))), None)
        if text and file:
            found.append(Prompt(name, text, samples(file)))
    if not found:
        raise FileNotFoundError(f"{folder} holds no .wav file of a prompt")
    return found


def plain(words: str) -> str | None:
    """A text in a-z, spaces and apostrophes; None where it is not sure what is said."""
    if UNSURE.search(words):
        return None
    spelt = re.sub(r"[0-9*#]", lambda match: f" {SPELT[match[0]]} ", words)
    return " ".join(re.sub("[^a-z' ]", " ", spelt.lower()).split()) or None


def samples(file: Path) -> np.ndarray:
    """The samples of a .wav file, int16. Raises ValueError for another form."""
    with wave.open(str(file)) as opened:
        form = (opened.getframerate(), opened.getnchannels(), opened.getsampwidth())
        if form != (RATE, 1, 2):
            raise ValueError(f"{file} is not 8000 Hz, mono, 16 bit")
        return np.frombuffer(opened.readframes(opened.getnframes()), "<i2")
