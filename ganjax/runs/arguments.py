"""Arguments of the command line: a parser that refuses in one line, and the options that every run
takes.
"""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from ganjax.experiment import Option

SEEDS = 2**31  # seeds are below; jax.random.key takes 32 bits


class Parser(argparse.ArgumentParser):
    """An argparse parser that raises ValueError instead of printing its usage."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.allow_abbrev = False

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """The arguments. Raises ValueError for what it does not know, with the nearest option."""
        known, left = self.parse_known_args(argv)
        if left:
            near = difflib.get_close_matches(
                left[0].split("=")[0],
                [o for action in self._actions for o in action.option_strings],
                1,
            )
            raise ValueError(
                f"unknown argument {left[0]}: "
                + (f"did you mean {near[0]}?" if near else f"see {self.prog} --help")
            )
        return known


def whole(low: int, high: int | None = None) -> Callable[[str], int]:
    """A type for argparse: whole numbers from low, below high."""

    def parse(text: str) -> int:
        value = int(text)
        if value < low or (high is not None and value >= high):
            raise argparse.ArgumentTypeError(
                f"must be {low} or more" + (f", below {high}" if high else "") + f"; got {value}"
            )
        return value

    parse.__name__ = "int"  # argparse names the type when it refuses a value
    return parse


COMMON = ("seed", "seeds", "lanes", "every", "save_every", "precision", "fast", "devices")


def add_common(parser: argparse.ArgumentParser) -> None:
    """The options that every run takes."""
    parser.add_argument("--quick", action="store_true", help="small nets, few steps")
    parser.add_argument("--seed", type=whole(0, SEEDS), default=0, help="the first seed")
    parser.add_argument(
        "--seeds", type=whole(1, 2**16), default=1, help="play this many seeds as one population"
    )
    parser.add_argument(
        "--lanes",
        choices=("auto", "vmap", "sequential"),
        default="auto",
        help="how a population is played",
    )
    parser.add_argument(
        "--every", type=whole(1), help="steps between measurements (a twentieth of the run)"
    )
    parser.add_argument(
        "--save-every", type=whole(1), help="steps between checkpoints (a tenth of the run)"
    )
    parser.add_argument(
        "--devices",
        type=whole(0),
        default=1,
        help="lay each batch over this many devices; 0 and 1: the first alone",
    )
    parser.add_argument(
        "--precision", choices=("float32", "bfloat16"), default="float32", help="of the computation"
    )
    add_start(parser)


def add_start(parser: argparse.ArgumentParser) -> None:
    """The options that do not change what is played."""
    parser.add_argument("--fast", action="store_true", help="give up determinism on GPU")
    parser.add_argument("--no-cache", dest="cache", action="store_false", help="compile anew")
    parser.add_argument("--quiet", action="store_true", help="no progress bar, no summary")


def add_option(group: Any, option: Option) -> None:
    """One option of an experiment; left out of the arguments where it is not given. Raises
    ValueError where its name is taken.
    """
    flag, text = "--" + option.name.replace("_", "-"), f"{option.help} (default: {option.default})"
    text = option.help if option.default is None else text
    text = text.replace("%", "%%")  # argparse formats it
    if option.name in {action.dest for action in group._actions}:
        raise ValueError(f"an experiment cannot have an option {option.name}: every run has one")
    if option.type is bool:
        group.add_argument(
            flag, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=text
        )
    else:
        # what does not fit int32 fits no array
        kind = whole(-(2**31), 2**31) if option.type is int else option.type
        group.add_argument(
            flag, type=kind, choices=option.choices or None, default=argparse.SUPPRESS, help=text
        )
