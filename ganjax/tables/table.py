"""Plays the rows of a table, each into a folder of its own, and leaves a record of the numbers."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ganjax.experiment import Experiment, FinishedRow, Table
from ganjax.figures.style import save
from ganjax.host import whole_file
from ganjax.runs import origin, population, record, storage
from ganjax.runs.discovery import File, experiment_file
from ganjax.runs.record import RunRecord
from ganjax.runs.request import Request, prepare_run
from ganjax.runs.train import train
from ganjax.tables.claims import known_claims, with_claims
from ganjax.tables.record import TableRecord
from ganjax.tables.report import plain_text

OTHER = " (Where this speaks of sizes, they are the table's own; the command has others.)"


@dataclass(frozen=True)
class Reproduction:
    """How a table is played."""

    file: File
    name: str  # of the table
    out: Path
    only: Sequence[str] = ()  # these rows, if any are named
    changed: Mapping[str, Any] = field(default_factory=dict)  # options in place of the rows' own
    seeds: int | None = None  # None: the table's own number
    quick: bool = False  # a hundredth of the steps
    fast: bool = False
    portable: bool = False
    overwrite: bool = False
    quiet: bool = False
    data_dir: str | None = None

    @property
    def table(self) -> Table:
        """The table itself."""
        return self.file.tables[self.name]

    @property
    def command(self) -> str:
        """The command that plays it."""
        words = [f"ganjax reproduce {self.file.name}/{self.name}"]
        if self.seeds not in (None, self.table.seeds):
            words.append(f"--seeds {self.seeds}")
        words += [f"--{name}" for name in ("quick", "fast", "portable") if getattr(self, name)]
        words += [_flag(name, value) for name, value in self.changed.items()]
        if self.only:
            words.append(f"--rows {shlex.join(r for r in self.table.rows if r in self.only)}")
        return " ".join(words)


def reproduce(r: Reproduction) -> str:
    """Plays what is not finished of a table; its text, which out/table.txt has too, and where its
    figures are.

    out/table.json is its record, written anew when a row ends: the rows that were asked for, and
    those that the folder had before with the same options. out/figures has what the table draws of
    all rows together. Raises ValueError, one line, for an unknown row or option, and where the
    folder holds a row with other options.
    """
    known_claims()  # refuses a wrong file before any time is spent, and so are all rows checked
    requests = {row: _request(r, row) for row in _rows(r)}
    if r.overwrite:
        (r.out / "anchors.json").unlink(missing_ok=True)
    finished: dict[str, FinishedRow] = {}
    for row, request in requests.items():
        new = r.overwrite or not _is_finished(r, row)
        finished[row] = _play(r, row, request)
        if new:
            _write(r, _with_earlier(r, finished), {})
    finished = _with_earlier(r, finished)
    more, drawn = r.table.after(finished)
    for name, figure in drawn.items():
        save(figure, r.out / "figures" / f"{name}.png")
    made = _write(r, finished, more)
    _report_missing(r, made.rows)
    pictures = [str(r.out / "figures" / f"{name}.png") for name in drawn]
    return "\n".join([plain_text(made), *pictures])


def _with_earlier(r: Reproduction, finished: Mapping[str, FinishedRow]) -> dict[str, FinishedRow]:
    """These rows and the folder's other finished ones with the options of now, in order."""
    known = dict(finished)
    for row in r.table.rows:
        if row not in known and _is_finished(r, row):
            folder = r.out / _folder_name(row)
            with suppress(ValueError):  # it may not have the options that others are asked with
                asked, experiment, _ = _request(r, row)
                recorded = record.read_record(folder)
                if not origin.differences(folder, recorded, asked):
                    known[row] = _finished_row(folder, recorded, experiment)
    return {row: known[row] for row in r.table.rows if row in known}


def _is_finished(r: Reproduction, row: str) -> bool:
    """Whether the folder has this row whole."""
    return (r.out / _folder_name(row) / "digest.json").is_file()


def _write(
    r: Reproduction,
    finished: Mapping[str, FinishedRow],
    more: Mapping[str, Mapping[str, Sequence[float | None]]],
) -> TableRecord:
    """Writes table.json and table.txt; the record."""
    r = dataclasses.replace(r, only=[] if len(finished) == len(r.table.rows) else list(finished))
    # as the rows were played, perhaps on another device
    records = [record.read_record(r.out / _folder_name(row)) for row in finished]
    columns = {row: _last_measurements(r.table, each) for row, each in finished.items()}
    for row, added in more.items():
        columns[row] = {**columns.get(row, {}), **{name: list(v) for name, v in added.items()}}
    anchors = {} if r.quick else _anchors(r)
    seconds = sum(max(row["time"] for row in each.metrics) for each in finished.values())
    made = TableRecord(
        table=f"{r.file.name}/{r.name}",
        command=r.command,
        quick=r.quick,
        seeds=records[0].seeds,
        minutes=round(seconds / 60, 2),
        device=_joined(each.device for each in records),
        versions=_joined(each.versions for each in records),
        rows=columns,
        anchors={
            row: {c: numbers[c] for c in r.table.columns if c in numbers}
            for row, numbers in anchors.items()
        },
        paper={row: dict(n) for row, n in r.table.paper.items() if not r.only or row in r.only},
        note=r.table.note + (OTHER if r.changed else ""),
    )
    made = with_claims(made)
    storage.write_json(r.out / "table.json", dataclasses.asdict(made))
    with whole_file(r.out / "table.txt") as scratch:
        scratch.write_text(plain_text(made) + "\n", "utf-8")
    return made


def _rows(r: Reproduction) -> list[str]:
    """The rows that are asked for, in the table's order."""
    if unknown := set(r.only) - set(r.table.rows):
        known = ", ".join(r.table.rows)
        name = sorted(unknown)[0]
        raise ValueError(f"{r.file.name}/{r.name} has no row {name!r}: there are {known}")
    return [row for row in r.table.rows if row in r.only or not r.only]


def _request(r: Reproduction, row: str) -> Request:
    """A row's record and experiment."""
    options = dict(r.table.rows[row])
    source = experiment_file(options.pop("experiment")) if "experiment" in options else r.file
    if foreign := set(r.changed) - set(source.options()):
        name = sorted(foreign)[0]
        raise ValueError(f"row {row} is played by {source.name}, which has no option {name}")
    dynamics = options.pop("dynamics", None)
    options |= r.changed
    if r.data_dir:
        options["data_dir"] = r.data_dir
    if r.quick:
        options["steps"] = max(1, source.build(options).steps // 100)
    seeds = r.seeds or r.table.seeds
    return prepare_run(
        source,
        options,
        seeds=seeds,
        every=r.table.every,
        fast=r.fast,
        dynamics=dynamics,
        portable=r.portable,
    )


def _play(r: Reproduction, row: str, request: Request) -> FinishedRow:
    """Plays a row to its end."""
    asked, experiment, files = request
    folder = r.out / _folder_name(row)
    if r.overwrite or not folder.exists():
        record.create_run(folder, asked, r.overwrite, files)
        origin.remember(asked.files)
    recorded = record.read_record(folder)
    if differs := origin.differences(folder, recorded, asked):
        advice = "choose another --out or say --overwrite"
        raise ValueError(f"{folder} was played with {differs}: {advice}")
    if not r.quiet:
        print(f"{row}: {folder}", file=sys.stderr)
    train(folder, recorded, experiment, r.quiet)
    return _finished_row(folder, recorded, experiment)


def _finished_row(folder: Path, recorded: RunRecord, experiment: Experiment) -> FinishedRow:
    """What a finished row left."""
    metrics = storage.read_rows(folder / "metrics.jsonl")
    players = partial(population.finished_players, folder, recorded, experiment)
    return FinishedRow(experiment, recorded.options, recorded.seeds, metrics, players)


def _last_measurements(table: Table, row: FinishedRow) -> dict[str, list[float | None]]:
    """The numbers of the last step by column, one for each seed."""
    ended = [m for m in row.metrics if m["step"] == row.experiment.steps]
    last = {m["seed"]: m for m in ended}
    known = [c for c in table.columns if any(c in m for m in ended)]
    return {c: [last.get(seed, {}).get(c) for seed in row.seeds] for c in known}


def _report_missing(r: Reproduction, columns: Mapping[str, Mapping[str, Any]]) -> None:
    """A line on stderr for the table's columns that no row has."""
    known = {column for row in columns.values() for column in row}
    if missing := [column for column in r.table.columns if column not in known]:
        print(f"{r.file.name}/{r.name}: no row measured {', '.join(missing)}", file=sys.stderr)


def _anchors(r: Reproduction) -> dict[str, Mapping[str, float]]:
    """The anchors, computed once."""
    path = r.out / "anchors.json"
    if not path.is_file():
        storage.write_json(path, r.table.anchors(r.data_dir))
    return json.loads(path.read_text("utf-8"))


def _flag(option: str, value: Any) -> str:
    """An option as the command line takes it."""
    name = option.replace("_", "-")
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    return f"--{name} {shlex.quote(str(value))}"


def _folder_name(row: str) -> str:
    """A row's name in letters, digits, points and hyphens."""
    return re.sub(r"[^a-z0-9.]+", "-", row.lower()).strip("-")


def _joined(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Each entry of several dicts; where they differ, "A and B"."""
    first, *others = parts
    values = {
        name: list(dict.fromkeys([first[name], *(o[name] for o in others)])) for name in first
    }
    return {
        n: each[0] if len(each) == 1 else " and ".join(map(str, each)) for n, each in values.items()
    }
