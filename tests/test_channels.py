"""Sequences of two channels: the data, what is measured of them, who hears them."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from runs import EXPERIMENTS, call, unmeasured

from ganjax.data import midi, stereo
from ganjax.metrics import stereo as heard


def numbers(found: dict[str, jax.Array]) -> dict[str, float]:
    """As Python's numbers."""
    return {name: float(value) for name, value in found.items()}


def test_the_waves_themselves_are_pure_and_a_quarter_of_a_cycle_apart() -> None:
    x = stereo.stereo_waves()
    found = numbers(heard.of_waves(jnp.asarray(x)))
    assert found["tone_left"] == pytest.approx(1, abs=1e-5)
    assert found["tone_right"] == pytest.approx(1, abs=1e-5)
    assert found["same_cycles"] == 1
    assert found["phase_error"] == pytest.approx(0, abs=0.01)
    assert max(found["cycles_left"], found["cycles_right"]) < 0.03


def test_two_voices_are_written_as_the_notes_that_they_sing(tmp_path: Path) -> None:
    pytest.importorskip("mido")
    low, high = stereo.PITCH
    pitches = np.array([[72, 48], [72, 50], [74, 50], [74, 50]])
    x = 2 * (pitches + 0.3 - low) / (high - low) - 1  # rounded to the nearest semitone
    stereo.write_mid(x, tmp_path / "two.mid")
    notes = midi.read(tmp_path / "two.mid")[:, :3]
    assert sorted(map(tuple, notes.tolist())) == [
        (0, 0.5, 48),
        (0, 1, 72),
        (0.5, 1.5, 50),
        (1, 1, 74),
    ]


def test_channels_of_different_waves_are_heard_to_know_nothing_of_each_other() -> None:
    x = stereo.stereo_waves()
    mixed = np.stack([x[..., 0], np.roll(x[..., 1], 1, 0)], -1)
    found = numbers(heard.of_waves(jnp.asarray(mixed)))
    assert found["tone_left"] == pytest.approx(1, abs=1e-5)
    assert found["same_cycles"] == pytest.approx(0.2, abs=0.03)
    assert found["phase_error"] == pytest.approx(90, abs=5)


def test_swapped_channels_are_half_a_cycle_off_and_one_frequency_is_uneven() -> None:
    x = stereo.stereo_waves()
    assert float(heard.of_waves(jnp.asarray(x[..., ::-1]))["phase_error"]) == pytest.approx(
        180, abs=0.1
    )
    time = np.arange(stereo.LENGTH) / stereo.LENGTH
    one = np.tile(np.cos(6 * np.pi * time)[:, None], (4, 1, 2)).reshape(4, -1, 2)
    assert float(heard.of_waves(jnp.asarray(one))["cycles_left"]) == pytest.approx(0.8)


def test_noise_has_no_tone() -> None:
    """White noise spreads evenly over 32 real dimensions; a tone takes two, the best of five."""
    x = jax.random.normal(jax.random.key(0), (2000, 32, 2))
    assert 2 / 32 < float(heard.of_waves(x)["tone_left"]) < 5 * 2 / 32


def piece() -> tuple[np.ndarray, np.ndarray]:
    """Sixteen quarters and their bass in halves, beside two middle voices that are not heard."""
    soprano = [(i, 1, 60 + i % 2, 0) for i in range(16)]
    bass = [(2 * i, 2, 48, 3) for i in range(8)]
    middle = [(0, 16, 55, 1), (0, 16, 52, 2)]
    notes = np.array(sorted(soprano + bass + middle), np.float32)
    padded = np.zeros((1, 40, 4), np.float32)
    padded[0, : len(notes)] = notes
    return padded, np.array([len(notes)])


def test_outer_voices_are_held_in_eighths() -> None:
    pieces, length = piece()
    x = stereo.outer_voices(pieces, length)
    assert x.shape == (1, 32, 2)
    pitches = stereo.as_pitches(x[0])
    np.testing.assert_allclose(pitches[:, 0], 60 + np.repeat(np.arange(16) % 2, 2), atol=1e-4)
    np.testing.assert_allclose(pitches[:, 1], 48, atol=1e-4)
    found = numbers(heard.of_voices(jnp.asarray(x), jnp.asarray(x)))
    assert found["consonant"] == 0.5  # octaves, and minor ninths
    wrong = ("pitch_left", "pitch_right", "steps_left", "steps_right", "intervals")
    assert [found[name] for name in wrong] == [0] * 5


def test_a_voice_a_semitone_higher_changes_pitch_and_intervals_but_no_step() -> None:
    x = jnp.asarray(stereo.outer_voices(*piece()))
    semitone = 2 / (stereo.PITCH[1] - stereo.PITCH[0])
    higher = x.at[..., 0].add(semitone)
    found = numbers(heard.of_voices(higher, x))
    assert found["pitch_left"] == pytest.approx(1, abs=1e-3)
    assert found["pitch_right"] == found["steps_left"] == found["steps_right"] == 0
    assert found["intervals"] == pytest.approx(0.5)  # 0, 1 -> 1, 2: half of them agree
    both = numbers(heard.of_voices(x + semitone, x))
    assert both["intervals"] == 0


def players(hears: str) -> dict[str, Any]:
    """The players of a row."""
    file = EXPERIMENTS["channels.py"]
    return dict(file.build({**file.quick, "hears": hears}).played.players)


def test_discriminators_are_of_equal_size_in_sum_and_hear_their_channels_alone() -> None:
    sizes = {}
    for hears in ("one", "two", "three"):
        found = players(hears)
        G = found.pop("G")
        assert G.inputs == ((32,),)
        shapes = {name: D.inputs[0] for name, D in found.items()}
        assert shapes == {n: (32, 2 if n == "B" else 1) for n in shapes}
        sizes[hears] = sum(
            leaf.size
            for D in found.values()
            for leaf in jax.tree.leaves(jax.eval_shape(D.init, jax.random.key(0)))
        )
    assert max(sizes.values()) < 1.03 * min(sizes.values())


def test_a_sample_is_a_second_of_stereo_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unmeasured(monkeypatch)
    run, out = tmp_path / "run", tmp_path / "x.wav"
    how = ["--quick", "--steps=2", "--quiet", "--no-cache"]
    assert call("run", EXPERIMENTS["channels.py"].path, *how, "--out", run)[0] == 0
    assert call("sample", run, "--out", out)[0] == 0
    with wave.open(str(out)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (2, 8000, 8000)
