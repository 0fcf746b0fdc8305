"""An experiment: a game, its data, how long it is played, and how it is judged; one file each,
found by name or path.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganjax.game import Bound, Game


def _nothing(*_: Any) -> dict[str, Any]:
    return {}


@dataclass(frozen=True, eq=False)
class Experiment:
    """What a run plays. The functions name the players they look at as keywords: `def sample(key,
    n, *, G)`.
    """

    game: Game
    data: Any  # arrays on the host, or a Mixture
    steps: int
    sample: Callable[
        ..., Any
    ]  # (key, n, *, …) -> what the generators make, [n, (K,) *shape]; jitted
    measure: Callable[..., Mapping[str, Any]] = (
        _nothing  # (data, key, *, …) -> scalars, every so many steps; jitted
    )
    judge: Callable[..., Mapping[str, float]] = (
        _nothing  # (data, key, *, …) -> numbers, once at the end; host
    )
    figures: Callable[..., Mapping[str, Any]] = (
        _nothing  # (data, samples [n, …], rows of metrics, *, …) -> {name: Matplotlib figure}; host
    )


@dataclass(frozen=True, eq=False)
class Played:
    """A row of a table, played to its end: what is left of its run."""

    experiment: Experiment
    options: Mapping[str, Any]  # of experiment(...)
    seeds: Sequence[int]
    metrics: Sequence[Mapping[str, Any]]  # the rows of metrics.jsonl
    players: Callable[
        [], Mapping[int, Mapping[str, Bound]]
    ]  # of each seed that lives, read from the last checkpoint


def _no_more(_: Mapping[str, Played]) -> tuple[dict[str, Any], dict[str, Any]]:
    return {}, {}


@dataclass(frozen=True)
class Table:
    """A paper's table: options of each row, and what of each run's last measurement stands in it."""

    rows: Mapping[
        str, Mapping[str, Any]
    ]  # options by row; "experiment" names another experiment than the table's own
    columns: Sequence[str]
    seeds: int = 1
    paper: Mapping[str, Mapping[str, float]] = field(
        default_factory=dict
    )  # its numbers, by row and column
    anchors: Callable[[str | None], Mapping[str, Mapping[str, float]]] = (
        _nothing  # (data_dir) -> rows that no game plays; host
    )
    every: int | None = None  # steps between measurements; None: a twentieth of the run
    # What all rows say together: Played by row -> ({row: {column: a number, or None, for each
    # seed}}, {name: Matplotlib figure}); host.
    after: Callable[
        [Mapping[str, Played]],
        tuple[Mapping[str, Mapping[str, Sequence[float | None]]], Mapping[str, Any]],
    ] = _no_more
    note: str = (
        ""  # what a reader must know: whose numbers the paper's are, where the protocol departs
    )


@dataclass(frozen=True)
class Option:
    """One keyword argument of `experiment(...)`."""

    name: str
    type: Callable[[str], Any]
    default: Any
    help: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class File:
    """An experiment's file. It defines losses, game, measure and experiment; it may define QUICK
    and TABLES.

    QUICK: the options of `--quick`. TABLES: its Tables by name.
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
        """The imported file. Raises ValueError where it cannot be imported or has no `experiment`."""
        spec = importlib.util.spec_from_file_location(f"ganjax_experiment_{self.name}", self.path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:  # a user's file may raise anything
            raise ValueError(
                f"{self.path} cannot be imported: {type(error).__name__}: {_line(error)}"
            ) from error
        if not callable(getattr(module, "experiment", None)):
            raise ValueError(
                f"{self.path} is no experiment: it defines no function experiment(...)"
            )
        return module

    @property
    def about(self) -> str:
        """The first line of its docstring."""
        return (self.module.__doc__ or "").strip().split("\n")[0]

    @property
    def quick(self) -> dict[str, Any]:
        """The options of `--quick`."""
        return dict(getattr(self.module, "QUICK", {}))

    @property
    def tables(self) -> dict[str, Table]:
        """Its tables by name."""
        return dict(getattr(self.module, "TABLES", {}))

    def options(self) -> dict[str, Option]:
        """The keyword arguments of `experiment(...)`, with their help from the lines "name: text"
        of its docstring.
        """
        function = self.module.experiment
        try:
            hints = typing.get_type_hints(function)
        except (NameError, TypeError) as error:
            raise ValueError(
                f"{self.path} annotates an option of experiment(...) with what is not there: {_line(error)}"
            ) from error
        lines = (line.strip().partition(": ") for line in (function.__doc__ or "").split("\n"))
        texts = {name: text for name, colon, text in lines if colon}
        found = {}
        for name, parameter in inspect.signature(function).parameters.items():
            parse, choices = _parser(hints.get(name, str))
            found[name] = Option(name, parse, parameter.default, texts.get(name, ""), choices)
        return found

    def build(self, options: Mapping[str, Any]) -> Experiment:
        """The experiment with these options. Raises ValueError, one line, where one is wrong."""
        if missing := [
            o.name
            for o in self.options().values()
            if o.default is inspect.Parameter.empty and o.name not in options
        ]:
            raise ValueError(f"{self.name} needs the option --{missing[0].replace('_', '-')}")
        built = self.module.experiment(**options)
        if not isinstance(built, Experiment):
            raise ValueError(
                f"{self.path}: experiment(...) returns an Experiment, not {type(built).__name__}"
            )
        return built


def _parser(hint: Any) -> tuple[Callable[[str], Any], tuple[str, ...]]:
    if typing.get_origin(hint) is typing.Literal:
        return str, tuple(map(str, typing.get_args(hint)))
    args = [a for a in typing.get_args(hint) if a is not type(None)]
    if args and typing.get_origin(hint) in (types.UnionType, typing.Union):
        return _parser(args[0])
    return (hint if hint in (int, float, bool) else str), ()


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())


def folders() -> list[Path]:
    """Where a bare name is looked for: ./experiments, beside an editable install, inside the
    package.
    """
    package = Path(__file__).resolve().parent
    return [
        f
        for f in (Path("experiments"), package.parent / "experiments", package / "_experiments")
        if f.is_dir()
    ]


def files() -> list[File]:
    """Every experiment there is; the first folder that has a name wins."""
    found: dict[str, Path] = {}
    for folder in folders():
        for path in sorted(folder.glob("[!_]*.py")):
            found.setdefault(path.stem, path)
    return [File(path) for _, path in sorted(found.items())]


def find(name: str) -> File:
    """The experiment of a name or of a path. Raises ValueError with the nearest names."""
    if name.endswith(".py"):
        if not Path(name).is_file():
            raise ValueError(f"there is no file {name}")
        return File(Path(name).resolve())
    known = {file.name: file for file in files()}
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, 1)
    hint = (
        f"did you mean {near[0]}?"
        if near
        else f"there are {', '.join(known) or 'none'}, and paths that end in .py"
    )
    raise ValueError(f"there is no experiment {name!r}: {hint}")


def call(function: Callable[..., Any], players: Mapping[str, Any], *args: Any) -> Any:
    """function(*args) with the players that it names as keywords."""
    named = [
        p.name
        for p in inspect.signature(function).parameters.values()
        if p.kind is p.KEYWORD_ONLY and p.name in players
    ]
    return function(*args, **{name: players[name] for name in named})


def positive(zero: bool = False, **values: float | None) -> None:
    """Raises ValueError for the first number that is not finite and above 0 (or 0, where zero is
    allowed); None passes.
    """
    for name, value in values.items():
        if value is not None and not (0 < value < float("inf") or (zero and value == 0)):
            raise ValueError(f"{name} must be {'0 or more' if zero else 'above 0'}; got {value}")
