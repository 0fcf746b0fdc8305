"""What code on the host shares: files that are written whole or not at all, errors in one line,
text in columns.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


class UnwritableError(ValueError):
    """A file cannot be written, one line: exit status 1, as the request was right."""

    @classmethod
    def of(cls, path: object, error: OSError) -> UnwritableError:
        """What to say of a path that cannot be written."""
        return cls(f"{path} cannot be written: {error.strerror or one_line(error)}")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A scratch path beside `path`, of the same ending, which takes its place on success and is
    removed on failure.

    A reader meets the old file or the new one. Makes the folder. Raises OSError where it cannot.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield scratch
        with scratch.open("rb") as file:
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def one_line(error: BaseException) -> str:
    """The first line of an error's message, or the name of its type where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(":")


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Lines of cells as text, in columns."""
    widths = [max(map(len, column)) for column in zip(*lines)]
    padded = ([cell.ljust(w) for cell, w in zip(line, widths)] for line in lines)
    return "\n".join("  ".join(line).rstrip() for line in padded)
