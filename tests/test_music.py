"""Music: tuples of tones and back, MIDI files, statistics against bars counted by hand and brute
force.
"""

from __future__ import annotations

import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from ganjax.data import midi, music
from ganjax.data.music import Form
from ganjax.figures.music import piano_rolls, statistics_over_steps
from ganjax.metrics import music as metrics
from ganjax.protocols import music as protocol

# Two bars in C major: a chord of three, two single tones, a chord of two, and one tone.
BARS = np.array(
    [
        (0, 1, 60, 90), (0, 1, 64, 80), (0, 1, 67, 70), (1, 0.5, 62, 90), (1.5, 0.5, 64, 90),
        (2, 1, 60, 90), (2, 1, 65, 60), (3, 1, 66, 90),
    ],
    np.float32,
)  # fmt: skip


def there(n: int, N: int | None = None) -> np.ndarray:
    return np.arange(N or n) < n


def test_the_statistics_of_two_bars_counted_by_hand() -> None:
    found = metrics.statistics(BARS[:, 0], BARS[:, 2], there(8))
    # Onsets at 0, 1, 1.5, 2 and 3; two of five have chords.
    assert found["polyphony"] == pytest.approx(2 / 5)
    # 66 alone is foreign to C major.
    assert found["scale"] == pytest.approx(7 / 8)
    assert found["span"] == 7
    assert found["repetitions"] == 0
    # One by one: single, chord, chord | end: chord; single | single; single | single; single,
    # chord | end: chord; single. Chords: 2 + 1 + 1 + 1; singles: 1 + 1 + 1 + 1 + 1 + 1 + 1.
    assert found["polyphony_literal"] == pytest.approx(5 / 12)


def test_repetitions_of_a_tune_counted_by_hand() -> None:
    tune = np.array([60, 62, 64, 60, 62, 64, 65, 60, 62, 64])
    # 60 62 64 begins at 0, 3 and 7: three pairs; no other run of three comes twice.
    assert metrics.repetitions(tune, there(10)) == 3
    # Those that end with the last tone are not seen by the authors' code.
    assert metrics.repetitions(tune, there(10), literal=True) == 1
    # Runs that overlap are no repetition: 60 60 60 60 60 has starts 0, 1, 2.
    assert metrics.repetitions(np.full(5, 60), there(5)) == 0
    assert metrics.repetitions(np.full(6, 60), there(6)) == 1


def test_a_scale_wraps_around_the_octave() -> None:
    """G major has C below its tonic: the authors' code, without a second modulo, loses it."""
    g_major = np.array([67, 69, 71, 72, 74, 76, 78])
    assert metrics.scale_consistency(g_major, there(7)) == 1
    # By hand: with the tonic C, all but 78, F sharp.
    assert metrics.scale_consistency(g_major, there(7), literal=True) == pytest.approx(6 / 7)


def brute_force(onset: list[float], pitch: list[int]) -> dict[str, float]:
    """The statistics by loops over one piece, as the text has them, and the authors' counts."""
    events = [onset.count(t) for t in sorted(set(onset))]
    single = chord = so_far = 0
    for i, t in enumerate(onset):
        if i and t == onset[i - 1]:
            so_far += 1
        else:
            single, chord = single + (so_far == 1), chord + (so_far > 1)
            so_far = 1
        single, chord = single + (so_far == 1), chord + (so_far > 1)
    n, runs = len(pitch), [tuple(pitch[i : i + 3]) for i in range(len(pitch) - 2)]
    pairs = [(i, j) for i, j in combinations(range(len(runs)), 2) if j - i >= 3]
    seen = [(i, j) for i, j in pairs if j < n - 3 and n // 2 > 3]
    scales = [(t, s) for t in range(12) for s in metrics.SCALES]
    return {
        "polyphony": sum(count > 1 for count in events) / len(events),
        "polyphony_literal": chord / (chord + single),
        "scale": max(sum((p - t) % 12 in s for p in pitch) / n for t, s in scales),
        "scale_literal": max(sum(p % 12 - t in s for p in pitch) / n for t, s in scales),
        "repetitions": sum(runs[i] == runs[j] for i, j in pairs),
        "repetitions_literal": sum(runs[i] == runs[j] for i, j in seen),
        "span": max(pitch) - min(pitch),
    }


def test_the_statistics_are_those_of_loops_over_the_tones() -> None:
    rng, N = np.random.default_rng(0), 24
    compiled = jax.jit(metrics.statistics)
    for n in [1, 2, 3, 6, 7, 8, *rng.integers(9, N, 12)]:
        onset = np.cumsum(rng.integers(0, 3, n)) / 4
        pitch = rng.choice([60, 62, 63, 67], n)
        padded = [np.concatenate([values, np.zeros(N - n)]) for values in (onset, pitch)]
        found = compiled(*padded, there(n, N))
        for name, value in brute_force(onset.tolist(), pitch.tolist()).items():
            assert found[name] == pytest.approx(value, abs=1e-6), (name, n)


@pytest.mark.parametrize("tones", [1, 3])
def test_cells_hold_all_that_a_piece_says(tones: int) -> None:
    form = music.form_of([BARS], tones)
    assert form == Form(tones, intensity=True)
    x = music.encode(BARS, form)
    # Three tones a cell: one each onset, five in all.
    assert x.shape == ((8, 4) if tones == 1 else (5, 10))
    np.testing.assert_allclose(music.notes_of(np.asarray(music.decode(x, form)), form), BARS)
    chorales = [piece for piece in music.find("walks") if len(piece)][:3]
    for piece in chorales:
        form = music.form_of([piece], tones)
        assert form == Form(tones)
        tuples = music.decode(music.encode(piece, form), form)
        np.testing.assert_array_equal(music.notes_of(np.asarray(tuples), form), piece)


def test_any_numbers_are_music() -> None:
    """Of an untrained G: on the grid, within MIDI's range, one tone a cell or more."""
    x = 20 * random.normal(random.key(0), (5, 9, 10))
    for form in (Form(), Form(1, True), Form(3, True)):
        tuples = np.asarray(music.decode(x[..., : form.size], form))
        for one in tuples:
            notes = music.notes_of(one, form)
            assert len(notes) >= 9
            assert (notes[:, :2] * 4 % 1 == 0).all()
            assert (notes[:, 1] >= 0.25).all()
            assert ((notes[:, 2] >= 0) & (notes[:, 2] <= 127)).all()


def test_windows_are_cut_from_within_pieces() -> None:
    """Each piece counts its cells from a number of its own: a window across its end would show."""
    rows = [np.arange(n, dtype=np.float32)[:, None] + 100 * i for i, n in enumerate((5, 9, 7), 1)]
    x, length = music.pad(rows)
    windows = np.asarray(
        music.draw_windows({"x": x, "length": length}, random.key(0), 400, 5)["x"]
    )[..., 0]
    assert (np.diff(windows) == 1).all()
    starts, counts = np.unique(windows[:, 0], return_counts=True)
    assert set(starts) == {100, *range(200, 205), *range(300, 303)}
    pieces = [counts[starts // 100 == i].sum() / 400 for i in (1, 2, 3)]
    np.testing.assert_allclose(pieces, 1 / 3, atol=0.08)


def test_a_midi_file_says_its_notes(tmp_path: Path) -> None:
    pytest.importorskip("mido")
    midi.write(BARS, tmp_path / "a.mid")
    np.testing.assert_allclose(midi.read(tmp_path / "a.mid"), BARS)
    # Without a loudness; a pitch struck again while it sounds; one tone twice at once.
    hard = np.array([(0, 2, 60, 0), (1, 1, 60, 0), (3, 1, 70, 0), (3, 2, 70, 0)], np.float32)
    midi.write(hard, tmp_path / "b.mid")
    heard = np.array([(0, 1, 60, 80), (1, 1, 60, 80), (3, 2, 70, 80)])
    np.testing.assert_allclose(midi.read(tmp_path / "b.mid"), heard)


def test_without_mido_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mido", None)
    with pytest.raises(ValueError, match=r"^MIDI files need mido: pip install 'ganjax\[music\]'$"):
        midi.write(BARS, tmp_path / "a.mid")


def test_a_home_that_is_not_there_is_one_line() -> None:
    with pytest.raises(ValueError, match=r"\Athere is no music '~nobody-at-all/x'[^\n]*\Z"):
        music.find("~nobody-at-all/x")


def test_equal_music_is_at_distance_zero_and_a_shift_is_its_size() -> None:
    values = {name: jnp.arange(8.0) for name in protocol.DRAWN}
    found = protocol.compared({**values, "span": values["span"] + 3}, values)
    assert found["w_polyphony"] == 0
    assert found["w_span"] == pytest.approx(3)
    assert found["span"] == pytest.approx(6.5)


def test_statistics_are_of_as_many_tones_in_any_form() -> None:
    """Three tones a cell: five cells hold all eight tones, of which the first five count."""
    form = music.form_of([BARS], 3)
    tuples = music.decode(music.encode(BARS, form), form)[None]
    found = protocol.statistics(tuples, form)
    alone = metrics.statistics(BARS[:5, 0], BARS[:5, 2], there(5))
    for name, value in alone.items():
        assert found[name][0] == value


def test_figures_have_a_panel_for_each_piece_and_statistic() -> None:
    assert len(piano_rolls([BARS, BARS[:0]]).axes) == 2
    rows: list[dict[str, Any]] = [
        {"step": s, "seed": 0, **dict.fromkeys(protocol.DRAWN, s / 9)} for s in (1, 2)
    ]
    figure = statistics_over_steps(
        {"a": rows, "b": rows}, {name: np.arange(4.0) for name in protocol.DRAWN}
    )
    assert [len(axes.lines) for axes in figure.axes] == [3] * 4
