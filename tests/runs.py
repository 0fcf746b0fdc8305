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

from ganjax.cli import main
from ganjax.experiment import Experiment, with_values
from ganjax.metrics import mixtures
from ganjax.protocols import standard
from ganjax.runs import checking, storage
from ganjax.runs.discovery import File

TINY = Path(__file__).with_name("tiny.py")
EXPERIMENTS = {
    path.name: File(path)
    for path in sorted((Path(__file__).parent.parent / "experiments").glob("[!_]*.py"))
}

# `ganjax reproduce all --quick --check --update` writes them, with its change in the diff.
GOLDEN = checking.read(Path(__file__).parent.parent / "experiments" / checking.LOSSES)


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


savefig = Figure.savefig


def without_axes(figure: Figure, *args: Any, **rest: Any) -> None:
    """Saves what a figure shows of its data: layout, ticks and words take most of the time."""
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_axis_off()
        if legend := axes.get_legend():
            legend.remove()
    savefig(figure, *args, **rest)


def call(*argv: object, axes: bool = False) -> tuple[int, str, str]:
    """The exit status of a command, and what it printed on stdout and stderr.

    axes: whether its figures are drawn in full.
    What a command sets for its process is as before: flags of XLA, the cache of compiled programs.
    """
    saved = savefig if axes else without_axes
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
