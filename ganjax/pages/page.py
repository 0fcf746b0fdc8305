"""One page of HTML of one or several runs: self-contained, it opens without a network."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ganjax
from ganjax.pages.folder import FEW, RunFolder, differences, read_folders
from ganjax.runs.best import sentence, table
from ganjax.runs.surroundings import start
from ganjax.tables.claims import known_claims
from ganjax.tables.report import markdown_page

if TYPE_CHECKING:
    from ganjax.pages.pictures import Drawn, Picture
    from ganjax.pages.plots import Plots

MOST = 5_000_000  # bytes of a page
PANELS = 12  # that are open at first
# no request leaves the page, whatever a script in it tries
POLICY = "default-src 'none'; img-src data:; font-src data:; style-src 'unsafe-inline'; "
POLICY += "script-src 'unsafe-inline'"


def made(args: argparse.Namespace) -> str:
    """The page that `ganjax report` was asked for, by the ending of its --out.

    Raises ValueError, one line, where a record or a run cannot be read, or Bokeh is missing.
    """
    if args.out.suffix.lower() == ".md":
        return markdown_page(args.records, known_claims() if args.claims else ())
    return html_page(args.records, args.samples, args.data_dir, args.trust)


@dataclass(frozen=True)
class Part:
    """A run and its pictures."""

    run: RunFolder
    drawn: Drawn


def html_page(
    paths: Sequence[Path], samples: bool = True, data_dir: str | None = None, trust: bool = False
) -> str:
    """The page of the runs in these folders, of at most 5 MB.

    samples: draw them from each checkpoint; where that fails the page says why. Raises ValueError,
    one line, for a folder that is no run, and without Bokeh.
    """
    runs = read_folders(paths)

    from ganjax.pages import plots

    drawn = [_drawn(run, samples, data_dir, trust) for run in runs]
    curves = plots.plots(runs)
    script, panels, maps = curves.html()
    parts = [Part(run, pictures) for run, pictures in zip(runs, drawn)]
    library = f"<script>{plots.bokeh_js()}</script>"

    def page(pictures: Sequence[Drawn]) -> str:
        shown = [Part(run, own) for run, own in zip(runs, pictures)]
        body = _body(shown, curves, panels, maps)
        return _document(runs, body, library, script, curves)

    bare = len(page([_with(part.drawn, []) for part in parts]).encode())
    return page(_fitted(drawn, MOST - bare))


def _drawn(run: RunFolder, samples: bool, data_dir: str | None, trust: bool) -> Drawn:
    """The pictures of a run, as large as they are."""
    if samples and (run.path / "checkpoints").is_dir():
        start(cache=True, fast=not run.record.get("deterministic", True))

    from ganjax.pages import pictures

    found = pictures.Drawn(why="not asked for, --no-samples")
    if samples:
        found = pictures.samples(run.path, data_dir, trust)
    figures = pictures.figures(run.path)
    return pictures.Drawn(figures, found.samples, found.turns, found.why)


def _fitted(drawn: Sequence[Drawn], most: int) -> list[Drawn]:
    """The pictures in at most so many bytes of a page; those that are left out are told of."""
    from ganjax.pages import pictures

    every = [p for own in drawn for p in (*own.samples, *own.figures)]
    # a byte is 4/3 characters of base64; 400 are its tags
    found = pictures.fitted(every, (most - 400 * len(every)) * 3 // 4)
    at = iter(found)
    return [_with(own, [next(at) for _ in (*own.samples, *own.figures)]) for own in drawn]


def _with(own: Drawn, found: Sequence[Picture | None]) -> Drawn:
    """A run's pictures with those that were found in their place."""
    from ganjax.pages import pictures

    n = len(own.samples)
    samples, figures = ([p for p in part if p] for part in (found[:n], found[n:]))
    lost = len(own.samples) + len(own.figures) - len(samples) - len(figures)
    why = [own.why, f"{lost} pictures are left out: the page would be too large" if lost else ""]
    return pictures.Drawn(figures, samples, own.turns, "; ".join(filter(None, why)))


def _document(
    runs: Sequence[RunFolder], body: str, library: str, script: str, curves: Plots
) -> str:
    title = f"ganjax: {', '.join(run.name for run in runs[:4])}{' …' if len(runs) > 4 else ''}"
    style, code = (resources.files(ganjax.pages).joinpath(f"page.{kind}").read_text("utf-8")
                   for kind in ("css", "js"))  # fmt: skip
    maps = {str(run): made.tags[0] for run, (made, _) in curves.maps.items()}
    settings = {"renderers": curves.renderers, "kinds": sorted(curves.shown), "maps": maps}
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>",
            body,
            f'<script type="application/json" id="settings">{_json(settings)}</script>',
            *([library, script] if script else []),
            f"<script>\n{code}</script>\n</body>\n</html>\n",
        ]
    )


def _json(value: Any) -> str:
    """JSON that no tag can end."""
    return json.dumps(value).replace("<", "\\u003c")


def _body(
    parts: Sequence[Part], curves: Plots, panels: Mapping[str, str], maps: Mapping[int, str]
) -> str:
    runs = [part.run for part in parts]
    names = dict.fromkeys(run.record["experiment"] for run in runs)
    sections = [f"<h1>{escape(', '.join(names))}</h1>", _summary(runs)]
    if len(runs) > 1:
        differ = differences(runs)
        head = ["", *(run.name for run in runs)]
        table = _table(head, [[name, *cells] for name, cells in differ.items()])
        text = table if differ else "<p>Nothing: they were asked for the same.</p>"
        sections.append(_section("What differs", text))
    sections.append(_section("Last measurements", _numbers(runs)))
    if best := _best(runs):
        sections.append(_section("Best settings", best))
    if panels:
        sections.append(_section("Curves", _curves(runs, curves, panels)))
    for i, place in maps.items():
        options = "".join(f"<option>{escape(name)}</option>" for name in curves.maps[i][1])
        about = "Mean over seeds at the last step; ✕ counts the seeds that diverged."
        select = f'<p>{about} <select class="map" data-run="{i}">{options}</select></p>'
        sections.append(_section(f"Sweep of {runs[i].name}", select + place))
    sections += [_run(part, opened=len(parts) <= 3) for part in parts]
    return "\n".join(sections)


def _summary(runs: Sequence[RunFolder]) -> str:
    """A line for each run: how far it came."""
    lines = []
    for run in runs:
        last = int(run.steps[-1]) if len(run.steps) else 0
        text = f"{last} of {run.record['steps']} steps, {len(run.curves)} curves"
        text += "" if run.digest else ", not finished"
        if lost := sum(end < last for end in run.lengths.values()):
            text += f", {lost} ended early"
        lines.append(f"<li><b>{escape(run.name)}</b>: {text}</li>")
    return f"<ul>{''.join(lines)}</ul>"


def _numbers(runs: Sequence[RunFolder]) -> str:
    """The last measurements of each run, side by side."""
    metrics = dict.fromkeys(name for run in runs for name in run.metrics)
    lines = [[name, *(run.told(name) for run in runs)] for name in metrics]
    if not lines:
        return "<p>Nothing is measured yet.</p>"
    about = "<p>Mean ± sample standard deviation over seeds and lanes, at the last step.</p>"
    return about + _table(["", *(run.name for run in runs)], lines)


def _best(runs: Sequence[RunFolder]) -> str:
    """The best settings by each metric, and what was kept; nothing where there is no choice."""
    ends = [[row for row in run.rows if row["step"] == run.steps[-1]] for run in runs]
    seeds = [run.lanes_of_setting for run in runs]
    found = [(run.name, own, list(run.settings), n) for run, own, n in zip(runs, ends, seeds)]
    names = dict.fromkeys(name for run in runs for name in run.metrics)
    text = ""
    if len(runs) > 1 or any(run.settings for run in runs):
        about = "Mean ± sample standard deviation over seeds at the last step; a setting that lost "
        text += f"<p>{about}more of its seeds comes after the others.</p>"
        text += _table(["", "highest", "lowest"], table(names, found))
    for run, n in zip(runs, seeds):
        if kept := run.digest.get("best"):
            text += f"<p>{escape(run.name)}: {escape(sentence(kept, n))}.</p>"
    return text


def _curves(runs: Sequence[RunFolder], curves: Plots, panels: Mapping[str, str]) -> str:
    """The switches and a panel for each metric."""
    about = "Drag to zoom in, all panels together along the steps; the tools appear on a panel. "
    about += "✕ ends a curve that ended early."
    if curves.stride > 1:
        about += f" One measurement in {curves.stride} is drawn."
    rows = []
    if any(len(run.curves) >= FEW for run in runs):
        shown = ((kind, kind in curves.shown) for kind in ("lanes", "median", "quartiles"))
        rows.append(_switches("kind", [(kind, kind, on, "") for kind, on in shown]))
    if len(runs) > 1:
        named = ((str(i), run.name, curves.colours[i]) for i, run in enumerate(runs))
        rows.append(_switches("run", [(i, name, True, colour) for i, name, colour in named]))
    opened = {name: i < PANELS for i, name in enumerate(panels)}
    entries = [(str(i), name, on, "") for i, (name, on) in enumerate(opened.items())]
    rows.append(_switches("panel", entries))
    grid = "".join(
        f'<div class="panel" id="panel-{i}"{"" if opened[name] else " hidden"}>{place}</div>'
        for i, (name, place) in enumerate(panels.items())
    )
    return f'<p>{about}</p>{"".join(rows)}<div class="grid">{grid}</div>'


def _switches(kind: str, entries: Iterable[tuple[str, str, bool, str]]) -> str:
    """A row of boxes to tick: value, name, whether it is on, colour."""
    boxes = "".join(
        f"<label{f' style=color:{colour}' if colour else ''}>"
        f'<input type="checkbox" name="{kind}" value="{value}"{" checked" if on else ""}> '
        f"{escape(name)}</label>"
        for value, name, on, colour in entries
    )
    return f'<fieldset class="switches">{boxes}</fieldset>'


def _run(part: Part, opened: bool) -> str:
    """All of one run."""
    run, drawn = part.run, part.drawn
    text = [f"<p class=doubt>{escape(doubt)}</p>" for doubt in run.doubts]
    if drawn.turns:
        text.append(f"<p>In a step: {escape(drawn.turns)}.</p>")
    if run.events:
        lines = "".join(f"<li>{escape(line)}</li>" for line in run.events)
        text.append(f"<h3>Events</h3><ul>{lines}</ul>")
    if drawn.samples:
        text.append(f"<h3>Samples</h3>{_slider(drawn.samples)}")
    if drawn.why:
        text.append(f"<p class=doubt>Samples: {escape(drawn.why)}</p>")
    if drawn.figures:
        shown = "".join(
            f"<figure>{_image(p)}<figcaption>{escape(p.title)}</figcaption></figure>"
            for p in drawn.figures
        )
        text.append(f'<h3>Figures</h3><div class="figures">{shown}</div>')
    asked = _table(["", "as asked for"], [[name, v] for name, v in run.asked.items()])
    text.append(f"<details><summary>Options, versions, device</summary>{asked}</details>")
    plain = {n: v if isinstance(v, str) else json.dumps(v) for n, v in run.digest.items()}
    if plain:
        digests = _table(["", "digest.json"], [[n, v] for n, v in plain.items()])
        text.append(f"<details><summary>Digests</summary>{digests}</details>")
    summary = f"<summary><h2>{escape(run.name)}</h2></summary>"
    place = f'id="run-{escape(run.name)}"'
    return f"<details {place}{' open' if opened else ''}>{summary}{''.join(text)}</details>"


def _slider(pictures: Sequence[Picture]) -> str:
    """The samples of each checkpoint, one at a time; the newest first."""
    last = len(pictures) - 1
    images = "".join(
        f"<figure{'' if i == last else ' hidden'}>{_image(p)}"
        f"<figcaption>{escape(p.title)}</figcaption></figure>"
        for i, p in enumerate(pictures)
    )
    bar = f'<input type="range" min="0" max="{last}" value="{last}" aria-label="step">'
    return f'<div class="slider">{bar if last else ""}{images}</div>'


def _image(picture: Picture) -> str:
    return f'<img alt="{escape(picture.title)}" src="{picture.url}">'


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    first = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    rest = "".join(
        f"<tr><th>{escape(name)}</th>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
        for name, *cells in lines
    )
    return f'<div class="wide"><table><tr>{first}</tr>{rest}</table></div>'


def _section(title: str, text: str) -> str:
    place = escape(title.lower().replace(" ", "-"))
    return f'<section id="{place}"><h2>{escape(title)}</h2>{text}</section>'
