"""Neurons that learn signs: their mistakes, their error, the bound on the mistakes, their lines.

K neurons answer an example with K scores; a neuron fires where its score is above 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float

from ganjax import data
from ganjax.figures.decision import decision_lines, mesh
from ganjax.figures.samples import image_grid
from ganjax.game import Bound
from ganjax.metrics import margin


def draw(arrays: Any, key: Array, n: int) -> dict[str, Array]:
    """n training examples, images in 0..1, and their signs, drawn with replacement. Pure."""
    return data.draw({"x": arrays["x"], "y": arrays["y"]}, key, n, low=0.0)


def mistaken(score: Float[Array, "B K"], y: Float[Array, "B K"]) -> Bool[Array, "B K"]:
    """Which neurons are wrong; a score of 0 is."""
    return y * score <= 0


def measure(arrays: Any, key: Array, *, P: Bound) -> dict[str, Array]:
    """{"error"}: the share of test examples that are classified wrongly, by the sign of one neuron,
    or by the largest score of several.
    """
    score, y = P(data.scaled(arrays["test_x"], 0.0)), jnp.asarray(arrays["test_y"])
    if y.shape[-1] == 1:
        return {"error": mistaken(score, y).mean()}
    return {"error": (score.argmax(-1) != y.argmax(-1)).mean()}


def evaluate(arrays: Mapping[str, Any], key: Array) -> dict[str, float]:
    """{"bound"}: Novikoff's bound on the mistakes, summed over the neurons; nothing where a neuron
    has none, as no plane separates its classes. On the host.
    """
    x, y = np.asarray(arrays["x"]), np.asarray(arrays["y"])
    bound = sum(margin.mistake_bound(x, sign) for sign in y.T)
    return {"bound": bound} if np.isfinite(bound) else {}


def figures(arrays: Any, samples: None, rows: Any, *, P: Bound) -> dict[str, Any]:
    """{"lines"}: where a neuron of one or two inputs fires; {"weights"} of neurons that see images,
    each from its smallest weight to its largest; nothing for other nets.
    """
    x, y = np.asarray(arrays["x"]), np.asarray(arrays["y"])
    if x[0].size <= 2:
        return {"lines": decision_lines({"": (x, y[:, 0], _scores(P)[None])})}
    if set(P.params) != {"out"} or x.ndim != 4:
        return {}
    weights = np.asarray(P.params["out"]["kernel"]).T.reshape(-1, *x.shape[1:])
    low, high = (end(weights, (1, 2, 3), keepdims=True) for end in (np.min, np.max))
    return {"weights": image_grid((weights - low) / np.maximum(high - low, 1e-12), columns=5)}


def _scores(P: Bound) -> np.ndarray:
    points = mesh()[..., : P.player.inputs[0][0]]  # [R, R, inputs]
    return np.asarray(P(points.reshape(-1, points.shape[-1])))[:, 0].reshape(points.shape[:2])


def lines_of_rows(finished: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """No column and {"lines"}: a panel for each row of one or two inputs, and the lines of all of
    its seeds; what a Table calls after its rows.
    """
    panels = {}
    for name, row in finished.items():
        arrays = row.experiment.data
        if arrays["x"][0].size <= 2:
            scores = [_scores(players["P"]) for players in row.players().values()]
            panels[name] = (arrays["x"], arrays["y"][:, 0], np.stack(scores))
    return {}, {"lines": decision_lines(panels)} if panels else {}
