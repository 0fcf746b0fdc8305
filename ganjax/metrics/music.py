"""Statistics of pieces of music (Mogren 2016, section 4), of one piece each. Pure functions.

Those of the text are the defaults; `literal` is what the authors' midi_statistics.py counts. A
piece is its tones in their order, padded: `there` is False where there is none.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Shaped

Numbers = Shaped[Array | np.ndarray, " N"]
There = Bool[Array | np.ndarray, " N"]
Scalar = Float[Array, ""]

SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 3, 5, 7, 8, 11))
_STEPS = np.arange(12)[None] - np.arange(12)[:, None]  # [tonic, pitch class]
_RIGHT = np.concatenate([np.isin(_STEPS % 12, scale) for scale in SCALES])  # [36, 12]
_LITERAL = np.concatenate([np.isin(_STEPS, scale) for scale in SCALES])


def polyphony(onset: Numbers, there: There, literal: bool = False) -> Scalar:
    """The share of onsets at which two tones or more begin; onsets are equal or they are not.

    Literal: at each tone the onset so far is counted once more, and the last onset is not counted
    at its end, so many chords weigh less, and single tones twice.
    """
    onset, there = jnp.asarray(onset), jnp.asarray(there)
    together = ((onset[:, None] == onset) & there).sum(1)
    share = there / jnp.maximum(together, 1)  # sums to the number of onsets
    chord = together > 1
    if not literal:
        return (share * chord).sum() / jnp.maximum(share.sum(), 1)
    ended = share * (onset < jnp.where(there, onset, -jnp.inf).max())
    chords = there.sum() - share.sum() + (ended * chord).sum()
    singles = share.sum() + (ended * ~chord).sum()
    return chords / jnp.maximum(chords + singles, 1)


def scale_consistency(pitch: Numbers, there: There, literal: bool = False) -> Scalar:
    """The largest share of tones that lie in one scale, of twelve major, natural minor and harmonic
    minor ones each.

    Literal: pitch classes below the tonic lie in no scale.
    """
    classes = (jnp.asarray(pitch).astype(int) % 12)[:, None] == jnp.arange(12)
    count = (classes & jnp.asarray(there)[:, None]).sum(0)  # [12]
    return ((_LITERAL if literal else _RIGHT) @ count).max() / jnp.maximum(count.sum(), 1)


def repetitions(pitch: Numbers, there: There, length: int = 3, literal: bool = False) -> Scalar:
    """Pairs of equal runs of `length` pitches that do not overlap; the rhythm does not matter.

    It grows with the square of the number of tones. Literal: runs that end with the last tone are
    not seen, nor any in a piece of fewer than 2 length + 2 tones.
    """
    there = jnp.asarray(there)
    tones = jnp.asarray(pitch)[jnp.argsort(~there, stable=True)]
    n = there.sum()
    starts = jnp.arange(max(0, len(tones) - length + 1))
    runs = tones[starts[:, None] + jnp.arange(length)]  # [S, length]
    equal = (runs[:, None] == runs).all(-1)
    last = n - length - literal
    pairs = (starts[None] >= starts[:, None] + length) & (starts <= last)[None]
    if literal:
        pairs &= n // 2 > length
    return (equal & pairs).sum().astype(jnp.float32)


def tone_span(pitch: Numbers, there: There) -> Scalar:
    """Half-tones from the lowest to the highest tone."""
    pitch, there = jnp.asarray(pitch), jnp.asarray(there)
    high = jnp.where(there, pitch, -jnp.inf).max()
    span = high - jnp.where(there, pitch, jnp.inf).min()
    return jnp.where(there.any(), span, 0).astype(jnp.float32)


def statistics(onset: Numbers, pitch: Numbers, there: There) -> dict[str, Scalar]:
    """All of one piece by name; those that end in _literal are the authors' counts."""
    return {
        "polyphony": polyphony(onset, there),
        "scale": scale_consistency(pitch, there),
        "repetitions": repetitions(pitch, there),
        "span": tone_span(pitch, there),
        "polyphony_literal": polyphony(onset, there, literal=True),
        "scale_literal": scale_consistency(pitch, there, literal=True),
        "repetitions_literal": repetitions(pitch, there, literal=True),
    }
