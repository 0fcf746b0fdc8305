"""Sweeps: each lane is the run of its setting, in one folder, whatever plays it."""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import EXPERIMENTS, TINY, call, saved, signalled

from ganjax.experiment import Experiment, option
from ganjax.figures.sweeps import means, of_sweep
from ganjax.runs import best, storage, sweep
from ganjax.runs.discovery import File

RUN = ("run", TINY, "--steps", 6, "--every", 3, "--width", 3, "--quiet", "--no-cache")
RATES = "lr=0.05,0.2"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def rows(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(out, "metrics.jsonl").read_text().splitlines()]


def digest(out: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(out, "digest.json").read_text())
    return found


def test_a_sequential_lane_has_the_bits_of_the_run_of_its_setting() -> None:
    more = ("--sweep", RATES, "--sweep", "steep=0.0,0.1", "--seeds", 2, "--lanes", "sequential")
    status, _, err = call(*RUN, *more, "--out", "all")
    assert (status, err) == (0, "8 lanes in one program\n")
    options = json.loads(Path("all/options.json").read_text())
    assert options["sweep"] == {"lr": [0.05, 0.2], "steep": [0.0, 0.1]}
    lanes = digest("all")["lanes"]
    assert list(lanes) == [str(i) for i in range(8)]
    assert call(*RUN, "--lr", 0.2, "--steep", 0.0, "--seed", 1, "--out", "one")[0] == 0
    at = next(
        row["lane"]
        for row in rows("all")
        if (row["lr"], row["steep"], row["seed"]) == (0.2, 0.0, 1)
    )
    assert lanes[str(at)] == digest("one")["params"]
    own = [row for row in rows("all") if row["lane"] == at]
    same = ("step", "seed", "D", "G", "slope", "spread")
    assert [{n: row[n] for n in same} for row in own] == [
        {n: row[n] for n in same} for row in rows("one")
    ]


def test_lanes_under_vmap_and_in_batches_are_those_of_single_runs() -> None:
    for name, more in {"all": (), "two": ("--lanes-per-batch", 2)}.items():
        how = ("--sweep", "lr=0.05,0.1,0.2", "--lanes", "vmap", *more, "--out", name)
        assert call(*RUN, *how)[0] == 0
    assert call(*RUN, "--lr", 0.1, "--out", "one")[0] == 0
    wanted = [row["slope"] for row in rows("one")]
    for name in ("all", "two"):
        found = [row["slope"] for row in rows(name) if row["lane"] == 1]
        np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_a_sweep_goes_on_to_the_same_bits() -> None:
    how = ("--sweep", RATES, "--seeds", 2, "--lanes", "vmap", "--lanes-per-batch", 3)
    assert call(*RUN, *how, "--out", "whole")[0] == 0
    assert call(*RUN, *how, "--steps", 3, "--out", "parts")[0] == 0
    assert call("resume", "parts", "--steps", 6, "--quiet")[0] == 0
    assert digest("parts")["lanes"] == digest("whole")["lanes"]


def test_options_that_change_the_program_have_a_folder_for_each_value() -> None:
    status, _, err = call(*RUN, "--sweep", "width=2,4", "--sweep", RATES, "--out", "grid")
    assert (status, err) == (0, "4 lanes in 2 programs: width=2, width=4\n")
    assert {path.name for path in Path("grid").iterdir()} == {"width=2", "width=4"}
    assert {row["lr"] for row in rows("grid/width=4")} == {0.05, 0.2}
    assert json.loads(Path("grid/width=4/options.json").read_text())["options"]["width"] == 4


def test_a_lane_that_diverges_is_named_and_the_others_go_on() -> None:
    how = ("--sweep", "steep=0.0,1e8", "--lanes", "vmap", "--out", "run")
    status, _, err = call(*RUN, *how)
    assert status == 0
    assert "lane 1, steep 1e+08, seed 0 diverged at step" in err
    assert list(digest("run")["diverged"]) == ["1"]
    assert {row["lane"] for row in rows("run") if row["step"] == 6} == {0}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("lrr=1", "no option lrr: did you mean lr?"),
        ("lr", "--sweep takes NAME=VALUE,VALUE; got lr"),
        ("lr=", "there are no values"),
        ("lr=0.1,-1", "lr must be above 0; got -1.0"),
        ("lr=0.1,0.1", "a value stands there twice"),
        ("width=2,x", "x is no int"),
        ("averaged=true,maybe", "maybe is no bool"),
        ("payoff=hinge,hing", "payoff is one of non-saturating, hinge; got 'hing'"),
    ],
)
def test_a_wrong_sweep_is_one_line_and_writes_nothing(asked: str, said: str) -> None:
    status, _, err = call(*RUN, "--sweep", asked, "--out", "run")
    assert status == 2
    assert said in err
    assert err.count("\n") == 1
    assert not Path("run").exists()


def test_too_many_lanes_are_refused_before_anything_is_built() -> None:
    values = ",".join(str(i / 1000) for i in range(1, 1001))
    more = ("--sweep", f"lr={values}", "--seeds", 66, "--out", "run")
    assert call(*RUN, *more)[::2] == (2, "ganjax: 66000 lanes are more than 65536\n")


def number(name: str, option: str, values: list[Any]) -> bool:
    file: File = EXPERIMENTS[f"{name}.py"]
    return sweep.is_number(file, file.quick, file.build(file.quick), option, values)


def test_what_a_net_holds_or_python_branches_on_is_no_number() -> None:
    assert number("mad_gan", "lr", [1e-4, 1e-3])
    assert not number("mad_gan", "ema", [0.0, 0.5])  # an average is kept, or not
    assert not number("mad_gan", "width", [4, 8])
    assert not number("c_rnn_gan", "dropout", [0.1, 0.5])  # a net's


@dataclass(frozen=True)
class Options:
    lr: float = option(0.1, "rate")
    steps: int = option(3, "steps")


def test_functions_are_given_the_options_of_their_setting() -> None:
    def measure(data: Any, key: Any, *, o: Options) -> dict[str, float]:
        return {"lr": o.lr}

    def still(data: Any, key: Any) -> dict[str, float]:
        return {}

    o = Options()
    made = Experiment(None, o, None, measure=partial(measure, o=o), evaluate=still)  # type: ignore[arg-type]
    own = sweep.of_setting(made, {"lr": 0.5})
    assert own.measure(None, None) == {"lr": 0.5}
    assert own.evaluate is still
    hidden = Experiment(None, o, None, measure=lambda data, key: {"lr": o.lr})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="measure of this experiment holds its options in a clos"):
        sweep.of_setting(hidden, {"lr": 0.5})


def test_cells_of_a_heat_map_are_means_over_the_seeds_that_live() -> None:
    asked = {"lam": [1.0, 10.0], "lr": [0.1, 0.2]}
    found = [
        {"step": 4, "seed": s, "lane": 0, "lam": lam, "lr": 0.1, "kl": lam + s}
        for lam in (1.0, 10.0)
        for s in (0, 1)
    ]
    found += [{"step": 4, "seed": 0, "lane": 2, "lam": 1.0, "lr": 0.2, "kl": 7.0}]
    gone: dict[str, Any] = {"step": 4, "seed": 1, "lane": 3, "lam": 1.0, "lr": 0.2, "kl": None}
    found += [gone]
    mean, sd = means(asked, found, "kl")
    np.testing.assert_array_equal(mean, [[1.5, 7.0], [10.5, np.nan]])
    np.testing.assert_allclose(sd, [[0.5**0.5, 0.0], [0.5**0.5, np.nan]])
    figure = of_sweep(asked, found)["sweep"]
    crosses = [line for axes in figure.axes for line in axes.lines]
    assert [np.asarray(line.get_xydata()).tolist() for line in crosses] == [[[1.0, 1.0]]]


def test_the_best_setting_is_so_by_its_mean_and_with_most_seeds() -> None:
    rows: list[storage.Row] = [
        {"step": 4, "seed": s, "lane": 3 * i + s, "lr": lr, "kl": v}
        for i, (lr, values) in enumerate({0.1: (0.0, 9.0, 9.0), 0.2: (3.0, 4.0, 5.0)}.items())
        for s, v in enumerate(values)
    ]
    rows += [{"step": 4, "seed": 0, "lane": 6, "lr": 0.3, "kl": 1.0}]  # two of its seeds are lost
    found = best.means(rows, ["lr"], "kl")
    low, high = best.best(found, "min"), best.best(found, "max")
    assert low == best.Mean({"lr": 0.2}, 4, 4.0, 1.0, 3, [3, 4, 5])  # not the lane of 0.0
    assert high
    assert high.setting == {"lr": 0.1}
    assert low.told(3) == "lr 0.2: 4 ± 1 (n = 3)"
    assert found[2].told(3) == "lr 0.3: 1 (1 of 3 seeds)"


def test_the_best_step_is_kept_and_is_the_same_after_a_kill(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    how = [*RUN, "--steps", 24, "--every", 2, "--save-every", 6, "--seeds", 2]
    how += ["--sweep", RATES, "--keep", "slope:max"]
    status, told, _ = call(*[word for word in how if word != "--quiet"], "--out", "whole")
    assert status == 0
    by_step = {
        step: max(
            sum(r["slope"] for r in rows("whole") if (r["step"], r["lr"]) == (step, lr)) / 2
            for lr in (0.05, 0.2)
        )
        for step in range(2, 25, 2)
    }
    top = max(by_step, key=lambda step: by_step[step])
    kept = json.loads(Path("whole/best.json").read_text())
    assert (kept["step"], kept["keep"], kept["mean"]) == (top, "slope:max", by_step[top])
    assert f"slope was highest at step {top}, which is kept: lr 0.2: " in told
    assert saved(Path("whole")) == [top, 12, 18, 24]  # the newest three, and one older
    assert best.step_of(Path("whole"), "best") == top

    with monkeypatch.context() as patched:
        patched.setattr(storage, "append_rows", signalled(top // 2 + 1, signal.SIGTERM))
        assert call(*how, "--out", "parts")[0] == 143
    assert call("resume", "parts", "--quiet")[0] == 0
    assert digest("parts") == digest("whole")
    assert saved(Path("parts")) == saved(Path("whole"))
    assert Path("parts/best.json").read_text() == Path("whole/best.json").read_text()


@pytest.mark.parametrize(
    ("keep", "said"),
    [
        ("slope", "--keep takes METRIC:max or METRIC:min; got slope"),
        ("slop:max", "--keep: nothing measures slop: did you mean slope?"),
        ("mean:min", "nothing measures mean: there are D, G, wall, slope, spread"),
    ],
)
def test_what_cannot_be_kept_is_one_line_and_writes_nothing(keep: str, said: str) -> None:
    status, _, err = call(*RUN, "--keep", keep, "--out", "run")
    assert (status, err.count("\n")) == (2, 1)
    assert said in err
    assert not Path("run").exists()
