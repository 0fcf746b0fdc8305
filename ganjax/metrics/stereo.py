"""What sequences of two channels are like: each channel by itself, and what binds the two.

x: sequences of two channels, [n, T, 2]. Pure.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from ganjax.data.stereo import CYCLES, LAG, PITCH

Sequences = Float[Array, "n T 2"]
CONSONANT = (0, 3, 4, 7, 8, 9)  # semitones above the bass, octaves left out


def of_waves(x: Sequences) -> dict[str, Array]:
    """A stereo wave's numbers.

    tone_left, tone_right: the share of a channel's energy at its strongest number of CYCLES; 1 for
        a pure tone
    cycles_left, cycles_right: the total variation distance of the strongest numbers of cycles to
        even ones, 0..1
    same_cycles: the share of sequences whose channels have the same one; .2 where they do not know
        of each other
    phase_error: the mean distance of right's phase from left's plus LAG, in degrees, at left's
        number of cycles; 90 where they do not know of each other
    """
    time = jnp.arange(x.shape[1]) / x.shape[1]
    angle = 2 * jnp.pi * jnp.asarray(CYCLES)[:, None] * time  # [C, T]
    wave = jnp.einsum("ct,ntk->nck", jnp.exp(-1j * angle), x)  # [n, C, 2]
    energy = 2 * jnp.abs(wave) ** 2 / x.shape[1]
    best = energy.argmax(1)  # [n, 2]
    share = energy.max(1) / jnp.maximum((x**2).sum(1), 1e-12)
    each = jnp.take_along_axis(wave, best[:, None, :1], 1)[:, 0]  # [n, 2], at left's cycles
    off = jnp.angle(each[:, 1] * jnp.conj(each[:, 0]) * jnp.exp(-1j * LAG))
    counts = (best[..., None] == jnp.arange(len(CYCLES))).mean(0)  # [2, C]
    uneven = jnp.abs(counts - 1 / len(CYCLES)).sum(-1) / 2
    return {
        "tone_left": share[:, 0].mean(),
        "tone_right": share[:, 1].mean(),
        "cycles_left": uneven[0],
        "cycles_right": uneven[1],
        "same_cycles": (best[:, 0] == best[:, 1]).mean(),
        "phase_error": jnp.degrees(jnp.abs(off)).mean(),
    }


def of_voices(x: Sequences, real: Sequences) -> dict[str, Array]:
    """How far two voices are from real ones; pitches are rounded to semitones.

    pitch_left, pitch_right: the Wasserstein distance of the pitches of soprano and of bass, in
        semitones
    steps_left, steps_right: the total variation distance of a voice's melodic steps, 0..1
    intervals: the total variation distance of the intervals between the voices, without octaves
    consonant: the share of intervals that are unisons, thirds, fifths or sixths
    """
    made, true = as_semitones(x), as_semitones(real)
    levels = jnp.linspace(0, 1, 512)

    def far(a: Array, b: Array) -> Array:
        return jnp.abs(jnp.quantile(a.ravel(), levels) - jnp.quantile(b.ravel(), levels)).mean()

    def apart(a: Array, b: Array, low: int, high: int) -> Array:
        bins = jnp.arange(low, high + 1)
        shares = [(jnp.clip(v.ravel(), low, high)[:, None] == bins).mean(0) for v in (a, b)]
        return jnp.abs(shares[0] - shares[1]).sum() / 2

    found = {}
    for k, name in enumerate(("left", "right")):
        found[f"pitch_{name}"] = far(made[..., k], true[..., k])
        moves = (jnp.diff(v[..., k], axis=1) for v in (made, true))
        found[f"steps_{name}"] = apart(next(moves), next(moves), -12, 12)
    between, known = ((v[..., 0] - v[..., 1]) % 12 for v in (made, true))
    found["intervals"] = apart(between, known, 0, 11)
    found["consonant"] = jnp.isin(between, jnp.asarray(CONSONANT)).mean()
    return found


def as_semitones(x: Float[Array | np.ndarray, "n T 2"]) -> Array:
    """Sequences in -1..1 as whole MIDI pitches, float32."""
    low, high = PITCH
    return jnp.round(low + (jnp.asarray(x) + 1) / 2 * (high - low))
