"""The experiments, commands called in this process, and what their runs leave behind."""

import functools
import io
import json
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import jax
import pytest
from matplotlib.figure import Figure
from plain import savefig, without_axes

from ganjax.cli import main
from ganjax.experiment import Experiment, with_values
from ganjax.metrics import mixtures
from ganjax.protocols import standard
from ganjax.runs import storage
from ganjax.runs.discovery import File
from ganjax.tables import checking

TINY = Path(__file__).resolve().with_name("tiny.py")
EXPERIMENTS = {
    path.name: File(path)
    for path in sorted((Path(__file__).parent.parent / "experiments").glob("[!_]*.py"))
}

# `ganjax reproduce all --quick --check --update` writes them, with its change in the diff.
GOLDEN = checking.read(Path(__file__).parent.parent / "experiments" / checking.LOSSES)


file_build = File.build
BUILT: dict[str, Experiment] = {}


def built_once(file: File, values: Mapping[str, Any]) -> Experiment:
    """The experiment, of TINY one object for all commands with these options: its programs are
    compiled once a process. Tests of kills have a process for each command.
    """
    if file.path.resolve() != TINY:
        return file_build(file, values)
    default = {option.name: option.default for option in file.options().values()}
    asked = repr(sorted((default | dict(values)).items()))
    if asked not in BUILT:
        BUILT[asked] = file_build(file, values)
    return BUILT[asked]


File.build = built_once  # type: ignore[method-assign, assignment]


def evaluate_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluates mixtures by 2^14 samples in place of 2^20, which take long without optimisation."""
    monkeypatch.setattr(mixtures, "SAMPLES", 2**14)
    monkeypatch.setattr(standard, "CHUNK", 2**14)


def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plays experiments without their measurements, evaluations and figures of their own."""
    build = File.build

    def built(file: File, values: Mapping[str, Any]) -> Experiment:
        def nothing(*_: Any) -> dict[str, Any]:
            return {}

        return replace(build(file, values), measure=nothing, evaluate=nothing, figures=nothing)

    monkeypatch.setattr(File, "build", built)


def read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads and imports each experiment's file once for many commands, as one command does."""
    for part in ("module", "syntax"):
        read = functools.cache(vars(File)[part].func)
        monkeypatch.setattr(File, part, property(read))


def call(*argv: object, axes: bool = False) -> tuple[int, str, str]:
    """The exit status of a command, and what it printed on stdout and stderr.

    axes: whether its figures are drawn in full.
    What a command sets for its process is as before: flags of XLA, the cache of compiled programs.
    """
    plain = not axes and Figure.savefig is savefig  # and not what a test put in its place
    saved = without_axes if plain else Figure.savefig
    out, err = io.StringIO(), io.StringIO()
    flags, hook = os.environ["XLA_FLAGS"], sys.unraisablehook
    cache = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
    try:
        with (
            redirect_stdout(out),
            redirect_stderr(err),
            patch.object(Figure, "savefig", saved),
        ):
            status = main(list(map(str, argv)))
    except SystemExit as stop:
        status = int(stop.code or 0)
    finally:
        os.environ["XLA_FLAGS"], sys.unraisablehook = flags, hook
        jax.config.update("jax_compilation_cache_dir", cache)
    return status, out.getvalue(), err.getvalue()


def build(file: ModuleType, **values: Any) -> Experiment:
    """The experiment of an imported file with these options."""
    built: Experiment = file.experiment(with_values(file.Options(), values))
    return built


def everything(place: Path = Path()) -> dict[str, bytes | None]:
    """All files and folders below a place."""
    return {str(path): path.read_bytes() if path.is_file() else None for path in place.rglob("*")}


def outcome(out: Path) -> dict[str, Any]:
    """All that two runs must agree on: options, rows without "time", digest, the bytes of each
    figure.
    """
    rows = [
        {name: value for name, value in row.items() if name != "time"}
        for row in storage.read_rows(out / "metrics.jsonl")
    ]
    figures = {path.name: path.read_bytes() for path in (out / "figures").glob("*.png")}
    assert {"samples.png", "curves.png"} <= set(figures)
    return {
        "options": json.loads((out / "options.json").read_text()),
        "rows": list(map(json.dumps, rows)),
        "digest": json.loads((out / "digest.json").read_text()),
        "figures": figures,
    }


def saved(out: Path) -> list[int]:
    """The steps of a run's checkpoints."""
    return sorted(int(path.name) for path in (out / "checkpoints").glob("*") if path.name.isdigit())


def signalled(n: int, number: int) -> Callable[..., None]:
    """In place of `storage.append_rows`: a signal comes while the n-th measurement is written."""
    calls, append = iter(range(1, 1000)), storage.append_rows

    def appended(path: Path, rows: Any) -> None:
        if next(calls) == n:
            os.kill(os.getpid(), number)
        append(path, rows)

    return appended
