"""Decoded arrays on disk, read again only where they belong to what they were made from."""

from __future__ import annotations

import contextlib
import os
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ganjax.host import whole_file


def user_folder() -> Path:
    """The user's cache folder: ganjax in XDG_CACHE_HOME, default ~/.cache.

    A user without a home has one in the system's folder of temporary files.
    """
    place = os.path.expanduser(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    return Path(tempfile.gettempdir() if place.startswith("~") else place) / "ganjax"


def read(paths: Sequence[Path], stamp: str) -> dict[str, np.ndarray] | None:
    """The arrays in the first sound file that carries the stamp; None where there is none."""
    for path in paths:
        with (
            contextlib.suppress(OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile),
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
