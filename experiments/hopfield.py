"""Hopfield: patterns are stored by Hebb's rule, one step down the energy, and recalled from a part.

Hopfield 1982, "Neural networks and physical systems with emergent collective computational
abilities". The loss is the energy of the patterns as a function of the weights W. A step of
gradient descent on it at rate 2 B / N, B patterns a step, adds 1/N x xᵀ for each pattern x: that is
Hebb's rule, with zeros on the diagonal. From a damaged pattern the units, one by one in random
order, take the signs of their fields; the energy never rises. With a temperature they do so by
chance, as in a Boltzmann machine. Amit, Gutfreund and Sompolinsky 1985: N units, N large, hold
.138 N random patterns. A run's seed draws the patterns. Departure: Hopfield's units are 0 and 1.

    ganjax run hopfield --patterns 5 --damage 0.2
    ganjax run hopfield --kind digits --patterns 3 --damage 0.2
    ganjax reproduce hopfield/capacity
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax.numpy as jnp
import optax
from jax import Array

from ganjax import Game, Player, cli, data
from ganjax.experiment import Experiment, Table, option, with_defaults
from ganjax.game import Bound
from ganjax.nets.hopfield import Hopfield
from ganjax.protocols import associative_memory as memory

GROUP = "games of one player"
QUICK = {"kind": "digits", "patterns": 3, "damage": 0.15, "sweeps": 5}
LOADS = (0.05, 0.08, 0.10, 0.11, 0.12, 0.13, 0.14, 0.15, 0.16, 0.17, 0.18, 0.20)
TABLES = {
    "capacity": Table(
        rows={
            f"{units} units, {load:.2f}": {"units": units, "patterns": round(load * units)}
            for units, loads in ((100, LOADS), (400, LOADS), (1600, LOADS[4:9]))
            for load in loads
        },
        columns=("overlap", "recalled", "overlap_together", "fall"), seeds=5, every=1000,
        after=memory.capacity,
        note="From the pattern itself, 50 sweeps. The fall is where a seed's overlap, the mean "
        "over its patterns, first crosses .9, between two loads by a straight line. It comes near "
        ".138 for many units alone. The rows of 1600 units were added after a look at the others",
    ),
    "digits": Table(
        rows={
            f"{kind}, {patterns} patterns": {
                "kind": kind, "units": 64, "patterns": patterns, "damage": 0.15,
            }
            for kind in ("digits", "random")
            for patterns in (2, 3, 5, 10)
        },
        columns=("overlap", "recalled", "overlap_together"), seeds=5, every=1000,
        note="64 units, of which a start has 15 % turned over; 50 sweeps. Pixels are 1 where they "
        "are brighter than their median over the set, chosen after a look at other thresholds: "
        "with one for all pixels digits are more alike, and two were held, not three",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Options:
    """Random patterns, from the patterns themselves."""

    kind: Literal["random", "digits"] = option(
        "random", "patterns: even coins, or an image of each of the first classes of digits"
    )
    units: int = option(None, "units (100; digits have 64)", low=2)
    patterns: int = option(10, "patterns that are stored", above=0)
    damage: float = option(
        0.0, "share of a pattern's units that a start has wrong", low=0, high=0.5
    )
    temperature: float = option(0.0, "of the updates in recall", low=0)
    sweeps: int = option(50, "updates of every unit in recall", above=0)
    batch: int = option(1, "patterns a step", above=0)
    steps: int = option(None, "steps (each pattern once)", above=0)


def losses(
    batch: Any, key: Array, *, H: Bound, X: Bound, step: Array, at_once: int
) -> dict[str, Array]:
    """The mean energy of the patterns whose turn it is."""
    x = X()  # [P, N]
    return {"H": H(x[(step * at_once + jnp.arange(at_once)) % len(x)]).mean()}


def game(drawn: Any, o: Options) -> Game:
    """One player learns; the other one is the patterns, which stay as they were drawn."""
    hebb = optax.sgd(2 * o.batch / o.units)
    players = {"H": Player(Hopfield(), hebb, (o.units,)), "X": memory.patterns(drawn)}
    return Game(players, partial(losses, at_once=o.batch), [["H"]], lambda data, key: {})


def experiment(o: Options) -> Experiment:
    """A memory of random patterns, or of scikit-learn's digits."""
    digits = o.kind == "digits"
    o = with_defaults(o, units=64 if digits else 100, steps=max(1, o.patterns // o.batch))
    if o.patterns % o.batch:
        raise ValueError(f"batch divides the patterns; got {o.patterns} patterns, batch {o.batch}")
    if digits and o.units != 64:
        raise ValueError(f"digits have 64 pixels, a unit for each; got units {o.units}")
    arrays: Any = data.find("digits").load() if digits else {}
    drawn = (
        memory.image_patterns(arrays, o.patterns)
        if digits
        else memory.random_patterns(o.patterns, o.units)
    )
    how: dict[str, Any] = {"damage": o.damage, "T": o.temperature, "sweeps": o.sweeps}
    return Experiment(
        partial(game, drawn), o, arrays, measure=partial(memory.measure, **how),
        figures=partial(memory.figures, **how),
    )  # fmt: skip


if __name__ == "__main__":
    cli.script()
