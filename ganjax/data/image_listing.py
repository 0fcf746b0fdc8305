"""Which files of a user's folder are its images, which are its classes and splits, and what is left
out.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
SPLITS = ("train", "test", "val", "dev", "extra")
ALIASES = {"training": "train", "testing": "test", "valid": "val", "validation": "val"}
NAMED = 3  # of each kind that is left out, as many are named


@dataclass
class Listing:
    """The images of a folder."""

    files: list[Path]  # in the order of their names, class by class
    classes: list[str]  # the subfolders that hold images, in the order of their names
    left_out: dict[str, list[str]] = field(default_factory=dict)  # kind -> names within the folder


def list_images(path: Path) -> Listing:
    """The images of a folder; subfolders are classes, and linked ones are followed.

    Left out are files of other endings, dead links, links that lead back, what is hidden, folders
    of runs, and folders without images. Raises ValueError for no images, and for images beside
    folders of images; OSError where a folder cannot be read.
    """
    found = Listing([], [])

    def leave_out(kind: str, file: Path) -> None:
        found.left_out.setdefault(kind, []).append(str(file.relative_to(path)))

    loose, folders = scan(path, leave_out)
    by_class = {folder.name: sorted(walk(folder, (path,), leave_out)) for folder in folders}
    found.classes = [name for name, files in by_class.items() if files]
    for name in by_class.keys() - found.classes:
        leave_out("folder without images", path / name)
    if loose and found.classes:
        raise ValueError(
            f"{path} holds images ({loose[0].name}) beside folders of images "
            f"({found.classes[0]}): only one can be meant"
        )
    found.files = loose or [file for name in found.classes for file in by_class[name]]
    if not found.files:
        dead = len(found.left_out.get("dead link", ()))
        also = f"; it holds {counted(dead, 'dead link')}" if dead else ""
        raise ValueError(f"{path} holds no images ({', '.join(sorted(SUFFIXES))}){also}")
    return found


def scan(
    folder: Path, leave_out: Callable[[str, Path], None] = lambda kind, file: None
) -> tuple[list[Path], list[Path]]:
    """The image files and the subfolders of one folder, each in the order of their names."""
    files, folders = [], []
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        file = folder / entry.name
        known = file.suffix.lower() in SUFFIXES
        if entry.name.startswith("."):
            if known or entry.is_dir():
                leave_out("hidden", file)
        elif entry.is_symlink() and not file.exists():
            leave_out("dead link", file)
        elif entry.is_dir():
            if is_of_a_run(file):
                leave_out("folder of a run", file)
            else:
                folders.append(file)
        elif known and entry.is_file():
            files.append(file)
        else:
            leave_out("file of another kind", file)
    return files, folders


def walk(
    folder: Path, above: tuple[Path, ...], leave_out: Callable[[str, Path], None]
) -> Iterator[Path]:
    """The image files in a folder at any depth."""
    if any(folder.samefile(parent) for parent in above):
        leave_out("link that leads back", folder)
        return
    files, folders = scan(folder, leave_out)
    yield from files
    for inner in folders:
        yield from walk(inner, (*above, folder), leave_out)


def is_of_a_run(folder: Path) -> bool:
    """Whether `ganjax run` or `ganjax reproduce` wrote this folder."""
    try:
        for name, keys in (
            ("options.json", {"experiment", "seeds", "steps"}),
            ("table.json", {"rows", "anchors", "paper"}),
        ):
            if (folder / name).is_file():
                record = json.loads((folder / name).read_text())
                return isinstance(record, dict) and keys <= record.keys()
    except (OSError, ValueError, RecursionError):
        pass
    return False


def split_name(name: str) -> str:
    """The name of a split as it is known here: `Training` is train."""
    return ALIASES.get(name.lower(), name.lower())


def split_folders(path: Path) -> dict[str, Path]:
    """The subfolders that are splits, by `split_name`; none where there is no folder for training.

    A class may be called train: then it holds images, and no other folder is called like a split.
    Raises ValueError where both could be meant, and where two folders are the same split.
    """
    named = [folder for folder in scan(path)[1] if split_name(folder.name) in SPLITS]
    splits = {split_name(folder.name): folder for folder in named}
    if "train" not in splits:
        return {}
    if len(splits) < len(named):
        names = ", ".join(folder.name for folder in named)
        raise ValueError(f"{path} holds {names}: two of them are the same split")
    others = [folder for folder in scan(path)[1] if folder not in named and not is_empty(folder)]
    if not others:
        return splits
    if len(splits) == 1 and scan(splits["train"])[0]:
        return {}
    raise ValueError(
        f"{path} holds {splits['train'].name} beside {first([other.name for other in others])}: "
        f"only splits ({', '.join(SPLITS)}) or only classes can be meant"
    )


def is_empty(folder: Path) -> bool:
    """Whether there is no image at any depth."""
    return next(walk(folder, (folder.parent,), lambda kind, file: None), None) is None


def described(left_out: dict[str, list[str]]) -> list[str]:
    """What is left out, kind by kind: a count, and names or endings."""
    out = []
    for kind, names in sorted(left_out.items()):
        if kind == "file of another kind":
            endings = Counter(Path(name).suffix or Path(name).name for name in names)
            out.append(f"{counted(len(names), kind)} ({first(sorted(endings))})")
        else:
            out.append(f"{counted(len(names), kind)} ({first(sorted(names))})")
    return out


def counted(n: int, what: str) -> str:
    """A number before a noun, the first word of which takes the plural."""
    head, _, rest = what.partition(" ")
    if head in ("hidden", "dead"):
        return f"{n} {what}" + ("s" if n != 1 and rest else "")
    return f"{n} {head}{'' if n == 1 else 's'} {rest}".rstrip()


def first(names: list[str]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
