"""Music as C-RNN-GAN reads and writes it: tuples of tones in cells; chorales, walks, MIDI files."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Float32

from ganjax.data import midi, registry, tfds
from ganjax.data.kept import kept_of, note_path
from ganjax.data.sequences import pad
from ganjax.keys import stream

NAMES = ("walks", "bach_chorales")
GRID = 4  # parts of a quarter note: all times are whole sixteenths
LONGEST = 8.0  # quarter notes; longer tones and waits are cut to it
ABSENT = -2.0  # the normalised length of a tone that is not there; below -1.5 it is read as absent
WALKS, HELD_OUT = 60, 12
MELODY = 120  # tones of a walk, without the thirds
MAJOR = (0, 2, 4, 5, 7, 9, 11)


@dataclass(frozen=True)
class Form:
    """What one cell of a sequence holds: `tones` times (length, pitch, [intensity]), then the time
    since the last cell. A cell has one tone or more.
    """

    tones: int = 1
    intensity: bool = False

    @property
    def features(self) -> int:
        """Numbers a tone."""
        return 3 if self.intensity else 2

    @property
    def size(self) -> int:
        """Numbers a cell, k."""
        return self.tones * self.features + 1


@kept_of(known=lambda name: name == "walks")
def find(source: str, data_dir: str | None = None, split: str = "train") -> list[np.ndarray]:
    """The pieces of a name, of a MIDI file or of a folder of them, each float32 [notes, 4]: onset,
    duration (quarter notes, in whole sixteenths), MIDI pitch, velocity (0: none), by onset and
    pitch.

    Raises ValueError, one line, for what is no music, or has no notes.
    """
    path = Path(os.path.expanduser(source))
    if source == "walks":
        pieces = walks(split)
    elif source == "bach_chorales":
        x: Any = tfds.dataset(source, data_dir, split).load()
        pieces = [events[events[:, 1] > 0] for events in np.asarray(x["x"])]
        for events in pieces:
            events[:, 3] = 0  # the voice, in place of a loudness
    elif path.is_dir() or path.suffix.lower() in (".mid", ".midi"):
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        files = [file for file in files if file.suffix.lower() in (".mid", ".midi")]
        if not files:
            raise ValueError(f"{source} holds no .mid files")
        note_path(source)
        pieces = [midi.read(file) for file in files]
    else:
        is_there = source in registry.names() or path.exists()
        told = f"{source} is no music" if is_there else f"there is no music {source!r}"
        raise ValueError(f"{told}: {', '.join(NAMES)}, .mid files and folders of them are known")
    return [on_the_grid(piece) for piece in pieces]


def on_the_grid(notes: Float[np.ndarray, "n 4"]) -> Float32[np.ndarray, "n 4"]:
    """Notes by onset and pitch, their times rounded to sixteenths; none is shorter than one."""
    notes = notes.astype(np.float32, copy=True)
    notes[:, :2] = np.rint(notes[:, :2] * GRID) / GRID
    notes[:, 1] = np.clip(notes[:, 1], 1 / GRID, LONGEST)
    return notes[np.lexsort((notes[:, 2], notes[:, 0]))]


def walks(split: str = "train") -> list[np.ndarray]:
    """Melodies that walk on a major scale of any key, with a third below on every other quarter
    note: WALKS pieces, or HELD_OUT for "test". Always the same.
    """
    rng = np.random.default_rng(split == "test")
    pieces = []
    for _ in range(HELD_OUT if split == "test" else WALKS):
        tonic, degree, now, rows = rng.integers(55, 67), int(rng.integers(7)), 0.0, []
        lengths, moves = rng.choice([0.5, 0.5, 1.0], MELODY), rng.choice([-2, -1, 1, 2], MELODY)
        for length, move in zip(lengths.tolist(), moves.tolist()):
            degree = min(max(degree + move, -3), 12)
            places = [degree, degree - 2] if now % 2 == 0 else [degree]
            for i, place in enumerate(places):
                pitch = tonic + 12 * (place // 7) + MAJOR[place % 7]
                rows.append((now, 1.0 if i else length, pitch, 0))
            now += length
        pieces.append(np.array(rows, np.float32))
    return pieces


def form_of(pieces: Sequence[np.ndarray], tones: int) -> Form:
    """The form of these pieces: with intensity where their loudness differs."""
    loud = np.concatenate([piece[:, 3] for piece in pieces])
    return Form(tones, bool(loud.min() < loud.max()))


def encode(notes: Float[np.ndarray, "n 4"], form: Form) -> Float32[np.ndarray, "T k"]:
    """Notes as normalised cells; tones that begin together share cells, as many as fit.

    Length is log2 of quarter notes / 2, pitch octaves above middle C, so log frequency, intensity
    velocity / 127, and time the square root of quarter notes, where a chord's 0 is well apart from
    a sixteenth's 1/2.
    """
    rows: list[list[Any]] = []
    since: list[float] = []
    last = float(notes[0, 0])
    for i, note in enumerate(notes):
        together = i > 0 and note[0] == notes[i - 1, 0]
        if not together or len(rows[-1]) == form.tones:
            rows.append([])
            since.append(float(note[0]) - last)
            last = float(note[0])
        rows[-1].append(note)
    x = np.zeros((len(rows), form.tones, form.features), np.float32)
    x[..., 0] = ABSENT
    for cell, tones in zip(x, rows):
        held = np.array(tones)
        cell[: len(held), 0] = np.log2(held[:, 1]) / 2
        cell[: len(held), 1] = (held[:, 2] - 60) / 12
        if form.intensity:
            cell[: len(held), 2] = held[:, 3] / 127
    time = np.sqrt(np.minimum(np.array(since, np.float32), LONGEST))
    return np.concatenate([x.reshape(len(rows), -1), time[:, None]], 1)


def decode(x: Float[Array | np.ndarray, "*B T k"], form: Form) -> Float32[Array, "*B T k"]:
    """Normalised cells as tuples of the same places: lengths in quarter notes (0: no tone), MIDI
    pitches, [velocities], quarter notes since the last cell; times are whole sixteenths.
    """
    x = jnp.asarray(x, jnp.float32)
    cells = x[..., :-1].reshape(*x.shape[:-1], form.tones, form.features)
    first = jnp.arange(form.tones) == 0  # a cell has one tone or more
    there = first | (cells[..., 0] > (ABSENT - 1) / 2)
    quarters = 2.0 ** jnp.clip(2 * cells[..., 0], -2, np.log2(LONGEST))
    length = jnp.where(there, jnp.round(GRID * quarters) / GRID, 0)
    values = [length, jnp.clip(jnp.round(60 + 12 * cells[..., 1]), 0, 127)]
    if form.intensity:
        values.append(jnp.clip(jnp.round(127 * cells[..., 2]), 1, 127))
    time = jnp.round(GRID * jnp.clip(x[..., -1:], 0, LONGEST**0.5) ** 2) / GRID
    tones = jnp.stack(values, -1).reshape(*x.shape[:-1], -1)
    return jnp.concatenate([tones, time], -1)


def tones_of(
    tuples: Float[Array | np.ndarray, "*B T k"], form: Form
) -> tuple[Array, Array, Array, Array]:
    """Tuples of `decode` as tones in their order, [*B, T tones] each: onsets and lengths in quarter
    notes from the first cell on (length 0: no tone), pitches, velocities (0: none).
    """
    tuples = jnp.asarray(tuples)
    since = tuples[..., -1].at[..., 0].set(0)
    onset = jnp.repeat(jnp.cumsum(since, -1), form.tones, -1)
    cells = tuples[..., :-1].reshape(*onset.shape, form.features)
    velocity = cells[..., 2] if form.intensity else jnp.zeros_like(onset)
    return onset, cells[..., 0], cells[..., 1], velocity


def notes_of(tuples: np.ndarray, form: Form) -> Float[np.ndarray, "n 4"]:
    """Tuples [T, k] of `decode` as notes: onset, duration, pitch, velocity."""
    notes = np.stack([np.asarray(values) for values in tones_of(tuples, form)], -1)
    return notes[notes[:, 1] > 0]


def training_arrays(
    pieces: Sequence[np.ndarray], form: Form, T: int, source: str
) -> dict[str, np.ndarray]:
    """What a game draws windows of T cells from: x float32 [n, cells, k], and `length` [n].

    A line on stderr counts the pieces that are shorter than a window; they are left out. Raises
    ValueError where all are.
    """
    rows = [encode(piece, form) for piece in pieces]
    long = [row for row in rows if len(row) >= T]
    if not long:
        raise ValueError(
            f"{source}: a window of {T} cells is longer than every piece, the longest has "
            f"{max(map(len, rows))}: lower --cells"
        )
    if len(long) < len(rows):
        short = len(rows) - len(long)
        told = f"{source}: {short} of {len(rows)} pieces are shorter than {T} cells and left out"
        print(told, file=sys.stderr)
    x, length = pad(long)
    return {"x": x, "length": length}


def draw_windows(data: Any, key: Array, n: int, T: int) -> dict[str, Array]:
    """n windows of T cells {"x": [n, T, k]}: a piece, each as likely, then where it begins."""
    x, length = jnp.asarray(data["x"]), jnp.asarray(data["length"])
    piece = jax.random.randint(stream(key, "piece"), (n,), 0, len(x))
    start = jax.random.randint(stream(key, "start"), (n,), 0, length[piece] - T + 1)
    return {"x": x[piece[:, None], start[:, None] + jnp.arange(T)]}
