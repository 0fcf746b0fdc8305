"""Tables are played once and leave a record; a page is made of records alone."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs import TINY, call, everything

from ganjax.runs import storage
from ganjax.runs.discovery import files
from ganjax.tables import report
from ganjax.tables.claims import read_claims
from ganjax.tables.record import TableRecord
from ganjax.tables.table import _folder_name, _joined

DOCS = Path(__file__).resolve().parent.parent / "docs"
RECORD = TableRecord(
    table="tiny/pair",
    command="ganjax reproduce tiny/pair",
    quick=False,
    seeds=[3, 4, 5],
    minutes=1.26,
    device={"kind": "cpu", "count": 1, "cores": 2},
    versions={"python": "3.11.7", "jax": "0.10.2"},
    rows={
        "GAN": {"kl": [1.0, 2.0, 3.0], "error": [0.5, None, 0.25]},
        "a|b": {"kl": [None, None, None]},
    },
    anchors={"training images": {"error": 0.125}},
    paper={"GAN": {"kl": 2.5}, "training images": {"error": 0.1}, "WGAN": {"kl": 7.0}},
    note="the paper's numbers are recalled",
)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


ANCHORS = """

def anchors(data_dir):
    with open("trace", "a") as file:
        file.write(f"{data_dir} ")
    return {"real": {"slope": 0.5, "other": 1.0}}
"""


def write(table: str) -> None:
    """An experiment tiny with one table, called pair, of this text; its anchors leave a trace each
    time they are computed.
    """
    tables = f'\n\nTABLES = {{"pair": Table({table})}}\n'
    Path("experiments").mkdir()
    Path("experiments/tiny.py").write_text(TINY.read_text() + ANCHORS + tables)


def reproduce(*argv: object) -> tuple[int, str, str]:
    return call("reproduce", "tiny/pair", "--quiet", "--no-cache", *argv)


def test_a_table_is_played_once_and_its_record_is_what_the_runs_say() -> None:
    rows = '{"narrow": {"width": 2, "steps": 4}, "wide": {"steps": 4}}'
    paper = '{"wide": {"slope": 2.0}}'
    columns = '("slope", "mean", "absent")'
    write(f'rows={rows}, columns={columns}, seeds=2, paper={paper}, anchors=anchors, note="read"')
    assert "tiny/pair            2 rows, 2 seeds: narrow, wide\n" in call("reproduce")[1]
    status, out, _ = reproduce()
    assert status == 0
    named = [line.split("  ")[0] for line in out.splitlines()]
    assert named == ["", "narrow", "wide", "wide (paper)", "real", "read"]  # and the note
    made = json.loads(Path("runs/tiny-pair/table.json").read_text())
    seconds = 0.0
    for row in ("narrow", "wide"):
        metrics = storage.read_rows(Path(f"runs/tiny-pair/{row}/metrics.jsonl"))
        options = json.loads(Path(f"runs/tiny-pair/{row}/options.json").read_text())
        assert made["rows"][row] == {
            c: [r[c] for r in metrics if r["step"] == 4] for c in ("slope", "mean")
        }
        assert {name: made[name] for name in ("seeds", "device", "versions")} == {
            n: options[n] for n in ("seeds", "device", "versions")
        }
        assert options["deterministic"]
        seconds += metrics[-1]["time"]
    assert made["minutes"] == pytest.approx(seconds / 60, abs=0.01)
    said = {
        "table": "tiny/pair",
        "command": "ganjax reproduce tiny/pair",
        "quick": False,
        "note": "read",
    }
    assert {name: made[name] for name in said} == said
    assert (made["anchors"], made["paper"]) == ({"real": {"slope": 0.5}}, {"wide": {"slope": 2.0}})

    before = everything()
    assert reproduce()[:2] == (0, out)
    assert everything() == before
    assert Path("trace").read_text() == "None "
    assert Path("runs/tiny-pair/table.txt").read_text() == out
    status, _, err = reproduce("--seeds", "3")
    assert status == 2
    assert err.splitlines()[-1].endswith(
        "was played with seeds [0, 1]: choose another --out or say --overwrite"
    )
    assert everything() == before


def test_some_rows_and_other_options_stand_in_the_command_that_the_record_keeps() -> None:
    rows = '{"narrow": {"width": 2, "steps": 4}, "not so": {"steps": 4}}'
    write(f'rows={rows}, columns=("slope",), paper={{"narrow": {{"slope": 1.0}}}}, seeds=1')
    assert reproduce("--rows", "not so", "--steps", 3, "--averaged", "--out", "less")[0] == 0
    made = json.loads(Path("less/table.json").read_text())
    assert made["command"] == "ganjax reproduce tiny/pair --steps 3 --averaged --rows 'not so'"
    assert (list(made["rows"]), made["paper"]) == (["not so"], {})
    options = json.loads(Path("less/not-so/options.json").read_text())["options"]
    assert (options["steps"], options["averaged"]) == (3, True)
    assert reproduce("--steps", 3, "--width", 5, "--out", "all")[0] == 0
    for row in ("narrow", "not-so"):
        options = json.loads(Path(f"all/{row}/options.json").read_text())["options"]
        assert (options["steps"], options["averaged"], options["width"]) == (3, False, 5)
    before = everything()
    for wrong, told in (
        ("--rows wide", "has no row 'wide': there are narrow, not so"),
        ("--depth 3", "unknown argument --depth"),
    ):
        status, _, err = reproduce(*wrong.split(), "--out", "wrong")
        assert status == 2
        assert told in err.splitlines()[-1]
    assert everything() == before


def test_a_row_that_is_played_later_joins_those_that_the_folder_has() -> None:
    rows = '{"a": {"width": 2, "steps": 4}, "b": {"steps": 4}, "c": {"width": 3, "steps": 4}}'
    write(f'rows={rows}, columns=("slope",), seeds=1, anchors=anchors')
    assert reproduce("--rows", "c", "--steps", 3)[0] == 0  # other options: no row of the others'
    assert reproduce("--rows", "b")[0] == 0
    assert list(json.loads(Path("runs/tiny-pair/table.json").read_text())["rows"]) == ["b"]
    status, out, _ = reproduce("--rows", "a")
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["a", "b", "real"]
    made = json.loads(Path("runs/tiny-pair/table.json").read_text())
    assert (status, made["command"]) == (0, "ganjax reproduce tiny/pair --rows a b")
    assert reproduce("--rows", "c", "--overwrite")[0] == 0
    made = json.loads(Path("runs/tiny-pair/table.json").read_text())
    assert (list(made["rows"]), made["command"]) == (["a", "b", "c"], "ganjax reproduce tiny/pair")


def test_rows_that_ended_are_in_the_record_of_a_table_that_broke_off() -> None:
    rows = '{"a": {"width": 2, "steps": 4}, "b": {"steps": 4}}'
    write(f'rows={rows}, columns=("slope",), seeds=1')
    assert reproduce("--rows", "b")[0] == 0
    Path("runs/tiny-pair/b/digest.json").write_text("{}")
    assert reproduce("--out", "runs/tiny-pair")[0] == 2  # at b, when a has ended
    assert "a" in json.loads(Path("runs/tiny-pair/table.json").read_text())["rows"]


def test_a_quick_table_says_so_computes_no_anchors_and_misses_no_seed_that_diverged() -> None:
    # of the seeds 0, 1, 2 the last diverges in 20 steps
    steep = '"steps": 2000, "steep": 4.0, "averaged": True'
    write(f'rows={{"steep": {{{steep}}}}}, columns=("slope",), anchors=anchors')
    assert reproduce("--quick", "--seeds", "3", "--fast", "--out", "quick")[0] == 0
    made = json.loads(Path("quick/table.json").read_text())
    assert made["command"] == "ganjax reproduce tiny/pair --seeds 3 --quick --fast"
    assert (made["quick"], made["seeds"], made["anchors"]) == (True, [0, 1, 2], {})
    assert not Path("trace").exists()
    assert not json.loads(Path("quick/steep/options.json").read_text())["deterministic"]
    assert list(json.loads(Path("quick/steep/digest.json").read_text())["diverged"]) == ["2"]
    assert [value is None for value in made["rows"]["steep"]["slope"]] == [False, False, True]
    assert "(2 of 3)" in Path("quick/table.txt").read_text()
    assert call("report", "quick", "--out", "page.md") == (0, "", "")
    assert "Seeds 0 to 2, a hundredth of the steps; " in Path("page.md").read_text()


AFTER = """

def after(played):
    from matplotlib.figure import Figure

    biases = {
        name: [float(players["G"].params["bias"][0]) for players in row.players().values()]
        for name, row in played.items()
    }
    wide = played["wide"]
    last = [row["mean"] for row in wide.metrics if row["step"] == wide.experiment.steps]
    assert last == biases["wide"]
    found = {name: {"G": bias} for name, bias in biases.items()}
    found["more"] = {"options": [played["narrow"].options["width"], None]}
    return found, {"both": Figure()}
"""


def test_a_table_may_measure_often_and_say_what_all_rows_say_together() -> None:
    rows = '{"narrow": {"width": 2, "steps": 4}, "wide": {"steps": 4}}'
    write(f'rows={rows}, columns=("slope",), seeds=2, every=2, after=lambda played: after(played)')
    with Path("experiments/tiny.py").open("a") as file:
        file.write(AFTER)
    status, out, err = reproduce()
    assert (status, err) == (0, "")
    metrics = storage.read_rows(Path("runs/tiny-pair/narrow/metrics.jsonl"))
    assert [(r["step"], r["seed"]) for r in metrics] == [(2, 0), (2, 1), (4, 0), (4, 1)]
    made = json.loads(Path("runs/tiny-pair/table.json").read_text())["rows"]
    assert made["narrow"] == {
        "slope": [r["slope"] for r in metrics[2:]],
        "G": [r["mean"] for r in metrics[2:]],
    }
    assert made["more"] == {"options": [2, None]}
    assert [path.name for path in Path("runs/tiny-pair/figures").iterdir()] == ["both.png"]
    assert out.splitlines()[0].split() == ["slope", "G", "options", "seeds"]


def test_every_number_of_a_record_stands_in_its_row() -> None:
    assert report.table_cells(RECORD) == [
        ["", "kl", "error", "seeds"],
        ["GAN", "2 ± 1", "0.375 ± 0.18 (2 of 3)", "3"],
        ["GAN (paper)", "2.5", "", ""],
        ["a|b", "0 of 3", "", "3"],
        ["training images", "", "0.125", ""],
        ["training images (paper)", "", "0.1", ""],
        ["WGAN (paper)", "7", "", ""],
    ]
    text = report.markdown_section(RECORD)
    assert (
        "\n| GAN | 2 ± 1 | 0.375 ± 0.18 (2 of 3) | 3 |\n| GAN (paper) | 2.5 |  |  |\n| a\\|b |"
        in text
    )
    command = "```\nganjax reproduce tiny/pair\n```"
    header = "|  | kl | error | seeds |\n| --- | --- | --- | --- |"
    assert text.startswith(f"## tiny/pair\n\n{command}\n\n{header}\n")
    told = "Seeds 3 to 5; 1.3 minutes; cpu, devices: 1, CPU cores: 2; python 3.11.7, jax 0.10.2."
    assert text.endswith(f"|\n\n{told}\n\nNote: the paper's numbers are recalled.")


@given(st.lists(st.none() | st.floats(-1e6, 1e6), max_size=6))
def test_a_cell_is_the_mean_and_the_sample_deviation_of_the_seeds_that_have_a_number(
    values: list[float | None],
) -> None:
    there = [value for value in values if value is not None]
    text = report.mean_sd(values)
    assert text.endswith(f"({len(there)} of {len(values)})") == (0 < len(there) < len(values))
    if there:
        numbers = [float(word) for word in text.split(" (")[0].split(" ± ")]
        assert len(numbers) == min(len(there), 2)
        assert numbers[0] == pytest.approx(np.mean(there), rel=1e-3, abs=1e-9)
        assert numbers[1:] == [] or numbers[1] == pytest.approx(
            np.std(there, ddof=1), rel=0.06, abs=1e-6
        )


def test_a_page_is_a_function_of_the_set_of_its_records() -> None:
    files = []
    for i, table in enumerate(["b/one", "a/two", "a/one"]):
        Path(f"{i}").mkdir()
        files.append(Path(f"{i}/table.json"))
        storage.write_json(files[-1], dataclasses.asdict(dataclasses.replace(RECORD, table=table)))
    page = report.markdown_page(files)
    assert [line for line in page.splitlines() if line.startswith("## ")] == [
        "## a/one",
        "## a/two",
        "## b/one",
    ]
    assert page == report.markdown_page([*files[::-1], Path("1")])
    assert call("report", *files, "--out", "page.md") == (0, "", "")
    assert Path("page.md").read_text() == page
    status, _, err = call("report", "0", "--out", "page.md")
    assert (status, err) == (2, "ganjax: page.md exists: choose another --out or say --overwrite\n")
    assert call("report", "0", "--out", "page.md", "--overwrite") == (0, "", "")
    assert Path("page.md").read_text() == report.markdown_page([Path("0")])


NEEDED = [
    field for field in dataclasses.fields(TableRecord) if field.default is dataclasses.MISSING
]
WRONG = [
    {"claims": [{"says": "nothing"}]},
    {"rows": 3},
    {"rows": {"GAN": 3}},
    {"rows": {"GAN": {"kl": ["a"]}}},
    {"seeds": []},
    {"minutes": "x"},
    {"device": [1]},
    {"more": 1},
]


@pytest.mark.parametrize("wrong", [*WRONG, *(field.name for field in NEEDED)])
def test_what_is_no_record_is_refused_in_one_line(wrong: dict[str, Any] | str) -> None:
    record = dataclasses.asdict(RECORD)
    if isinstance(wrong, str):
        del record[wrong]
    else:
        record |= wrong
    Path("table.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match=r"\A\. is no record of a table: [^\n]+\Z"):
        report.markdown_page([Path()])


def test_rows_of_several_machines_are_told_apart() -> None:
    assert _joined([{"kind": "cpu", "cores": 2}, {"kind": "cpu", "cores": 8}]) == {
        "kind": "cpu",
        "cores": "2 and 8",
    }


def test_the_page_of_results_is_that_of_the_records_beside_it() -> None:
    records = sorted((DOCS / "results").glob("*.json"))
    assert records
    claims = read_claims(DOCS.parent / "experiments" / "claims.toml")
    assert (DOCS / "results.md").read_text() == report.markdown_page(records, claims)


def test_rows_of_a_table_have_folders_of_their_own_that_a_shell_can_name() -> None:
    for file in files():
        for table in file.tables.values():
            names = [_folder_name(row) for row in table.rows]
            assert len(set(names)) == len(names)
            assert all(re.fullmatch(r"[a-z0-9][a-z0-9.-]*", name) for name in names)
