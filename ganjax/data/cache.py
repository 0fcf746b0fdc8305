"""Decoded arrays on disk: written whole or not at all, read only where they belong to what they
were made from.
"""

import contextlib
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def user_folder() -> Path:
    """The user's cache folder: ganjax in XDG_CACHE_HOME, default ~/.cache."""
    return Path(os.path.expanduser(os.environ.get("XDG_CACHE_HOME") or "~/.cache")) / "ganjax"


def read(paths: Sequence[Path], stamp: str) -> dict[str, np.ndarray] | None:
    """The arrays in the first file that carries the stamp; None where there is none, or it is
    damaged.
    """
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
    """Writes to the first path that can be written, to none if none can. A reader meets the whole
    file or no file.
    """
    for path in paths:
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        with contextlib.suppress(OSError):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with part.open("wb") as file:
                    np.savez(file, stamp=np.array(stamp), **arrays)  # type: ignore[arg-type]
                os.replace(part, path)
                return
            finally:
                part.unlink(missing_ok=True)
