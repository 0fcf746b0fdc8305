"""What a run's folder keeps of its origin: the experiment's file, the modules beside it that it
imports, and of its data what it is built on.

A folder may come from a stranger: what it names is run only where this machine knows it, or the
user says so.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import hashlib
import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ganjax.data.cache import places
from ganjax.data.kept import Record
from ganjax.runs import storage
from ganjax.runs.discovery import File, beside, bundled, experiment_file
from ganjax.runs.record import RunRecord

FOLDER, DATA = "experiment", "data.npz"


def sha(data: bytes) -> str:
    """SHA-256."""
    return hashlib.sha256(data).hexdigest()


def copies(file: File, folder: str = FOLDER) -> dict[str, bytes]:
    """The file and the modules beside it that it imports; the file comes first."""
    place = file.path.resolve().parent
    paths = [file.path.resolve(), *beside(file.path)]
    return {f"{folder}/{path.relative_to(place).as_posix()}": path.read_bytes() for path in paths}


def remember(files: Mapping[str, str]) -> None:
    """Notes that this user plays these files, by SHA-256: their copies are run without a word."""
    for path in places("played"):
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            if _digest(files) not in _remembered():
                with path.open("a") as file:
                    file.write(_digest(files) + "\n")


def _remembered() -> set[str]:
    found: set[str] = set()
    for path in places("played"):
        with contextlib.suppress(OSError):
            found |= set(path.read_text("utf-8", "replace").split())
    return found


def _digest(files: Mapping[str, str]) -> str:
    """One SHA-256 of the code; which folder it lies in does not count."""
    code = {name.partition("/")[2]: own for name, own in files.items() if "/" in name}
    return sha(json.dumps(code, sort_keys=True).encode())


def known_files(out: Path, record: RunRecord) -> dict[str, str]:
    """SHA-256 of what the folder keeps, by place: as it began, or as it was last accepted."""
    entries = [entry["files"] for entry in storage.read_changes(out) if "files" in entry]
    return dict(entries[-1] if entries else record.files)


def kept_data(out: Path, record: RunRecord) -> Record | None:
    """What the folder keeps of the data; None where it keeps nothing.

    Raises ValueError, one line, where it is not what was kept.
    """
    path = out / DATA
    if DATA not in record.files or not path.is_file():
        return None
    data = path.read_bytes()
    if sha(data) != record.files[DATA]:
        raise ValueError(f"{path} is not the one that `ganjax run` wrote")
    return Record.from_bytes(data)


def kept_file(out: Path, record: RunRecord) -> File | None:
    """The folder's copy of the experiment; None where it has none.

    Raises ValueError, one line, where a copy is not what was kept, and where other files lie beside
    it, which Python might import in its place.
    """
    code = [name for name in known_files(out, record) if name != DATA]
    if not code or not (out / code[0]).is_file():
        return None
    place = out / code[0].partition("/")[0]
    for path in place.rglob("*"):
        name = path.relative_to(out).as_posix()
        if path.is_file() and not path.name.startswith(".") and name not in code:
            raise ValueError(f"{path} was not written by `ganjax run`: remove it")
    for name in code:
        with contextlib.suppress(OSError):
            if sha((out / name).read_bytes()) == known_files(out, record)[name]:
                continue
        raise ValueError(f"{out / name} is missing, or not the one that `ganjax run` wrote")
    return File(out / code[0])


def file_to_sample(out: Path, record: RunRecord, trust: bool) -> File:
    """The file by which a run is sampled: a file of this machine that is the one that was played,
    or the folder's copy.

    Raises ValueError, one line, where nothing here vouches for the copy, and without any file.
    """
    copy = kept_file(out, record)
    for own in _own_files(out, record):
        if difference(own, copy, record) is None:
            return own
    if copy is None:
        own = _played_file(out, record) or experiment_file(record.experiment)
        raise ValueError(_changed(out, own.path))
    if trust:
        remember(known_files(out, record))
    elif _digest(known_files(out, record)) not in _remembered():
        raise ValueError(
            f"{out} would run {copy.path}, which is none of ganjax's files, and was not played "
            "here: look at it, and say --trust"
        )
    sys.dont_write_bytecode = True  # the folder stays as it is
    return copy


def file_to_resume(
    out: Path, record: RunRecord, accept: bool, trust: bool
) -> tuple[File, str | None]:
    """The file by which a run goes on, and, where it is not the one that was played, what it is.

    It is the user's, or the folder's copy where that is gone. Raises ValueError, one line, where
    it has changed since and this is not accepted.
    """
    copy = kept_file(out, record)
    for own in _own_files(out, record):
        if difference(own, copy, record) is None:
            return own, None
    now = _played_file(out, record) or (None if copy else experiment_file(record.experiment))
    if now is None:
        return file_to_sample(out, record, trust), None
    differs = difference(now, copy, record)
    assert differs is not None
    if not accept:
        raise ValueError(_changed(out, differs))
    return now, f"another {differs.name}"


def accept_file(out: Path, file: File) -> dict[str, str]:
    """Keeps a changed experiment beside the old copy; SHA-256 by place."""
    numbers = (f"{FOLDER}.{i}" for i in itertools.count(1))
    folder = next(name for name in numbers if not (out / name).exists())
    files = copies(file, folder)
    storage.write_files(out, files)
    shas = {name: sha(data) for name, data in files.items()}
    remember(shas)
    return shas


def difference(own: File, copy: File | None, record: RunRecord) -> Path | None:
    """The file that is not the one that was played; None where all are. Comments, docstrings and
    formatting do not count.
    """
    if own.sha == record.sha and copy is None:
        return None
    if copy is None:
        return own.path
    place, kept = own.path.resolve().parent, copy.path.resolve().parent
    if code(own.path) != code(copy.path):
        return own.path
    for path in beside(copy.path):
        local = place / path.relative_to(kept)
        if not local.is_file() or code(local) != code(path):
            return local
    return None


def differences(folder: Path, recorded: RunRecord, asked: RunRecord) -> str:
    """What a run was played with that is not what is asked for; comments in its file do not
    count.
    """
    if (recorded.tie, recorded.steps) == (asked.tie, asked.steps):
        return ""
    old, new = (dataclasses.asdict(each) for each in (recorded, asked))
    options = new["options"].keys() | old["options"].keys()
    said = [
        f"{name} {old['options'].get(name)}"
        for name in sorted(options - {"data_dir"})
        if old["options"].get(name) != new["options"].get(name)
    ]
    plain = (
        "dynamics",
        "seeds",
        "lanes",
        "steps",
        "every",
        "save_every",
        "precision",
        "deterministic",
        "portable",
    )
    said += [f"{name} {old[name]}" for name in plain if old[name] != new[name]]
    if old["data"] != new["data"]:
        said.append("other data")
    if old["sha"] != new["sha"]:
        copy = kept_file(folder, recorded)
        if difference(File(Path(asked.path)), copy, recorded) is not None:
            said.append("another file of the experiment")
    return ", ".join(said)


def code(path: Path) -> str:
    """What a file does: its syntax tree without docstrings; its bytes where it is no Python."""
    text = path.read_bytes()
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return sha(text)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            match node.body:
                case [ast.Expr(ast.Constant(str())), *rest]:
                    node.body = rest or [ast.Pass()]
    return ast.dump(tree)


def _changed(out: Path, path: Path) -> str:
    return (
        f"{out}: the experiment's file has changed since: {path}; put it back, or go on with it: "
        "`ganjax resume --accept-changes`"
    )


def _played_file(out: Path, record: RunRecord) -> File | None:
    """The file where it was played; one inside the run's folder is not the user's."""
    path = Path(str(record.path))
    inside = out.resolve() in path.resolve().parents
    return File(path) if path.is_absolute() and path.is_file() and not inside else None


def _own_files(out: Path, record: RunRecord) -> Iterator[File]:
    """Files that vouch for a copy where they are the same."""
    if (played := _played_file(out, record)) is not None:
        yield played
    yield from (File(path) for path in bundled(record.experiment))
    here = Path.cwd()
    if here == out.resolve() or out.resolve() in here.parents:
        return
    for path in _python_files([here, here / "experiments"]):
        with contextlib.suppress(OSError):
            if sha(path.read_bytes()) == record.sha:
                yield File(path)


def _python_files(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from sorted(path for path in folder.glob("*.py") if path.is_file())
