"""The rows of a table in one picture: a `Table.after` that draws their curves."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from matplotlib.figure import Figure

from ganjax.experiment import FinishedRow
from ganjax.figures.curves import curves_of_runs


def overlay(
    played: Mapping[str, FinishedRow],
    measures: Mapping[str, float | None],
    quartiles: bool = False,
) -> tuple[dict[str, Any], dict[str, Figure]]:
    """No columns, and for each measure, by name, the curves of all rows; measures: name -> limit,
    drawn as a dashed line. quartiles: median and quartiles in place of mean ± SD.
    """
    runs = {row: each.metrics for row, each in played.items()}
    drawn = partial(curves_of_runs, runs, quartiles=quartiles)
    return {}, {name: drawn(name, limit) for name, limit in measures.items()}
