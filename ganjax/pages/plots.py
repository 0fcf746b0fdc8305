"""The curves and heat maps of a page, by Bokeh, which zoom and switch without a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

try:
    from bokeh.embed import components
    from bokeh.models import (
        BasicTicker,
        ColumnDataSource,
        DataRange1d,
        FactorRange,
        HoverTool,
        NumeralTickFormatter,
        Range1d,
    )
    from bokeh.plotting import figure
    from bokeh.resources import Resources
except ImportError as error:
    raise ValueError("an .html page needs Bokeh: pip install 'ganjax[report]'") from error
from matplotlib import colormaps
from matplotlib.colors import to_hex

from ganjax.figures.style import INK, PALE, palette
from ganjax.pages.folder import FEW, RunFolder, heat_map, quartiles

NUMBERS = 2**18  # of all curves; beyond, steps are left out evenly
KINDS = ("lanes", "median", "quartiles")
TOOLS = "xpan,box_zoom,xwheel_zoom,ywheel_zoom,reset"


@dataclass
class Plots:
    """The figures of a page, and what its switches act on."""

    panels: dict[str, Any] = field(default_factory=dict)  # a figure for each metric
    maps: dict[int, tuple[Any, list[str]]] = field(default_factory=dict)  # by run, with metrics
    renderers: list[dict[str, Any]] = field(default_factory=list)  # {"id", "run", "kind"}
    colours: list[str] = field(default_factory=list)  # of each run
    shown: set[str] = field(default_factory=set)  # the kinds that are visible at first
    stride: int = 1  # every which measurement is drawn

    def html(self) -> tuple[str, dict[str, str], dict[int, str]]:
        """The script of all figures, the place of each panel, and of each heat map."""
        parts = {f"panel {i}": made for i, made in enumerate(self.panels.values())}
        parts |= {f"map {run}": made for run, (made, _) in self.maps.items()}
        if not parts:
            return "", {}, {}
        script, places = components(parts)
        panels = {name: places[f"panel {i}"] for i, name in enumerate(self.panels)}
        return script, panels, {run: places[f"map {run}"] for run in self.maps}


def bokeh_js() -> str:
    """Bokeh itself as one script."""
    return "\n".join(Resources(mode="inline", components=["bokeh"], minified=True).js_raw)


def plots(runs: Sequence[RunFolder]) -> Plots:
    """Curves of all that was measured at more than one step, and heat maps of sweeps of two."""
    made = Plots(colours=palette(len(runs)) if runs else [])
    moving = {run.name: _moving(run) for run in runs}
    names = list(dict.fromkeys(name for run in runs for name in moving[run.name]))
    counts = [len(run.curves) * len(run.steps) * len(moving[run.name]) for run in runs]
    made.stride = max(1, -(-sum(counts) // NUMBERS))
    several = any(len(run.curves) >= FEW for run in runs)
    made.shown = {"median", "quartiles"} if several else {"lanes"}
    last = max((int(run.steps[-1]) for run in runs if len(run.steps)), default=1)
    shared = Range1d(start=0, end=last, bounds=(-last, 2 * last))
    sources = [_lanes_source(run, moving[run.name], made.stride) for run in runs]
    for name in names:
        made.panels[name] = _panel(name, shared)
        for i, run in enumerate(runs):
            if name in moving[run.name]:
                _add_curves(made, i, run, name, sources[i])
    for i, run in enumerate(runs):
        if len(run.settings) == 2 and run.metrics:
            made.maps[i] = _map_figure(run), run.metrics
    return made


def _moving(run: RunFolder) -> list[str]:
    """The metrics that were measured at more than one step."""
    steps: dict[str, set[int]] = {}
    for row in run.rows:
        for name in row:
            steps.setdefault(name, set()).add(row["step"])
    return [name for name in run.metrics if len(steps[name]) > 1]


def _kept(run: RunFolder, stride: int) -> np.ndarray:
    """Which steps are drawn: every so many, and always the last."""
    return np.arange(len(run.steps) - 1, -1, -stride)[::-1]


def _lanes_source(run: RunFolder, names: Sequence[str], stride: int) -> Any:
    """All curves one after another, a gap between two: as one line they are drawn fast."""
    kept = _kept(run, stride)
    gap = len(kept) + 1
    columns: dict[str, Any] = {"step": np.tile([*run.steps[kept].astype(float), np.nan],
                                               len(run.curves))}  # fmt: skip
    for i, part in enumerate(("seed", "lane")):
        columns[f"_{part}"] = np.repeat([c[i] for c in run.curves], gap).astype(np.int32)
    for j, name in enumerate(names):
        values = run.values(name)[:, kept]
        columns[f"m{j}"] = np.pad(values, ((0, 0), (0, 1)), constant_values=np.nan).ravel()
        columns[f"m{j}"] = columns[f"m{j}"].astype(np.float32)
    return ColumnDataSource(columns, tags=list(names))


def _panel(name: str, shared: Any) -> Any:
    made = figure(
        title=name, height=230, sizing_mode="stretch_width", tools=TOOLS, x_range=shared,
        y_range=DataRange1d(only_visible=True),
        active_drag="box_zoom", active_scroll=None, output_backend="canvas",
        min_border=4, background_fill_alpha=0, border_fill_alpha=0, outline_line_color=None,
    )  # fmt: skip
    made.toolbar.logo, made.toolbar.autohide = None, True
    _plain(made)
    made.xaxis.formatter = NumeralTickFormatter(format="0.[0]a")
    made.xaxis.ticker = BasicTicker(desired_num_ticks=5)
    made.yaxis.ticker = BasicTicker(desired_num_ticks=5)
    return made


def _plain(made: Any) -> None:
    """Thin grey lines, small print."""
    made.title.text_font_size, made.title.text_color = "13px", INK
    for axis in (*made.xaxis, *made.yaxis):
        axis.axis_line_color = axis.major_tick_line_color = PALE
        axis.minor_tick_line_color, axis.major_label_text_color = None, INK
    made.grid.grid_line_color, made.grid.grid_line_alpha = PALE, 0.4


def _add_curves(made: Plots, i: int, run: RunFolder, name: str, source: Any) -> None:
    """Adds the curves of a run to the panel of a metric: of each lane, and median and quartiles."""
    panel, colour, column = made.panels[name], made.colours[i], f"m{source.tags.index(name)}"
    many = len(run.curves) >= FEW
    parts: dict[str, list[Any]] = {kind: [] for kind in KINDS}
    style = {"line_width": 0.8, "line_alpha": 0.35} if many else {"line_width": 1.6}
    lanes = panel.line("step", column, source=source, color=colour, **style)
    parts["lanes"].append(lanes)
    values = run.values(name)
    ended = [
        (last, own[np.isfinite(own)][-1])
        for own, last in zip(values, run.lengths.values())
        if last < run.steps[-1] and np.isfinite(own).any()
    ]
    if ended:
        x, y = map(list, zip(*ended))
        marks = ColumnDataSource({"x": x, "y": np.array(y, np.float32)})
        parts["lanes"].append(
            panel.scatter("x", "y", source=marks, marker="x", size=9, color=colour, line_width=2)
        )
    hover = [("step", "@step{0}"), (run.name, f"@{column}{{0.0000}}"), ("seed", "@_seed")]
    if run.sweep:
        hover.append(("lane", "@_lane"))
    panel.add_tools(_hover(lanes, hover))
    if many:
        low, median, high = quartiles(values)
        kept = [k for k in _kept(run, made.stride) if np.isfinite(median[k])]
        part = {"step": run.steps[kept], "low": low[kept], "median": median[kept]}
        part["high"] = high[kept]
        summary = ColumnDataSource({n: v.astype(np.float32) if n != "step" else v.astype(float)
                                    for n, v in part.items()})  # fmt: skip
        band = panel.varea("step", "low", "high", source=summary, color=colour, alpha=0.22)
        line = panel.line("step", "median", source=summary, color=colour, line_width=2)
        parts["quartiles"].append(band)
        parts["median"].append(line)
        hover = [("step", "@step{0}"), (f"{run.name}, median", "@median{0.0000}")]
        panel.add_tools(_hover(line, [*hover, ("quartiles", "@low{0.0000} to @high{0.0000}")]))
    else:  # a few curves are their own summary
        parts["median"] += [*parts["lanes"]]
    for kind, own in parts.items():
        for renderer in own:
            ids = [entry for entry in made.renderers if entry["id"] == renderer.id]
            if ids:
                ids[0]["kinds"].append(kind)
            else:
                made.renderers.append({"id": renderer.id, "run": i, "kinds": [kind]})
            renderer.visible = any(
                k in made.shown
                for e in made.renderers
                if e["id"] == renderer.id
                for k in e["kinds"]
            )


def _hover(renderer: Any, rows: list[tuple[str, str]]) -> Any:
    return HoverTool(renderers=[renderer], tooltips=rows, mode="mouse", visible=False)


def _map_figure(run: RunFolder) -> Any:
    """A heat map of the first metric; the columns "colour" and "text" are those of one metric."""
    (x_name, xs), (y_name, ys) = run.sweep.items()
    columns: dict[str, list[str]] = {}
    for name in run.metrics:
        cells = heat_map(run, name)
        columns["x"] = [f"{cell.x:g}" for cell in cells]
        columns["y"] = [f"{cell.y:g}" for cell in cells]
        means = [cell.mean for cell in cells if cell.mean is not None]
        low, high = min(means, default=0.0), max(means, default=0.0)
        shades = [
            "#DDDDDD" if c.mean is None else to_hex(
                colormaps["viridis"](0.35 + 0.65 * (c.mean - low) / ((high - low) or 1.0)))
            for c in cells
        ]  # fmt: skip
        columns[f"colour {name}"] = shades
        columns[f"text {name}"] = [cell.text for cell in cells]
    first = run.metrics[0]
    columns |= {"colour": columns[f"colour {first}"], "text": columns[f"text {first}"]}
    made = figure(
        x_range=FactorRange(factors=[f"{x:g}" for x in xs]),
        y_range=FactorRange(factors=[f"{y:g}" for y in ys]), tools="",
        height=90 + 44 * len(ys), sizing_mode="stretch_width", max_width=120 + 96 * len(xs),
        x_axis_label=x_name, y_axis_label=y_name, outline_line_color=None,
        background_fill_alpha=0, border_fill_alpha=0,
    )  # fmt: skip
    made.toolbar_location = None
    _plain(made)
    made.grid.grid_line_color = None
    source = ColumnDataSource(columns, name=f"heat map of {run.name}")
    made.rect("x", "y", 0.97, 0.97, source=source, fill_color="colour", line_color=None)
    made.text("x", "y", "text", source=source, text_align="center", text_baseline="middle",
              text_font_size="11px")  # fmt: skip
    made.tags = [source.id]
    return made
