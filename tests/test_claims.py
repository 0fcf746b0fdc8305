"""A verdict is a function of a record's numbers and of the claim; every experiment has a claim."""

import dataclasses
import itertools
import json
import math
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganjax.metrics.verdicts import OPEN, REFUTED, SHOWN, together, verdict
from ganjax.runs.discovery import File
from ganjax.tables import claims, report
from ganjax.tables.queue import lines
from ganjax.tables.record import TableRecord

ROOT = Path(__file__).resolve().parent.parent
OWN = ROOT / "experiments" / "claims.toml"
RECORD = TableRecord(
    table="tiny/pair",
    command="ganjax reproduce tiny/pair --steps 4 --rows a b",
    quick=False,
    seeds=[0, 1, 2, 3, 4],
    minutes=1.0,
    device={"kind": "cpu", "cores": 2},
    versions={},
    rows={
        "a": {"x": [1.0, 2.0, 3.0, 4.0, 5.0], "y": [0.0] * 5},
        "b": {"x": [0.5, 1.0, 2.5, 3.5, 4.5], "y": [1.0, 1.0, 1.0, None, 1.0]},
    },
    anchors={"c": {"x": 0.75}},
    paper={},
    note="",
)


def claim(**more: Any) -> claims.Claim:
    play = {"says": "a is more.", "play": "tiny/pair --steps 4", "minutes": 1}
    return claims.Claim(**{**play, "better": "a", "by": "x", **more})


def judged(record: TableRecord = RECORD, **more: Any) -> claims.Judged:
    return claims.judge(record, [claim(**more)])[0]


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=12))
@settings(max_examples=25, deadline=None)
def test_a_verdict_is_that_of_all_signs_and_all_resamples(gains: list[int]) -> None:
    found, n = verdict(gains), len(gains)

    def p(k: int) -> float:  # that k or more of n fair coins show heads
        return sum(math.comb(n, i) for i in range(k, n + 1)) / 2**n

    agree, against = sum(d > 0 for d in gains), sum(d < 0 for d in gains)
    assert (found.n, found.agree, found.mean) == (n, agree, pytest.approx(np.mean(gains)))
    assert min(gains) <= found.low <= found.mean <= found.high <= max(gains)
    if n <= 5:  # each resample once
        means = sorted(np.mean(r) for r in itertools.product(gains, repeat=n))
        assert means[int(0.02 * len(means))] - 1e-9 <= found.low
        assert found.low <= means[int(0.03 * len(means))] + 1e-9
    shown = n >= 5 and p(agree) <= 0.05 and found.low > 0
    refuted = n >= 5 and p(against) <= 0.05 and found.high < 0
    assert found.word == (SHOWN if shown else REFUTED if refuted else OPEN)
    assert verdict(gains) == found


def test_five_seeds_decide_when_all_agree_and_fewer_never() -> None:
    assert verdict([1, 2, 1, 2, 1]).word == verdict([1] * 5).word == SHOWN
    assert verdict([-1, -2, -1, -2, -1]).word == REFUTED
    assert verdict([1, 2, 1, 2, -0.1]).word == verdict([1] * 4).word == OPEN
    assert verdict([1, 1, 1, 1, 0]).word == OPEN  # a tie is no gain
    assert verdict([1] * 9 + [-0.1]).word == SHOWN
    assert verdict([1] * 9 + [-30]).word == OPEN  # the signs alone would do
    assert [together(w) for w in ([SHOWN, SHOWN], [SHOWN, OPEN], [OPEN, REFUTED])] == [
        SHOWN, OPEN, REFUTED,
    ]  # fmt: skip
    for wrong in ([], [1.0, math.nan], [[1.0, 2.0]]):
        with pytest.raises(ValueError, match="gains"):
            verdict(wrong)


def test_cells_are_compared_by_seed_with_rows_numbers_anchors_and_columns() -> None:
    assert judged(than="b").parts[0] == ("x: a > b", verdict([0.5, 1, 0.5, 0.5, 0.5]))
    assert judged(than="b").word == SHOWN
    assert judged(than="b", larger=False).word == REFUTED
    assert judged(than="b", margin=0.4).parts[0][1].mean == pytest.approx(0.2)
    assert judged(than="b", margin=0.6).word == OPEN
    assert judged(than=["b", 0.0, "c"]).word == SHOWN
    assert judged(than=["b", 9.0]).word == REFUTED
    assert judged(than="c").parts[0][1].mean == pytest.approx(3 - 0.75)
    assert judged(by=["x", "y"]).parts == [("a: x > y", verdict([1.0, 2, 3, 4, 5]))]
    assert [name for name, _ in judged(better=["a", "b", "c"]).parts] == ["x: a > b", "x: b > c"]
    assert claims.judge(RECORD, [claim(than="d"), claim(than="c", by="y")]) == []
    other = dataclasses.replace(RECORD, table="tiny/other")
    assert claims.judge(other, [claim(than="b")]) == []


def test_other_options_and_fewer_seeds_decide_nothing() -> None:
    assert judged(than="b", by="y", larger=False).short == "not decided† (4 of 5 seeds)"
    assert judged(than="b", play="tiny/pair --steps 4 --seeds 10").why == "5 of 10 seeds"
    for command in ("--steps 5", "--steps 4 --quick", "--averaged --steps 4", ""):
        record = dataclasses.replace(RECORD, command=f"ganjax reproduce tiny/pair {command}")
        assert judged(record, than="b").short == "not decided† (other options)"
        assert "0.6 (0.5 to 0.8), 5 of 5 seeds" in judged(record, than="b").line
        assert "| waits | `ganjax reproduce tiny/pair --steps 4` | about 1, 2 cores |" in (
            claims.summary([claim(than="b")], [record])
        )
    exact = claim(than="b", says="so.", play="tiny/pair --steps 5 --seeds 5")
    five = dataclasses.replace(RECORD, command="ganjax reproduce tiny/pair --steps 5")
    assert [j.claim.says for j in claims.judge(five, [claim(than="b"), exact])] == ["so."]
    same = dataclasses.replace(
        RECORD, command="ganjax reproduce tiny/pair --averaged --seeds 5 --steps 4 --rows a b"
    )
    assert judged(same, than="b", play="tiny/pair --rows a --steps 4 --averaged").word == SHOWN
    row = f"| tiny | a is more. | shown† | `{claim(than=0.0).command}` | 1.0, cpu, 2 cores |"
    assert claims.summary([claim(than="b")], [RECORD]).splitlines()[-1] == row


def test_a_record_keeps_its_claims_and_is_judged_by_them_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("experiments").mkdir()
    text = """[[claim]]
    says = "a is more."
    play = "tiny/pair --steps 4"
    minutes = 1
    better = "a"
    than = "b"
    by = "x"
    """
    Path("experiments/claims.toml").write_text(text)
    kept = claims.with_claims(RECORD)
    assert [entry["verdict"] for entry in kept.claims] == [SHOWN]
    assert "a is more. **shown**. x: a > b: 0.6 (" in report.plain_text(kept)
    Path("table.json").write_text(json.dumps(dataclasses.asdict(kept)))
    assert "- a is more. **shown**. x: a > b: 0.6 (" in report.markdown_page([Path("table.json")])
    swapped = {**kept.rows, "a": kept.rows["b"], "b": kept.rows["a"]}
    swapped_record = dataclasses.replace(kept, rows=swapped)
    assert "a is more. **refuted here**." in report.markdown_section(swapped_record)
    assert claims.judge(kept, [claim(than="b", seen=True)])[0].short == "shown†"
    Path("experiments/claims.toml").write_text(text.replace('than = "b"', ""))
    with pytest.raises(ValueError, match=r"\Aexperiments.claims.toml is no file of claims: [^\n]+"):
        claims.known_claims()


def test_every_experiment_has_a_claim_that_its_tables_can_decide() -> None:
    own = claims.read_claims(OWN)
    known = {path.stem: File(path) for path in OWN.parent.glob("[!_]*.py")}
    assert {one.experiment for one in own} == set(known)
    assert len({one.says for one in own}) == len(own)
    for line in lines(OWN):
        file = known[line.words[0].split("/")[0]]
        table = file.tables[line.words[0].split("/")[1]]
        words = list(line.words[1:])
        flags = [word for word in words if word.startswith("--")]
        options = {f"--{name.replace('_', '-')}" for name in file.options()}
        assert set(flags) <= options | {"--rows", "--seeds"}
        if "--rows" in words:
            asked = words[words.index("--rows") + 1 :]
            rows = list(itertools.takewhile(lambda word: not word.startswith("--"), asked))
            assert set(rows) <= set(table.rows)
            plays = shlex.join(line.words)
            for one in (c for c in own if shlex.join(shlex.split(c.play)) == plays):
                named = {cell[0] for pair in one.comparisons for cell in pair
                         if isinstance(cell, tuple) and cell[0] in table.rows}  # fmt: skip
                assert named <= set(rows)


def test_verdicts_that_committed_records_keep_are_those_of_their_numbers() -> None:
    own = claims.read_claims(OWN)
    for path in sorted((ROOT / "docs" / "results").glob("*.json")):
        record = TableRecord(**json.loads(path.read_text()))
        words = {one.claim.says: one.word for one in claims.judge(record, own)}
        for entry in record.claims:
            if entry["says"] in words:
                assert entry["verdict"] == words[entry["says"]]
