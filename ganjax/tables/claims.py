"""Claims of papers, each with the command that can decide it, and what records say of them."""

from __future__ import annotations

import dataclasses
import shlex
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from ganjax.metrics.verdicts import FEWEST, OPEN, Verdict, together, verdict
from ganjax.runs.discovery import folders
from ganjax.tables.record import TableRecord

CLAIMS = "claims.toml"
OTHER = "other options"
Cell = tuple[str, str]  # row and column
ABOUT = ("--rows", "--seeds", "--fast")  # options that a record may have beside the claim's


@dataclass(frozen=True)
class Claim:
    """A sentence that one table can decide, and the cells of the table that decide it.

    Row `better` has the larger numbers in column `by` than each of `than`, rows or one number. In
    place of `than`, several rows in `better`, or several columns in `by`, are an order, the largest
    first.
    """

    says: str
    play: str  # the command that decides it, after `ganjax reproduce`
    minutes: float  # that it takes on two cores
    better: str | Sequence[str]
    by: str | Sequence[str]
    than: str | float | Sequence[str] = ()
    larger: bool = True  # or the smaller ones, the smallest first
    margin: float = 0.0  # the difference is more than this, in the column's unit
    seen: bool = False  # numbers of some of its seeds were known when it was written

    def __post_init__(self) -> None:
        if not self.comparisons:
            raise ValueError(f"the claim {self.says!r} compares nothing")
        if not self.experiment or not self.seeds:
            raise ValueError(f"the claim {self.says!r} names no EXPERIMENT/TABLE that is played")

    @property
    def command(self) -> str:
        """What plays it."""
        return f"ganjax reproduce {self.play}"

    @property
    def table(self) -> str:
        """EXPERIMENT/NAME."""
        return self.play.partition(" ")[0]

    @property
    def experiment(self) -> str:
        """Whose claim it is."""
        return self.table.rpartition("/")[0]

    @property
    def comparisons(self) -> list[tuple[Cell, Cell | float]]:
        """The pairs of which the first is the better one."""
        rows, columns = ([x] if isinstance(x, str) else list(x) for x in (self.better, self.by))
        than = [self.than] if isinstance(self.than, (str, int, float)) else list(self.than)
        cells = [(row, columns[0]) for row in rows] + [(rows[0], c) for c in columns[1:]]
        rivals = [(x, columns[0]) if isinstance(x, str) else float(x) for x in than]
        return [(cells[0], rival) for rival in rivals] + list(pairwise(cells))

    @property
    def seeds(self) -> int:
        """That a record needs to decide it: the command's, and no fewer than 5."""
        words = self.play.split()
        return max(FEWEST, int(words[words.index("--seeds") + 1]) if "--seeds" in words else 0)


@dataclass(frozen=True)
class Judged:
    """What a record says of a claim."""

    claim: Claim
    word: str
    parts: list[tuple[str, Verdict]]  # what is compared
    why: str  # it is not decided
    later: bool  # the claim was written when these numbers, or some, were known

    @property
    def line(self) -> str:
        """The claim, its verdict and the numbers."""
        told = [
            f"{name}: {v.mean:.3g} ({v.low:.3g} to {v.high:.3g}), {v.agree} of {v.n} seeds"
            for name, v in self.parts
        ]
        return f"{self.claim.says} **{self.short}**. {'; '.join(told)}."

    @property
    def short(self) -> str:
        """The verdict."""
        return f"{self.word}{'†' if self.later else ''}" + (f" ({self.why})" if self.why else "")


def read_claims(path: Path) -> list[Claim]:
    """The claims of a file. Raises ValueError, one line, where it holds something else."""
    try:
        return [Claim(**one) for one in tomllib.loads(path.read_text("utf-8"))["claim"]]
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise ValueError(f"{path} is no file of claims: {' '.join(str(error).split())}") from error


def known_claims() -> list[Claim]:
    """The claims of all folders of experiments."""
    paths = [folder / CLAIMS for folder in folders() if (folder / CLAIMS).is_file()]
    return list({claim.says: claim for path in paths for claim in read_claims(path)}.values())


def as_claim(entry: Mapping[str, Any]) -> Claim:
    """The claim that a record keeps, whatever verdict it keeps with it."""
    return Claim(**{name: value for name, value in entry.items() if name != "verdict"})


def with_claims(record: TableRecord) -> TableRecord:
    """The record with the claims of now about its table, and their verdicts."""
    kept = [dataclasses.asdict(claim) for claim in known_claims() if claim.table == record.table]
    record = dataclasses.replace(record, claims=kept)
    word_of = {one.claim.says: one.word for one in judge(record, map(as_claim, kept))}
    return dataclasses.replace(
        record, claims=[{**entry, "verdict": word_of.get(entry["says"], OPEN)} for entry in kept]
    )


def judge(record: TableRecord, claims: Iterable[Claim]) -> list[Judged]:
    """The claims that are about the record's table, and whose numbers it has.

    One that asks for other options is left out where another, of the same cells, asks for these.
    """
    own = [claim for claim in claims if claim.table == record.table]
    found = [one for claim in own if (one := _judged(record, claim))]
    these = [one.claim.comparisons for one in found if one.why != OTHER]
    return [one for one in found if one.why != OTHER or one.claim.comparisons not in these]


def _judged(record: TableRecord, claim: Claim) -> Judged | None:
    """What a record says of a claim of its table; None where it has not all the numbers."""
    parts, numbers = [], []
    for better, rival in claim.comparisons:
        this, other = _values(record, better), _values(record, rival)
        pairs = [(a, b) for a, b in zip(this, other) if a is not None and b is not None]
        if not pairs:
            return None
        sign = 1 if claim.larger else -1
        numbers.append(verdict([sign * (a - b) - claim.margin for a, b in pairs]))
        parts.append((_named(better, rival, claim), numbers[-1]))
    seeds, same = min(v.n for v in numbers), _options(record.command) == _options(claim.command)
    why = OTHER if not same else f"{seeds} of {claim.seeds} seeds" if seeds < claim.seeds else ""
    word = OPEN if why else together([v.word for v in numbers])
    kept = [entry.get("says") for entry in record.claims]
    return Judged(claim, word, parts, why, claim.seen or claim.says not in kept)


def _values(record: TableRecord, cell: Cell | float) -> Sequence[float | None]:
    """The numbers of a cell by seed; those of an anchor, and a number, are the same for all."""
    if isinstance(cell, float):
        return [cell] * len(record.seeds)
    row, column = cell
    if row in record.rows:
        return record.rows[row].get(column, [])
    anchor = record.anchors.get(row, {}).get(column)
    return [anchor] * len(record.seeds)


def _named(better: Cell, rival: Cell | float, claim: Claim) -> str:
    """What is compared, in words: the gain is above 0 where the claim holds."""
    (row, column), sign = better, ">" if claim.larger else "<"
    beyond = f" by {claim.margin:g}" if claim.margin else ""
    if isinstance(rival, float):
        return f"{column} of {row} {sign} {rival:g}{beyond}"
    if rival[0] == row:
        return f"{row}: {column} {sign} {rival[1]}{beyond}"
    return f"{column}: {row} {sign} {rival[0]}{beyond}"


def _options(command: str) -> set[tuple[str, ...]]:
    """The options of a command that change what is played."""
    groups: list[list[str]] = [[]]
    for word in shlex.split(command)[3:]:
        if word.startswith("--"):
            groups.append([])
        groups[-1].append(word)
    return {tuple(group) for group in groups if group and group[0] not in ABOUT}


def summary(claims: Sequence[Claim], records: Iterable[TableRecord]) -> str:
    """A table of all claims, in the order of their experiments: what is known of each, and what
    waits, in Markdown.
    """
    found: dict[str, tuple[Judged, TableRecord]] = {}
    for record in records:
        for one in judge(record, claims):
            if one.why == OTHER:
                continue
            known = found.get(one.claim.says)
            if not known or len(record.seeds) > len(known[1].seeds):
                found[one.claim.says] = one, record
    lines = [
        "| experiment | claim | verdict | command | minutes |",
        "| --- | --- | --- | --- | --- |",
    ]
    for claim in sorted(claims, key=lambda claim: claim.experiment):
        said, minutes = "waits", f"about {claim.minutes:g}, 2 cores"
        if claim.says in found:
            one, record = found[claim.says]
            said = one.short + ("; waits" if one.why else "")
            if not one.why:
                device = record.device["kind"]
                cores = f", {record.device['cores']} cores" if "cpu" in device else ""
                minutes = f"{record.minutes:.1f}, {device}{cores}"
        cells = [claim.experiment, claim.says, said, f"`{claim.command}`", minutes]
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(lines)
