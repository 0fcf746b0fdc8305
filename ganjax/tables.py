"""Plays the rows of a table, each into a folder of its own, and writes what came beside what the paper has."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

from ganjax import experiment as ex
from ganjax import folder, launch, records
from ganjax.experiment import File, Table

Results = dict[str, dict[str, list[float]]]  # by row and column: one number for each seed


def play(
    file: File,
    table: Table,
    out: Path,
    *,
    seeds: int | None = None,
    quick: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
    data_dir: str | None = None,
) -> str:
    """Plays what is not finished and returns the table as text, also written to out/table.txt and, seed by seed, out/table.json.

    Raises ValueError, one line, where the folder holds a row played with other options.
    """
    requests = {}
    for row, given in table.rows.items():  # all are built before any is played
        options = {name: value for name, value in given.items() if name != "experiment"} | ({"data_dir": data_dir} if data_dir else {})
        source = ex.find(given["experiment"]) if "experiment" in given else file
        if quick:
            options["steps"] = max(1, source.build(options).steps // 100)
        requests[row] = records.request(source, options, seeds=seeds or table.seeds)
    results: Results = {}
    for row, (record, built) in requests.items():
        at = out / row.lower().replace(", ", "-").replace(" ", "-")
        if overwrite or not at.exists():
            records.create(at, record, overwrite)
        elif records.read_request(at).tie != record.tie:
            raise ValueError(f"{at} was played with other options: choose another --out or say --overwrite")
        if not quiet:
            print(f"{row}: {at}", file=sys.stderr)
        launch.carry_on(at, record, built, quiet)
        last = [r for r in folder.read(at / "metrics.jsonl") if r["step"] == record.steps]
        results[row] = {c: [r[c] for r in last if r.get(c) is not None] for c in table.columns if any(c in r for r in last)}
    folder.write_json(out / "table.json", results)
    text = draw(results, table)
    (out / "table.txt").write_text(text + "\n")
    return text


def draw(results: Results, table: Table) -> str:
    """The table in plain text: mean ± SD over seeds, and the paper's numbers in rows of their own."""
    columns = [c for c in table.columns if any(c in row for row in results.values())]
    lines = [["", *columns, "seeds"]]
    for row, numbers in results.items():
        n = max((len(values) for values in numbers.values()), default=0)
        lines.append([row, *(spread(numbers.get(c, [])) for c in columns), str(n)])
        if paper := table.paper.get(row):
            lines.append(["  paper", *(f"{paper[c]:.4g}" if c in paper else "" for c in columns), ""])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(line, widths)).rstrip() for line in lines)


def spread(values: list[float]) -> str:
    """mean ± sample standard deviation."""
    if not values:
        return ""
    return f"{statistics.fmean(values):.4g}" + (f" ± {statistics.stdev(values):.2g}" if len(values) > 1 else "")

