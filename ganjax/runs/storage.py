"""A run's folder: options.json, metrics.jsonl, figures, digest.json. Written whole or not at all;
host code.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np

fcntl: Any
try:
    import fcntl
except ImportError:  # not a Unix
    fcntl = None

Row = dict[str, Any]  # one measurement of one seed: {"step", "seed", "time", NAME: number, …}


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Keeps other processes from playing into a run's folder meanwhile, as far as its file system
    can tell.

    Raises ValueError where one does. The lock is the system's, on options.json: it goes with the
    process.
    """
    with (out / "options.json").open() as file:
        try:
            if fcntl:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(f"{out} is being played by another process") from error
        except OSError:  # a file system without locks
            pass
        yield


def write_json(path: Path, value: Any) -> None:
    """Writes JSON in one motion: a reader sees the old file or the new one."""
    scratch = path.with_name(f".{path.name}.new")
    with scratch.open("w") as file:
        json.dump(value, file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)


def append(path: Path, rows: Iterable[Row]) -> None:
    """Adds rows to a metrics file and waits until they are on the disk."""
    with path.open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> list[Row]:
    """The rows of a metrics file, without a torn last line; none where there is no file.

    Raises ValueError, one line, where a line that was written to its end is damaged.
    """
    rows = []
    *whole, _ = path.read_text(errors="replace").split("\n") if path.exists() else [""]
    for number, line in enumerate(whole, 1):
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise ValueError(
                f"{path} is damaged in line {number}: mend it, or remove it and what follows"
            ) from error
    return rows


def cut(path: Path, step: int) -> list[Row]:
    """Cuts rows beyond a step, and a torn last line, off a metrics file; what is left."""
    rows = [row for row in read(path) if row["step"] <= step]
    if path.exists():
        scratch = path.with_name(f".{path.name}.new")
        scratch.unlink(missing_ok=True)
        scratch.touch()
        append(scratch, rows)
        scratch.replace(path)
    return rows


def tree_digest(tree: Any) -> str:
    """SHA-256 over all leaves of a tree of arrays, in the order of their paths, as little-endian
    bytes.
    """
    leaves = sorted(
        (jax.tree_util.keystr(path), leaf)
        for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]
    )
    digest = hashlib.sha256()
    for _, leaf in leaves:
        array = np.asarray(leaf)
        digest.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def metrics_digest(rows: Sequence[Row]) -> str:
    """SHA-256 of the rows as JSON lines without their "time"."""
    text = "".join(
        json.dumps({name: value for name, value in row.items() if name != "time"}) + "\n"
        for row in rows
    )
    return hashlib.sha256(text.encode()).hexdigest()


def digest(params: Mapping[int, Any], rows: Sequence[Row], steps: int) -> dict[str, Any]:
    """What digest.json says of a finished run; params by seed."""
    seeds = {str(seed): tree_digest(tree) for seed, tree in params.items()}
    record: dict[str, Any] = {
        "params": next(iter(seeds.values())),
        "metrics": metrics_digest(rows),
        "steps": steps,
    }
    if len(seeds) > 1:
        record["params"] = hashlib.sha256("".join(seeds.values()).encode()).hexdigest()
        record["seeds"] = seeds
    return record
