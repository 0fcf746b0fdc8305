"""Who is told of each row of metrics.jsonl as it is written: a user's function, TensorBoard."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from tqdm import tqdm

from ganjax.host import one_line
from ganjax.runs.storage import Row

Tell = Callable[[Sequence[Row]], None]
Listener = Callable[[Row], object]


def of_runs(log_to: Path | None, tensorboard: bool) -> Callable[[Path], Tell]:
    """For the folder of a run a function of new rows. It tells each of them to `on_metrics(row)` of
    a user's file and to the event files RUN/tensorboard/seed-S.

    One that fails is told of in a line and left alone from then on: no run is lost to it. Raises
    ValueError, one line, where the file has no such function, and without TensorBoard.
    """
    listeners = [_function_of(log_to)] if log_to is not None else []
    write = _writer() if tensorboard else None

    def of_run(out: Path) -> Tell:
        events = [] if write is None else [write(out / "tensorboard")]
        return partial(_tell, [*listeners, *events])

    return of_run


def _tell(listeners: list[Listener], rows: Sequence[Row]) -> None:
    for listener in list(listeners):
        try:
            for row in rows:
                listener(dict(row))  # a copy: what it does to it changes no digest
        except Exception as error:  # a user's function may raise anything
            listeners.remove(listener)
            said = f"{type(error).__name__}: {one_line(error)}"
            name = getattr(listener, "__name__", "a listener")
            told = f"no more rows are told to {name}, it failed: {said}"
            tqdm.write(told, file=sys.stderr)


def _function_of(path: Path) -> Listener:
    """The function on_metrics of a user's file."""
    wanted = "--log-to takes a file that defines on_metrics(row)"
    if not path.is_file():
        raise ValueError(f"there is no {path}: {wanted}")
    try:
        found = runpy.run_path(str(path), run_name="ganjax_log_to").get("on_metrics")
    except (Exception, SystemExit) as error:
        said = f"{type(error).__name__}: {one_line(error)}"
        raise ValueError(f"{path} cannot be imported: {said}") from error
    if not callable(found):
        raise ValueError(f"{path} defines no on_metrics: {wanted}")
    function: Listener = found
    return function


def _writer() -> Callable[[Path], Listener]:
    """For a folder a function that writes a row into the event file of its seed, or its lane."""
    try:
        from tensorboard.summary import Writer
    except ImportError as error:
        raise ValueError(
            "--tensorboard needs TensorBoard: pip install 'ganjax[tensorboard]'"
        ) from error

    def of_folder(folder: Path) -> Listener:
        writers: dict[str, Writer] = {}

        def tensorboard(row: Row) -> None:
            name = f"lane-{row['lane']}" if "lane" in row else f"seed-{row['seed']}"
            if name not in writers:
                writers[name] = Writer(str(folder / name))
            for metric, value in row.items():
                if metric not in ("step", "seed", "time", "lane") and value is not None:
                    writers[name].add_scalar(metric, value, row["step"])
            writers[name].flush()

        return tensorboard

    return of_folder
