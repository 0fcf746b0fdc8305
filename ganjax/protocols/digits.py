"""Whether samples of digits can be read: by a classifier of ours, beside real digits; and a table's
rows in one picture. Host code.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike

from ganjax import data
from ganjax.data.mixtures import Mixture
from ganjax.experiment import Columns, FinishedRow, with_players
from ganjax.figures.overview import overview
from ganjax.keys import stream
from ganjax.protocols import classifier

SAMPLES = 2000  # of a seed, at least
NOTE = (
    "Ring: of 8 modes; digits: of 10 classes. quality: samples as near to data as data are to each "
    "other. sure: how sure a classifier is of what it reads; rarest, commonest: the shares of the "
    "classes that it reads least and most."
)


@cache
def readers() -> tuple[classifier.Classifier, np.ndarray]:
    """A classifier of every second one of scikit-learn's 8x8 digits, and the other digits."""
    found: Any = data.find("digits").load()
    seen, other = ({name: np.asarray(x)[i::2] for name, x in found.items()} for i in (0, 1))
    return classifier.trained(seen, other, "every second digit"), other["x"]


def reading(x: ArrayLike) -> dict[str, float]:
    """How 8x8 images x [n, 8, 8, 1] are read: {"sure", "rarest", "commonest"}.

    sure: the mean probability of the class that is read. rarest, commonest: the share of images
    that are read as the class with fewest of them, and with most.
    """
    share = classifier.probabilities(readers()[0], x)
    count = np.bincount(share.argmax(-1), minlength=share.shape[-1])
    return {
        "sure": float(share.max(-1).mean()),
        "rarest": float(count.min() / len(share)),
        "commonest": float(count.max() / len(share)),
    }


def real_digits(_: str | None = None) -> dict[str, dict[str, float]]:
    """A row to compare with: `reading` of digits that the classifier has not seen."""
    return {"real digits": reading(readers()[1])}


def at_a_glance(finished: Mapping[str, FinishedRow]) -> tuple[Columns, dict[str, Any]]:
    """`reading` of each seed of rows on digits, and samples of all rows in one figure, "glance",
    those of the first seed that lives. A `Table.after`.
    """
    columns: dict[str, dict[str, list[float | None]]] = {}
    points: dict[str, Any] = {}
    images: dict[str, np.ndarray] = {}
    curves: dict[str, Any] = {}
    for name, row in finished.items():
        experiment, players = row.experiment, row.players()
        assert experiment.sample is not None
        draw = jax.jit(partial(with_players, experiment.sample), static_argnums=2)
        drawn = {
            seed: np.asarray(draw(own, stream(jax.random.key(seed), "glance"), SAMPLES))
            for seed, own in players.items()
        }
        if not drawn:
            continue
        first = next(iter(drawn.values()))
        if isinstance(experiment.data, Mixture):
            points[name] = (experiment.data, first)
            curves[name] = row.metrics
            continue
        k = first.shape[1] if first.ndim == 5 else 1
        images[name] = first[: 6 * max(1, round(6 / k))]
        read = {seed: reading(x.reshape(-1, *x.shape[-3:])) for seed, x in drawn.items()}
        columns[name] = {
            column: [read[seed][column] if seed in read else None for seed in row.seeds]
            for column in ("sure", "rarest", "commonest")
        }
    return columns, {"glance": overview(points, images, curves, "quality")}
