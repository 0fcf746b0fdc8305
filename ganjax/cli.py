"""The command line. A wrong request is one line on stderr and exit status 2, and nothing else."""

from __future__ import annotations

import dataclasses
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ganjax.experiment import Experiment
from ganjax.host import UnwritableError, whole_file
from ganjax.runs.arguments import (
    COMMON,
    Parser,
    add_common,
    add_option,
    meeting_of,
    refuse_output,
    report_parser,
    reproduce_parser,
    resume_parser,
)
from ganjax.runs.discovery import (
    experiment_file,
    experiments,
    files,
    folders,
    importable,
    nearest_name,
)
from ganjax.runs.surroundings import set_surroundings, start

if TYPE_CHECKING:
    from ganjax.runs.record import RunRecord


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; its exit status.

    0: done. 1: the run failed. 2: the request was wrong. 130, 138 and 143: stopped by SIGINT,
    SIGUSR1 or SIGTERM, after saving.
    """
    warnings.simplefilter("ignore")
    set_surroundings()
    command, *rest = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    try:
        if command in ("-h", "--help"):
            print(f"usage: ganjax {{{','.join(COMMANDS)}}} …\n")
            for name, function in COMMANDS.items():
                print(f"  {name:<10} {function.__doc__}")
            print("\n`ganjax COMMAND --help` tells more, `ganjax run NAME --help` of options.")
            return 0
        if command == "--version":
            import ganjax

            print(f"ganjax {ganjax.__version__}")
            return 0
        if command not in COMMANDS:
            raise ValueError(f"unknown command {command}: {nearest_name(command, COMMANDS)}")
        return COMMANDS[command](rest)
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except UnwritableError as error:
        return refuse(error, 1)
    except (ValueError, OSError) as error:
        return refuse(error)
    except KeyboardInterrupt:
        return refuse("interrupted", 130)


def script() -> NoReturn:
    """Makes `python experiments/NAME.py …` do what `ganjax run experiments/NAME.py …` does."""
    sys.exit(main(["run", *sys.argv]))


def refuse(error: BaseException | str, status: int = 2) -> int:
    """Prints one line on stderr; the exit status."""
    print("ganjax: " + " ".join(str(error).split()), file=sys.stderr)
    return status


def list_(argv: Sequence[str]) -> int:
    """experiments, one line each, by group"""
    Parser(prog="ganjax list", description="Experiments, one line each, by group.").parse(argv)
    groups: dict[str, list[str]] = {}
    for file in experiments():
        groups.setdefault(file.group, []).append(f"  {file.name:<16} {file.about}")
    print("\n\n".join("\n".join([group, *lines]) for group, lines in sorted(groups.items())))
    return 0


def run(argv: Sequence[str]) -> int:
    """train an experiment into a folder"""
    known = ", ".join(file.name for file in files())
    if not argv or argv[0].startswith("-"):
        if set(argv) & {"-h", "--help"}:
            print(f"usage: ganjax run EXPERIMENT …\n\nEXPERIMENT is a path or one of: {known}.")
            print("`ganjax run EXPERIMENT --help` lists its options.")
            return 0
        raise ValueError(f"run needs an experiment first: a path or one of {known}")
    file = experiment_file(argv[0])
    parser = Parser(prog=f"ganjax run {argv[0]}", description=file.about)
    add_common(parser)
    folder = Path("runs") / file.name
    parser.add_argument("--out", type=Path, default=folder, help="the run's folder")
    parser.add_argument("--overwrite", action="store_true", help="replace the run of that folder")
    own = parser.add_argument_group("options of the experiment")
    for entry in file.options().values():
        add_option(own, entry)
    args = vars(parser.parse(argv[1:]))
    given = {name: args[name] for name in file.options() if name in args}
    options = {**(file.quick if args["quick"] else {}), **given}

    start(args["cache"], args["fast"], meeting_of(args), args["portable"])

    from ganjax.runs import trackers
    from ganjax.runs.sweep import parsed
    from ganjax.runs.sweeping import begin

    asked = parsed(args["sweep"], file.options())
    common = {name: args[name] for name in COMMON}
    tell = trackers.of_runs(args["log_to"], args["tensorboard"])
    runs = begin(file, options, asked, args["out"], args["overwrite"], common)
    return max([finish(*each, args["quiet"], tell=tell(each[0])) for each in runs])


def finish(
    out: Path, record: RunRecord, experiment: Experiment, quiet: bool, **accepted: Any
) -> int:
    """Trains a run to its end and prints its last measurements; the exit status."""
    import jax

    from ganjax.runs import hosts, storage
    from ganjax.runs.record import last_measured
    from ganjax.runs.train import FailedError, train

    try:
        digest = train(out, record, experiment, quiet, **accepted)
    except FailedError as error:
        return refuse(error, 1)
    except (jax.errors.JaxRuntimeError, MemoryError, OSError) as error:
        return hosts.leave(refuse(error, 1))
    if quiet or not hosts.is_first():
        return 0
    told = last_measured(record, storage.read_rows(out / "metrics.jsonl"), digest.get("best"))
    sys.stdout.writelines(f"{line}\n" for line in told)
    digests = f"params {digest['params'][:12]}, metrics {digest['metrics'][:12]}"
    print(f"{out}: {digest['steps']} steps, {digests}")
    return 0


def resume(argv: Sequence[str]) -> int:
    """go on with a run from its newest checkpoint"""
    args = resume_parser().parse(argv)

    from ganjax.runs import hosts, longer, storage, trackers
    from ganjax.runs.record import read_record
    from ganjax.runs.request import check_mesh, meshed, rebuild

    begun = longer.extended(args.out, read_record(args.out), args.steps)
    if args.on_divergence:
        begun = dataclasses.replace(begun, on_divergence=args.on_divergence)
    start(True, not begun.deterministic, meeting_of(vars(args)), begun.portable)
    record = begun.on(meshed(args.mesh, args.devices) or begun.mesh)
    check_mesh(record)
    given = (args.data_dir, args.accept_changes, args.trust)
    experiment, accepted = hosts.together(lambda: rebuild(args.out, record, *given))
    accepted["tell"] = trackers.of_runs(args.log_to, args.tensorboard)(args.out)
    if args.steps is not None:
        hosts.first(lambda: longer.begin(args.out, begun))
    if args.restart and (moved := hosts.first(lambda: storage.set_aside(args.out))):
        print(f"set aside: {', '.join(moved)}", file=sys.stderr)
    return finish(args.out, record, experiment, args.quiet, **accepted)


def sample(argv: Sequence[str]) -> int:
    """draw samples from a run's checkpoint"""
    from ganjax.runs.using import sample as draw_samples

    return draw_samples(argv)


def reproduce(argv: Sequence[str]) -> int:
    """play a paper's table, or all, from nothing; list the tables without a name"""
    if list(argv[:1]) == ["all"]:
        from ganjax.tables.queue import play

        return play(argv, [folder / "queue.txt" for folder in folders()])
    named = reproduce_parser({}, add_help=False).parse_known_args(argv)[0].table
    known = [f for f in experiments() if not named or named.startswith(f"{f.name}/")]
    tables = {f"{file.name}/{t}": (file, t) for file in importable(known) for t in file.tables}
    if named and ".py/" in named:
        path, _, t = named.rpartition("/")
        file = experiment_file(path)
        tables = {f"{path}/{t}": (file, t) for t in file.tables}
    own = tables[named][0].options() if named in tables else {}
    own.pop("data_dir", None)
    args = reproduce_parser(own).parse(argv)
    if args.table is None:
        if args.rows:
            raise ValueError("--rows comes after the table: ganjax reproduce TABLE --rows ROW …")
        for name, (file, t) in tables.items():
            table = file.tables[t]
            rows = ", ".join(table.rows)
            print(f"{name:<20} {len(table.rows)} rows, {table.seeds} seeds: {rows}")
        return 0
    if args.table not in tables:
        hint = nearest_name(args.table, tables)
        raise ValueError(f"there is no table {args.table}: {hint}")
    start(args.cache, args.fast, portable=args.portable)

    from ganjax.runs.train import FailedError
    from ganjax.tables.table import Reproduction
    from ganjax.tables.table import reproduce as play_table

    file, t = tables[args.table]
    out = args.out or Path("runs") / f"{file.name}-{t}"
    names = ("seeds", "quick", "fast", "portable", "overwrite", "quiet", "data_dir")
    given = {name: getattr(args, name) for name in names}
    changed = {name: value for name, value in vars(args).items() if name in own}
    try:
        print(play_table(Reproduction(file, t, out, args.rows, changed, **given)))
    except FailedError as error:
        return refuse(error, 1)
    return 0


def report(argv: Sequence[str]) -> int:
    """make a page of runs, or of the results of played tables"""
    args = report_parser().parse(argv)
    refuse_output(args.out, ".md", ".html", overwrite=args.overwrite)

    from ganjax.pages.page import made

    page = made(args)
    with whole_file(args.out) as scratch:
        scratch.write_text(page, "utf-8")
    return 0


def data(argv: Sequence[str]) -> int:
    """list, prepare and show data sets"""
    from ganjax.runs.datasets import data as look_at_data

    return look_at_data(argv)


def export(argv: Sequence[str]) -> int:
    """a player of a run as files that need no ganjax"""
    from ganjax.runs.using import export as export_player

    return export_player(argv)


def apply(argv: Sequence[str]) -> int:
    """a player of a run on your images"""
    from ganjax.runs.using import apply as apply_player

    return apply_player(argv)


def devices(argv: Sequence[str]) -> int:
    """what JAX computes on"""
    from ganjax.runs.surroundings import devices as list_devices

    return list_devices(argv)


def bench(argv: Sequence[str]) -> int:
    """time the library; list the benchmarks without a name"""
    from ganjax.runs.bench import bench as run_benchmark

    return run_benchmark(argv)


def completion(argv: Sequence[str]) -> int:
    """a script that completes commands and options in bash or zsh"""
    from ganjax.runs.completion import completion as shell_script

    return shell_script(argv, main, list(COMMANDS))


COMMANDS = {"list": list_, "run": run, "resume": resume, "sample": sample, "apply": apply}
COMMANDS |= {"export": export, "reproduce": reproduce, "report": report, "data": data}
COMMANDS |= {"devices": devices, "bench": bench, "completion": completion}
