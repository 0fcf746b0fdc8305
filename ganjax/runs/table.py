"""Plays the rows of a table, each into a folder of its own, and leaves a record of what came beside
what the paper has.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ganjax import experiment as ex
from ganjax.experiment import File, Played
from ganjax.figures.style import save
from ganjax.runs import storage, train
from ganjax.runs.record import create, read_request, request
from ganjax.runs.report import Record, plain


def play(
    file: File,
    name: str,
    out: Path,
    *,
    seeds: int | None = None,
    quick: bool = False,
    fast: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
    data_dir: str | None = None,
    only: Sequence[str] = (),
    changed: Mapping[str, Any] | None = None,
) -> str:
    """Plays what is not finished of a table of the file, writes the record out/table.json, and
    returns the text, also in out/table.txt.

    only: these rows, if any are named; changed: options in place of the rows' own. Both stand in
    the record's command. What the table
    draws of all rows together is in out/figures. Raises ValueError, one line, for a row or an
    option that is not there, and where the folder holds a row played with other options.
    """
    table, changed = file.tables[name], dict(changed or {})
    if missing := set(only) - set(table.rows):
        raise ValueError(
            f"{file.name}/{name} has no row {sorted(missing)[0]!r}: there are {', '.join(table.rows)}"
        )
    requests = {}
    # all are built before any is played
    for row in [row for row in table.rows if row in only or not only]:
        given = table.rows[row]
        source = ex.find(given["experiment"]) if "experiment" in given else file
        if foreign := set(changed) - set(source.options()):
            raise ValueError(
                f"row {row} is played by {source.name}, which has no option {sorted(foreign)[0]}"
            )
        options = {name: value for name, value in given.items() if name != "experiment"} | changed
        options |= {"data_dir": data_dir} if data_dir else {}
        if quick:
            options["steps"] = max(1, source.build(options).steps // 100)
        requests[row] = request(
            source, options, seeds=seeds or table.seeds, every=table.every, fast=fast
        )
    rows: dict[str, dict[str, Any]] = {}
    # written: the requests as they stand in the rows' folders
    seconds, written, played = 0.0, [], {}
    for row, (record, built) in requests.items():
        at = out / folder_of(row)
        if overwrite or not at.exists():
            create(at, record, overwrite)
        elif read_request(at).tie != record.tie:
            raise ValueError(
                f"{at} was played with other options: choose another --out or say --overwrite"
            )
        if not quiet:
            print(f"{row}: {at}", file=sys.stderr)
        train.carry_on(at, record, built, quiet)
        metrics = storage.read(at / "metrics.jsonl")
        last = {r["seed"]: r for r in metrics if r["step"] == record.steps}
        judged = [c for c in table.columns if any(c in r for r in last.values())]
        rows[row] = {c: [last.get(seed, {}).get(c) for seed in record.seeds] for c in judged}
        seconds += max(r["time"] for r in metrics)
        written.append(read_request(at))
        players = partial(train.players, at, record, built)
        played[row] = Played(built, record.options, record.seeds, metrics, players)
    more, drawn = table.after(played)
    for row, columns in more.items():
        rows[row] = {
            **rows.get(row, {}),
            **{column: list(values) for column, values in columns.items()},
        }
    for figure in drawn:
        save(drawn[figure], out / "figures" / f"{figure}.png")
    anchors = {} if quick else kept(out / "anchors.json", table.anchors, data_dir, overwrite)
    said = {
        "--seeds": seeds if seeds not in (None, table.seeds) else "",
        "--quick": quick,
        "--fast": fast,
    }
    command = f"ganjax reproduce {file.name}/{name}" + "".join(
        f" {o}" + ("" if v is True else f" {v}") for o, v in said.items() if v
    )
    command += "".join(f" {flag(option, value)}" for option, value in changed.items())
    command += " --rows " + shlex.join(requests) if only else ""
    made = Record(
        table=f"{file.name}/{name}",
        command=command,
        quick=quick,
        seeds=written[0].seeds,
        minutes=round(seconds / 60, 2),
        device=together(request.device for request in written),
        versions=together(request.versions for request in written),
        rows=rows,
        anchors={
            row: {c: numbers[c] for c in table.columns if c in numbers}
            for row, numbers in anchors.items()
        },
        paper={
            row: dict(numbers) for row, numbers in table.paper.items() if not only or row in only
        },
        note=table.note,
    )
    storage.write_json(out / "table.json", dataclasses.asdict(made))
    text = plain(made)
    (out / "table.txt").write_text(text + "\n")
    return text


def flag(option: str, value: Any) -> str:
    """An option as the command line takes it."""
    name = option.replace("_", "-")
    return (
        {True: f"--{name}", False: f"--no-{name}"}[value]
        if isinstance(value, bool)
        else f"--{name} {shlex.quote(str(value))}"
    )


def folder_of(row: str) -> str:
    """A row's name in letters, digits, points and hyphens."""
    return re.sub(r"[^a-z0-9.]+", "-", row.lower()).strip("-")


def kept(
    path: Path, anchors: Any, data_dir: str | None, again: bool
) -> dict[str, Mapping[str, float]]:
    """The anchors as they were computed once."""
    if again or not path.is_file():
        storage.write_json(path, anchors(data_dir))
    return json.loads(path.read_text())


def together(found: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What all say of each name; where they differ, "A and B"."""
    first, *others = found
    values = {
        name: list(dict.fromkeys([first[name], *(other[name] for other in others)]))
        for name in first
    }
    return {
        name: each[0] if len(each) == 1 else " and ".join(map(str, each))
        for name, each in values.items()
    }
