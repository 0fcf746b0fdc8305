"""What README.md, CONTRIBUTING.md and docs/ show runs: Python blocks, and commands up to where they
would begin to work.
"""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest
from runs import TINY, call, evaluate_few, read_once

from ganjax import cli, play
from ganjax.experiment import with_values
from ganjax.runs import request
from ganjax.runs.arguments import Parser
from ganjax.runs.discovery import File, experiment_file
from ganjax.tables import queue, table

ROOT = Path(__file__).resolve().parent.parent
PAGES = [p for p in (ROOT / "README.md", ROOT / "CONTRIBUTING.md") if p.is_file()]
PAGES += sorted((ROOT / "docs").glob("*.md"))
# What a reader runs beside `ganjax` and `make`.
OTHERS = ("cd", "cp", "git", "pip", "pre-commit", "pytest", "python")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    line: int  # of its first line
    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in their order."""
    found: list[Block] = []
    fence: int | None = None
    lines = page.read_text().splitlines()
    for number, line in enumerate(lines):
        if not line.lstrip().startswith("```"):
            continue
        if fence is None:
            fence = number
        else:
            text = "\n".join(lines[fence + 1 : number])
            found.append(Block(fence + 2, lines[fence].strip().strip("`"), text))
            fence = None
    assert fence is None, f"{page.name}: a fence is not closed"
    return found


def commands(block: Block) -> Iterator[list[str]]:
    """The commands of a shell block as words, without comments."""
    for line in block.text.replace("\\\n", " ").splitlines():
        for command in re.split(r"\s&&\s", line):
            if words := shlex.split(command, comments=True):
                yield words


def of_language(*languages: str) -> list[Any]:
    """Pages that have blocks of a language, and those blocks, by the page's name."""
    found = {page: [b for b in blocks(page) if b.language in languages] for page in PAGES}
    return [pytest.param(page, kept, id=page.name) for page, kept in found.items() if kept]


def write_experiments(page: Path) -> list[Path]:
    """Writes the experiments' files that a page shows to ./experiments, by their names."""
    Path("experiments").mkdir()
    written = []
    for block in blocks(page):
        if block.language == "python" and "cli.script()" in block.text:
            name = re.search(r"ganjax run (\w+)", block.text)
            assert name, f"{page.name}:{block.line} does not say how it is run"
            path = Path("experiments", f"{name[1]}.py")
            path.write_text(block.text)
            written.append(path)
    return written


class AcceptedError(Exception):
    """A command was accepted."""


def accepted(*_: Any, **__: Any) -> NoReturn:
    raise AcceptedError


@pytest.fixture
def _stopped_before_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands raise AcceptedError where they would begin to work; a run and a table after a check
    of their options.
    """
    parse = Parser.parse

    def parsed(self: Parser, argv: Sequence[str]) -> Any:
        args = parse(self, argv)
        if self.prog.split()[1] in ("run", "reproduce"):
            return args
        raise AcceptedError

    def prepared(file: File, options: dict[str, Any], **_: Any) -> NoReturn:
        with_values(file.module.Options(), options)
        raise AcceptedError

    def reproduced(asked: table.Reproduction) -> NoReturn:
        rows = asked.table.rows
        if unknown := set(asked.only) - set(rows):
            raise ValueError(f"there is no row {unknown.pop()}")
        for row in asked.only or rows:
            own = {**rows[row], **asked.changed}
            source = own.pop("experiment", asked.file.name)
            own.pop("dynamics", None)
            with_values(experiment_file(source).module.Options(), own)
        raise AcceptedError

    def queued(waiting: list[queue.Line], *_: Any) -> NoReturn:
        for line in waiting:
            if said := refusal(["ganjax", "reproduce", *line.words]):
                raise ValueError(f"line {line.number}: {said}")
        raise AcceptedError

    read_once(monkeypatch)
    monkeypatch.setattr(Parser, "parse", parsed)
    monkeypatch.setattr(queue, "_played", queued)
    monkeypatch.setattr(cli, "start", lambda *_, **__: None)
    monkeypatch.setattr(request, "prepare_run", prepared)
    monkeypatch.setattr(table, "reproduce", reproduced)
    monkeypatch.setattr("ganjax.runs.bench.subprocess.call", accepted)
    monkeypatch.chdir(tmp_path)


def refusal(words: list[str]) -> str:
    """Why a command could not be run from a fresh clone; empty for one that could."""
    program, *rest = words
    program = re.sub(r"^(\.venv/bin/)?(python|pip)[\d.]*$", r"\2", program)
    if program == "ganjax":
        try:
            status, _, err = call(*rest)
        except AcceptedError:
            return ""
        return err if status else ""
    if program == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        unknown = [word for word in rest if "=" not in word and word not in targets]
        return f"no target {unknown[0]}" if unknown else ""
    if program not in OTHERS:
        return f"what is {program}?"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for word in rest[:-1] if program == "cp" else rest:  # a copy's last word is a new place
        for extra in re.findall(r"\[([\w,]+)\]", word):
            if missing := set(extra.split(",")) - set(project["optional-dependencies"]):
                return f"no extra {missing.pop()}"
        if (
            re.fullmatch(r"(experiments|tests|benchmarks|docs)/\S+\.\w+", word)
            and not (ROOT / word).exists()
        ):
            return f"there is no {word}"
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_block_says_what_it_is(page: Path) -> None:
    """A block without a language holds commands; what is no command is fenced as text."""
    for block in blocks(page):
        assert block.language in ("", "sh", "python", "text", "json"), f"{page}:{block.line}"


@pytest.mark.usefixtures("_stopped_before_work")
@pytest.mark.parametrize(("page", "shown"), of_language("", "sh"))
def test_every_command_is_accepted(page: Path, shown: list[Block]) -> None:
    write_experiments(page)
    refused = {
        f"{page.name}:{block.line} {shlex.join(words)}": said
        for block in shown
        for words in commands(block)
        if (said := refusal(words))
    }
    assert refused == {}


@pytest.mark.usefixtures("_stopped_before_work")
@pytest.mark.parametrize(
    ("line", "said"),
    {
        "ganjax run mad_gan --kk 3": "unknown argument --kk",
        "ganjax run mad_gan --k 0": "k must be above 0",
        "ganjax reproduce mad_gan/k --rows nothing": "there is no row nothing",
        "ganjax reproduce all --out o --within 1 --queue wrong.txt": "line 2: ganjax: there is no",
        "ganjax sample runs/mad": "required: --out",
        "make dmeo": "no target dmeo",
        "pip install -e '.[tset]'": "no extra tset",
        "python experiments/nothing.py": "there is no experiments/nothing.py",
    }.items(),
)
def test_a_wrong_command_is_seen(line: str, said: str) -> None:
    Path("wrong.txt").write_text("mad_gan/k # 1\nmad_gan/kk # 2\n")
    assert said in refusal(shlex.split(line))


@pytest.mark.parametrize(("page", "shown"), of_language("python"))
def test_every_python_block_runs(
    page: Path, shown: list[Block], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one namespace a page, one after another; runs are short."""
    evaluate_few(monkeypatch)
    run = play.run
    monkeypatch.setattr(play, "run", lambda g, s, d, steps, *how: run(g, s, d, min(steps, 5), *how))
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": page.stem}
    for out in re.findall(r'ganjax\.load\("(\S+)"', page.read_text()):
        assert call("run", TINY, "--quick", "--quiet", "--no-cache", "--out", out) == (0, "", "")
    for block in shown:
        code = "\n" * (block.line - 1) + block.text  # tracebacks name the page's own line
        exec(compile(code, str(page), "exec", dont_inherit=True), names)
    for path in write_experiments(page):
        words = ["run", path, "--quick", "--steps=3", "--every=3", "--quiet", "--no-cache"]
        assert call(*words, "--out", path.stem) == (0, "", "")


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cells one after another, with short runs; it is kept without what they show."""
    run = play.run
    monkeypatch.setattr(play, "run", lambda g, s, d, steps: run(g, s, d, min(steps, 5)))
    monkeypatch.chdir(tmp_path)
    cells = json.loads((ROOT / "examples" / "tour.ipynb").read_text())["cells"]
    names: dict[str, Any] = {"__name__": "tour"}
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
            exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
