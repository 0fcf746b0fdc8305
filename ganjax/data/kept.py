"""What is kept of data that were found, so that what was built on them is built again without them.

In `recording()` a note is taken of every call of a function under `kept_of`, and of what is read
through it. In `standing_in(record)` those calls are answered from the notes. Of large arrays the
first rows are kept: they repeat, so that shapes and dtypes are those of the data.
"""

from __future__ import annotations

import inspect
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import wraps
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np

from ganjax.data.dataset import Dataset
from ganjax.data.mixtures import Mixture

Function = TypeVar("Function", bound=Callable[..., Any])

BYTES = 2**18  # of an array, more are not kept, but
ROWS = 16  # this many rows,
TEST_ROWS = 64  # or this many where they are held out: translators make their samples of these,
LABELS = 2**23  # and numbers, one an example, are kept up to these bytes


class Record:
    """Notes of calls, by what was asked for: JSON, and the arrays that it names."""

    def __init__(self) -> None:
        self.calls: dict[str, Any] = {}
        self.arrays: dict[str, np.ndarray] = {}
        self.paths: set[str] = set()  # names that were opened as paths
        self.open = False

    def to_bytes(self) -> bytes:
        """An .npz file of all of it."""
        file = io.BytesIO()
        about = np.array(json.dumps(self.calls))
        np.savez_compressed(file, about=about, **self.arrays)  # type: ignore[arg-type]
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Record:
        """What `to_bytes` wrote. Raises ValueError for anything else."""
        record = cls()
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as found:
                record.arrays = {name: found[name] for name in found.files if name != "about"}
                record.calls = dict(json.loads(str(found["about"])))
        except Exception as error:  # of a damaged file NumPy raises errors of many kinds
            raise ValueError("it is no record of data") from error
        return record

    def note(self, value: Any, name: str) -> Any:
        """A value as JSON, its arrays put aside under a name."""
        if isinstance(value, Dataset):
            plain = ("name", "shape", "classes", "examples", "bytes", "class_names")
            about = {field: getattr(value, field) for field in plain}
            return {"dataset": about, "rows": value.read_rows is not None, "test": None}
        if isinstance(value, dict):
            return {"dict": {key: self.note(v, f"{name}.{key}") for key, v in value.items()}}
        if isinstance(value, (list, tuple)):
            return {"list": [self.note(v, f"{name}.{i}") for i, v in enumerate(value)]}
        if isinstance(value, np.ndarray):
            self.arrays[name] = _first_rows(value, TEST_ROWS if ".test." in name else ROWS)
            return {"array": name, "rows": len(value)}
        return value

    def value(self, about: Any) -> Any:
        """What was noted."""
        if not isinstance(about, dict):
            return about
        if "dataset" in about:
            return self._dataset(about)
        if "dict" in about:
            return {key: self.value(v) for key, v in about["dict"].items()}
        if "list" in about:
            return [self.value(v) for v in about["list"]]
        rows = self.arrays[about["array"]]
        return rows[np.arange(about["rows"]) % max(1, len(rows))] if rows.ndim else rows

    def watched(self, found: Dataset, about: dict[str, Any], name: str) -> Dataset:
        """The same dataset; what is read of it, and of its test split, is noted."""
        inner = found.read_rows, found.test

        def read() -> Any:
            arrays = found.read()
            if self.open and not isinstance(arrays, Mixture):
                about["read"] = self.note(arrays, name)
            return arrays

        def read_rows(rows: np.ndarray) -> dict[str, np.ndarray]:
            assert inner[0] is not None
            arrays = inner[0](rows)
            if self.open and "read" not in about:
                about["read"] = self.note(arrays, name)
            return arrays

        def test() -> Dataset:
            assert inner[1] is not None
            split = inner[1]()
            if not self.open:
                return split
            about["test"] = self.note(split, f"{name}.test")
            return self.watched(split, about["test"], f"{name}.test")

        return replace(found, read=read, read_rows=inner[0] and read_rows, test=inner[1] and test)

    def _dataset(self, about: dict[str, Any]) -> Dataset:
        fields = about["dataset"] | {
            name: tuple(about["dataset"][name]) for name in ("shape", "class_names")
        }

        def arrays() -> Any:
            if "read" not in about:
                raise ValueError(f"nothing is kept of {fields['name']}: its data are needed")
            return about["read"]

        def read_rows(rows: np.ndarray) -> dict[str, np.ndarray]:
            kept = {name: self.arrays[v["array"]] for name, v in arrays()["dict"].items()}
            return {name: values[rows % len(values)] for name, values in kept.items()}

        return Dataset(
            **fields,
            read=lambda: self.value(arrays()),
            read_rows=read_rows if about["rows"] else None,
            test=about["test"] and (lambda: self._dataset(about["test"])),
        )


def _first_rows(values: np.ndarray, rows: int) -> np.ndarray:
    if values.ndim and len(values):
        most = LABELS if values.ndim == 1 else BYTES
        values = values[: max(rows, most // max(1, values[0].nbytes))]
    return values.copy()


_recorder: ContextVar[Record | None] = ContextVar("recorder", default=None)
_stand_in: ContextVar[Record | None] = ContextVar("stand_in", default=None)


@contextmanager
def recording() -> Iterator[Record]:
    """Takes notes of what is found and read in here."""
    record = Record()
    record.open = True
    token = _recorder.set(record)
    try:
        yield record
    finally:
        record.open = False
        _recorder.reset(token)


@contextmanager
def standing_in(record: Record | None) -> Iterator[None]:
    """Answers what was noted from the notes; with None everything is found anew."""
    token = _stand_in.set(record)
    try:
        yield
    finally:
        _stand_in.reset(token)


def note_path(name: str) -> None:
    """Says that a name is opened as a path."""
    record = _recorder.get()
    if record is not None:
        record.paths.add(name)


def kept_of(
    known: Callable[[str], bool] = lambda _: False, make: Callable[[Any], Any] = lambda value: value
) -> Callable[[Function], Function]:
    """A decorator of a function that finds data by name: notes are taken of it.

    known: the names of what is always there, of which none are taken. make: from a list or a dict
    of the notes to what the function returns.
    """

    def decorate(function: Function) -> Function:
        signature = inspect.signature(function)

        @wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            kept, record = _stand_in.get(), _recorder.get()
            if kept is None and (record is None or not record.open):
                return function(*args, **kwargs)
            asked = signature.bind(*args, **kwargs)
            asked.apply_defaults()
            given = asked.arguments
            if kept is not None:
                found = kept.calls.get(_key(function, given))
                return function(*args, **kwargs) if found is None else make(kept.value(found))
            assert record is not None
            if any(isinstance(value, str) and known(value) for value in given.values()):
                return function(*args, **kwargs)
            outer = record.open
            record.open = False  # what is found on the way is part of this
            try:
                value = function(*args, **kwargs)
            finally:
                record.open = outer
            name = str(len(record.calls))
            plain = value._asdict() if hasattr(value, "_asdict") else value
            about = record.note(plain, name)
            paths = {path: os.path.abspath(os.path.expanduser(path)) for path in record.paths}
            record.calls |= {_key(function, given, names): about for names in ({}, paths)}
            return record.watched(value, about, name) if isinstance(value, Dataset) else value

        return wrapped  # type: ignore[return-value]

    return decorate


def _key(function: Any, given: Any, names: Mapping[Any, str] = MappingProxyType({})) -> str:
    """What was asked for, as text, some names changed; where prepared data are does not count."""
    flat = {**given, **given.get("how", {})}
    plain = {
        name: names.get(v, v) if isinstance(v, str) else v
        for name, v in flat.items()
        if name not in ("how", "data_dir")
    }
    return json.dumps([function.__name__, plain], sort_keys=True, default=str)
