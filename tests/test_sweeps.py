"""Sweeps: each lane is the run of its setting, in one folder, whatever plays it."""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from runs import EXPERIMENTS, TINY, call, saved, signalled

from ganjax import play
from ganjax.experiment import Experiment, option, options_of
from ganjax.figures.sweeps import means, of_sweep
from ganjax.runs import best, exploits, population, storage, sweep
from ganjax.runs.discovery import File
from ganjax.runs.request import prepare_run

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
    assert found[2].told(3) == "lr 0.3: 1 (n = 1 of 3)"


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
    assert call("sample", "whole", "--step", "best", "--n", 4, "--out", "best.npz")[0] == 0
    assert call("sample", "whole", "--step", top, "--n", 4, "--out", "top.npz")[0] == 0
    assert Path("best.npz").read_bytes() == Path("top.npz").read_bytes()

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
    Path("run").mkdir()
    assert "run keeps no best step" in best_error("best")
    assert best_error("-1") == "--step takes a number or best; got -1"


def best_error(asked: str) -> str:
    with pytest.raises(ValueError, match="step") as raised:
        best.step_of(Path("run"), asked)
    return str(raised.value)


PBT = ["--sweep", "lr=0.05,0.1,0.2,0.4", "--seeds", 2, "--lanes", "vmap", "--lanes-per-batch", 4]
PBT += ["--steps", 24, "--every", 2, "--exploit", "spread:max", "--exploit-every", 4]
PBT += ["--seed", 2, "--risk", 0.14]


def test_the_worst_lanes_copy_the_best_and_go_on_after_a_kill_within_a_copy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Some gradients are not finite, so the whole run, which saves at its end alone, finds the step
    where a lane is to be frozen by playing again from nothing, copies included.
    """
    status, _, err = call(*RUN, *PBT, "--save-every", 24, "--out", "whole")
    assert status == 0
    assert "is frozen there: the gradient of G" in err
    copies = [json.loads(line) for line in Path("whole/exploits.jsonl").read_text().splitlines()]
    assert [line["step"] for line in copies] == [4, 4, 8, 8, 12, 12, 16, 16, 20, 20]
    measured = {step: {} for step in range(2, 25, 2)}  # type: dict[int, dict[int, dict[str, Any]]]
    for row in rows("whole"):
        measured[row["step"]][row["lane"]] = row
    assert any(len(measured[step]) < 8 for step in range(4, 21, 4))  # revived by a copy
    for line in copies:
        before = measured[line["step"]]
        order = sorted(range(8), key=lambda n: -before[n]["spread"] if n in before else np.inf)
        assert line["from"] in order[:2]
        assert line["lane"] in order[-2:] or line["lane"] not in before
        source = before[line["from"]]["lr"]
        assert line["lr"] in (source * 1.2, source / 1.2)
        after = measured[line["step"] + 2]
        assert line["lane"] not in after or after[line["lane"]]["lr"] == line["lr"]

    append, torn = storage.append_rows, []

    def killed(path: Path, lines: Any) -> None:
        append(path, lines)
        torn.extend([path] if path.name == "exploits.jsonl" else [])
        if len(torn) == 3:
            raise KeyboardInterrupt

    how = [*RUN, *PBT, "--save-every", 10, "--out", "parts"]
    with monkeypatch.context() as patched:
        patched.setattr(storage, "append_rows", killed)
        assert call(*how)[0] == 130
    assert Path("parts/exploits.jsonl").read_text().count("\n") == 6
    assert call("resume", "parts", "--quiet")[0] == 0
    same = ("lanes", "metrics", "exploits", "params")
    assert {n: digest("parts")[n] for n in same} == {n: digest("whole")[n] for n in same}
    written = Path("whole/exploits.jsonl").read_text()
    assert Path("parts/exploits.jsonl").read_text() == written

    assert call("resume", "parts", "--steps", 26, "--on-divergence", "rollback")[::2] == (
        2, "ganjax: --exploit revives lanes that diverged: --on-divergence freeze or stop\n",
    )  # fmt: skip
    Path("parts/exploits.jsonl").write_text('"lr": 1'.join(written.rsplit('"lr": 0', 1)))
    status, _, err = call("resume", "parts", "--steps", 26)
    assert (status, "exploits.jsonl is not the one that was written" in err) == (2, True)


@pytest.mark.parametrize("lanes", ["vmap", "sequential"])
def test_a_copy_has_all_of_its_source_but_the_key(lanes: str) -> None:
    how: dict[str, Any] = {"exploit": "slope:max", "seeds": 2, "lanes": lanes, "lanes_per_batch": 3}
    record, experiment, _ = prepare_run(File(TINY), {"width": 2}, sweep={"lr": [0.1, 0.2]}, **how)
    old = population.initial(experiment.played, record, experiment.data)
    copies = exploits.Exploits(Path(), record, experiment.options)
    new = copies.applied(old, [{"step": 2, "seed": 1, "lane": 1, "from": 3, "lr": 0.3}])
    was, now = population.by_name(record, old), population.by_name(record, new)
    for name in (0, 2, 3):
        jax.tree.map(np.testing.assert_array_equal, *(plain(x[name]) for x in (was, now)))
    wanted = was[3].replace(key=was[1].key, numbers={"lr": jnp.float32(0.3)})
    jax.tree.map(np.testing.assert_array_equal, plain(wanted), plain(now[1]))


def plain(state: play.State) -> play.State:
    return state.replace(key=jax.random.key_data(state.key))


def test_what_is_explored_stays_within_what_the_option_takes() -> None:
    @dataclass(frozen=True)
    class Bounded:
        rate: float = option(0.9, "rate", low=0.5, high=1.0)
        momentum: float = option(0.9, "momentum", low=0, below=1)

    rate, momentum = options_of(Bounded)
    assert [exploits.explored(rate, 0.9, new) for new in (1.08, 0.75, 0.4)] == [1.0, 0.75, 0.5]
    assert [exploits.explored(momentum, 0.9, new) for new in (1.08, 0.75)] == [0.9, 0.75]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--exploit", "slope:max"], "--exploit takes a population: --seeds or --sweep"),
        (["--exploit", "slop:max"], "--exploit: nothing measures slop: did you mean slope?"),
        (["--exploit-every", 3], "go with --exploit METRIC:max or min"),
        (["--exploit", "slope:max", "--exploit-every", 4], "4 is no multiple of --every 3"),
        (["--exploit", "slope:max", "--perturb", 0.5], "--perturb must be 1 or more; got 0.5"),
    ],
)
def test_a_wrong_exploit_is_one_line_and_writes_nothing(more: list[Any], said: str) -> None:
    seeds = 1 if more == ["--exploit", "slope:max"] else 2
    status, _, err = call(*RUN, "--seeds", seeds, *more, "--out", "run")
    assert (status, err.count("\n")) == (2, 1)
    assert said in err
    assert not Path("run").exists()
