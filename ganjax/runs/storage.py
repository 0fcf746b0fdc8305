"""The files of a run's folder: options.json, metrics.jsonl, digest.json. On the host."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ganjax.host import whole_file

fcntl: Any
try:
    import fcntl
except ImportError:  # not a Unix
    fcntl = None

Row = dict[str, Any]  # one measurement of one seed: {"step", "seed", "time", NAME: number, …}


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Keeps other processes out of a run's folder, as far as its file system can.

    The lock is the system's, on options.json: it goes with the process. Raises ValueError where
    another process holds it.
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


def set_aside(out: Path) -> list[str]:
    """Renames a run's checkpoints and measurements, so that it begins again; their new names."""
    moved = []
    with locked(out):
        for name in (
            "checkpoints",
            "metrics.jsonl",
            "digest.json",
            "figures",
            "best.json",
            "exploits.jsonl",
        ):
            old = out / name
            if old.exists():
                free = (out / f"{name}.{i}" for i in itertools.count(1))
                moved.append(old.rename(next(path for path in free if not path.exists())).name)
    return moved


def write_json(path: Path, value: Any) -> None:
    """Writes JSON, whole or not at all."""
    with whole_file(path) as scratch:
        scratch.write_text(json.dumps(value, indent=2) + "\n")


def write_files(out: Path, files: Mapping[str, bytes]) -> None:
    """Writes files by their place in a folder."""
    for name, data in files.items():
        with whole_file(out / name) as scratch:
            scratch.write_bytes(data)


def append_rows(path: Path, rows: Iterable[Row]) -> None:
    """Adds rows to a metrics file and waits until they are on the disk."""
    with path.open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
        file.flush()
        os.fsync(file.fileno())


def read_rows(path: Path) -> list[Row]:
    """The rows of a metrics file, without a torn last line; none where there is no file.

    Raises ValueError, one line, where a line that was written to its end is damaged.
    """
    rows = []
    *ended, _ = path.read_text("utf-8", "replace").split("\n") if path.exists() else [""]
    for number, line in enumerate(ended, 1):
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError):
            row = None
        if not _is_row(row):
            advice = "mend it, or remove it and what follows"
            raise ValueError(f"{path} is damaged in line {number}: {advice}")
        rows.append(row)
    return rows


def record_change(out: Path, change: dict[str, Any]) -> None:
    """Adds a line to changes.jsonl, once."""
    line, path = json.dumps(change) + "\n", out / "changes.jsonl"
    if not path.exists() or line not in path.read_text("utf-8").splitlines(keepends=True):
        with path.open("a") as file:
            file.write(line)


def read_changes(out: Path) -> list[dict[str, Any]]:
    """What differed each time that a run went on, from changes.jsonl.

    Raises ValueError, one line, where the file is damaged.
    """
    path = out / "changes.jsonl"
    try:
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        changes = [dict(json.loads(line)) for line in lines]
        if all(isinstance(change.get("changed", {}), dict) for change in changes):
            return changes
    except (ValueError, TypeError, RecursionError):
        pass
    raise ValueError(f"{path} is damaged: mend it, or remove it")


def _is_row(row: Any) -> bool:
    """Whether this is what `append_rows` writes: a step, a seed, and finite numbers or None."""
    if not isinstance(row, dict) or not all(type(row.get(n)) is int for n in ("step", "seed")):
        return False
    return all(
        v is None or (isinstance(v, (int, float)) and math.isfinite(v)) for v in row.values()
    )


def truncate_rows(path: Path, step: int) -> list[Row]:
    """Removes the rows beyond a step, and a torn last line, from a metrics file; what is left."""
    rows = [row for row in read_rows(path) if row["step"] <= step]
    if path.exists():
        with whole_file(path) as scratch:
            append_rows(scratch, rows)
    return rows


def tree_digest(tree: Any) -> str:
    """SHA-256 over the leaves of a tree of arrays, in the order of their paths, little-endian."""
    paths = jax.tree_util.tree_flatten_with_path(tree)[0]
    digest = hashlib.sha256()
    for _, leaf in sorted((jax.tree_util.keystr(path), leaf) for path, leaf in paths):
        array = np.asarray(leaf)
        digest.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def metrics_digest(rows: Sequence[Row]) -> str:
    """SHA-256 of the rows as JSON lines without their "time"."""
    timeless = [{name: v for name, v in row.items() if name != "time"} for row in rows]
    text = "".join(json.dumps(row) + "\n" for row in timeless)
    return hashlib.sha256(text.encode()).hexdigest()


def read_digest(out: Path) -> dict[str, Any]:
    """What digest.json says of a finished run.

    Raises ValueError, one line, where it is not such a file, and where the rows of metrics.jsonl
    are not those that it was made of.
    """
    path = out / "digest.json"
    try:
        digest = dict(json.loads(path.read_text("utf-8", "replace")))
        whole = digest.pop("digest") == json_digest(digest)
    except (ValueError, TypeError, KeyError, RecursionError):
        whole = False
    if not whole:
        raise ValueError(
            f"{path} is damaged, or was edited: remove it, and `ganjax resume` makes it again"
        )
    if metrics_digest(read_rows(out / "metrics.jsonl")) != digest["metrics"]:
        raise ValueError(
            f"{out}: metrics.jsonl and digest.json do not fit: one of them was changed since"
        )
    return digest


def write_digest(out: Path, digest: Mapping[str, Any]) -> None:
    """Writes digest.json, with a digest of itself."""
    write_json(out / "digest.json", {**digest, "digest": json_digest(digest)})


def json_digest(value: Any) -> str:
    """SHA-256 of what JSON can hold, whatever the order of its fields."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def run_digest(
    params: Mapping[int, Any], rows: Sequence[Row], steps: int, each: str = "seeds"
) -> dict[str, Any]:
    """What digest.json says of a finished run; params by lane, which are seeds or "lanes"."""
    seeds = {str(seed): tree_digest(tree) for seed, tree in params.items()}
    digest = {"params": next(iter(seeds.values())), "metrics": metrics_digest(rows), "steps": steps}
    if len(seeds) > 1:
        digest["params"] = hashlib.sha256("".join(seeds.values()).encode()).hexdigest()
        digest[each] = seeds
    return digest
