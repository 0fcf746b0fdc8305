"""How games move: eigenvalues of their Jacobians, how far they are from rest, at which rate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree

from ganjax import play
from ganjax.experiment import Columns, FinishedRow
from ganjax.figures.spectrum import distances, orbit, spectrum_along
from ganjax.game import Bound, Game
from ganjax.keys import stream
from ganjax.metrics import spectrum

SMALL = 64  # parameters of a game whose Jacobian is formed
SHOWN = 8  # of the eigenvalues of a larger one, those largest in modulus
ROUNDING = 1e-6  # of the first distance: below it a distance may be all rounding
REST = 0.05  # of the first distance: nearer than that a game is coming to rest


def distance(players: Mapping[str, Bound]) -> dict[str, Array]:
    """{"distance"}: of all parameters from 0, where the bilinear game and the Dirac-GAN rest;
    "at_G" and so on: the one parameter of each player.
    """
    flat, _ = ravel_pytree({name: player.params for name, player in players.items()})
    at = {f"at_{name}": ravel_pytree(player.params)[0][0] for name, player in players.items()}
    return {"distance": jnp.linalg.norm(flat), **at}


def eigenvalues(
    game: Game, players: Mapping[str, Bound], batch: Any, key: Array
) -> dict[str, Array]:
    """{"re_0", "im_0", …}: eigenvalues of the Jacobian ∂ξ/∂θ of all movers, on one batch.

    All of a game of up to 64 parameters; of a larger one the 8 largest Ritz values of 30 steps of
    Arnoldi. A pair is named by the one above the axis and the one below it. Pure.
    """
    movers = sorted(game.movers)
    params = {name: player.params for name, player in players.items()}
    aux = {name: player.variables.get("aux", {}) for name, player in players.items()}
    flat, unflat = ravel_pytree({name: params[name] for name in movers})

    def xi(theta: Array) -> Array:
        at = {**params, **unflat(theta)}
        return ravel_pytree(play.field(game, at, batch, key, movers, aux=aux)[0])[0]

    # reverse mode alone, as convolutions have no other
    def product(v: Array) -> Array:
        return jax.vjp(lambda u: jax.vjp(xi, flat)[1](u)[0], flat)[1](v)[0]

    if len(flat) <= SMALL:
        values = spectrum.exact(product, len(flat))
    else:
        values = spectrum.arnoldi(product, len(flat), stream(key, "arnoldi"))[:SHOWN]
    return {
        f"{part}_{i}": number
        for i, value in enumerate(values)
        for part, number in (("re", value.real), ("im", value.imag))
    }


def bilinear_factors(eta: float) -> dict[str, float]:
    """By dynamics, the factor by which the distance from rest changes in a step of the bilinear
    game xy, SGD at the rate eta, in the long run: the modulus of the eigenvalues of a step.

    J turns by a right angle, so each is a function of ±i. Alternating steps go round an ellipse.
    Past and optimistic steps have λ² = (1 - 2iη)λ + iη, here for η < 1/2.
    """
    root = math.sqrt(1 - 4 * eta**2)
    return {
        "simultaneous": math.hypot(1, eta),
        "alternating": 1.0,
        "extragradient": math.hypot(1 - eta**2, eta),
        "past": math.sqrt((1 + root) / 2),
        "optimistic": math.sqrt((1 + root) / 2),
        "consensus:0.5": math.hypot(1 - 0.5 * eta, eta),
        "symplectic:0.5": math.hypot(1 - 0.5 * eta, eta),
        f"competitive:{eta:g}": 1 / math.hypot(1, eta),
        "lola:0.5": math.hypot(1 - eta, eta),
        "unrolled:3": math.sqrt(1 - 5 * eta**2),
    }


def rates(
    finished: Mapping[str, FinishedRow], closed_forms: Mapping[str, float] | None = None
) -> tuple[Columns, Mapping[str, Any]]:
    """After a table: "rate", the factor by which the distance from rest changes in a step, a line
    fitted to its logarithm over the second half of the steps before rounding; "converges", whether
    the last distance is below a twentieth of the first; the closed forms beside them; and the
    distances drawn.
    """
    columns: dict[str, dict[str, Sequence[float | None]]] = {}
    for row, run in finished.items():
        fitted: list[float | None] = []
        rests: list[float | None] = []
        for seed in run.seeds:
            own = [(m["step"], m["distance"]) for m in run.metrics if m["seed"] == seed]
            step, far = np.array(own, np.float64).T
            rests.append(float(far[-1] < REST * far[0]))
            above = far > ROUNDING * far[0]
            late = above & (step >= step[above][-1] / 2)
            fitted.append(float(np.exp(np.polyfit(step[late], np.log(far[late]), 1)[0])))
        columns[row] = {"rate": fitted, "converges": rests}
        if row in (closed_forms or {}):
            columns[row]["closed form"] = [(closed_forms or {})[row]] * len(run.seeds)
    runs = {row: run.metrics for row, run in finished.items()}
    return columns, {"distance": distances(runs)}


def figures(data: Any, x: Any, rows: Any) -> dict[str, Any]:
    """{"spectrum"}: the eigenvalues along the run; {"orbit"} of players of one parameter."""
    drawn = {"spectrum": spectrum_along(rows)}
    return drawn | ({"orbit": orbit(rows, ("G", "D"))} if "at_G" in rows[0] else {})
