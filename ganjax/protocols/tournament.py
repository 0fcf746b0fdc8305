"""Tournaments: finished rows of `gman` before each other's discriminators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, random

from ganjax import aggregates
from ganjax import data as sets
from ganjax.experiment import FinishedRow
from ganjax.figures import heat
from ganjax.game import Bound
from ganjax.metrics.gmam import Columns, gmam, table

B, BATCHES = 500, 5  # real images of a batch; batches of a seed, as the authors take

called = jax.jit(Bound.__call__)


def opinion(
    row: FinishedRow, players: Mapping[str, Bound], G: Bound, x: Array, key: Array
) -> Array:
    """F of a row of `gman`: what its discriminators' values of the real batch x and of G, another
    row's generator, come to.
    """
    scores = [
        called(players["D"], x),
        called(players["D"], called(G, G.noise(key, len(x)))),
    ]  # [B, N] each
    if row.options["aggregate"] == "F-boost":
        scores = [aggregates.boosted_score(score, players["A"])[:, None] for score in scores]
    softness = players["L"]() if "L" in players else row.options["lam"]
    return aggregates.AGGREGATES[row.options["aggregate"]](aggregates.values(*scores), softness)


def play(played: Mapping[str, FinishedRow]) -> tuple[Columns, dict[str, Any]]:
    """The GMAM table of rows of `gman`, and its means as a heat map: every generator before every
    row's discriminators. A `Table.after`.

    Rows have the same data; the batches of a seed are the same for all, and nothing drops out. Host
    code.
    """
    names, rows = list(played), list(played.values())
    players, data, seeds = (
        [row.players() for row in rows],
        jax.device_put(rows[0].experiment.data),
        rows[0].seeds,
    )
    V = np.full((len(rows), len(rows), len(seeds), BATCHES), np.nan)
    for s, i in np.ndindex(len(seeds), BATCHES):
        batch_key, noise_key = random.split(random.fold_in(random.key(seeds[s]), i))
        x = sets.draw(data, batch_key, B)["x"]
        for a, b in np.ndindex(len(rows), len(rows)):
            if seeds[s] in players[a] and seeds[s] in players[b]:
                V[a, b, s, i] = opinion(
                    rows[a], players[a][seeds[s]], players[b][seeds[s]]["G"], x, noise_key
                )
    mean = np.nanmean(np.asarray(gmam(jnp.asarray(V)).mean(-1)), -1)
    drawn = heat.table(mean, [f"against {name}" for name in names], names, digits=3)
    return table(jnp.asarray(V), names), {"gmam": drawn}
