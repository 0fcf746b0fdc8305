"""Decoded arrays on disk, read again only where they belong to what they were made from."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ganjax.host import whole_file


def places(name: str) -> list[Path]:
    """The path of this name in the user's cache folder: ganjax in XDG_CACHE_HOME, default ~/.cache.

    None where the user has no home.
    """
    folder = os.path.expanduser(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    return [] if folder.startswith("~") else [Path(folder) / "ganjax" / name]


def read(paths: Sequence[Path], stamp: str) -> dict[str, np.ndarray] | None:
    """The arrays in the first sound file that carries the stamp; None where there is none."""
    for path in paths:
        with (
            contextlib.suppress(Exception),  # of a damaged file NumPy raises errors of many kinds
            path.open("rb") as file,
            np.load(file, allow_pickle=False) as cached,
        ):
            if str(cached["stamp"]) == stamp:
                return {name: cached[name] for name in cached.files if name != "stamp"}
    return None


def write(paths: Sequence[Path], stamp: str, arrays: dict[str, np.ndarray]) -> None:
    """Writes to the first path that can be written, and nowhere if none can."""
    for path in paths:
        with contextlib.suppress(OSError):
            with whole_file(path) as scratch, scratch.open("wb") as file:
                np.savez(file, stamp=np.array(stamp), **arrays)  # type: ignore[arg-type]
            return
