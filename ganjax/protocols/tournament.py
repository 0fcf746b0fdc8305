"""Tournaments: the generators of finished rows of `gman` against each other's discriminators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, random
from jaxtyping import Float

from ganjax import aggregates, data
from ganjax.experiment import FinishedRow
from ganjax.figures.heat import heat_map
from ganjax.game import Bound
from ganjax.metrics.gmam import Columns, gmam, gmam_table

B = 500  # real images of a batch
BATCHES = 5  # of a seed, as the authors take

apply = jax.jit(Bound.__call__)


def aggregate_value(
    row: FinishedRow, players: Mapping[str, Bound], G: Bound, x: Array, key: Array
) -> Float[Array, ""]:
    """F of a row of `gman`: the aggregate of its discriminators' values of the real batch x and of
    G, another row's generator.
    """
    images = (x, apply(G, G.noise(key, len(x))))
    scores = [apply(players["D"], batch) for batch in images]  # [B, N] each
    if row.options["aggregate"] == "F-boost":
        scores = [aggregates.boosted_score(score, players["A"])[:, None] for score in scores]
    softness = players["L"]() if "L" in players else row.options["lam"]
    return aggregates.AGGREGATES[row.options["aggregate"]](aggregates.values(*scores), softness)


def tournament(played: Mapping[str, FinishedRow]) -> tuple[Columns, dict[str, Any]]:
    """The GMAM table of rows of `gman`, and its means as a heat map: every row's generator against
    every row's discriminators. A `Table.after`.

    The rows have one dataset; the batches of a seed are the same for all rows, without dropout.
    Host code.
    """
    names, rows = list(played), list(played.values())
    players = [row.players() for row in rows]
    arrays = jax.device_put(rows[0].experiment.data)
    seeds = rows[0].seeds
    V = np.full((len(rows), len(rows), len(seeds), BATCHES), np.nan)
    for s, i in np.ndindex(len(seeds), BATCHES):
        batch_key, noise_key = random.split(random.fold_in(random.key(seeds[s]), i))
        x = data.draw(arrays, batch_key, B)["x"]
        for a, b in np.ndindex(len(rows), len(rows)):
            if seeds[s] in players[a] and seeds[s] in players[b]:
                G = players[b][seeds[s]]["G"]
                V[a, b, s, i] = aggregate_value(rows[a], players[a][seeds[s]], G, x, noise_key)
    mean = np.nanmean(np.asarray(gmam(jnp.asarray(V)).mean(-1)), -1)
    figure = heat_map(mean, [f"against {name}" for name in names], names, digits=3)
    return gmam_table(jnp.asarray(V), names), {"gmam": figure}
