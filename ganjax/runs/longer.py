"""A run that is played past its end."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ganjax.runs import storage
from ganjax.runs.record import RunRecord


def extended(out: Path, record: RunRecord, steps: int | None) -> RunRecord:
    """The record of the run with more steps; None: as many as it has.

    Its checkpoints are those of the run that it was. Raises ValueError for fewer steps.
    """
    if steps is None or steps == record.steps:
        return record
    if steps < record.steps:
        raise ValueError(f"{out} has {record.steps} steps: --steps takes more; got {steps}")
    began = record.began or {"steps": record.steps, "option": record.options.get("steps")}
    options = record.options | {"steps": steps}
    return dataclasses.replace(record, steps=steps, options=options, began=began)


def begin(out: Path, record: RunRecord) -> None:
    """Writes the record, and puts the digest of the shorter run aside, as digest.STEPS.json."""
    digest = out / "digest.json"
    with storage.locked(out):
        if digest.is_file() and (steps := storage.read_digest(out)["steps"]) < record.steps:
            digest.rename(out / f"digest.{steps}.json")
        storage.write_json(out / "options.json", record.fields)
