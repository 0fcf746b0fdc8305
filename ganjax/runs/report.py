"""What is left of a played table: its record, and what is drawn from records, as plain text and as
a page of Markdown.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HEAD = """# Results

Made by `ganjax report` from the records that `ganjax reproduce` leaves, never typed. Numbers of ours are mean ± sample standard deviation
over seeds; where a seed diverged, or its number is not finite, the cell says how many are left. A row without seeds is an anchor, which
no game plays, or marked (paper): what the paper has, read or recalled as the note says. Minutes are those of the rows' runs,
measurements included, on a device that other tables may have shared."""


@dataclass(frozen=True)
class Record:
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


def lines(record: Record) -> list[list[str]]:
    """The table's cells, its head first: rows, anchors, and the paper's numbers each after the row
    that they belong to.
    """
    parts = (record.rows, record.anchors, record.paper)
    columns = list(
        dict.fromkeys(column for part in parts for row in part.values() for column in row)
    )
    found = [["", *columns, "seeds"]]
    for row in dict.fromkeys(name for part in parts for name in part):
        if row in record.rows:
            found.append(
                [
                    row,
                    *(spread(record.rows[row].get(c, [])) for c in columns),
                    str(len(record.seeds)),
                ]
            )
        for part, name in ((record.anchors, row), (record.paper, f"{row} (paper)")):
            if row in part:
                found.append(
                    [name, *(f"{part[row][c]:.4g}" if c in part[row] else "" for c in columns), ""]
                )
    return found


def spread(values: Sequence[float | None]) -> str:
    """mean ± sample standard deviation of the numbers that are there, and how many are where some
    are not.
    """
    there = [value for value in values if value is not None]
    left = f"{len(there)} of {len(values)}"
    if not there:
        return left if values else ""
    text = f"{statistics.fmean(there):.4g}" + (
        f" ± {statistics.stdev(there):.2g}" if len(there) > 1 else ""
    )
    return text if len(there) == len(values) else f"{text} ({left})"


def plain(record: Record) -> str:
    """The table in plain text."""
    cells = lines(record)
    widths = [max(map(len, column)) for column in zip(*cells)]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(line, widths)).rstrip() for line in cells
    )


def section(record: Record) -> str:
    """A table in Markdown: the command, the table, and what it was played on."""
    head, *body = lines(record)
    table = [
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |"
        for line in [head, ["---"] * len(head), *body]
    ]
    seeds = (
        f"Seeds {record.seeds[0]} to {record.seeds[-1]}"
        if len(record.seeds) > 1
        else f"Seed {record.seeds[0]}"
    )
    steps = ", a hundredth of the steps" if record.quick else ""
    several = {"count": "devices", "cores": "CPU cores"}
    on = ", ".join(
        [
            record.device["kind"],
            *(
                f"{text}: {record.device[name]}"
                for name, text in several.items()
                if name in record.device
            ),
        ]
    )
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    told = f"{seeds}{steps}; {record.minutes:.1f} minutes; {on}; {versions}."
    text = [f"## {record.table}", f"```\n{record.command}\n```", "\n".join(table), told]
    return "\n\n".join([*text, f"Note: {record.note.rstrip('.')}."] if record.note else text)


def page(paths: Iterable[Path]) -> str:
    """A page of the records in these files, or in the table.json of these folders, whatever their
    order.

    Raises ValueError, one line, for what is no record.
    """
    sections = set()
    for path in paths:
        file = path / "table.json" if path.is_dir() else path
        try:
            sections.add(section(Record(**json.loads(file.read_text()))))
        except (OSError, ValueError, TypeError, AttributeError, LookupError) as error:
            raise ValueError(
                f"{path} is no record of a table: it needs a table.json made by `ganjax reproduce`"
            ) from error
    return "\n\n".join([HEAD, *sorted(sections)]) + "\n"
