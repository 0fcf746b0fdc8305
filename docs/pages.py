"""Pages of the site that are made from the code: the README and CONTRIBUTING, a page of each
experiment, and the reference of each module. MkDocs calls the hooks: `make docs`.
"""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File as Page
from mkdocs.structure.files import Files

from ganjax.runs.discovery import File, experiments
from ganjax.tables.record import TableRecord
from ganjax.tables.report import markdown_section

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results"
HERE = {"README.md": "index.md", "CONTRIBUTING.md": "new_paper.md"}
# What a reader of the site looks up; the rest serves these.
MODULES = (
    "game", "player", "play", "team", "dynamics", "losses", "penalties", "aggregates", "attacks",
    "experiment", "keys", "optim", "sharding", "data", "nets", "metrics", "protocols", "figures",
)  # fmt: skip


def moved(text: str) -> str:
    """A page of the repository's top with links as they are from docs/."""
    for old, new in HERE.items():
        text = text.replace(f"]({old})", f"]({new})")
    return text.replace("](docs/", "](")


def source_of(file: File, *names: str) -> Iterator[str]:
    """The source of these functions of an experiment, those that it has."""
    text = file.path.read_text("utf-8")
    for node in file.syntax.body:
        if isinstance(node, ast.FunctionDef) and node.name in names:
            yield ast.get_source_segment(text, node) or ""


def cell(value: object) -> str:
    """A value as a cell of a table."""
    return str(value).replace("|", "\\|")


def experiment_page(file: File) -> str:
    """The paper, its equations, its options, and what its tables came to."""
    about = inspect.cleandoc(ast.get_docstring(file.syntax) or "")
    # a docstring's indented commands are code in Markdown as well
    parts = [f"# {file.name}", about, "## Losses and game"]
    parts.append("```python\n" + "\n\n\n".join(source_of(file, "losses", "game")) + "\n```")
    rows = ["| option | meaning | default |", "| --- | --- | --- |"]
    for o in file.options().values():
        default = "" if o.default is None else cell(o.default)
        rows.append(f"| `--{o.name.replace('_', '-')}` | {cell(o.meaning)} | {default} |")
    parts += ["## Options", "\n".join(rows)]
    if figures := sorted((RESULTS / "figures").glob(f"{file.name}-*.png")):
        parts.append("## Figures")
        parts += [f"![{path.stem}](../results/figures/{path.name})" for path in figures]
    texts = [path.read_text("utf-8") for path in sorted(RESULTS.glob("*.json"))]
    records = [TableRecord(**json.loads(text)) for text in texts]
    own = [record for record in records if record.table.split("/")[0] == file.name]
    sections = [markdown_section(record) for record in own]
    waiting = sorted(set(file.tables) - {record.table.split("/")[1] for record in own})
    if sections:
        parts += ["## Results", *(s.replace("## ", "### ", 1) for s in sections)]
    if waiting:
        names = ", ".join(f"`ganjax reproduce {file.name}/{name}`" for name in waiting)
        parts.append(f"Not played yet: {names}.")
    return "\n\n".join(parts) + "\n"


def reference_page(name: str) -> str:
    """What a module, or each module of a package, offers."""
    inner = sorted((ROOT / "ganjax" / name).glob("[!_]*.py"))
    names = [f"{name}.{path.stem}" for path in inner] or [name]
    shown = [f"::: ganjax.{each}\n    options:\n      heading_level: 2\n" for each in names]
    return "\n".join([f"# ganjax.{name}\n", *shown])


def made() -> dict[str, str]:
    """All pages, by their places."""
    pages = {new: moved((ROOT / old).read_text("utf-8")) for old, new in HERE.items()}
    groups: dict[str, list[File]] = {}
    for file in experiments():
        groups.setdefault(file.group, []).append(file)
        pages[f"papers/{file.name}.md"] = experiment_page(file)
    lines = ["# Papers"]
    for group, files in sorted(groups.items()):
        lines += ["", f"## {group}", ""]
        lines += [f"- [{file.name}]({file.name}.md): {file.about}" for file in files]
    pages["papers/index.md"] = "\n".join(lines) + "\n"
    listed = "\n".join(f"- [ganjax.{name}]({name}.md)" for name in MODULES)
    pages["api/index.md"] = f"# Reference\n\n{listed}\n"
    return pages | {f"api/{name}.md": reference_page(name) for name in MODULES}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The pages of a folder follow where the navigation names the folder."""
    for entry in config.nav or []:
        for title, place in entry.items():
            if place.endswith("/"):
                entry[title] = [page for page in made() if page.startswith(place)]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are made."""
    for place, text in made().items():
        files.append(Page.generated(config, place, content=text))
    return files
