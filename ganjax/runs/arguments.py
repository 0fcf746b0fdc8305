"""The command line's arguments: a parser that refuses in one line, and the options of every run."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ganjax.experiment import Option
from ganjax.game import NAMED, TURNS
from ganjax.runs.hosts import Meeting

SEEDS = 2**31  # seeds are below; jax.random.key takes 32 bits


class Parser(argparse.ArgumentParser):
    """An argparse parser that raises ValueError instead of printing its usage."""

    def __init__(self, **kwargs: Any):
        super().__init__(allow_abbrev=False, **kwargs)

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """The arguments. Raises ValueError for what it does not know, with the nearest option."""
        known, left = self.parse_known_args(argv)
        if left:
            flags = [flag for action in self._actions for flag in action.option_strings]
            near = difflib.get_close_matches(left[0].split("=")[0], flags, 1)
            hint = f"did you mean {near[0]}?" if near else f"see {self.prog} --help"
            raise ValueError(f"unknown argument {left[0]}: {hint}")
        return known


def integer(low: int, high: int | None = None) -> Callable[[str], int]:
    """A type for argparse: whole numbers from low, below high."""

    def parse(text: str) -> int:
        value = int(text)
        if value < low or (high is not None and value >= high):
            range_ = f"{low} or more" + (f", below {high}" if high else "")
            raise argparse.ArgumentTypeError(f"must be {range_}; got {value}")
        return value

    parse.__name__ = "int"  # argparse names the type when it refuses a value
    return parse


COMMON = ("seed", "seeds", "lanes", "every", "save_every", "precision", "fast", "devices", "mesh",
          "dynamics", "on_divergence", "lanes_per_batch", "keep",
          "exploit", "exploit_every", "perturb", "source", "players",
          "portable")  # fmt: skip


def add_common(parser: argparse.ArgumentParser) -> None:
    """The options that every run takes."""
    add = parser.add_argument
    add("--quick", action="store_true", help="small nets, few steps")
    add("--seed", type=integer(0, SEEDS), default=0, help="the first seed")
    add("--seeds", type=integer(1, 2**16), default=1, help="train this many seeds as a population")
    lanes = ("auto", "vmap", "sequential")
    add("--lanes", choices=lanes, default="auto", help="how a population is trained")
    how = "lanes that vmap plays together (by the device's memory; on CPU by its cache)"
    add("--lanes-per-batch", type=integer(1), metavar="N", help=how)
    how = "values of an option, each with all seeds; given again for a product of several: numbers "
    how += "are lanes of one program, other options a program for each value, in a folder of it"
    add("--sweep", action="append", default=[], metavar="NAME=VALUE,VALUE", help=how)
    add("--every", type=integer(1), help="steps between measurements (a twentieth of the run)")
    add("--save-every", type=integer(1), help="steps between checkpoints (a tenth of the run)")
    how = "keep the checkpoint at which this metric was best too: the mean over seeds, of a sweep "
    how += "that of its best setting"
    add("--keep", metavar="METRIC:max|min", help=how)
    how = "population-based training: the worst quarter of the lanes copies lanes of the best one"
    add("--exploit", metavar="METRIC:max|min", help=how)
    how = "steps between copies, a multiple of --every (each measurement)"
    add("--exploit-every", type=integer(1), metavar="N", help=how)
    how = "what was swept is multiplied by this or by its inverse in a copy (1.2)"
    add("--perturb", type=float, metavar="FACTOR", help=how)
    how = "how players move, NAME or NAME:NUMBER, all at the same time (the experiment's turns): "
    how += ", ".join((*TURNS, *NAMED))
    add("--dynamics", metavar="NAME", help=how)
    how = "begin with the parameters of another run's newest checkpoint, with new optimisers; lane "
    how += "i with its lane i, or all with its only one"
    add("--from", type=Path, dest="source", metavar="RUN", help=how)
    how = "those that begin so (all that both runs have); the others are new"
    add("--players", nargs="+", metavar="NAME", help=how)
    precisions = ("float32", "bfloat16")
    add("--precision", choices=precisions, default="float32", help="of the computation")
    add_on_divergence(parser, "freeze")
    add_devices(parser, "one device; of several processes all")
    add_start(parser)
    add_trackers(parser)


def add_on_divergence(parser: argparse.ArgumentParser, default: str | None) -> None:
    """What happens to a seed whose numbers cease to be finite."""
    how = "a seed that diverged is frozen and the others go on, the run stops, or it goes back to "
    how += f"the last save with a new stream for that seed ({default or 'as the run was begun'})"
    modes = ("freeze", "stop", "rollback")
    parser.add_argument("--on-divergence", choices=modes, default=default, help=how)


def add_devices(parser: argparse.ArgumentParser, default: str) -> None:
    """Over which devices a run is divided, and where its processes meet."""
    how = "data=N divides each batch over N devices, lanes=N the seeds of a population, "
    how += f"data=N,lanes=M both, all devices; batch statistics are of the whole batch ({default})"
    parser.add_argument("--mesh", metavar="AXES", help=how)
    how = "short for --mesh data=N, over the first N devices; 0 and 1: no division"
    parser.add_argument("--devices", metavar="N", type=integer(0), help=how)
    group = parser.add_argument_group(
        "several processes, each with the same command (found where SLURM, Open MPI 4 or GKE's TPU "
        "pods started them)"
    )
    how = "where process 0 is met; auto: JAX finds this and what follows"
    group.add_argument("--coordinator", metavar="HOST:PORT|auto", help=how)
    group.add_argument("--process-id", type=integer(0), help="this process, from 0")
    group.add_argument("--num-processes", type=integer(1), help="how many they are")
    how = "seconds to wait for all of them (300); then it ends with status 2"
    group.add_argument("--coordinator-timeout", type=integer(1), default=300, help=how)


def meeting_of(args: Mapping[str, Any]) -> Meeting:
    """Where the processes of a run meet."""
    names = ("coordinator", "process_id", "num_processes", "coordinator_timeout")
    return Meeting(*(args[name] for name in names))


def add_start(parser: argparse.ArgumentParser) -> None:
    """The options that change no number on a CPU."""
    add = parser.add_argument
    add("--fast", action="store_true", help="give up determinism on GPU")
    how = "the same bits on every x86-64 processor with AVX2, at a cost in time; CPU alone"
    add("--portable", action="store_true", help=how)
    add("--no-cache", dest="cache", action="store_false", help="compile anew")
    add("--quiet", action="store_true", help="no progress bar, no summary")


def add_data_dir(parser: argparse.ArgumentParser) -> None:
    """Where prepared data sets are."""
    known = "where prepared data sets are (TFDS_DATA_DIR, or TFDS's own folder)"
    parser.add_argument("--data-dir", help=known)


def add_option(group: Any, option: Option, default: bool = True) -> None:
    """One option of an experiment, absent from the arguments where it is not given.

    default: its help names the default. Raises ValueError where every run has such an option.
    """
    if option.name in {action.dest for action in group._actions}:
        raise ValueError(f"an experiment cannot have an option {option.name}: every run has one")
    flag, text = "--" + option.name.replace("_", "-"), option.meaning
    if default and option.default is not None:
        text += f" (default: {option.default})"
    how: dict[str, Any] = {"action": argparse.BooleanOptionalAction}
    if option.type is not bool:
        # what does not fit int32 fits no array
        kind = integer(-(2**31), 2**31) if option.type is int else option.type
        how = {"type": kind, "choices": option.choices or None}
    text = text.replace("%", "%%")  # argparse formats it
    group.add_argument(flag, default=argparse.SUPPRESS, help=text, **how)


def refuse_output(path: Path, *endings: str, overwrite: bool | None = None) -> None:
    """Raises ValueError unless a new file of one of these endings can be made there.

    overwrite: True lets it replace a file; False says in the message that it could; None never.
    """
    if path.suffix.lower() not in map(str.lower, endings):
        raise ValueError(f"--out ends in {' or '.join(endings)}; got {path}")
    if path.exists() and not (overwrite and path.is_file()):
        more = " or say --overwrite" if overwrite is False else ""
        raise ValueError(f"{path} exists: choose another --out{more}")
    if not path.absolute().parent.is_dir():
        raise ValueError(f"{path.parent} is no folder")


def reproduce_parser(own: Mapping[str, Option], add_help: bool = True) -> Parser:
    """The parser of `reproduce`, with the options of the table's experiment."""
    about = "Plays a paper's table from nothing, or goes on with it."
    parser = Parser(prog="ganjax reproduce", description=about, add_help=add_help)
    how = "EXPERIMENT/TABLE or FILE.py/TABLE; without it the tables are listed"
    parser.add_argument("table", nargs="?", help=how)
    parser.add_argument("--rows", nargs="+", default=[], metavar="ROW", help="these rows alone")
    parser.add_argument("--quick", action="store_true", help="a hundredth of the steps")
    how = "instead of the table's own number"
    parser.add_argument("--seeds", type=integer(1, 2**16), help=how)
    how = "folder of the rows' runs (runs/EXPERIMENT-TABLE); finished rows are kept"
    parser.add_argument("--out", type=Path, help=how)
    parser.add_argument("--overwrite", action="store_true", help="play finished rows again")
    add_data_dir(parser)
    add_start(parser)
    group = parser.add_argument_group("options of the experiment, in place of the rows' own")
    for entry in own.values():
        add_option(group, entry, default=False)
    return parser


def add_trackers(parser: argparse.ArgumentParser) -> None:
    """Who is told of each row of metrics.jsonl."""
    how = "a file whose function on_metrics(row) is called with each row of metrics.jsonl"
    parser.add_argument("--log-to", type=Path, metavar="FILE.py", help=how)
    how = "write event files for TensorBoard too, into RUN/tensorboard"
    parser.add_argument("--tensorboard", action="store_true", help=how)


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Whether the code that a run's folder brings is run."""
    how = "run the experiment's file that the folder brings, though it was never played here"
    parser.add_argument("--trust", action="store_true", help=how)


def resume_parser() -> Parser:
    """The parser of `resume`."""
    about = "Goes on with a run to its end; nothing to do is success."
    parser = Parser(prog="ganjax resume", description=about)
    parser.add_argument("out", type=Path, help="the run's folder")
    how = "play to this step, past the end of the run; recorded in options.json"
    parser.add_argument("--steps", type=integer(1, 2**31), help=how)
    add_data_dir(parser)
    add_on_divergence(parser, None)
    add_devices(parser, "the one that it had")
    parser.add_argument("--quiet", action="store_true", help="no progress bar, no summary")
    how = "go on where the experiment's file, its data or rows of metrics.jsonl have changed; "
    how += "recorded in changes.jsonl"
    parser.add_argument("--accept-changes", action="store_true", help=how)
    how = "set checkpoints and measurements aside under other names, and play from step 0"
    parser.add_argument("--restart", action="store_true", help=how)
    add_trackers(parser)
    add_trust(parser)
    return parser


def sample_parser() -> Parser:
    """The parser of `sample`."""
    parser = Parser(prog="ganjax sample", description="Samples of a run, from a checkpoint.")
    add_trained(parser)
    add = parser.add_argument
    how = "samples, of each generator of a team (64; 1 where a file holds one)"
    add("--n", type=integer(1, 2**20), help=how)
    how = "a .png figure, an .npz with the array x, or one sample in a file of the experiment's "
    how += "own kind, such as .mid; a new or empty folder, NAME/, gets such a file of each sample, "
    how += "of images a .png"
    add("--out", required=True, help=how)
    add("--seed", type=integer(0, SEEDS), help="of the noise, the same for every run (the run's)")
    how = "samples of this class alone, of those that take turns"
    add("--class", type=integer(0), dest="label", metavar="C", help=how)
    how = "walks of N samples each, from one noise to another; in a .png of images a row each"
    add("--interpolate", type=integer(2, 4097), dest="walk", metavar="N", help=how)
    return parser


def add_trained(parser: argparse.ArgumentParser) -> None:
    """Which run is used, and which of its lanes and steps."""
    add = parser.add_argument
    add("run", type=Path, help="the run's folder")
    how = "a step whose checkpoint is kept (the newest); best: what `ganjax run --keep` kept"
    add("--step", metavar="N|best", help=how)
    how = "the seed of a population, or the lane of a sweep (the one that came farthest)"
    add("--lane", type=integer(0), help=how)
    add_data_dir(parser)
    add_trust(parser)


def report_parser() -> Parser:
    """The parser of `report`."""
    about = "A page of runs, in HTML, or of the results that `ganjax reproduce` left, in Markdown."
    parser = Parser(prog="ganjax report", description=about)
    how = "folders of runs; for a .md a table.json, or a folder that holds one"
    parser.add_argument("records", type=Path, nargs="+", metavar="RUN|RECORD", help=how)
    parser.add_argument("--out", type=Path, required=True, help="an .html, or a .md")
    parser.add_argument("--overwrite", action="store_true", help="replace the page")
    how = "of results: begin with the claims of experiments/claims.toml, also those that wait"
    parser.add_argument("--claims", action="store_true", help=how)
    how = "of runs: draw no samples from checkpoints, show only what lies in the folders"
    parser.add_argument("--no-samples", dest="samples", action="store_false", help=how)
    add_data_dir(parser)
    add_trust(parser)
    return parser


def data_parser() -> Parser:
    """The parser of `ganjax data`."""
    about = "Data sets: the built-in ones, and those that TensorFlow Datasets keeps."
    parser = Parser(prog="ganjax data", description=about)
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|prepare|show")
    listed = actions.add_parser("list", help="name, size, shape, licence and place of every set")
    prepared = actions.add_parser("prepare", help="prepare a data set")
    how = "folder of the files that it is made from, where they cannot be downloaded"
    prepared.add_argument("--manual", help=how)
    prepared.add_argument("name", help="name of a data set")
    shown = actions.add_parser("show", help="draw a contact sheet")
    shown.add_argument("--out", type=Path, required=True, help="a .png")
    shown.add_argument("--n", type=integer(1, 4097), default=64, help="examples")
    shown.add_argument("name", help="name of a data set, or a path")
    for action in (listed, prepared, shown):
        add_data_dir(action)
    return parser
