"""Speech with its texts: prompts of one speaker, a tone alphabet, or a user's own `.npz` file."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ganjax.data import audio, files, splits, tfds, tones
from ganjax.data.dataset import Arrays, Dataset
from ganjax.data.kept import note_path
from ganjax.data.sequences import pad, strided

NAMES = ("speech_prompts", "tones")
RATE = 8000  # samples a second
ALPHABET = " abcdefghijklmnopqrstuvwxyz'"  # label i + 1 is letter i; label 0 is CTC's blank
CLASSES = len(ALPHABET) + 1
SPACE = ALPHABET.index(" ") + 1


@dataclass(frozen=True)
class Speech:
    """Utterances of one rate, and what is said in them."""

    source: str  # the name or the path
    audio: Sequence[np.ndarray]  # int16 or float32 in -1..1, [samples] each
    text: Sequence[str]
    name: Sequence[str]
    test: np.ndarray  # bool [n]; True: held out
    rate: int = RATE


def find(source: str, data_dir: str | None = None, resample: bool = False) -> Speech:
    """The speech of a name or of an `.npz` file, at 8000 Hz.

    A file holds `audio` [samples], int16 or float in -1..1, `start` [n + 1], where each utterance
    begins and the last one ends, `text` [n], and optionally `rate`, `test` (bool [n]; without it a
    sixth is held out) and `name`. resample: bring sound of another rate to 8000 Hz. Raises
    ValueError, one line: an unknown name, a file of another form, sound of several channels or of
    another rate, an empty text, a letter that is not in ALPHABET.
    """
    if source not in NAMES:
        note_path(source)
    found = _named(source, data_dir) if source in NAMES else _read_npz(source)
    for name, text in zip(found.name, found.text):
        if not text.strip():
            raise ValueError(f"{source}: the text of {name} is empty")
        if foreign := sorted(set(text) - set(ALPHABET)):
            raise ValueError(
                f"{source}: the text of {name} has {', '.join(map(repr, foreign))}; a to z, space "
                "and apostrophe are known"
            )
    if found.rate == RATE:
        return found
    if not resample:
        raise ValueError(
            f"{source} has {found.rate} samples a second where {RATE} are wanted: say --resample"
        )
    sounds = [audio.resample(audio.as_floats(x), found.rate, RATE) for x in found.audio]
    return Speech(source, sounds, found.text, found.name, found.test)


def _named(name: str, data_dir: str | None) -> Speech:
    if name == "tones":
        sounds, texts, test = tones.utterances(ALPHABET, RATE)
        return Speech(name, sounds, texts, [f"tones/{i}" for i in range(len(texts))], test)
    folder = tfds.prepared_folder(name, data_dir)
    if folder is None:
        raise ValueError(
            f"{name} is not prepared in {tfds.data_folder(data_dir)}: "
            f"run `{tfds.prepare_command(name, data_dir)}`"
        )
    builder = tfds.open_builder(folder)
    rows: list[Any] = []
    held = []
    for split in ("train", "test"):
        n = builder.info.splits[split].num_examples
        rows += tfds.iterate_rows(builder, split, n)
        held += [split == "test"] * n
    text, names = ([row[key].decode() for row in rows] for key in ("text", "name"))
    return Speech(name, [row["audio"] for row in rows], text, names, np.array(held))


def _read_npz(source: str) -> Speech:
    path = Path(os.path.expanduser(source))
    if path.suffix.lower() != ".npz" or not path.is_file():
        raise ValueError(
            f"there is no speech {source!r}: {', '.join(NAMES)} and paths of .npz files are known"
        )
    headers = files.read_headers(path)
    if missing := [name for name in ("audio", "start", "text") if name not in headers]:
        raise ValueError(f"{path} holds no array {missing[0]}: audio, start and text are wanted")
    shape, dtype = headers["audio"]
    if len(shape) == 2:
        raise ValueError(f"{path}: audio is {list(shape)}, of several channels; mono is wanted")
    if len(shape) != 1 or not (dtype == np.int16 or dtype.kind == "f"):
        raise ValueError(
            f"{path}: audio is {dtype} {list(shape)}; int16 or float [samples] is wanted"
        )
    known = ("audio", "start", "text", "rate", "test", "name")
    arrays = {name: files.read_array(path, name) for name in known if name in headers}
    sound, start, text = arrays["audio"], arrays["start"], arrays["text"]
    n = len(text) if text.ndim == 1 else 0
    whole = start.dtype.kind in "iu" and start.shape == (n + 1,)
    if not n or text.dtype.kind != "U" or not whole or (start[1:] <= start[:-1]).any():
        raise ValueError(
            f"{path}: text is {text.dtype} {list(text.shape)}, start {start.dtype} "
            f"{list(start.shape)}; strings [n] and rising integers [n + 1] are wanted"
        )
    if start[0] < 0 or start[-1] > len(sound):
        raise ValueError(f"{path}: start goes to {start[-1]} where audio has {len(sound)} samples")
    if sound.dtype.kind == "f" and not (np.abs(sound) <= 1).all():
        raise ValueError(f"{path}: audio as floats is within -1..1")
    rate = arrays.get("rate", np.array(RATE))
    if rate.size != 1 or rate.dtype.kind not in "iu" or rate.item() < 1:
        raise ValueError(f"{path}: rate is one whole number, samples a second")
    if "test" in arrays:
        test = arrays["test"]
    else:
        test = np.zeros(n, bool)
        test[splits.hold_out(n)[1]] = True
    if test.shape != (n,) or test.dtype != bool or test.all() or not test.any():
        raise ValueError(f"{path}: test is bool [{n}], and some are True and some False")
    names = arrays.get("name", np.array([f"number {i}" for i in range(n)]))
    if names.shape != (n,):
        raise ValueError(f"{path}: name is {list(names.shape)}, not [{n}]")
    sounds = np.split(sound[start[0] : start[-1]], start[1:-1] - start[0])
    return Speech(source, sounds, list(map(str, text)), list(map(str, names)), test, rate.item())


def encode(text: str) -> np.ndarray:
    """The labels of a text, int32 [letters]."""
    return np.array([ALPHABET.index(letter) + 1 for letter in text], np.int32)


def decode(labels: Sequence[int]) -> str:
    """The text of labels, without spaces at its ends or after another one."""
    return " ".join("".join(ALPHABET[label - 1] for label in labels if label).split())


def frames_needed(text: str) -> int:
    """The fewest frames of an alignment: one a letter, and a blank between two equal ones."""
    return len(text) + sum(a == b for a, b in pairwise(text))


def features(found: Speech, bands: int, stride: int) -> list[np.ndarray]:
    """Log-mel frames of each utterance, float32 [T, bands], with mean 0 and SD 1 of each band over
    the training utterances of this speed.

    Raises ValueError where an utterance has too few frames, every `stride`-th counted, for its
    text: CTC would be infinite.
    """
    frames = [audio.log_mel(audio.as_floats(x), found.rate, bands) for x in found.audio]
    for x, text, name in zip(frames, found.text, found.name):
        left, needed = strided(len(x), stride), frames_needed(text)
        if left < needed:
            raise ValueError(
                f"{found.source}: {name} has {left} frames of {10 * stride} ms, and CTC needs "
                f"{needed} for its {len(text)} letters (equal neighbours need one more): "
                "lower --stride"
            )
    trained = np.concatenate([x for x, held in zip(frames, found.test) if not held])
    mean, sd = trained.mean(0), np.maximum(trained.std(0), 1e-3)
    return [(x - mean) / sd for x in frames]


def at_speed(found: Speech, percent: int) -> Speech:
    """The same, spoken at this speed in percent, its pitch with it (Ko et al. 2015)."""
    sounds = [audio.resample(audio.as_floats(x), percent, 100) for x in found.audio]
    return replace(found, audio=sounds)


def joined(
    copies: Sequence[Sequence[np.ndarray]], texts: Sequence[str], T: int
) -> dict[str, np.ndarray]:
    """Utterances joined to rows of at most T frames, so that little is padding: x float32 [n, T,
    bands] and y int32 [n, L], with their lengths, `frames` and `letters`.

    An utterance goes into the first row with room for it; a space stands between two. copies: the
    frames of all utterances, once or several times; each copy is joined in another order, which
    depends on nothing else. An utterance longer than T is left out.
    """
    x: list[np.ndarray] = []
    y: list[np.ndarray] = []
    rng = np.random.default_rng(0)
    for frames in copies:
        rows: list[list[int]] = []
        room: list[int] = []
        for i in map(int, rng.permutation(len(frames))):
            if len(frames[i]) > T:
                continue
            j = next((j for j, left in enumerate(room) if left >= len(frames[i])), len(rows))
            if j == len(rows):
                rows.append([])
                room.append(T)
            rows[j].append(i)
            room[j] -= len(frames[i])
        x += [np.concatenate([frames[i] for i in row]) for row in rows]
        y += [encode(" ".join(texts[i] for i in row)) for row in rows]
    padded, n = pad(x, T)
    labels, letters = pad(y)
    return {"x": padded, "frames": n, "y": labels, "letters": letters}


def training_arrays(
    found: Speech, frames: Sequence[np.ndarray], seconds: float, copies: Sequence[Any] = ()
) -> dict[str, dict[str, np.ndarray]]:
    """What a game plays on, padded arrays as in `joined`: "train", and "held", the held-out
    utterances that are no longer than a row, each in a row of its own.

    seconds: of a row. copies: frames of the same utterances at other speeds, to train on as well. A
    line on stderr counts the training utterances that are longer than a row; they are left out.
    Raises ValueError where none is left.
    """
    T = round(seconds / audio.HOP)
    train = np.flatnonzero(~found.test).tolist()
    long = sum(len(frames[i]) > T for i in train)
    held = [i for i in np.flatnonzero(found.test).tolist() if len(frames[i]) <= T]
    if long == len(train) or not held:
        shortest = min(map(len, frames)) * audio.HOP
        raise ValueError(
            f"{found.source}: rows of {seconds:g} s are too short, the shortest utterance has "
            f"{shortest:.1f} s: raise --seconds"
        )
    if long:
        print(
            f"{found.source}: {long} of {len(train)} training utterances are longer than "
            f"{seconds:g} s and are left out",
            file=sys.stderr,
        )
    x, n = pad([frames[i] for i in held], T)
    y, letters = pad([encode(found.text[i]) for i in held])
    all_copies = [[own[i] for i in train] for own in (frames, frames, *copies)]
    return {
        "train": joined(all_copies, [found.text[i] for i in train], T),
        "held": {"x": x, "frames": n, "y": y, "letters": letters},
    }


def dataset(name: str, data_dir: str | None = None, split: str = "train") -> Dataset:
    """The sounds of a named set as a dataset: x int16 [n, samples], zeros behind `length`, and the
    texts as bytes. Raises ValueError for another split than train and test.
    """
    if split not in ("train", "test"):
        raise ValueError(f"{name} has the splits train and test, not {split!r}")
    found = find(name, data_dir)
    rows = np.flatnonzero(found.test == (split == "test")).tolist()
    longest = max(len(found.audio[i]) for i in rows)

    def read() -> Arrays:
        x, length = pad([found.audio[i] for i in rows])
        return {"x": x, "length": length, "text": np.array([found.text[i].encode() for i in rows])}

    return Dataset(name, (longest,), read, None, len(rows), len(rows) * longest * 2)
