"""Records of tables as plain text and as a page of Markdown."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

from ganjax.host import aligned
from ganjax.tables.claims import Claim, as_claim, judge, summary
from ganjax.tables.record import TableRecord

HEAD = """# Results

`ganjax report` makes this page from the records that `ganjax reproduce` leaves. Our numbers are
mean ± sample standard deviation over seeds. Where a seed diverged, or its number is not finite,
the cell says how many are left. A row without seeds is an anchor, which no game plays, or the
paper's own numbers, marked (paper); the note says whether they were read or recalled. Minutes are
those of the rows' runs, measurements included, on a device that other tables may have shared.

Under a table stand the claims that it can decide (experiments/claims.toml). A claim is **shown**
where the mean gain over the seeds, paired, has a 95 % bootstrap interval (9,999 draws, one fixed
seed) wholly above 0, and an exact one-sided sign test has p ≤ .05: with five seeds all five agree.
It is **refuted here** where both hold the other way, and **not decided** otherwise: also with fewer
seeds than the claim's command has, or than five, and with other options. A claim of several parts
is shown where all are, refuted where one is. The numbers are the gain beyond what is claimed, its
interval, and how many seeds agree. †: the claim was written when these numbers, or some of them,
were known."""

SUMMARY = """## Claims

What waits is played by `ganjax reproduce all --queue experiments/claims.toml --within MINUTES
--out DIR`, the most doubtful first; minutes of what waits are estimates for a quiet machine."""


def table_cells(record: TableRecord) -> list[list[str]]:
    """The table's cells, the head first: each row, then its anchor, then the paper's numbers."""
    parts = (record.rows, record.anchors, record.paper)
    columns = list(dict.fromkeys(c for part in parts for row in part.values() for c in row))
    lines = [["", *columns, "seeds"]]
    for row in dict.fromkeys(name for part in parts for name in part):
        if row in record.rows:
            numbers = (mean_sd(record.rows[row].get(c, [])) for c in columns)
            lines.append([row, *numbers, str(len(record.seeds))])
        for part, name in ((record.anchors, row), (record.paper, f"{row} (paper)")):
            if row in part:
                known = (f"{part[row][c]:.4g}" if c in part[row] else "" for c in columns)
                lines.append([name, *known, ""])
    return lines


def mean_sd(values: Sequence[float | None]) -> str:
    """Mean ± sample standard deviation; where some values are None, how many are not."""
    numbers = [value for value in values if value is not None]
    left = f"{len(numbers)} of {len(values)}"
    if not numbers:
        return left if values else ""
    text = f"{statistics.fmean(numbers):.4g}"
    if len(numbers) > 1:
        text += f" ± {statistics.stdev(numbers):.2g}"
    return text if len(numbers) == len(values) else f"{text} ({left})"


def plain_text(record: TableRecord) -> str:
    """The table in plain text, its note and its claims."""
    judged = [one.line for one in judge(record, _claims_of(record))]
    note = [record.note] if record.note else []
    return "\n".join([aligned(table_cells(record)), *note, *judged])


def _claims_of(record: TableRecord) -> list[Claim]:
    """The claims that it keeps."""
    return [as_claim(entry) for entry in record.claims]


def markdown_section(record: TableRecord, claims: Sequence[Claim] = ()) -> str:
    """The table in Markdown: its command, its numbers, what it was played on, and its claims."""
    head, *body = table_cells(record)
    lines = [head, ["---"] * len(head), *body]
    escaped = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    table = "\n".join(f"| {' | '.join(line)} |" for line in escaped)
    first, last = record.seeds[0], record.seeds[-1]
    seeds = f"Seeds {first} to {last}" if len(record.seeds) > 1 else f"Seed {first}"
    steps = ", a hundredth of the steps" if record.quick else ""
    known = (("count", "devices"), ("cores", "CPU cores"))
    counts = [f"{text}: {record.device[name]}" for name, text in known if name in record.device]
    device = ", ".join([record.device["kind"], *counts])
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    played = f"{seeds}{steps}; {record.minutes:.1f} minutes; {device}; {versions}."
    text = [f"## {record.table}", f"```\n{record.command}\n```", table, played]
    if record.note:
        text.append(f"Note: {record.note.rstrip('.')}.")
    judged = judge(record, claims or _claims_of(record))
    if judged:
        text.append("\n".join(f"- {one.line}" for one in judged))
    return "\n\n".join(text)


def markdown_page(paths: Iterable[Path], claims: Sequence[Claim] = ()) -> str:
    """A page of the records in these files, or in the table.json of these folders, by name; with
    claims it begins with what is known of each. Without, those that the records keep are judged.

    Raises ValueError, one line, for a file that is no record.
    """
    sections, records = set(), []
    for path in sorted(paths):
        file = path / "table.json" if path.is_dir() else path
        try:
            records.append(TableRecord(**json.loads(file.read_text("utf-8"))))
            sections.add(markdown_section(records[-1], claims))
        except (OSError, ValueError, TypeError, AttributeError, LookupError) as error:
            wanted = "it needs a table.json made by `ganjax reproduce`"
            raise ValueError(f"{path} is no record of a table: {wanted}") from error
    first = [SUMMARY, summary(claims, records)] if claims else []
    return "\n\n".join([HEAD, *first, *sorted(sections)]) + "\n"
