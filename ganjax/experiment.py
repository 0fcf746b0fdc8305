"""What a file of experiments/ defines: options, a game and how it is measured, tables."""

from __future__ import annotations

import dataclasses
import inspect
import math
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganjax.data import Dataset, Splits, find_splits, points_or_images

if TYPE_CHECKING:
    from ganjax.game import Bound, Game


def option(
    default: Any,
    meaning: str,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> Any:
    """A field of an experiment's Options: its default, what it means and its unit, its range.

    Values are from `low` to `high`, above `above` and below `below`, where these are given. The
    type is the annotation: int, float, bool, str, a Literal, or one of these or None. A default of
    None stands for a value that `experiment` finds, from the data say (`with_defaults`).
    """
    bounds = {"low": low, "high": high, "above": above, "below": below}
    return field(default=default, metadata={"meaning": meaning, "bounds": bounds})


@dataclass(frozen=True)
class ImageForm:
    """Where prepared data sets are, and the form that images are brought to."""

    data_dir: str | None = option(None, "where prepared data sets are")
    size: int | None = option(None, "side of the images in pixels (as they are)", low=1)
    channels: int | None = option(None, "1 for grey images, 3 for colour (as they are)", low=1)
    crop: bool = option(False, "cut out the middle square before an image is resized")

    @property
    def how(self) -> dict[str, Any]:
        """The keyword arguments of `data.find`."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class ImageOptions:
    """A data set and the form of its images: the block of options that experiments share."""

    data: str = option("digits", "a toy mixture, digits, another data set, or a path")
    form: ImageForm = ImageForm()

    @property
    def how(self) -> dict[str, Any]:
        """The keyword arguments of `data.find`."""
        return self.form.how

    def find(self) -> Dataset:
        """The data set: points [D], or images [H, W, 1 or 3]. Raises ValueError for others."""
        return points_or_images(self.data, **self.how)

    def find_splits(self) -> Splits:
        """The data set in three: what is learnt from, and, where it has a test split, the rest."""
        return find_splits(self.data, **self.how)


@dataclass(frozen=True)
class Option:
    """One option of an experiment, as the command line takes it."""

    name: str
    type: Callable[[str], Any]
    default: Any
    meaning: str
    choices: tuple[str, ...]
    bounds: Mapping[str, float | None]
    path: tuple[str, ...]  # the blocks of options that it stands in

    def check(self, value: Any) -> None:
        """Raises ValueError, one line, where a value is outside the range or the choices."""
        if value is None and self.default is None:
            return
        if self.choices and value not in self.choices:
            raise ValueError(f"{self.name} is one of {', '.join(self.choices)}; got {value!r}")
        if self.type not in (int, float):
            return
        if isinstance(value, bool) or not isinstance(value, (int, self.type)):
            raise ValueError(f"{self.name} takes one {self.type.__name__}; got {value!r}")
        low, high, above, below = self.bounds.values()
        said = []
        if low is not None:
            said.append(f"{low:g} or more")
        if above is not None:
            said.append(f"above {above:g}")
        if high is not None:
            said.append(f"at most {high:g}")
        if below is not None:
            said.append(f"below {below:g}")
        inside = (
            math.isfinite(value)
            and (low is None or value >= low)
            and (above is None or value > above)
            and (high is None or value <= high)
            and (below is None or value < below)
        )
        if not inside:
            raise ValueError(f"{self.name} must be {' and '.join(said) or 'finite'}; got {value}")


def options_of(kind: Any, path: tuple[str, ...] = ()) -> Iterator[Option]:
    """The options of a dataclass, or of an instance of one, in order; blocks are flattened."""
    hints = typing.get_type_hints(kind if isinstance(kind, type) else type(kind))
    for entry in dataclasses.fields(kind):
        default = entry.default if isinstance(kind, type) else getattr(kind, entry.name)
        if dataclasses.is_dataclass(default):
            yield from options_of(default, (*path, entry.name))
        else:
            parse, choices = _parser(hints[entry.name])
            meaning, bounds = entry.metadata.get("meaning", ""), entry.metadata.get("bounds", {})
            bounds = dict.fromkeys(("low", "high", "above", "below")) | bounds
            yield Option(entry.name, parse, default, meaning, choices, bounds, path)


def with_values(options: Any, values: Mapping[str, Any]) -> Any:
    """The options with some values replaced. Raises ValueError, one line, for a wrong one."""
    known = {entry.name: entry for entry in options_of(options)}
    for name, value in values.items():
        if name not in known:
            raise ValueError(f"there is no option {name!r}: there are {', '.join(known)}")
        known[name].check(value)
        options = replaced(options, (*known[name].path, name), value)
    return options


def with_defaults(options: Any, **defaults: Any) -> Any:
    """The options; those that are None take these values, which depend on the data, say."""
    unset = {name: v for name, v in defaults.items() if getattr(options, name) is None}
    return dataclasses.replace(options, **unset)


def replaced(options: Any, path: Sequence[str], value: Any) -> Any:
    """The options with a value at a path of blocks; it is not checked."""
    first, *rest = path
    new = replaced(getattr(options, first), rest, value) if rest else value
    return dataclasses.replace(options, **{first: new})


def _parser(hint: Any) -> tuple[Callable[[str], Any], tuple[str, ...]]:
    if typing.get_origin(hint) is typing.Literal:
        return str, tuple(map(str, typing.get_args(hint)))
    args = [a for a in typing.get_args(hint) if a is not type(None)]
    if args and typing.get_origin(hint) in (types.UnionType, typing.Union):
        return _parser(args[0])
    return (hint if hint in (int, float, bool) else str), ()


def _nothing(*_: Any) -> dict[str, Any]:
    return {}


@dataclass(frozen=True, eq=False)
class Experiment:
    """What a run plays and how it is measured.

    The functions take the players that they name as keywords: `def sample(key, n, *, G)`; with
    `**players` they take all.
    """

    game: Callable[[Any], Game]  # options -> the game
    options: Any  # an instance of the file's Options; its `steps` is the length of a run
    data: Any  # arrays on the host, or a Mixture
    # (key, n, *, …) -> what the generators make, [n, (K,) *shape]; jitted; None: nothing is made
    sample: Callable[..., Any] | None = None
    # (data, key, *, …) -> scalars, at each measurement; jitted
    measure: Callable[..., Mapping[str, Any]] = _nothing
    # (data, key, *, …) -> numbers, once at the end; on the host
    evaluate: Callable[..., Mapping[str, float]] = _nothing
    # (data, samples [n, …], rows of metrics, *, …) -> {name: Matplotlib figure}; on the host;
    # samples are None where nothing is made
    figures: Callable[..., Mapping[str, Any]] = _nothing
    # (data, samples) -> a Matplotlib figure; None: points, images, by the shape of the examples
    picture: Callable[[Any, Any], Any] | None = None
    shown: int = 2048  # samples of which the figures are made
    pictured: int | None = None  # samples that `picture` shows at most; None: `shown`
    # how one sample is written, (sample [(K,) *shape], path), by ending, such as ".mid"; the first
    # ending is that of a folder's files. It raises ValueError, one line, where it cannot
    files: Mapping[str, Callable[[Any, Path], None]] = field(default_factory=dict)
    # what `ganjax apply` makes of images beside what players do, by name: (images [B, H, W, C] as
    # the game draws them, labels int32 [B], -1 where unknown, key, *, …) -> images; jitted
    attackers: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    classes: int = 0  # sample i is of class i mod so many; 0: samples are of no class

    @cached_property
    def played(self) -> Game:
        """The game of these options. One object, as compiled programs are cached by it."""
        return self.game(self.options)

    @property
    def steps(self) -> int:
        """The length of a run."""
        return int(self.options.steps)


def with_players(function: Callable[..., Any], players: Mapping[str, Any], *args: Any) -> Any:
    """function(*args) with the players that it names as keywords, or, if it takes **, with all.

    Raises ValueError where it names another player.
    """
    parameters = inspect.signature(function).parameters.values()
    named = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters)
    for name, default in named.items():
        if default is inspect.Parameter.empty and name not in players:
            known = ", ".join(players)
            raise ValueError(f"{_name(function)} asks for {name!r}; the players are {known}")
    return function(*args, **{n: p for n, p in players.items() if takes_all or n in named})


def _name(function: Any) -> str:
    """The name of a function, also of one under `partial`."""
    return str(getattr(getattr(function, "func", function), "__name__", "a function"))


@dataclass(frozen=True, eq=False)
class FinishedRow:
    """A row of a table that was played to its end."""

    experiment: Experiment
    options: Mapping[str, Any]  # as asked for, by name
    seeds: Sequence[int]
    metrics: Sequence[Mapping[str, Any]]  # the rows of metrics.jsonl
    # the players of each seed that lives, read from the last checkpoint
    players: Callable[[], Mapping[int, Mapping[str, Bound]]]


Columns = Mapping[str, Mapping[str, Sequence[float | None]]]  # {row: {column: one for each seed}}


def _no_more(_: Mapping[str, FinishedRow]) -> tuple[Columns, Mapping[str, Any]]:
    return {}, {}


@dataclass(frozen=True)
class Table:
    """A paper's table: the options of each row, and which of its last measurements it shows."""

    # options by row; "experiment" names another experiment than the table's own, "dynamics" is
    # what `--dynamics` takes
    rows: Mapping[str, Mapping[str, Any]]
    columns: Sequence[str]
    seeds: int = 1
    paper: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # its own numbers
    # (data_dir) -> rows that no game plays; on the host
    anchors: Callable[[str | None], Mapping[str, Mapping[str, float]]] = _nothing
    every: int | None = None  # steps between measurements; None: a twentieth of the run
    # all finished rows -> (more columns, {name: Matplotlib figure}); on the host
    after: Callable[[Mapping[str, FinishedRow]], tuple[Columns, Mapping[str, Any]]] = _no_more
    note: str = ""  # what a reader must know: whose numbers these are, where the protocol departs
