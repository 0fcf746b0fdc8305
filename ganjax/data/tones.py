"""Synthetic speech: letters as chords of two tones, so that a recogniser can be tried anywhere."""

from __future__ import annotations

import numpy as np

LOW = (350, 450, 570, 700, 860, 1040, 1250)  # hertz
HIGH = (1600, 2050, 2600, 3300)
TEXTS, HELD_OUT = 620, 20
LETTERS = (3, 8)  # of a text
TONE = (0.06, 0.10)  # seconds of a chord
GAP = 0.03  # seconds of silence behind it


def chord(i: int, seconds: float, rate: int) -> np.ndarray:
    """The chord of letter i < 28, float64 [samples] within ±0.6, without clicks at its ends."""
    time = np.arange(round(seconds * rate)) / rate
    sound = sum(np.sin(2 * np.pi * f * time) for f in (LOW[i % 7], HIGH[i // 7]))
    return 0.3 * sound * np.sin(np.pi * np.linspace(0, 1, len(time))) ** 0.5


def utterances(alphabet: str, rate: int) -> tuple[list[np.ndarray], list[str], np.ndarray]:
    """TEXTS random texts as sound int16 [samples] in faint noise, the texts, and which of them are
    held out, the last HELD_OUT.

    Always the same. Letters are those of the alphabet, spaces stand between letters alone.
    """
    rng = np.random.default_rng(0)
    letters = alphabet.replace(" ", "")
    sounds, texts = [], []
    for _ in range(TEXTS):
        drawn = rng.choice(list(letters), rng.integers(LETTERS[0], LETTERS[1] + 1))
        if len(drawn) > 4:
            drawn[len(drawn) // 2] = " "
        parts = [np.zeros(round(GAP * rate))]
        for letter in drawn:
            parts += [chord(alphabet.index(letter), rng.uniform(*TONE), rate)]
            parts += [np.zeros(round(GAP * rate))]
        sound = np.concatenate(parts)
        sound += rng.normal(0, 0.003, len(sound))
        sounds.append(np.rint(32767 * sound).astype(np.int16))
        texts.append("".join(drawn))
    return sounds, texts, np.arange(TEXTS) >= TEXTS - HELD_OUT
