"""The command line. A wrong request ends in one line on stderr and exit status 2, before anything
is compiled or written.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ganjax import experiment as ex
from ganjax.runs.arguments import COMMON, Parser, add_common, add_option, add_start, whole


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; its exit status: 0 done, 1 the run failed, 2 the request was wrong, 130 and
    143 stopped by a signal after saving.
    """
    warnings.simplefilter("ignore")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    argv = list(sys.argv[1:] if argv is None else argv)
    commands = {
        "list": list_,
        "run": run,
        "resume": resume,
        "sample": sample,
        "reproduce": reproduce,
    }
    commands |= {"report": report, "data": data, "bench": bench}
    try:
        if not argv or argv[0] in ("-h", "--help"):
            print(
                f"usage: ganjax {{{','.join(commands)}}} …\n\n"
                + "\n".join(f"  {name:<10} {f.__doc__}" for name, f in commands.items())
            )
            print(
                "\n`ganjax COMMAND --help` tells more; `ganjax run NAME --help` lists an experiment's options."
            )
            return 0
        if argv[0] == "--version":
            import ganjax

            print(f"ganjax {ganjax.__version__}")
            return 0
        if argv[0] not in commands:
            near = difflib.get_close_matches(argv[0], commands, 1)
            raise ValueError(
                f"unknown command {argv[0]}: "
                + (f"did you mean {near[0]}?" if near else f"there are {', '.join(commands)}")
            )
        return commands[argv[0]](argv[1:])
    except (ValueError, OSError) as error:
        return refuse(error)
    except KeyboardInterrupt:
        return refuse("interrupted", 130)


def script() -> NoReturn:
    """`python experiments/NAME.py …` does what `ganjax run experiments/NAME.py …` does: call it at
    the foot of the file.
    """
    sys.exit(main(["run", *sys.argv]))


def refuse(error: BaseException | str, status: int = 2) -> int:
    """Prints one line on stderr; the exit status."""
    print("ganjax: " + " ".join(str(error).split()), file=sys.stderr)
    return status


def start(cache: bool, fast: bool) -> None:
    """What must be set before JAX starts: deterministic operations on GPU, and the cache of
    compiled programs.
    """
    flags, deterministic = os.environ.get("XLA_FLAGS", ""), "--xla_gpu_deterministic_ops=true"
    if not fast and deterministic not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {deterministic}".strip()
    import jax

    if cache:
        storage = (
            Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ganjax" / "xla"
        )
        jax.config.update("jax_compilation_cache_dir", str(storage))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    if jax.default_backend() == "gpu":
        print(
            "deterministic operations: " + ("off (--fast)" if fast else "on; --fast gives them up"),
            file=sys.stderr,
        )


def importable() -> Iterator[ex.File]:
    """Every experiment but those that cannot be imported: of these a line on stderr."""
    for file in ex.files():
        try:
            _ = file.module
        except ValueError as error:
            refuse(error)
        else:
            yield file


def list_(argv: Sequence[str]) -> int:
    """experiments, one line each"""
    Parser(prog="ganjax list", description="Experiments, one line each.").parse(argv)
    for file in importable():
        takes = file.options().get("data")
        print(
            f"{file.name:<12} {file.about}"
            + (f" Data: {takes.help} (default {takes.default})." if takes else "")
        )
    return 0


def run(argv: Sequence[str]) -> int:
    """play an experiment into a folder"""
    known = ", ".join(file.name for file in ex.files())
    if not argv or argv[0].startswith("-"):
        if set(argv) & {"-h", "--help"}:
            print(f"usage: ganjax run EXPERIMENT …\n\nEXPERIMENT is a path or one of: {known}.")
            print("`ganjax run EXPERIMENT --help` lists its options.")
            return 0
        raise ValueError(f"run needs an experiment first: a path or one of {known}")
    file = ex.find(argv[0])
    parser = Parser(prog=f"ganjax run {argv[0]}", description=file.about)
    add_common(parser)
    parser.add_argument(
        "--out", type=Path, default=Path("runs") / file.name, help="the run's folder"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the run that is there")
    own = parser.add_argument_group("options of the experiment")
    for option in file.options().values():
        add_option(own, option)
    args = vars(parser.parse(argv[1:]))
    explicit = {name: args[name] for name in file.options() if name in args}
    options = {**(file.quick if args["quick"] else {}), **explicit}

    start(args["cache"], args["fast"])

    from ganjax.runs.record import create, request

    record, built = request(file, options, **{name: args[name] for name in COMMON})
    create(args["out"], record, args["overwrite"])
    return play(args["out"], record, built, args["quiet"])


def play(out: Path, record: Any, built: Any, quiet: bool) -> int:
    """Plays a run to its end and prints where it is and how it ended."""
    import jax

    from ganjax.runs import storage, train

    try:
        made = train.carry_on(out, record, built, quiet)
    except (train.FailedError, jax.errors.JaxRuntimeError, MemoryError, OSError) as error:
        return refuse(error, 1)
    if not quiet:
        rows = [row for row in storage.read(out / "metrics.jsonl") if row["step"] == made["steps"]]
        for row in rows:
            shown = {
                name: value for name, value in row.items() if name not in ("step", "seed", "time")
            }
            print(
                f"seed {row['seed']}: "
                + "  ".join(
                    f"{name} {value:.4g}" for name, value in shown.items() if value is not None
                )
            )
        print(
            f"{out}: {made['steps']} steps, params {made['params'][:12]}, metrics {made['metrics'][:12]}"
        )
    return 0


def resume(argv: Sequence[str]) -> int:
    """go on with a run from its newest checkpoint"""
    parser = Parser(
        prog="ganjax resume", description="Goes on with a run to its end; nothing to do is success."
    )
    parser.add_argument("out", type=Path, help="the run's folder")
    parser.add_argument("--data-dir", help="where prepared sets are now")
    parser.add_argument(
        "--devices", type=whole(0), help="lay each batch over this many devices (as many as before)"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar, no summary")
    args = parser.parse(argv)

    from ganjax.runs.record import read_request, rebuild

    record = read_request(args.out)
    if args.devices is not None:
        record = dataclasses.replace(record, device=record.device | {"count": args.devices})
    start(cache=True, fast=not record.deterministic)
    return play(args.out, record, rebuild(args.out, record, args.data_dir), args.quiet)


def sample(argv: Sequence[str]) -> int:
    """draw samples from a run's newest good checkpoint"""
    parser = Parser(
        prog="ganjax sample", description="Samples of a run, from its newest good checkpoint."
    )
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument(
        "--n", type=whole(1, 2**20), default=64, help="samples (of each generator of a team)"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="a .png figure, or an .npz with the array x"
    )
    parser.add_argument("--data-dir", help="where prepared sets are now")
    args = parser.parse(argv)
    new_file(args.out, ".png", ".npz")
    from ganjax.runs import train
    from ganjax.runs.record import read_request, rebuild

    record = read_request(args.run)
    start(cache=True, fast=not record.deterministic)
    built = rebuild(args.run, record, args.data_dir)
    import numpy as np

    from ganjax.figures.samples import sample_figure
    from ganjax.figures.style import save

    x = train.samples(built, *train.newest(args.run, record, built), args.n)
    if args.out.suffix == ".npz":
        np.savez_compressed(args.out, x=x)
    else:
        save(sample_figure(built.data, x, 0.0, 1.0), args.out)
    return 0


def reproduce(argv: Sequence[str]) -> int:
    """play a paper's table from nothing; list the tables without a name"""
    tables = {
        f"{file.name}/{name}": (file, table)
        for file in importable()
        for name, table in file.tables.items()
    }
    named = next((word for word in argv if word in tables), None)
    parser = Parser(
        prog="ganjax reproduce",
        description="Plays a paper's table from nothing, or goes on with it.",
    )
    parser.add_argument(
        "table", nargs="?", help="EXPERIMENT/TABLE; without it the tables are listed"
    )
    parser.add_argument("--rows", nargs="+", default=[], metavar="ROW", help="these rows alone")
    parser.add_argument("--quick", action="store_true", help="a hundredth of the steps")
    parser.add_argument("--seeds", type=whole(1, 2**16), help="instead of the table's own number")
    parser.add_argument(
        "--out",
        type=Path,
        help="folder of the rows' runs (runs/EXPERIMENT-TABLE); finished rows are kept",
    )
    parser.add_argument("--overwrite", action="store_true", help="play finished rows again")
    parser.add_argument("--data-dir", help="where prepared sets are")
    add_start(parser)
    own = (
        {}
        if named is None
        else {
            name: option
            for name, option in tables[named][0].options().items()
            if name != "data_dir"
        }
    )
    if named:
        group = parser.add_argument_group("options of the experiment, in place of the rows' own")
        for option in own.values():
            add_option(group, dataclasses.replace(option, default=None))
    args = parser.parse(argv)
    if args.table is None and args.rows:
        raise ValueError(
            "--rows comes after the table: ganjax reproduce EXPERIMENT/TABLE --rows ROW …"
        )
    if args.table is None:
        for name, (_, table) in tables.items():
            print(
                f"{name:<20} {len(table.rows)} rows, {table.seeds} seeds: {', '.join(table.rows)}"
            )
        return 0
    if args.table not in tables:
        near = difflib.get_close_matches(args.table, tables, 1)
        raise ValueError(
            f"there is no table {args.table}: "
            + (f"did you mean {near[0]}?" if near else f"there are {', '.join(tables)}")
        )
    file, _ = tables[args.table]
    start(args.cache, args.fast)
    from ganjax.runs import table as played
    from ganjax.runs import train

    out = args.out or Path("runs") / args.table.replace("/", "-")
    how = {
        name: getattr(args, name)
        for name in ("seeds", "quick", "fast", "overwrite", "quiet", "data_dir")
    }
    changed = {name: value for name, value in vars(args).items() if name in own}
    try:
        print(
            played.play(
                file, args.table.partition("/")[2], out, only=args.rows, changed=changed, **how
            )
        )
    except train.FailedError as error:
        return refuse(error, 1)
    return 0


def report(argv: Sequence[str]) -> int:
    """make a page of the results of played tables"""
    parser = Parser(
        prog="ganjax report",
        description="A page of the results that `ganjax reproduce` left, in Markdown.",
    )
    parser.add_argument(
        "records",
        type=Path,
        nargs="+",
        metavar="RECORD",
        help="a table.json, or a folder that holds one",
    )
    parser.add_argument("--out", type=Path, required=True, help="a .md")
    parser.add_argument("--overwrite", action="store_true", help="replace the page that is there")
    args = parser.parse(argv)
    new_file(args.out, ".md", overwrite=args.overwrite)
    from ganjax.runs.report import page

    args.out.write_text(page(args.records))
    return 0


def data(argv: Sequence[str]) -> int:
    """list, prepare and show data sets"""
    parser = Parser(
        prog="ganjax data",
        description="Data sets: the built-in ones, and those that TensorFlow Datasets keeps.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|prepare|show")
    listed = actions.add_parser("list", help="name, size, shape, licence and place of every set")
    prepared = actions.add_parser("prepare", help="make a set ready to be read")
    prepared.add_argument(
        "--manual", help="folder of the files that it is made from, where they cannot be downloaded"
    )
    shown = actions.add_parser("show", help="draw a contact sheet")
    shown.add_argument("--out", type=Path, required=True, help="a .png")
    shown.add_argument("--n", type=whole(1, 4097), default=64, help="examples")
    for action in (prepared, shown):
        action.add_argument(
            "name", help="a set's name" + ("" if action is prepared else ", or a path")
        )
    for action in (listed, prepared, shown):
        action.add_argument(
            "--data-dir", help="where prepared sets are (TFDS_DATA_DIR, or TFDS's own folder)"
        )
    args = parser.parse(argv)
    from ganjax import data as sets

    if args.action == "show":
        new_file(args.out, ".png")
        from ganjax.figures.samples import image_grid
        from ganjax.figures.style import save

        save(image_grid(sets.show(args.name, args.data_dir, args.n), -1.0, 1.0), args.out)
        return 0
    rows = (
        sets.listing(args.data_dir)
        if args.action == "list"
        else [sets.prepare(args.name, args.manual, args.data_dir)]
    )
    table = [["name", "examples", "shape", "licence", "prepared", "where, or how"]]
    for r in rows:
        table.append(
            [
                r["name"],
                r["size"],
                "x".join(map(str, r["shape"])),
                r["licence"],
                "yes" if r["prepared"] else "no",
                r["where"],
            ]
        )
    widths = [max(len(line[i]) for line in table) for i in range(5)]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, [*widths, 0])).rstrip())
    return 0


def bench(argv: Sequence[str]) -> int:
    """time the library; list the benchmarks without a name"""
    folders = [
        storage
        for storage in (Path(__file__).resolve().parent.parent / "benchmarks", Path("benchmarks"))
        if storage.is_dir()
    ]
    texts = {path: path.read_text() for storage in folders for path in sorted(storage.glob("*.py"))}
    found = {
        path.stem: path for path, text in texts.items() if "__main__" in text
    }  # the nearest folder wins
    if not found:
        raise ValueError(
            "there is no folder benchmarks here: the benchmarks come with the source, not with the package"
        )
    if not argv or argv[0] in ("-h", "--help"):
        print(
            "usage: ganjax bench [NAME …]\n\n`ganjax bench NAME --help` lists its options; --out FOLDER keeps the numbers.\n"
        )
        for name, path in sorted(found.items()):
            print(f"{name:<8} {(ast.get_docstring(ast.parse(texts[path])) or '').splitlines()[0]}")
        return 0
    if argv[0] not in found:
        near = difflib.get_close_matches(argv[0], found, 1)
        raise ValueError(
            f"there is no benchmark {argv[0]}: "
            + (f"did you mean {near[0]}?" if near else f"there are {', '.join(found)}")
        )
    paths = os.pathsep.join(
        filter(None, (str(Path(__file__).resolve().parent.parent), os.environ.get("PYTHONPATH")))
    )
    return subprocess.call(
        [sys.executable, str(found[argv[0]]), *argv[1:]], env=os.environ | {"PYTHONPATH": paths}
    )


def new_file(path: Path, *endings: str, overwrite: bool | None = None) -> None:
    """Raises ValueError unless a file of one of these endings can be made there and none is, or it
    may be replaced (None: never).
    """
    if path.suffix not in endings:
        raise ValueError(f"--out ends in {' or '.join(endings)}; got {path}")
    if path.exists() and not (overwrite and path.is_file()):
        raise ValueError(
            f"{path} exists: choose another --out"
            + (" or say --overwrite" if overwrite is False else "")
        )
    if not path.absolute().parent.is_dir():
        raise ValueError(f"{path.parent} is no folder")
