"""Standard MIDI files from notes and notes from them, by mido."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ganjax.host import one_line

TICKS = 384  # of a quarter note, as in Mogren 2016
TEMPO = 72  # quarter notes a minute
LOUDNESS = 80  # the velocity of notes that have none
DRUMS = 9  # the channel whose pitches are instruments


def write(notes: Float[np.ndarray, "n 4"], path: Path) -> None:
    """Notes, onset and duration in quarter notes, MIDI pitch and velocity (0: none), as a file of
    one track.

    A pitch that is struck again while it sounds ends there, as MIDI cannot say which of two equal
    notes is released; of equal notes that begin together the longest stays. Raises ValueError, one
    line, without mido.
    """
    mido = _mido()
    file = mido.MidiFile(ticks_per_beat=TICKS)
    track = mido.MidiTrack()
    file.tracks.append(track)
    track.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(TEMPO)))
    events = []  # (tick, 0 off or 1 on, pitch, velocity)
    for begin, end, pitch, velocity in _apart(notes):
        events += [(begin, 1, pitch, velocity or LOUDNESS), (end, 0, pitch, 0)]
    now = 0
    for tick, on, pitch, velocity in sorted(events):
        kind = "note_on" if on else "note_off"
        track.append(mido.Message(kind, note=pitch, velocity=velocity, time=tick - now))
        now = tick
    file.save(str(path))


def _apart(notes: np.ndarray) -> list[tuple[int, int, int, int]]:
    """(begin, end, pitch, velocity) in ticks; no two notes of one pitch sound at once."""
    begin = np.rint(notes[:, 0] * TICKS).astype(int)
    end = np.rint((notes[:, 0] + notes[:, 1]) * TICKS).astype(int)
    rows = np.stack([begin, end, *notes[:, 2:].astype(int).T], 1)
    rows = rows[np.lexsort((end, begin, rows[:, 2]))]
    again = rows[1:, 2] == rows[:-1, 2]
    rows[:-1, 1] = np.where(again, np.minimum(rows[:-1, 1], rows[1:, 0]), rows[:-1, 1])
    return [tuple(row) for row in rows[rows[:, 1] > rows[:, 0]].tolist()]


def read(path: Path) -> Float[np.ndarray, "n 4"]:
    """The notes of a file as in `write`, by onset and pitch; drums are left out.

    Raises ValueError, one line: no mido, no MIDI file, no notes in it.
    """
    mido = _mido()
    try:
        file = mido.MidiFile(str(path))
    except (OSError, EOFError, ValueError, LookupError) as error:
        raise ValueError(f"{path} is no MIDI file: {one_line(error)}") from error
    if not file.ticks_per_beat or file.ticks_per_beat < 0:
        raise ValueError(f"{path} counts seconds, not beats: MIDI with ticks of a beat is wanted")
    rows = []
    for track in file.tracks:
        now = 0
        sounding: dict[tuple[int, int], tuple[int, int]] = {}
        for message in track:
            now += message.time
            if message.type not in ("note_on", "note_off") or message.channel == DRUMS:
                continue
            key = (message.channel, message.note)
            if key in sounding:
                begin, velocity = sounding.pop(key)
                if now > begin:
                    rows.append((begin, now - begin, message.note, velocity))
            if message.type == "note_on" and message.velocity:
                sounding[key] = (now, message.velocity)
    if not rows:
        raise ValueError(f"{path} has no notes")
    notes = np.array(sorted(rows, key=lambda row: (row[0], row[2])), np.float32)
    notes[:, :2] /= file.ticks_per_beat
    return notes


def _mido() -> Any:
    try:
        import mido
    except ImportError as error:
        raise ValueError("MIDI files need mido: pip install 'ganjax[music]'") from error
    return mido
