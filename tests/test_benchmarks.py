"""Benchmarks: what is timed is what is said, every script answers for itself, and PyTorch plays the
same games.
"""

import importlib.util
import io
import json
import os
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image
from runs import EXPERIMENTS, call

from ganjax import play

sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))

import cases
import timing

BENCHMARKS = Path(timing.__file__).parent
SCRIPTS = sorted(path.stem for path in BENCHMARKS.glob("*.py") if "__main__" in path.read_text())


def module(name):
    """A script, imported under a name of its own."""
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


class Clock:
    """A clock that only variants move; it notes who plays."""

    def __init__(self):
        self.now, self.plays = 0.0, []

    def perf_counter(self):
        return self.now

    process_time = perf_counter

    def variant(self, name, step_s, compile_s):
        def steps(n):
            self.now += n * step_s + (compile_s if name not in self.plays else 0)
            self.plays.append(name)

        return steps


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(timing, "time", clock)
    return clock


def test_blocks_alternate_and_compilation_is_counted_apart(clock):
    variants = {"slow": clock.variant("slow", 0.05, 7), "fast": clock.variant("fast", 0.01, 3)}
    times = timing.interleaved(variants, 4, target_s=0.5)
    assert clock.plays[-8:] == ["slow", "fast"] * 4
    for name, step_s, compile_s in (("slow", 0.05, 7), ("fast", 0.01, 3)):
        assert times[name].first_s == pytest.approx(compile_s + step_s)
        assert times[name].steps == pytest.approx(0.5 / step_s, abs=1)
        assert times[name].blocks == times[name].work == pytest.approx([step_s] * 4)
        assert times[name].row()["ms"] == pytest.approx(1000 * step_s)
    assert timing.ratio(times["slow"].blocks, times["fast"].blocks) == pytest.approx(
        {"median": 5, "low": 5, "high": 5}
    )


def test_a_block_has_at_least_one_step_and_ends(clock):
    assert timing.block(clock.variant("long", 9, 0), 0.5) == 1
    assert timing.block(clock.variant("short", 1e-9, 0), 0.5) == timing.LONGEST


def test_ratios_are_of_neighbours_not_of_medians():
    assert timing.ratio([2.0, 40.0, 6.0], [1.0, 10.0, 2.0]) == {"median": 3, "low": 2, "high": 4}


def test_a_table_lines_up():
    rows = [{"name": "a", "ms": 1234.5, "n": 3}, {"name": "bcd", "ms": 0.012345}]
    assert timing.table(rows).split("\n") == ["name      ms  n", "a       1234  3", "bcd   0.0123"]


def test_a_game_goes_on_from_block_to_block():
    case = cases.ring(batch=4, width=4)
    variant = timing.played(case.game, jax.random.key(0), case.data)
    assert [int(variant(n).step) for n in (1, 3, 2)] == [1, 4, 6]
    with pytest.raises(ValueError, match="there is no case rign; there are ring, mad_gan"):
        cases.named("rign")


@pytest.mark.parametrize("name", [name for name in SCRIPTS if name != "peers"])
def test_every_script_tells_its_options(name, capsys):
    with pytest.raises(SystemExit, match="0"):
        module(name).main(["--help"])
    assert "--out" in capsys.readouterr().out
    with pytest.raises(ValueError, match="did you mean --out"):
        module(name).main(["--oout", "2"])


def test_the_command_lists_and_runs_them(tmp_path, capfd):
    status, out, _ = call("bench")
    assert status == 0
    lines = [line.split(maxsplit=1) for line in out.strip().split("\n")[-len(SCRIPTS) :]]
    assert [line[0] for line in lines] == SCRIPTS
    assert all(line[1].endswith("?") for line in lines)
    assert call("bench", "stpe") == (
        2,
        "",
        "ganjax: there is no benchmark stpe: did you mean step?\n",
    )
    assert call("bench", "step", "rign")[0] == 2
    assert capfd.readouterr().err.startswith("ganjax: there is no case rign")


def test_the_first_start_is_told_apart_from_those_that_find_programs_compiled(
    tmp_path, monkeypatch
):
    script, caches = module("starts"), []
    took = iter(
        [(8.0, 8.0, 8.0, 8.0)]  # writes byte code, and is not counted
        + [(9.0, 8.0, 12.0, 11.0), (2.0, 2.5, 4.0, 4.5), (5.0, 2.0, 9.0, 4.0), (3.0, 3.0, 5.0, 6.0)]
    )

    def start(words, out, cache, byte_code, checkout):
        assert words == ["gan", "--data", "ring"]
        assert not out.exists()
        assert checkout is None
        caches.append(cache)
        return script.Start(*next(took))

    monkeypatch.setattr(script, "start", start)
    script.main(["gan --data ring", "--out", str(tmp_path / "starts.json")])
    (row,) = json.loads((tmp_path / "starts.json").read_text())["rows"]
    told = {"game": "gan --data ring", "first s": 9.0, "later s": 3.0, "low": 2.0, "high": 5.0}
    ends = {"end, first s": 12.0, "end, later s": 5.0, "end, core s": 4.5}
    assert row == told | {"core s": 2.5} | ends
    assert len(set(caches[1:])) == 1
    assert caches[0] not in caches[1:]


def test_starts_of_two_checkouts_alternate_with_a_cache_each(tmp_path, monkeypatch):
    script, seen = module("starts"), []

    def start(words, out, cache, byte_code, checkout):
        seen.append((checkout, cache))
        return script.Start(1.0, None, 2.0, 2.0)

    monkeypatch.setattr(script, "start", start)
    script.main(["gan", "--starts", "2", "--against", str(tmp_path)])
    counted = [each for each in seen if each[1].name != "other"]
    assert [checkout for checkout, _ in counted] == [None, tmp_path.resolve()] * 2
    assert len(set(counted)) == 2
    assert len({cache for _, cache in counted}) == 2


def test_core_seconds_of_a_process_are_what_it_says_itself():
    script = module("starts")
    told = script.core_seconds(os.getpid())
    assert told is None or abs(told - time.process_time()) < 1
    assert script.core_seconds(2**30) is None


def test_the_gallery_shows_every_experiment_and_its_page_is_of_its_record():
    script, pictures = module("gallery"), BENCHMARKS.parent / "docs" / "pictures" / "gallery"
    record = json.loads((pictures / "runs.json").read_text())
    assert {*record["runs"]} == {*script.PICTURES} == {file.name for file in EXPERIMENTS.values()}
    assert (pictures.parents[1] / "gallery.md").read_text("utf-8") == script.page(record)
    for name in script.PICTURES:
        assert (pictures / f"{name}.png").stat().st_size <= script.LARGEST


def test_a_picture_of_the_gallery_is_made_small_enough(tmp_path, monkeypatch):
    script, noise = module("gallery"), np.random.default_rng(0).integers(0, 256, (90, 900, 3))
    Image.fromarray(noise.astype(np.uint8)).save(tmp_path / "noise.png")
    monkeypatch.setattr(script, "LARGEST", 30_000)
    made = Image.open(io.BytesIO(script.small(tmp_path / "noise.png")))
    assert (made.format, made.size) == ("PNG", (640, 64))
    assert len(made.getcolors() or []) in range(1, 256)


def test_numbers_come_with_the_machine_that_they_were_taken_on(tmp_path, monkeypatch):
    monkeypatch.setattr(cases, "CASES", {"small": lambda batch=4: cases.ring(batch, width=4)})
    monkeypatch.setattr(timing, "ceilings", lambda precisions: dict.fromkeys(precisions, 0.5))
    asked = [
        "small",
        "--batch",
        "8",
        "--inspect",
        "--blocks",
        "2",
        "--block-s",
        "0.001",
        "--out",
        str(tmp_path / "step.json"),
    ]
    module("step").main(asked)
    record = json.loads((tmp_path / "step.json").read_text())
    (row,) = record["rows"]
    assert row["images/s"] == pytest.approx(8 / row["ms"] * 1000)
    assert row["of ceiling"] == pytest.approx(row["TFLOP/s"] / 0.5)
    assert row["of needed"] == pytest.approx(1, rel=0.05)
    assert row["low"] <= row["ms"] <= row["high"]
    assert record["machine"]["jax"] == jax.__version__
    assert record["options"]["blocks"] == 2


def test_what_devices_exchange_is_read_from_the_program():
    text = """
  %a = f32[4,2]{1,0} all-reduce(f32[4,2]{1,0} %x), channel_id=1
  %b = (f32[8]{0}, /*index=1*/bf16[3]{0}, f32[]) all-reduce(%x, %y, %z), to_apply=%add
  %c = u8[10]{0} all-gather(%w), dimensions={0}
  %d = f32[5]{0} add(%all-reduce.1, %q)"""
    found = module("mesh").exchanged(text)
    assert found == {"all-reduce": 4 * 8 + 4 * 8 + 2 * 3 + 4, "all-gather": 10}


GAMES = [
    (cases.ring, (8, 16)),
    (cases.images, (16, 3, 4, 8)),
    (cases.translators, (32, 1, 2, 4)),
    (cases.translators, (32, 1, 1, 4)),
]


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is an extra")
@pytest.mark.parametrize(("build", "sizes"), GAMES)
def test_pytorch_plays_the_same_game(build, sizes):
    case, peers = build(*sizes), module("peers")
    apart = peers.agreement(case, play.init(case.game, jax.random.key(0), case.data).params)
    assert max(apart.values()) < 1e-4
