"""Samples as files: a figure, an array, or what an experiment writes of each sample."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ganjax.experiment import Experiment
from ganjax.figures.style import save
from ganjax.host import UnwritableError, whole_file
from ganjax.runs import population
from ganjax.runs.arguments import refuse_output

ALWAYS = (".png", ".npz")
SAMPLES = 64  # where their number is not said


def is_folder(out: str) -> bool:
    """Whether a path means a folder: it ends in a slash, or there is one."""
    return out.endswith(("/", os.sep)) or Path(out).is_dir()


def refuse_place(out: str) -> None:
    """Raises ValueError, before anything is read, where a path cannot be written to."""
    path = Path(out)
    if not is_folder(out):
        refuse_output(path, path.suffix)
    elif path.is_dir():
        if any(path.iterdir()):
            raise ValueError(f"{path} is not empty: choose another --out")
    else:
        refuse_output(path, path.suffix)


def files(experiment: Experiment) -> dict[str, Callable[[Any, Path], None]]:
    """How one sample is written, by ending; images are where the experiment says nothing else."""
    if experiment.files or experiment.picture is not None:
        return dict(experiment.files)
    shape = population.sample_shape(experiment, 2).shape
    return {".png": write_image} if len(shape) in (4, 5) and shape[-1] in (1, 3) else {}


def write_image(x: np.ndarray, path: Path) -> None:
    """An image [H, W, C] in 0..1, or several [K, H, W, C] side by side."""
    row = to_bytes(np.concatenate(x, 1) if x.ndim == 4 else x)
    Image.fromarray(row.squeeze(-1) if row.shape[-1] == 1 else row).save(path)


def to_bytes(x: np.ndarray) -> np.ndarray:
    """0..1 as uint8, what is beyond cut off; NaN is 0."""
    return np.rint(np.nan_to_num(np.clip(x, 0, 1)) * 255).astype(np.uint8)


def number_of_samples(experiment: Experiment, out: str, n: int | None) -> int:
    """How many samples go to a path, of `n` that are asked for.

    Raises ValueError where the experiment does not write this kind of file, and where a file that
    holds one sample is to hold more.
    """
    own, path = tuple(files(experiment)), Path(out)
    if is_folder(out):
        if not own:
            raise ValueError(
                f"this experiment writes no files of single samples: --out ends in "
                f"{' or '.join(ALWAYS)}; got {out}"
            )
        return n or SAMPLES
    if path.suffix.lower() == ".png" and experiment.picture is not None:
        return n or min(SAMPLES, experiment.pictured or experiment.shown)
    if path.suffix.lower() in ALWAYS:
        return n or SAMPLES
    refuse_output(path, *ALWAYS, *own)
    if n not in (None, 1):
        raise ValueError(f"a {path.suffix} holds one sample: say --n 1, or a folder, --out NAME/")
    return 1


def write(
    experiment: Experiment,
    x: np.ndarray,
    out: str,
    asked: int | None = None,
    columns: int | None = None,
) -> str | None:
    """Writes samples [n, ...] to a path that `number_of_samples` accepted; what to say where it
    does not hold as many as were asked for.

    A folder gets a file for each sample, 0000 and so on, of the experiment's first ending. columns:
    of a grid of images. Raises ValueError, one line, where a sample cannot be written,
    UnwritableError where a file cannot: nothing is left of it.
    """
    path = Path(out)
    try:
        if is_folder(out):
            _write_folder(experiment, x, path)
        elif path.suffix.lower() == ".npz":
            with whole_file(path) as scratch, scratch.open("wb") as file:
                np.savez_compressed(file, x=x)
        elif path.suffix.lower() == ".png":
            most = population.pictured(experiment, x)
            save(population.picture(experiment, x, most, columns), path)
            if most < len(x):
                return f"{path} shows the first {most} of {len(x)} samples; an .npz holds all"
        else:
            with whole_file(path) as scratch:
                experiment.files[path.suffix.lower()](x[0], scratch)
    except OSError as error:
        raise UnwritableError.of(path, error) from error
    return f"the experiment makes {len(x)} samples, not {asked}" if len(x) < (asked or 0) else None


def _write_folder(experiment: Experiment, x: np.ndarray, folder: Path) -> None:
    """A file of each sample; where one cannot be written, none is left."""
    ending, write_one = next(iter(files(experiment).items()))
    made = not folder.exists()
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{i:04d}{ending}" for i in range(len(x))]
    try:
        for path, one in zip(paths, x):
            with whole_file(path) as scratch:
                write_one(one, scratch)
    except BaseException:
        for path in paths:
            path.unlink(missing_ok=True)
        if made:
            folder.rmdir()
        raise
