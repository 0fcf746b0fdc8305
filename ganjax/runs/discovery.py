"""Experiments are files, found by a name or by a path."""

from __future__ import annotations

import ast
import dataclasses
import difflib
import hashlib
import importlib
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
        _make_importable(self.path)
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


def bundled(name: str) -> list[Path]:
    """The file of this name that comes with ganjax, if there is one."""
    places = (PACKAGE.parent / "experiments", PACKAGE / "_experiments")
    paths = [place / f"{name}.py" for place in places if name.isidentifier()]
    return [path for path in paths if path.is_file()]


def beside(path: Path) -> list[Path]:
    """The modules in the folder of a file that it imports, and those that these import; by their
    text, nothing is run.
    """
    place, found = path.resolve().parent, {path.resolve(): None}
    todo = list(found)
    while todo:
        file = todo.pop()
        try:
            tree = ast.parse(file.read_bytes())
        except (OSError, SyntaxError, ValueError, RecursionError):
            continue
        package = file.relative_to(place).parts[:-1]
        for name in _imported(tree, package):
            parts = [place.joinpath(*name[:i], "__init__.py") for i in range(1, len(name) + 1)]
            parts.append(place.joinpath(*name).with_suffix(".py"))
            for part in parts:
                if part.is_file() and part not in found and PACKAGE not in part.parents:
                    found[part] = None
                    todo.append(part)
    return [file for file in found if file != path.resolve()]


def _imported(tree: ast.AST, package: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The names of the modules that a module of this package may import."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names):
                yield from (tuple(each.name.split(".")) for each in names)
            case ast.ImportFrom(module, names, level):
                base = package[: len(package) - ((level or 1) - 1)] if level else ()
                name = (*base, *(module.split(".") if module else ()))
                yield from (name, *((*name, each.name) for each in names))


def _make_importable(path: Path) -> None:
    """Lets a file import the modules beside it, as Python does for a script."""
    place, modules = str(path.resolve().parent), beside(path)
    if not modules:
        return
    if place in sys.path:
        sys.path.remove(place)
    sys.path.insert(0, place)
    for top in {file.relative_to(place).parts[0].removesuffix(".py") for file in modules}:
        for name in [n for n in sys.modules if n == top or n.startswith(f"{top}.")]:
            known = getattr(sys.modules[name], "__file__", None)
            if not (known and Path(known).resolve().is_relative_to(place)):
                del sys.modules[name]  # of another experiment's folder
    importlib.invalidate_caches()


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
