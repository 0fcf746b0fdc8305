"""Sweeps: several values of options at once. Where the program takes an option as a number, its
values are lanes of one program; each value of any other option is a program of its own.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from ganjax import play
from ganjax.experiment import Experiment, Option, options_of, replaced, with_values
from ganjax.game import Game
from ganjax.runs import storage
from ganjax.runs.discovery import File, nearest_name

MOST = 2**16  # lanes
Sweep = dict[str, list[Any]]


def parsed(texts: Sequence[str], known: Mapping[str, Option]) -> Sweep:
    """The values of each option, from NAME=VALUE,VALUE. Raises ValueError, one line."""
    sweep: Sweep = {}
    for text in texts:
        name, equals, values = text.partition("=")
        name = name.replace("-", "_")
        if not equals:
            raise ValueError(f"--sweep takes NAME=VALUE,VALUE; got {text}")
        if name not in known:
            raise ValueError(f"--sweep {text}: no option {name}: {nearest_name(name, known)}")
        if name in sweep:
            raise ValueError(f"--sweep {text}: {name} is swept already")
        sweep[name] = [_value(known[name], value, text) for value in values.split(",") if value]
        if not sweep[name]:
            raise ValueError(f"--sweep {text}: there are no values")
        if len(set(sweep[name])) < len(sweep[name]):
            raise ValueError(f"--sweep {text}: a value stands there twice")
    return sweep


def _value(option: Option, text: str, where: str) -> Any:
    try:
        if option.type is bool:
            value: Any = {"true": True, "false": False}[text.lower()]
        else:
            value = option.type(text)
        option.check(value)
    except (KeyError, ValueError) as error:
        kind = getattr(option.type, "__name__", "value")
        said = str(error) if option.name in str(error) else f"{text} is no {kind}"
        raise ValueError(f"--sweep {where}: {said}") from error
    return value


def settings(sweep: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """The product of the values, the last option fastest; one empty setting of no sweep."""
    return [dict(zip(sweep, values)) for values in itertools.product(*sweep.values())]


def programs(
    file: File, options: Mapping[str, Any], sweep: Sweep, along: Callable[..., Experiment]
) -> tuple[list[dict[str, Any]], Sweep]:
    """What each program is built of beside its options, and the sweep that is its lanes.

    Raises ValueError where a setting is none of the experiment's.
    """
    if not sweep:
        return [{}], {}
    first = {name: values[0] for name, values in sweep.items()}
    experiment = along(file.build({**options, **first}))
    numbers = {n: v for n, v in sweep.items() if is_number(file, options, experiment, n, v)}
    built = {n: v for n, v in sweep.items() if n not in numbers}
    return settings(built), numbers


def is_number(
    file: File, options: Mapping[str, Any], experiment: Experiment, name: str, values: list[Any]
) -> bool:
    """Whether the program takes the option as a number that may be traced: the experiment branches
    on it nowhere, no net holds it, and the data are the same for all of its values.
    """
    if not isinstance(values[0], float):
        return False
    game = swept(experiment, [name]).played
    key, number = jax.random.key(0), {name: jnp.float32(values[0])}

    def steps(state: play.State, data: Any) -> Any:
        if any(holds_tracer(player.net) for player in game.at(state.numbers).players.values()):
            raise TypeError(f"a net holds {name}")
        return play.step(game, state, data)

    try:
        state = play.template(game, key, experiment.data, number)
        jax.eval_shape(steps, state, experiment.data)
    except (TypeError, jax.errors.ConcretizationTypeError):  # the errors of tracers
        return False
    other = file.build({**options, name: values[-1]}).data
    return storage.tree_digest(other) == storage.tree_digest(experiment.data)


def holds_tracer(value: Any) -> bool:
    """Whether a traced number lies in a net, its submodules, or functions that it was given."""
    if isinstance(value, jax.core.Tracer):
        return True
    if dataclasses.is_dataclass(value):
        names = (entry.name for entry in dataclasses.fields(value) if entry.name != "parent")
        return any(holds_tracer(getattr(value, name, None)) for name in names)
    if isinstance(value, Mapping):
        return any(map(holds_tracer, value.values()))
    if isinstance(value, (tuple, list)):
        return any(map(holds_tracer, value))
    if isinstance(value, partial):
        return any(map(holds_tracer, (value.func, *value.args, *value.keywords.values())))
    cells = getattr(value, "__closure__", None) or ()
    return any(holds_tracer(cell.cell_contents) for cell in cells)


def with_numbers(options: Any, numbers: Mapping[str, Any]) -> Any:
    """The options with numbers in place of some, traced ones too; nothing is checked."""
    known = {entry.name: entry for entry in options_of(options)}
    for name, value in numbers.items():
        options = replaced(options, (*known[name].path, name), value)
    return options


def swept(experiment: Experiment, names: Sequence[str]) -> Experiment:
    """The experiment whose game has lanes that differ in these numbers."""
    if not names:
        return experiment
    make = experiment.game

    def game(o: Any) -> Game:
        return dataclasses.replace(make(o), settings=lambda numbers: make(with_numbers(o, numbers)))

    return dataclasses.replace(experiment, game=game)


def of_setting(experiment: Experiment, setting: Mapping[str, Any]) -> Experiment:
    """The experiment of one setting, whose functions are given its options.

    Raises ValueError where a function keeps options out of sight.
    """
    if not setting:
        return experiment
    options = with_values(experiment.options, setting)
    kind = type(options)

    def follow(name: str) -> Any:
        function = getattr(experiment, name)
        cells = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
        if any(isinstance(value, kind) for value in cells):
            raise ValueError(f"{name} of this experiment holds its options in a closure: give them "
                             "to it by functools.partial, so that a sweep can")  # fmt: skip
        if not isinstance(function, partial):
            return function
        args = [options if isinstance(a, kind) else a for a in function.args]
        words = {n: options if isinstance(v, kind) else v for n, v in function.keywords.items()}
        if args == list(function.args) and words == function.keywords:
            return function
        return partial(function.func, *args, **words)

    parts = {name: follow(name) for name in ("sample", "measure", "evaluate", "figures")}
    return dataclasses.replace(experiment, options=options, **parts)
