"""Sequences of two channels: a synthetic stereo wave, and the outer voices of chorales."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from ganjax.data import midi
from ganjax.data.dataset import Dataset

LENGTH = 32  # entries of a sequence
CYCLES = (2, 3, 4, 5, 6)  # of a wave in a sequence
LAG = np.pi / 2  # of the right channel's phase behind the left one's
PITCH = (34, 84)  # the MIDI pitches that become -1 and 1
RATE = 8000  # samples a second of a written wave
STEPS = 2  # entries of a sequence in a quarter note


def stereo_waves(examples: int = 4096) -> np.ndarray:
    """Stereo waves, float32 [examples, LENGTH, 2] of left and right in -1..1.

    Both channels have the same whole number of CYCLES and loudnesses of their own; the left one
    begins at a random phase, the right one LAG later. The noise is that of one fixed seed.
    """
    rng = np.random.default_rng(0)
    cycles = rng.choice(CYCLES, (examples, 1, 1))
    phase = rng.uniform(0, 2 * np.pi, (examples, 1, 1)) + np.array([0, LAG])
    loud = rng.uniform(0.5, 1, (examples, 1, 2))
    time = np.arange(LENGTH)[:, None] / LENGTH
    return (loud * np.cos(2 * np.pi * cycles * time + phase)).astype(np.float32)


def outer_voices(pieces: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Soprano and bass of chorales in eighths, every window of LENGTH entries that begins on a
    half note: float32 [windows, LENGTH, 2], pitches PITCH as -1..1.

    pieces: [n, notes, 4] of onset and duration in quarter notes, pitch, voice 0 … 3 from soprano to
    bass; length: how many notes each has. A rest is filled with the note before it. Windows in
    which a voice has not begun are left out.
    """
    found = []
    for piece, notes in zip(pieces, length):
        onset, lasts, pitch, voice = piece[:notes].T
        entries = round(float((onset + lasts).max()) * STEPS)
        grid = np.full((entries, 2), np.nan)
        for channel, which in enumerate((0, 3)):
            for begin, height in sorted(zip(onset[voice == which], pitch[voice == which])):
                grid[round(float(begin) * STEPS) :, channel] = height
        starts = range(0, entries - LENGTH + 1, 2 * STEPS)
        found += [w for w in (grid[i : i + LENGTH] for i in starts) if np.isfinite(w).all()]
    low, high = PITCH
    return (2 * (np.stack(found) - low) / (high - low) - 1).astype(np.float32)


def as_pitches(x: np.ndarray) -> np.ndarray:
    """Sequences in -1..1 as MIDI pitches, not rounded."""
    low, high = PITCH
    return low + (x + 1) / 2 * (high - low)


def waves() -> Dataset:
    """The waves as a dataset."""
    x = stereo_waves()
    return Dataset("stereo", x.shape[1:], lambda: {"x": x}, examples=len(x), bytes=x.nbytes)


def voices(chorales: Dataset) -> Dataset:
    """Soprano and bass of a dataset of chorales."""
    arrays = chorales.load()
    assert isinstance(arrays, dict)
    x = outer_voices(np.asarray(arrays["x"]), np.asarray(arrays["length"]))
    return Dataset("voices", x.shape[1:], lambda: {"x": x}, examples=len(x), bytes=x.nbytes)


def write_wav(sequence: np.ndarray, path: Path) -> None:
    """One stereo wave [T, 2] of -1..1 as a second of sound: the sequence again and again, 8 kHz,
    16 bits.
    """
    sound = np.tile(np.clip(sequence, -1, 1), (RATE // len(sequence), 1))
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, RATE, 0, "NONE", ""))
        file.writeframes(np.rint(sound * 32767).astype("<i2").tobytes())


def voice_notes(sequence: np.ndarray) -> np.ndarray:
    """Two voices [T, 2] of -1..1 as notes [n, 4], onset and duration in quarter notes, pitch and
    velocity 0. Pitches are rounded to semitones; equal ones that follow each other are one note.
    """
    notes = []
    for voice in np.rint(as_pitches(sequence)).T:
        begins = np.flatnonzero(np.diff(voice, prepend=np.nan) != 0)
        lasts = np.diff(begins, append=len(voice))
        notes += [(b / STEPS, n / STEPS, voice[b], 0) for b, n in zip(begins, lasts)]
    return np.array(notes)


def write_mid(sequence: np.ndarray, path: Path) -> None:
    """Two voices [T, 2] of -1..1 as a MIDI file. Raises ValueError, one line, without mido."""
    midi.write(voice_notes(sequence), path)
