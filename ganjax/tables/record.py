"""The record of a table that was played."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TableRecord:
    """What table.json says of a table."""

    table: str  # EXPERIMENT/NAME
    command: str
    quick: bool  # a hundredth of the steps
    seeds: list[int]
    minutes: float
    device: dict[str, Any]  # as options.json has them; where rows were played on several, "A and B"
    versions: dict[str, str]
    # by row and column a number for each seed; None: not finite, or it diverged
    rows: Mapping[str, Mapping[str, list[float | None]]]
    anchors: Mapping[str, Mapping[str, float]]  # rows that no game plays
    paper: Mapping[str, Mapping[str, float]]
    note: str
    claims: Sequence[Mapping[str, Any]] = ()  # that it had when it was played, with their verdicts
