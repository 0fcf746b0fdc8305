"""The runs that are asked for: one, or of a sweep one for each program, in a folder of its own."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ganjax.experiment import Experiment
from ganjax.runs import hosts, request
from ganjax.runs.discovery import File
from ganjax.runs.origin import remember
from ganjax.runs.record import RunRecord, create_run
from ganjax.runs.sweep import MOST, Sweep, programs

Run = tuple[Path, RunRecord, Experiment]


def begin(
    file: File,
    options: Mapping[str, Any],
    sweep: Sweep,
    out: Path,
    overwrite: bool,
    common: Mapping[str, Any],
) -> list[Run]:
    """Makes the folder of a run, or those of a sweep, after a line that says how many lanes and
    programs it has.

    A sweep of several programs has them in folders out/NAME=VALUE. All are checked before one is
    made. Raises ValueError, one line, for what does not fit.
    """
    lanes = common["seeds"] * math.prod(map(len, sweep.values()))
    runs = hosts.together(lambda: prepared(file, options, sweep, out, common, lanes))
    ties = [asked.record.tie for _, asked in runs]
    hosts.alike("".join(ties), "options, data or experiment's file")

    def make() -> None:
        if len(runs) > 1 and out.exists() and not overwrite and any(out.iterdir()):
            raise ValueError(f"{out} exists: choose another --out, or say --overwrite")
        if sweep:
            several = f"{len(runs)} programs: {', '.join(place.name for place, _ in runs)}"
            print(f"{lanes} lanes in {several if runs[1:] else 'one program'}", file=sys.stderr)
        for place, asked in runs:
            create_run(place, asked.record, overwrite, asked.files)
            remember(asked.record.files)

    hosts.first(make)
    return [(place, asked.record, asked.experiment) for place, asked in runs]


def prepared(
    file: File,
    options: Mapping[str, Any],
    sweep: Sweep,
    out: Path,
    common: Mapping[str, Any],
    lanes: int,
) -> list[tuple[Path, request.Request]]:
    """The runs of a sweep of so many lanes, checked, and their folders. Raises as `begin` does."""
    if lanes > MOST:
        raise ValueError(f"{lanes} lanes are more than {MOST}")
    built, numbers = programs(
        file, options, sweep, partial(request.along, dynamics=common["dynamics"])
    )
    first = {name: values[0] for name, values in numbers.items()}
    runs = []
    for setting in built:
        told = ",".join(f"{name}={value}" for name, value in setting.items())
        place = out / told.replace("/", "-") if setting else out
        try:
            asked = request.prepare_run(
                file, {**options, **first, **setting}, sweep=numbers, **common
            )
        except ValueError as error:
            raise ValueError(f"{told}: {error}" if setting else str(error)) from error
        runs.append((place, asked))
    return runs
