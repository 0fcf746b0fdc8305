"""A page of runs: it needs no network, and says what the folders say."""

import base64
import io
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from runs import TINY, call, everything

from ganjax.pages import folder, pictures
from ganjax.pages import page as page_of_runs
from ganjax.runs import storage

pytest.importorskip("bokeh")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
VOID = {"meta", "input", "img", "br", "link"}


class Page(HTMLParser):
    """What a page is made of; every tag must be closed in its order."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "script" not in self.open and "style" not in self.open:
            self.text.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.cells[-1] += data

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]

    def row(self, name: str) -> list[str]:
        """The cells after the one of this text."""
        at = self.cells.index(name)
        return self.cells[at + 1 : at + 8]


def write_run(
    out: Path,
    rows: list[dict[str, Any]],
    steps: int = 100,
    digest: dict[str, Any] | None = None,
    **fields: Any,
) -> Path:
    """A run's folder by hand."""
    out.mkdir(parents=True)
    record = {
        "experiment": "tiny",
        "path": "/nowhere/tiny.py",
        "sha": "0" * 64,
        "options": {"lr": 0.1, "note": None},
        "seeds": sorted({row["seed"] for row in rows}),
        "lanes": "vmap",
        "steps": steps,
        "versions": {"jax": "0.10.1"},
        "device": {"kind": "cpu", "count": 1, "cores": 2},
        **fields,
    }
    storage.write_json(
        out / "options.json", {**record, "tie": "", "digest": storage.json_digest(record)}
    )
    storage.append_rows(out / "metrics.jsonl", rows)
    if digest is not None:
        about = {"metrics": storage.metrics_digest(rows), "steps": steps, "params": "f" * 64}
        storage.write_digest(out, about | digest)
    return out


def rows_of(seeds: range, names: list[str], steps: range) -> list[dict[str, Any]]:
    """Rows of random numbers."""
    numbers = np.random.default_rng(0)
    return [
        {"step": step, "seed": seed, "time": 1.0, **{n: float(numbers.normal()) for n in names}}
        for step in steps
        for seed in seeds
    ]


def made(tmp_path: Path, *runs: Path, more: tuple[str, ...] = ("--no-samples",)) -> str:
    """The page of these runs."""
    out = tmp_path / "page.html"
    status, _, err = call("report", *runs, "--out", out, "--overwrite", *more)
    assert (status, err) == (0, "")
    return out.read_text("utf-8")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with three checkpoints."""
    out = tmp_path_factory.mktemp("runs") / "tiny"
    status, _, err = call("run", TINY, "--every", 5, "--save-every", 5, "--out", out, "--quiet")
    assert (status, err) == (0, "")
    return out


def test_a_page_of_a_run(tiny: Path, tmp_path: Path) -> None:
    """Would catch: samples of one checkpoint under each step, a figure forgotten, numbers that are
    not the run's, a folder that is written to."""
    before = everything(tiny)
    text = made(tmp_path, tiny, more=())
    assert everything(tiny) == before
    page = Page(text)
    last = storage.read_rows(tiny / "metrics.jsonl")[-1]
    for name in ("D", "G", "slope", "mean"):
        assert page.row(name)[0] == f"{last[name]:.4g}"
    steps = ["step 10, seed 0", "step 15, seed 0", "step 20, seed 0"]
    images = {str(image["alt"]): str(image["src"]) for image in page.attributes("img")}
    assert list(images) == [*steps, "curves", "samples"]
    assert len({images[step] for step in steps}) == 3
    pixels = [np.asarray(Image.open(io.BytesIO(base64.b64decode(images[n].split(",")[1]))))
              for n in (steps[-1], "samples")]  # fmt: skip
    assert np.array_equal(pixels[0], pixels[1])
    own = (tiny / "figures" / "curves.png").read_bytes()
    assert images["curves"] == f"data:image/png;base64,{base64.b64encode(own).decode()}"
    (bar,) = (each for each in page.attributes("input") if each["type"] == "range")
    assert (bar["min"], bar["max"], bar["value"]) == ("0", "2", "2")
    digest = json.loads((tiny / "digest.json").read_text())
    assert digest["params"] in page.cells
    assert digest["metrics"] in page.cells
    assert "In a step: D, then G." in page.text
    assert page.row("version of jax")[0] == json.loads(
        (tiny / "options.json").read_text())["versions"]["jax"]  # fmt: skip


def test_no_request_leaves_a_page(tiny: Path, tmp_path: Path) -> None:
    """Would catch: a library that is loaded from its makers' servers."""
    page = Page(made(tmp_path, tiny))
    (policy,) = (m["content"] for m in page.attributes("meta") if m.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    assert "http" not in policy
    for _, attrs in page.tags:
        for name in ("src", "href", "srcset", "action", "data", "style"):
            value = attrs.get(name) or ""
            assert value.startswith("data:") or "//" not in value
    assert not page.attributes("link")


def test_runs_side_by_side(tmp_path: Path) -> None:
    """Would catch: what is equal listed as a difference, columns of runs that are swapped, two runs
    of one name told apart by nothing."""
    rows = rows_of(range(2), ["D"], range(10, 101, 10))
    a = write_run(tmp_path / "a" / "run", rows, options={"lr": 0.1, "k": 3})
    b = write_run(tmp_path / "b" / "run", rows, options={"lr": 0.2, "k": 3}, dynamics="consensus")
    page = Page(made(tmp_path, a, b))
    assert page.cells[:3] == ["", "a/run", "b/run"]
    assert page.row("lr")[:2] == ["0.1", "0.2"]
    assert page.row("dynamics")[:2] == ["", "consensus"]
    end = page.cells.index("", 1)  # the next table
    assert set(page.cells[3:end:3]) == {"lr", "dynamics"}
    mean = np.mean([row["D"] for row in rows if row["step"] == 100])
    assert page.row("D")[0].startswith(f"{mean:.4g} ± ")


def test_what_happened_is_told(tmp_path: Path) -> None:
    rows = rows_of(range(3), ["D"], range(10, 101, 10))
    rows = [row for row in rows if row["seed"] != 1 or row["step"] <= 40]
    again = {"seed": 2, "from": 33, "to": 30, "try": 1, "why": "the loss of D is not finite"}
    run = write_run(tmp_path / "run", rows, digest={"diverged": {"1": 43}, "tries": [again]})
    changes = [{"step": 30, "tries": [again]}, {"step": 50, "changed": {"jax": ["1.0", "2.0"]}}]
    (run / "changes.jsonl").write_text("".join(json.dumps(c) + "\n" for c in changes))
    text = " ".join(Page(made(tmp_path, run)).text)
    assert "seed 1 diverged at step 43 and is frozen" in text
    assert text.count("seed 2 diverged at step 33, the loss of D is not finite") == 1
    assert "went on at step 50: jax 1.0 is now 2.0" in text
    assert "1 ended early" in text
    assert "(2 of 3)" in text


def sweep_rows() -> list[dict[str, Any]]:
    """Two options of two and three values, two seeds; "D" at the end is 10 lr-index + k-index +
    seed; one seed of one setting ends early, both of another.
    """
    rows, lane = [], 0
    for i, lr in enumerate((0.1, 0.2)):
        for j, k in enumerate((1.0, 2.0, 3.0)):
            for seed in range(2):
                for step in (50, 100):
                    gone = (i, j) == (1, 2) or ((i, j) == (0, 1) and seed == 1)
                    if not (gone and step == 100):
                        swept = {"lr": lr, "k": k, "lane": lane}
                        row = {"step": step, "seed": seed, "time": 1.0, "D": 10.0 * i + j + seed}
                        rows.append(row | swept)
                lane += 1
    return rows


def test_a_sweep_is_a_heat_map(tmp_path: Path) -> None:
    """Would catch: options exchanged, a mean over what diverged, a diverged cell without a mark."""
    run = write_run(
        tmp_path / "run", sweep_rows(), sweep={"lr": [0.1, 0.2], "k": [1, 2, 3]},
        digest={"diverged": {"3": 70}},
    )  # fmt: skip
    (read,) = folder.read_folders([run])
    assert read.metrics == ["D"]
    assert len(read.curves) == 12
    cells = {(c.x, c.y): (c.mean, c.diverged) for c in folder.heat_map(read, "D")}
    assert cells == {
        (0.1, 1): (0.5, 0), (0.1, 2): (1.0, 1), (0.1, 3): (2.5, 0),
        (0.2, 1): (10.5, 0), (0.2, 2): (11.5, 0), (0.2, 3): (None, 2),
    }  # fmt: skip
    text = made(tmp_path, run)
    told = " ".join(Page(text).text)
    assert "lane 3, lr 0.1, k 2, seed 1 diverged at step 70 and is frozen" in told
    assert "lane 10, lr 0.2, k 3, seed 0 has no measurement after step 50" in told
    assert "lane 3, lr 0.1, k 2, seed 1 has no" not in told
    best = ["lr 0.2, k 2: 11.5 ± 0.71 (n = 2)", "lr 0.1, k 1: 0.5 ± 0.71 (n = 2)"]
    assert all(cell in Page(text).cells for cell in best)  # none that lost a seed
    assert "\\u2715 1 of 2" in text or "✕ 1 of 2" in text
    assert "\\u2715 2 of 2" in text or "✕ 2 of 2" in text
    one = write_run(tmp_path / "one", sweep_rows(), sweep={"lr": [0.1, 0.2]})
    assert "Sweep of" not in "".join(Page(made(tmp_path, one)).text)


def test_a_page_of_a_run_that_sweeps(tmp_path: Path) -> None:
    """Would catch: another form of what `ganjax run --sweep` leaves than the page reads."""
    out = tmp_path / "run"
    sweep = ("--sweep", "lr=0.1,0.2", "--sweep", "steep=0,0.5")
    status, _, err = call("run", TINY, "--quick", "--quiet", "--seeds", 2, *sweep, "--out", out)
    assert status == 0, err
    (read,) = folder.read_folders([out])
    cells = folder.heat_map(read, "slope")
    assert [(c.x, c.y) for c in cells] == [(0.1, 0), (0.1, 0.5), (0.2, 0), (0.2, 0.5)]
    last = [row for row in read.rows if row["step"] == 4]
    for cell in cells:
        own = [r["slope"] for r in last if (r["lr"], r["steep"]) == (cell.x, cell.y)]
        assert len(own) == 2
        assert cell.mean == pytest.approx(np.mean(own))
    images = [i["alt"] for i in Page(made(tmp_path, out, more=())).attributes("img")]
    assert "step 4, lane 0, lr 0.1, steep 0, seed 0" in images


def test_quartiles_of_what_is_finite() -> None:
    values = np.array([[1.0, np.nan, np.nan], [2, 5, np.nan], [3, 7, np.nan], [np.nan, 9, np.nan]])
    found = folder.quartiles(values)
    assert np.array_equal(found[:, 0], [1.5, 2, 2.5])
    assert np.array_equal(found[:, 1], [6, 7, 8])
    assert np.isnan(found[:, 2]).all()


@pytest.mark.parametrize(
    ("names", "steps", "numbers", "side"),
    [(4, 40, 2**12, 500), pytest.param(20, 300, None, 1400, marks=pytest.mark.slow)],
)
def test_a_page_of_64_lanes_is_at_most_5_mb(
    names: int,
    steps: int,
    numbers: int | None,
    side: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """More numbers and larger figures than fit: would catch a page that grows with them, and curves
    without their last measurement.
    """
    from ganjax.pages import plots

    if numbers:
        monkeypatch.setattr(plots, "NUMBERS", numbers)
    most = page_of_runs.MOST if side > 500 else 2_200_000
    monkeypatch.setattr(page_of_runs, "MOST", most)
    last = 10 * steps
    rows = rows_of(range(64), [f"m{i}" for i in range(names)], range(10, last + 1, 10))
    run = write_run(tmp_path / "run", rows, steps=last, digest={})
    noise = np.random.default_rng(1).integers(0, 256, (side, side, 3), np.uint8)
    (run / "figures").mkdir()
    for name in ("samples", "walk"):
        Image.fromarray(noise).save(run / "figures" / f"{name}.png")
    text = made(tmp_path, run)
    assert len(text.encode()) <= most
    assert {i["alt"] for i in Page(text).attributes("img")} == {"samples", "walk"}
    stride = re.search(r"One measurement in (\d+) is drawn", text)
    assert stride is not None
    (read,) = folder.read_folders([run])
    assert read.steps[plots._kept(read, int(stride[1]))][-1] == last


def test_pictures_share_what_room_there_is() -> None:
    """Small ones stay as they are, and what shows nothing is left out, not sent empty."""
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)

    def png(array: np.ndarray) -> bytes:
        file = io.BytesIO()
        Image.fromarray(array).save(file, "png")
        return file.getvalue()

    small, large = pictures.Picture("a", png(noise[:20, :20])), pictures.Picture("b", png(noise))
    first, second = pictures.fitted([large, small], 30_000)
    assert second == small
    assert first is not None
    assert len(first.data) <= 30_000 - len(small.data)
    assert Image.open(io.BytesIO(first.data)).size[0] > 50
    assert pictures.fitted([large, large], 2000) == [None, None]


def test_names_cannot_end_the_page(tmp_path: Path) -> None:
    name = "</script><b>x</b>"
    rows = rows_of(range(1), [name], range(10, 101, 10))
    page = Page(made(tmp_path, write_run(tmp_path / "run", rows, options={name: name})))
    assert not page.attributes("b") or all(tag != "x" for tag in page.text)
    assert page.row(name)[0] == f"{rows[-1][name]:.4g}"


def test_what_cannot_be_sampled_is_told(tiny: Path, tmp_path: Path) -> None:
    """A run whose options were edited, and one without measurements yet."""
    copy = tmp_path / "copy"
    shutil.copytree(tiny, copy)
    record = json.loads((copy / "options.json").read_text())
    (copy / "options.json").write_text(json.dumps(record | {"every": 6}))
    text = " ".join(Page(made(tmp_path, copy, more=())).text)
    assert "options.json is not the one that `ganjax run` wrote" in text
    assert "cannot go on: its options.json" in text
    fresh = " ".join(Page(made(tmp_path, write_run(tmp_path / "new", []))).text)
    assert "Nothing is measured yet" in fresh
    assert "0 of 100 steps, 0 curves, not finished" in fresh


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("missing",), "missing is no run: it needs an options.json made by `ganjax run`"),
        (("run", "table.json"), "table.json is no run: it needs an options.json made by"),
    ],
)
def test_what_is_no_run_is_refused(names: tuple[str, ...], said: str, tmp_path: Path) -> None:
    write_run(tmp_path / "run", rows_of(range(1), ["D"], range(10, 101, 10)))
    (tmp_path / "table.json").write_text("{}")
    status, out, err = call("report", *(tmp_path / n for n in names), "--out", tmp_path / "p.html")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert not (tmp_path / "p.html").exists()


def test_without_bokeh_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bokeh.embed", None)
    monkeypatch.delitem(sys.modules, "ganjax.pages.plots", raising=False)
    monkeypatch.delattr("ganjax.pages.plots", raising=False)
    run = write_run(tmp_path / "run", [])
    status, _, err = call("report", run, "--out", tmp_path / "p.html", "--no-samples")
    assert status == 2
    assert err == "ganjax: an .html page needs Bokeh: pip install 'ganjax[report]'\n"


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_browser_shows_the_page(tiny: Path, tmp_path: Path) -> None:
    """A script at the end moves the slider, ticks boxes and writes what it finds into the page; the
    page's own policy stops every request. Errors of the page are collected by the first script.
    """
    rows = rows_of(range(8), ["D", "G"], range(10, 101, 10))
    run = write_run(tmp_path / "many", rows)
    sweep = write_run(tmp_path / "sweep", sweep_rows(), sweep={"lr": [0.1, 0.2], "k": [1, 2, 3]})
    text = made(tmp_path, tiny, run, sweep, more=())
    first = """<script>window.errors = [];
        addEventListener("error", (e) => errors.push(e.message));
        addEventListener("securitypolicyviolation", (e) => errors.push(e.blockedURI));
        const old = console.error; console.error = (...x) => { errors.push(x.join(" ")); };
        </script>"""
    last = """<script>addEventListener("load", () => setTimeout(() => {
        const set = (e, v, type) => { e.value = v; e.dispatchEvent(new Event(type)); };
        const shown = () => [...document.querySelectorAll(".slider figure")]
          .filter((f) => !f.hidden).map((f) => f.innerText).join();
        const seen = () => JSON.parse(document.getElementById("settings").textContent).renderers
          .filter((r) => Bokeh.documents[0].get_model_by_id(r.id).visible).length;
        const found = [shown(), seen()];
        set(document.querySelector(".slider input"), "0", "input");
        document.querySelectorAll("input[name=kind]").forEach((box) => box.click());
        document.querySelector("input[name=run]").click();
        found.push(shown(), seen(), document.querySelectorAll(".panel canvas, .panel div").length);
        const p = document.createElement("pre"); p.id = "found";
        p.textContent = JSON.stringify([found, errors]); document.body.append(p);
        }, 1500))</script>"""
    page = tmp_path / "tried.html"
    page.write_text(text.replace("<title>", first + "<title>").replace("</body>", last + "</body>"))
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += ["--virtual-time-budget=20000", f"--user-data-dir={tmp_path / 'profile'}"]
    dumped = subprocess.run(
        [*command, page.as_uri()], capture_output=True, text=True, check=True, timeout=120
    ).stdout
    found = re.search(r'<pre id="found">(.*?)</pre>', dumped)
    assert found is not None
    (step, visible, moved, fewer, drawn), errors = json.loads(found[1])
    assert errors == []
    assert (step, moved) == ("step 20, seed 0", "step 10, seed 0")
    assert drawn > 0
    assert visible > 0
    assert fewer != visible
