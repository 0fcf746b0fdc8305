"""Music: piano rolls of sequences, and statistics over the steps of several runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ganjax.figures.curves import mean_band
from ganjax.figures.style import INK, PALE, label_steps, palette, plain_axes

TITLES = {
    "polyphony": "polyphony: share of onsets",
    "scale": "scale consistency",
    "repetitions": "repetitions of 3 tones",
    "span": "tone span, half-tones",
}


def piano_rolls(pieces: Sequence[np.ndarray]) -> Figure:
    """Pieces [notes, 4] of onset, duration (quarter notes), MIDI pitch and velocity as bars, the
    first eight. A line is a quarter note, or an octave of C.
    """
    pieces = pieces[:8]
    figure = Figure((9, 1.5 * -(-len(pieces) // 2)), dpi=120, layout="constrained")
    colour = palette(1)[0]
    every = [piece for piece in pieces if len(piece)]
    low = min((piece[:, 2].min() for piece in every), default=60) - 2
    high = max((piece[:, 2].max() for piece in every), default=72) + 2
    low, high = min(low, 12 * (high // 12) - 1), max(high, low + 14)  # with a C
    for i, notes in enumerate(pieces):
        axes = plain_axes(figure.add_subplot(-(-len(pieces) // 2), 2, i + 1))
        axes.grid(color=PALE, linewidth=0.4, alpha=0.5)
        axes.set_axisbelow(True)
        axes.barh(
            notes[:, 2], notes[:, 1] - 0.06, left=notes[:, 0], height=0.9, color=colour, linewidth=0
        )
        end = max(1.0, float((notes[:, 0] + notes[:, 1]).max(initial=0)))
        axes.set(xlim=(0, end), ylim=(low, high))
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, steps=[1, 2, 4, 8, 10]))
        octaves = [c for c in range(0, 128, 12) if low < c < high]
        axes.set_yticks(octaves, [f"C{c // 12 - 1}" for c in octaves])
    figure.supxlabel("quarter notes", fontsize=7, color=INK)
    return figure


def statistics_over_steps(
    runs: Mapping[str, Iterable[Mapping[str, Any]]], real: Mapping[str, np.ndarray]
) -> Figure:
    """A panel for each statistic: a line and a band of ±1 SD over seeds for each run, and dashed,
    with a grey band of ±1 SD over windows, the corpus.

    runs: rows of metrics.jsonl by run; real: values of windows by statistic.
    """
    figure = Figure((8.4, 5), dpi=110, layout="constrained")
    by_run = {run: list(rows) for run, rows in runs.items()}
    for i, (name, values) in enumerate(real.items()):
        axes = plain_axes(figure.add_subplot(2, 2, i + 1))
        mean, sd = values.mean(), values.std()
        axes.axhspan(mean - sd, mean + sd, color=INK, alpha=0.08, linewidth=0)
        axes.axhline(mean, color=INK, linewidth=1, linestyle="--", label="corpus")
        for colour, (run, rows) in zip(palette(len(by_run)), by_run.items()):
            mean_band(axes, rows, name, colour, run)
        label_steps(axes, TITLES.get(name, name))
        if i == 0:
            handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), fontsize=7,
                  frameon=False)  # fmt: skip
    figure.supxlabel("step", fontsize=8, color=INK)
    return figure
