"""Bach's four-part chorales as lists of notes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds


class BachChorales(tfds.core.GeneratorBasedBuilder):
    """Event lists of the pieces by Bach in music21's corpus that have exactly four parts."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "bach_events.npz (ev float32 [notes, 4]: onset, duration, pitch, voice; length int "
        "[pieces]); without it music21's corpus is parsed"
    )

    def _info(self) -> Any:
        return tfds.core.DatasetInfo(
            builder=self,
            description="One row per piece: its notes in the order of their onsets, float32 "
            "[notes, 4] = onset and duration in quarter notes, MIDI pitch, voice 0..3 from soprano "
            "to bass. Scores carry no loudness. Every tenth piece, by name, is for testing.",
            features=tfds.features.FeaturesDict(
                {"events": tfds.features.Tensor(shape=(None, 4), dtype=np.float32)}
            ),
            homepage="https://www.music21.org",
            license="the music is in the public domain; the corpus files have terms of their own, "
            "some non-commercial",
            citation="M. S. Cuthbert and C. Ariza. music21: A Toolkit for Computer-Aided "
            "Musicology and Symbolic Music Data. ISMIR 2010.",
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        try:
            manual = Path(dl_manager.manual_dir) / "bach_events.npz"
        except (AssertionError, ValueError):  # TFDS's way of saying that there is no manual folder
            manual = None
        pieces = packed(manual) if manual and manual.exists() else parsed()
        test = [i % 10 == 9 for i in range(len(pieces))]
        return {
            "train": self._generate_examples(
                [piece for piece, held in zip(pieces, test) if not held]
            ),
            "test": self._generate_examples([piece for piece, held in zip(pieces, test) if held]),
        }

    def _generate_examples(self, pieces: list[np.ndarray]) -> Iterator[tuple[int, dict[str, Any]]]:
        for i, events in enumerate(pieces):
            yield i, {"events": events}


def packed(file: Path) -> list[np.ndarray]:
    """Pieces, each float32 [notes, 4], from one file of arrays."""
    with np.load(file, allow_pickle=False) as arrays:
        return np.split(arrays["ev"].astype(np.float32), np.cumsum(arrays["length"])[:-1])


def parsed() -> list[np.ndarray]:
    """Pieces, each float32 [notes, 4], from music21's corpus, by file name (about a minute)."""
    try:
        from music21 import corpus
    except ImportError as error:
        raise ImportError(
            "the chorales are parsed by music21: pip install 'ganjax[music]'"
        ) from error
    pieces = [events(corpus.parse(path)) for path in sorted(corpus.getComposer("bach"), key=str)]
    return [piece for piece in pieces if piece is not None]


def events(score: Any) -> np.ndarray | None:
    """The notes of a music21 score, float32 [notes, 4]; None without four parts that have notes."""
    parts = [[note for note in part.flatten().notes if note.isNote] for part in score.parts]
    if len(parts) != 4 or not all(parts):
        return None
    rows = [
        (n.offset, n.quarterLength, n.pitch.midi, voice)
        for voice, part in enumerate(parts)
        for n in part
    ]
    return np.array(sorted(tuple(map(float, row)) for row in rows), np.float32)
