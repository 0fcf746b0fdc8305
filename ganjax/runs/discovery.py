"""Experiments are files, found by a name or by a path."""

from __future__ import annotations

import ast
import dataclasses
import difflib
import hashlib
import importlib.util
import re
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ganjax.experiment import Experiment, Option, Table, options_of, with_values
from ganjax.host import one_line

PACKAGE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class File:
    """An experiment's file. It defines Options, losses, game and experiment.

    It may define QUICK, the options of `--quick`, TABLES, its Tables by name, and GROUP, where
    `ganjax list` shows it.
    """

    path: Path

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    @property
    def sha(self) -> str:
        """SHA-256 of the text."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    @cached_property
    def module(self) -> types.ModuleType:
        """The imported file. Raises ValueError where it cannot be imported or is no experiment."""
        name = f"ganjax_experiment_{self.name}"
        spec = importlib.util.spec_from_file_location(name, self.path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # a dataclass looks its module up there
        try:
            spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:  # a user's file may raise anything
            said = f"{type(error).__name__}: {one_line(error)}"
            raise ValueError(f"{self.path} cannot be imported: {said}") from error
        if not callable(getattr(module, "experiment", None)):
            raise ValueError(f"{self.path} is no experiment: it defines no function experiment(o)")
        if not dataclasses.is_dataclass(getattr(module, "Options", None)):
            raise ValueError(f"{self.path} is no experiment: it defines no dataclass Options")
        return module

    @cached_property
    def syntax(self) -> ast.Module:
        """The text as a syntax tree; nothing of it is run. Raises ValueError for no Python."""
        try:
            return ast.parse(self.path.read_bytes())
        except (SyntaxError, ValueError, RecursionError) as error:
            said = f"{type(error).__name__}: {one_line(error)}"
            raise ValueError(f"{self.path} cannot be imported: {said}") from error

    def check(self) -> None:
        """Raises ValueError, one line, where the text shows that this is no experiment."""
        kinds = (ast.FunctionDef, ast.ClassDef)
        defined = {node.name for node in self.syntax.body if isinstance(node, kinds)}
        names = {a.asname or a.name for n in self.syntax.body if isinstance(n, ast.ImportFrom)
                 for a in n.names}  # fmt: skip
        for name in ("experiment", "Options"):
            if name not in defined | names:
                raise ValueError(f"{self.path} is no experiment: it defines no {name}")

    @property
    def about(self) -> str:
        """The first sentence of its docstring."""
        paragraph = " ".join((ast.get_docstring(self.syntax) or "").split("\n\n")[0].split())
        return re.split(r"(?<=\.) ", paragraph)[0]

    @property
    def group(self) -> str:
        """The heading under which it is listed: the text that it assigns to GROUP."""
        for node in self.syntax.body:
            match node:
                case ast.Assign([ast.Name("GROUP")], ast.Constant(str(group))):
                    return group
        return "adversarial games"

    @property
    def quick(self) -> dict[str, Any]:
        """The options of `--quick`."""
        return dict(getattr(self.module, "QUICK", {}))

    @property
    def tables(self) -> dict[str, Table]:
        """Its tables by name."""
        return dict(getattr(self.module, "TABLES", {}))

    def options(self) -> dict[str, Option]:
        """Its options by name. Raises ValueError where one is annotated with an unknown type."""
        try:
            return {entry.name: entry for entry in options_of(self.module.Options)}
        except (NameError, TypeError) as error:
            said = one_line(error)
            raise ValueError(
                f"{self.path} annotates an option with an unknown type: {said}"
            ) from error

    def build(self, values: Mapping[str, Any]) -> Experiment:
        """The experiment with these options. Raises ValueError, one line, where one is wrong."""
        kind = self.module.Options
        required = [e.name for e in dataclasses.fields(kind) if e.default is dataclasses.MISSING]
        if required:
            raise ValueError(f"{self.path}: the option {required[0]} has no default")
        built = self.module.experiment(with_values(kind(), values))
        if not isinstance(built, Experiment):
            raise ValueError(
                f"{self.path}: experiment(o) returns an Experiment, not {type(built).__name__}"
            )
        if not isinstance(getattr(built.options, "steps", None), int):
            raise ValueError(f"{self.path}: an Experiment's options have steps, a whole number")
        return built


def folders() -> list[Path]:
    """Where a name is looked for: ./experiments, beside an editable install, in the package."""
    places = (Path("experiments"), PACKAGE.parent / "experiments", PACKAGE / "_experiments")
    return [place for place in places if place.is_dir()]


def files() -> list[File]:
    """Every experiment; the first folder that has a name wins."""
    found: dict[str, Path] = {}
    for folder in folders():
        for path in sorted(folder.glob("[!_]*.py")):
            found.setdefault(path.stem, path)
    return [File(path) for _, path in sorted(found.items())]


def experiments() -> Iterator[File]:
    """Every file that is an experiment by its text, which is not run; of others a line on
    stderr.
    """
    for file in files():
        try:
            file.check()
        except ValueError as error:
            print(f"ganjax: {one_line(error)}", file=sys.stderr)
        else:
            yield file


def importable(known: Iterable[File]) -> Iterator[File]:
    """These files but those that cannot be imported: of these a line on stderr."""
    for file in known:
        try:
            _ = file.module
        except ValueError as error:
            print(f"ganjax: {one_line(error)}", file=sys.stderr)
        else:
            yield file


def experiment_file(name: str) -> File:
    """The experiment of a name or of a path. Raises ValueError with the nearest names."""
    if name.endswith(".py"):
        if not Path(name).is_file():
            raise ValueError(f"there is no file {name}")
        return File(Path(name).resolve())
    known = {file.name: file for file in files()}
    if name in known:
        return known[name]
    hint = nearest_name(name, known, f"{', '.join(known) or 'none'}, and paths that end in .py")
    raise ValueError(f"there is no experiment {name!r}: {hint}")


def nearest_name(name: str, known: Any, all_of_them: str | None = None) -> str:
    """What to say of an unknown name: the nearest known one, or all of them."""
    near = difflib.get_close_matches(name, known, 1)
    return f"did you mean {near[0]}?" if near else f"there are {all_of_them or ', '.join(known)}"
