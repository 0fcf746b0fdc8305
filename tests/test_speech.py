"""Speech: features against librosa, the builder of prompts, a user's files, what is refused."""

from __future__ import annotations

import gzip
import json
import wave
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
from runs import EXPERIMENTS, call, everything

from ganjax import data, play
from ganjax.data import audio, speech, tones
from ganjax.data.builders import speech_prompts
from ganjax.figures.preview import contact_sheet
from ganjax.runs import storage

RATE = 8000


def sound(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    return (0.3 * np.sin(2 * np.pi * 440 * time) + rng.normal(0, 0.05, len(time))).astype("float32")


FORMS = pytest.mark.parametrize(("rate", "bands"), [(8000, 40), (16000, 64)])


@FORMS
def test_mel_filters_are_librosas(rate, bands):
    librosa = pytest.importorskip("librosa")
    size = round(audio.WINDOW * rate)
    theirs = librosa.filters.mel(sr=rate, n_fft=size, n_mels=bands)
    np.testing.assert_allclose(audio.mel_filters(rate, size, bands), theirs, atol=1e-7)


@FORMS
def test_log_mel_frames_are_of_scipys_spectrogram(rate, bands):
    x = sound(1.0)
    size, hop = round(audio.WINDOW * rate), round(audio.HOP * rate)
    how = {"window": "hann", "nperseg": size, "noverlap": size - hop, "detrend": False}
    spectrum = scipy.signal.stft(x.astype(np.float64), rate, boundary=None, padded=False, **how)[2]
    power = np.abs(spectrum * size / 2) ** 2  # SciPy divides by the sum of the window
    expected = np.log(audio.mel_filters(rate, size, bands) @ power + audio.FLOOR).T
    np.testing.assert_allclose(audio.log_mel(x, rate, bands), expected, atol=1e-3)


@pytest.mark.slow
@FORMS
def test_log_mel_frames_are_librosas(rate, bands):
    """Slow, as librosa compiles functions of its own when it is first called."""
    librosa = pytest.importorskip("librosa")
    x = sound(1.0)
    size, hop = round(audio.WINDOW * rate), round(audio.HOP * rate)
    power = librosa.feature.melspectrogram(
        y=x, sr=rate, n_fft=size, hop_length=hop, center=False, n_mels=bands
    )
    ours = audio.log_mel(x, rate, bands)
    assert ours.shape == power.T.shape
    np.testing.assert_allclose(ours, np.log(power.T + audio.FLOOR), atol=1e-3)


def test_short_sound_is_one_frame_and_resampling_keeps_a_tone():
    assert audio.log_mel(sound(0.01), RATE).shape == (1, 40)
    at_16k = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000).astype(np.float32)
    x = audio.resample(at_16k, 16000, RATE)
    assert len(x) == RATE
    assert np.abs(np.fft.rfft(x)).argmax() == 440


def test_gaps_hide_whole_frames_and_whole_bands_of_a_row():
    x = jnp.ones((64, 400, 40))
    gone = np.asarray(audio.hide(jax.random.key(0), x)) == 0
    frames, bands = gone.all(2), gone.all(1)
    np.testing.assert_array_equal(gone, frames[:, :, None] | bands[:, None])
    assert 0.02 < frames.mean() < 0.08  # two gaps of 10 on average in 400
    assert 0.08 < bands.mean() < 0.25  # two of 4 in 40
    assert len(np.unique(frames.sum(1))) > 5


def test_joined_rows_hold_every_utterance_with_its_text_once_a_copy():
    texts = ["a", "bb", "c a", "abc", "d"]
    frames = [np.full((n, 2), i + 1, np.float32) for i, n in enumerate((4, 9, 3, 7, 11))]
    rows = speech.joined([frames, frames], texts, 10)  # the last is too long
    assert rows["x"].shape[1:] == (10, 2)
    assert rows["frames"].sum() == 2 * (4 + 9 + 3 + 7)
    seen = []
    for x, n, y, m in zip(*rows.values()):
        assert not x[n:].any()
        own = [int(i) - 1 for i in x[:n, 0][np.diff(x[:n, 0], prepend=0) != 0]]
        assert speech.decode(y[:m]) == " ".join(texts[i] for i in own)
        seen += own
    assert sorted(seen) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_frames_needed_count_a_blank_between_equal_letters():
    assert [speech.frames_needed(text) for text in ("", "a", "ab", "aa", "aaa b")] == [
        0,
        1,
        2,
        3,
        7,
    ]


def test_tones_are_the_same_each_time_and_every_letter_is_a_chord_of_its_own():
    (first, texts, test), (again, _, _) = (tones.utterances(speech.ALPHABET, RATE) for _ in "ab")
    assert all(np.array_equal(a, b) for a, b in zip(first, again))
    assert test.sum() == tones.HELD_OUT
    assert set("".join(texts)) == set(speech.ALPHABET)
    peaks = set()
    for i in range(28):
        power = np.abs(np.fft.rfft(tones.chord(i, 0.1, RATE), 8000))
        low, high = power[:1400].argmax(), 1400 + power[1400:].argmax()
        peaks.add((int(low), int(high)))
    assert len(peaks) == 28


def prompt_folder(root: Path, rate: int = RATE) -> Path:
    """A few prompts as Debian's packages hold them: the last two have no sure text, or no sound."""
    lines = [
        "; a comment",
        *(f"digits/{i}: [{i}]" for i in range(1)),
        "vm-isunavail: is unavailable",
    ]
    lines += [f"p{i}: Press {i}, don't wait" for i in range(10)] + ["no-sound: nothing"]
    (root / "doc").mkdir(parents=True)
    (root / "doc" / speech_prompts.TEXTS).write_bytes(gzip.compress("\n".join(lines).encode()))
    for i, name in enumerate(["digits/0", "vm-isunavail", *(f"p{i}" for i in range(10))]):
        path = root / "sounds" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, rate, 0, "NONE", ""))
            file.writeframes(np.full(1000 + i, i, "<i2").tobytes())
    return root


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_prompts_are_prepared_read_and_drawn(places):
    with pytest.raises(ValueError, match="data prepare speech_prompts --manual DIR"):
        speech.find("speech_prompts")
    data.prepare("speech_prompts", str(prompt_folder(places / "files")))
    found = speech.find("speech_prompts")
    assert len(found.text) == 11
    by_name = dict(zip(found.name, zip(found.text, found.audio)))
    text, x = by_name["p3"]
    assert text == "press three don't wait"
    np.testing.assert_array_equal(x, np.full(1005, 5, np.int16))
    assert 0 < found.test.sum() < 11
    for name, test in zip(found.name, found.test):
        assert speech_prompts.held_out(name) == test
    found_dataset = data.find("speech_prompts")
    arrays: Any = found_dataset.load()
    assert arrays["x"].shape == (found_dataset.examples, *found_dataset.shape)
    assert len(contact_sheet(found_dataset, 4).axes) == 4
    assert len(contact_sheet(data.find("tones"), 6).axes) == 6


def test_prompts_of_another_rate_are_not_prepared(places):
    with pytest.raises(ValueError, match=r"\Aspeech_prompts cannot be prepared: .*not 8000 Hz"):
        data.prepare("speech_prompts", str(prompt_folder(places / "files", 16000)))


def own(path: Path, **changed: Any) -> Path:
    """A user's file of twelve utterances of half a second; arrays that are None are left out."""
    n = 12
    arrays = {
        "audio": np.concatenate([sound(0.5, i) for i in range(n)]),
        "start": np.arange(n + 1) * RATE // 2,
        "text": np.array(["to be or not"] * n),
        "test": np.arange(n) % 4 == 0,
        **changed,
    }
    np.savez(path, **{name: a for name, a in arrays.items() if a is not None})
    return path


def with_text(text: str) -> np.ndarray:
    return np.array(["hello"] * 11 + [text])


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "stereo": ({"audio": np.zeros((48000, 2), np.int16)}, "of several channels; mono is wanted"),
    "another rate": (
        {"rate": np.array(16000)},
        "16000 samples a second where 8000 are wanted: say",
    ),
    "an empty text": ({"text": with_text("")}, "the text of number 11 is empty"),
    "foreign letters": ({"text": with_text("Héy")}, "number 11 has 'H', 'é'; a to z, space and"),
    "a text too long": (
        {"text": with_text("mississippi river")},
        "number 11 has 16 frames of 30 ms, and CTC needs 20 for its 17 letters",
    ),
    "no text": ({"text": None}, "holds no array text: audio, start and text are wanted"),
    "no such sound": ({"start": np.arange(13) * RATE}, "start goes to 96000 where audio has 48000"),
    "no order": ({"start": np.zeros(13, int)}, "strings [n] and rising integers [n + 1]"),
    "nothing held out": ({"test": np.zeros(12, bool)}, "test is bool [12], and some are True"),
    "loud": ({"audio": np.full(48000, 2.0)}, "audio as floats is within -1..1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_said_in_one_line_and_nothing_is_written(name, tmp_path):
    changed, said = REFUSED[name]
    path = own(tmp_path / "own.npz", **changed)
    before = everything(tmp_path)
    status, out, error = call(
        "run", EXPERIMENTS["ctc.py"].path, "--data", path, "--out", tmp_path / "run", "--no-cache"
    )
    assert (status, out) == (2, "")
    assert said in error
    assert error.count("\n") == 1
    assert everything(tmp_path) == before


def test_other_requests_that_are_refused(tmp_path):
    path = own(tmp_path / "own.npz")
    for source, seconds, said in (
        ("nowhere.npz", 2.0, "speech_prompts, tones and paths of .npz files are known"),
        ("ring", 2.0, "there is no speech 'ring'"),
        (str(path), 0.3, "the shortest utterance has 0.5 s: raise --seconds"),
    ):
        with pytest.raises(ValueError, match=r"\A[^\n]+\Z") as caught:
            EXPERIMENTS["ctc.py"].build({"data": source, "seconds": seconds})
        assert said in str(caught.value)


def test_endings_may_be_capital_and_unsigned_numbers_have_an_order(tmp_path):
    own(tmp_path / "own.npz").rename(tmp_path / "OWN.NPZ")
    assert len(speech.find(str(tmp_path / "OWN.NPZ")).text) == 12
    falls = (np.arange(13) * RATE // 2)[::-1].astype(np.uint32)
    with pytest.raises(ValueError, match="rising integers"):
        speech.find(str(own(tmp_path / "falls.npz", start=falls)))
    with pytest.raises(ValueError, match="there is no speech '~nobody"):
        speech.find("~nobody-at-all/x.npz")


def test_a_users_speech_is_read_resampled_and_split(tmp_path, capsys):
    plain = speech.find(str(own(tmp_path / "a.npz", test=None)))
    assert plain.test.sum() == 2  # a sixth
    assert plain.rate == RATE
    long = np.concatenate([np.repeat(sound(0.5, i), 2) for i in range(12)])
    twice = own(tmp_path / "b.npz", audio=long, start=np.arange(13) * RATE, rate=np.array(16000))
    found = speech.find(str(twice), resample=True)
    assert found.rate == RATE
    assert {len(x) for x in found.audio} == {RATE // 2}
    built = EXPERIMENTS["ctc.py"].build({"data": str(twice), "resample": True, "seconds": 1.0})
    assert built.data["train"]["x"].shape[1:] == (100, 40)
    assert capsys.readouterr().err == ""
    uneven = own(tmp_path / "c.npz", start=np.array([0, *range(8000, 44000, 3500), 48000]))
    speech.training_arrays(*parts(speech.find(str(uneven))), 0.5)
    assert "1 of 9 training utterances are longer than 0.5 s" in capsys.readouterr().err


def parts(found: speech.Speech) -> tuple[speech.Speech, list[np.ndarray]]:
    return found, speech.features(found, 40, 3)


def test_the_first_member_of_a_team_learns_what_a_team_of_one_learns():
    """The table's row of a single net is the first of the team."""
    states = []
    for k in (1, 2):
        built = EXPERIMENTS["ctc.py"].build({"k": k, "units": 8, "batch": 2, "steps": 9})
        state = play.init(built.played, jax.random.key(0), built.data)
        states.append(play.run(built.played, state, built.data, 2)[0].params["R"])
    for one, team in zip(jax.tree.leaves(states[0]), jax.tree.leaves(states[1]), strict=True):
        np.testing.assert_allclose(one[0], team[0], rtol=1e-4, atol=1e-5)
        assert not np.allclose(team[0], team[1]) or not team.any()


@pytest.mark.slow
def test_the_tone_alphabet_is_read_with_two_errors_in_a_hundred_letters_at_most(tmp_path):
    out = tmp_path / "run"
    assert call("run", EXPERIMENTS["ctc.py"].path, "--quick", "--quiet", "--out", out)[0] == 0
    last = storage.read_rows(out / "metrics.jsonl")[-1]
    assert last["team"] <= 0.02
    assert last["team_with_lm"] <= 0.02
    assert json.loads((out / "digest.json").read_text())["steps"] == last["step"]
    assert (out / "figures" / "alignment.png").is_file()
