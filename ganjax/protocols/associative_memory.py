"""Associative memories: how well Hopfield's net recalls its patterns, and how many it holds.

H is a player with the net `nets.hopfield.Hopfield`, X one of `nets.hopfield.Patterns`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, random

from ganjax.figures.capacity import capacity_curves
from ganjax.figures.strips import strips
from ganjax.game import Bound, Player
from ganjax.keys import stream
from ganjax.metrics.capacity import LEVEL, LIMIT, fall
from ganjax.nets import hopfield

SHOWN = 8  # patterns in a figure
AGREES = 0.95  # the overlap from which a pattern counts as recalled


def random_patterns(P: int, N: int) -> Callable[[Array], Array]:
    """(key) -> P patterns of N even coins, -1 or 1, float32 [P, N]."""
    return lambda key: random.rademacher(key, (P, N), jnp.float32)


def image_patterns(arrays: Mapping[str, np.ndarray], P: int) -> Callable[[Array], Array]:
    """(key) -> an image of each of the first P classes, float32 [P, pixels]: 1 where a pixel is
    brighter than its median over the set, and -1 elsewhere, so that images are less alike.

    arrays: "x" uint8 [N, ...], "label". Raises ValueError for more patterns than classes.
    """
    label = arrays["label"]
    if (classes := int(label.max()) + 1) < P:
        raise ValueError(f"there is one image for each of {classes} classes; got {P} patterns")
    pixels = arrays["x"].reshape(len(label), -1)
    signs = np.where(pixels > np.median(pixels, 0), 1, -1).astype(np.float32)

    def drawn(key: Array) -> Array:
        draws = random.uniform(key, (P, len(label)))
        own = jnp.asarray(label) == jnp.arange(P)[:, None]
        return jnp.asarray(signs)[jnp.where(own, draws, -1).argmax(1)]

    return drawn


def patterns(drawn: Callable[[Array], Array]) -> Player:
    """A player that never moves; its output is the patterns, drawn by the run's seed."""
    return Player(hopfield.Patterns(drawn), optax.set_to_zero(), None)


def measure(
    data: Any, key: Array, *, H: Bound, X: Bound, damage: float, T: float, sweeps: int
) -> dict[str, Array]:
    """From each pattern, damaged, after so many sweeps: the mean overlap with the pattern, and the
    share of patterns at an overlap of .95 or more; "overlap" and "recalled" of units that move one
    by one, "overlap_together" of units that move all at once.
    """
    x, W = X(), H.params["W"]
    start = hopfield.damaged(x, stream(key, "damage"), damage)
    each, together = (
        hopfield.overlap(x, hopfield.recall(W, start, stream(key, "recall"), sweeps, T, all_)[-1])
        for all_ in (False, True)
    )
    return {
        "overlap": each.mean(),
        "recalled": (each >= AGREES).mean(),
        "overlap_together": together.mean(),
    }


def figures(
    data: Any, samples: None, rows: Any, *, H: Bound, X: Bound, damage: float, T: float, sweeps: int
) -> dict[str, Any]:
    """{"recall"}: patterns of a square number of units, damaged, and after 1 and all sweeps of
    units that move one by one; nothing for other numbers.
    """
    x = X()[:SHOWN]
    side = math.isqrt(x.shape[1])
    if side**2 != x.shape[1]:
        return {}
    key = random.key(0)
    start = hopfield.damaged(x, stream(key, "damage"), damage)
    states = jax.jit(hopfield.recall, static_argnums=3)(
        H.params["W"], start, stream(key, "recall"), sweeps, T
    )
    shown = {"x": x, "cue": states[0], "1": states[1], "end": states[-1]}
    images = np.stack([np.asarray(s).reshape(-1, side, side, 1) for s in shown.values()], 1)
    # Greys, so that the white lines between patterns are seen.
    return {"recall": strips(0.4 + 0.3 * images, tuple(shown))}


def capacity(finished: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of rows with several loads: a row "fall, N units", the load at which a seed's overlap crosses
    .9, and {"capacity"}, the curves. What a Table calls after its rows.
    """
    found: dict[int, dict[float, list[float]]] = defaultdict(dict)
    for row in finished.values():
        o = row.experiment.options
        last = [m["overlap"] for m in row.metrics if m["step"] == row.experiment.steps]
        found[o.units][o.patterns / o.units] = last
    curves: dict[str, Any] = {}
    columns: dict[str, Any] = {}
    for units, by_load in found.items():
        load = sorted(by_load)
        overlap = np.array([by_load[a] for a in load]).T  # [seeds, loads]
        curves[f"{units} units"] = (load, overlap)
        if len(load) > 1:
            falls = [fall(load, own) for own in overlap]
            columns[f"fall, {units} units"] = {
                "fall": [value if math.isfinite(value) else None for value in falls]
            }
    return columns, {"capacity": capacity_curves(curves, LIMIT, LEVEL)}
