"""Speech: spectrograms with their texts, and posteriors over time below the sound."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from ganjax.data.audio import HOP, as_floats, log_mel
from ganjax.data.speech import ALPHABET, decode
from ganjax.figures.style import INK, PALE, palette, plain_axes

LETTERS = 60  # of a title


def spectrograms(sounds: Sequence[np.ndarray], texts: Sequence[str], rate: int) -> Figure:
    """Log-mel spectrograms of sounds [samples], low bands below, each titled with its text.

    All are drawn to one scale of time: white is behind the end of a sound.
    """
    columns = 2
    rows = -(-len(sounds) // columns)
    figure = Figure((8, 1.1 * rows), dpi=120, layout="constrained")
    frames = [log_mel(as_floats(x), rate) for x in sounds]
    low, high = np.percentile(np.concatenate(frames), [5, 99.5])
    longest = max(map(len, frames)) * HOP
    for i, (x, text) in enumerate(zip(frames, texts)):
        axes = plain_axes(figure.add_subplot(rows, columns, i + 1))
        axes.imshow(
            x.T, origin="lower", aspect="auto", cmap="magma", vmin=low, vmax=high,
            extent=(0, len(x) * HOP, 0, x.shape[1]),
        )  # fmt: skip
        shown = text if len(text) <= LETTERS else text[: LETTERS - 1] + "…"
        axes.set_title(shown, loc="left", fontsize=7, color=INK, pad=2)
        axes.set(xlim=(0, longest), yticks=[])
        if i < len(sounds) - columns:
            axes.set_xticklabels([])
    figure.supxlabel("seconds", fontsize=7, color=INK)
    return figure


def alignment(sound: np.ndarray, rate: int, log_p: np.ndarray, stride: int, text: str) -> Figure:
    """The waveform [samples], and below it the posterior of each letter over time; log_p [T, C],
    a frame every `stride` hops, label 0 is the blank.

    A letter is written where its posterior peaks; the title has the true text and what is read.
    """
    p = np.exp(log_p)
    time = (np.arange(len(p)) + 0.5) * stride * HOP
    seconds = len(sound) / rate
    figure = Figure((9, 3.6), dpi=130, layout="constrained")
    upper, lower = figure.subplots(2, 1, height_ratios=(1, 1.6), sharex=True)
    plain_axes(upper).plot(np.arange(len(sound)) / rate, as_floats(sound), color=INK, linewidth=0.3)
    upper.set_yticks([])
    plain_axes(lower).fill_between(time, p[:, 0], color=PALE, alpha=0.5, linewidth=0)
    best = p.argmax(1)
    seen = sorted(set(best) - {0})
    for label, colour in zip(seen, palette(len(seen))):
        lower.plot(time, p[:, label], color=colour, linewidth=1)
    starts = np.flatnonzero((best != np.r_[0, best[:-1]]) & (best != 0))
    for t in starts:
        run = t + np.argmax(best[t:] != best[t]) if (best[t:] != best[t]).any() else len(best)
        peak = t + int(p[t:run, best[t]].argmax())
        letter = ALPHABET[best[t] - 1].replace(" ", "␣")
        colour = palette(len(seen))[seen.index(best[t])]
        lower.text(time[peak], 1.04, letter, ha="center", fontsize=7, color=colour)
    lower.set(xlim=(0, seconds), ylim=(0, 1.18), yticks=(0, 0.5, 1))
    lower.set_xlabel("seconds", fontsize=7, color=INK)
    lower.set_ylabel("posterior (grey: blank)", fontsize=7, color=INK)
    found = decode([int(best[t]) for t in starts])
    upper.set_title(f"said:  {text}\nread:  {found}", loc="left", fontsize=8, color=INK)
    return figure
