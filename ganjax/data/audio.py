"""Speech as log-mel frames, by NumPy on the host, once; and gaps in them, on the device."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array, random
from jaxtyping import Float, Float32, Shaped

WINDOW = 0.032  # seconds of sound that a frame sees
HOP = 0.010  # seconds from frame to frame
FLOOR = 1e-6  # of a band's power, with sound in -1..1


def hertz(mel: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Slaney's mel scale in hertz: 200/3 Hz a mel up to 1000 Hz, then a factor of 6.4 in 27."""
    return np.where(mel < 15, mel * (200 / 3), 1000 * 6.4 ** ((mel - 15) / 27))


def mels(hz: float) -> float:
    """The inverse of `hertz`."""
    return hz * 3 / 200 if hz < 1000 else float(15 + 27 * np.log(hz / 1000) / np.log(6.4))


def mel_filters(rate: int, size: int, bands: int) -> Float[np.ndarray, "{bands} freq"]:
    """Triangles over the frequencies of an FFT of `size` samples, each of unit area in hertz."""
    edges = hertz(np.linspace(0, mels(rate / 2), bands + 2))
    frequency = np.fft.rfftfreq(size, 1 / rate)
    rising = (frequency - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - frequency) / np.diff(edges)[1:, None]
    area = (edges[2:] - edges[:-2])[:, None] / 2
    return np.maximum(0, np.minimum(rising, falling)) / area


def log_mel(
    audio: Float[np.ndarray, " samples"], rate: int, bands: int = 40
) -> Float32[np.ndarray, "T {bands}"]:
    """The logarithm of the power in mel bands, a frame every HOP seconds.

    audio: -1..1. A periodic Hann window of WINDOW seconds; the first begins with the sound, and no
    window goes beyond its end. Sound shorter than one window is filled up with silence.
    """
    size, hop = round(WINDOW * rate), round(HOP * rate)
    audio = np.pad(audio, (0, max(0, size - len(audio))))
    windows = np.lib.stride_tricks.sliding_window_view(audio, size)[::hop]
    hann = np.hanning(size + 1)[:-1].astype(np.float32)
    power = np.abs(np.fft.rfft(windows * hann)) ** 2
    return np.log(power @ mel_filters(rate, size, bands).T + FLOOR).astype(np.float32)


def resample(audio: Float[np.ndarray, " samples"], rate: int, to: int) -> Float[np.ndarray, " out"]:
    """The sound at another rate, by SciPy's polyphase filter."""
    from scipy.signal import resample_poly

    return resample_poly(audio, to, rate).astype(np.float32)


def as_floats(audio: Shaped[np.ndarray, " samples"]) -> Float32[np.ndarray, " samples"]:
    """Samples int16 as float32 in -1..1; floats as they are."""
    scale = 32768 if audio.dtype == np.int16 else 1
    return audio.astype(np.float32) / np.float32(scale)


def hide(
    key: Array, x: Float[Array, "B T F"], bands: int = 8, frames: int = 20
) -> Float[Array, "B T F"]:
    """Frames with gaps of 0, their mean: in each row two gaps of up to `bands` bands and, every
    200 frames, one of up to `frames` frames. SpecAugment (Park et al. 2019) without its warp.
    """
    B, T, F = x.shape
    for axis, size, n, widest in ((1, T, max(1, T // 200), frames), (2, F, 2, bands)):
        width, place = random.split(random.fold_in(key, axis))
        widths = random.randint(width, (B, n, 1), 0, widest + 1)
        first = random.randint(place, (B, n, 1), 0, size)
        i = jnp.arange(size)
        gap = ((i >= first) & (i < first + widths)).any(1)  # [B, size]
        x = jnp.where(jnp.expand_dims(gap, 3 - axis), 0, x)
    return x
