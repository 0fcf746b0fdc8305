"""What cannot fit the memory is refused before it starts, with what would fit; looking costs no
second compilation.
"""

import logging
import re
from pathlib import Path

import pytest
from runs import TINY, call

from ganjax.runs import memory
from ganjax.runs.discovery import File

ARGS = ["run", TINY, "--quiet", "--no-cache", "--steps=4"]


@pytest.mark.parametrize(
    ("free", "more", "said"),
    [
        (1_000, ["--seeds=3"], r"the states of 3 seeds take .* are free: \d seeds would fit"),
        (20, [], r"the states take .* are free: smaller nets would fit"),
        (12_000, [], r"the run takes .* are free: about \d+% of the batch would fit"),
        (60_000, ["--seeds=16"], r"about \d+ seeds would fit, or --lanes sequential"),
    ],
)
def test_what_cannot_fit_is_one_line_and_leaves_no_folder(
    free: int, more: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda: free)
    status, out, err = call(*ARGS, *more, "--out", tmp_path / "run")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert re.search(said, err), err
    assert list(tmp_path.iterdir()) == []


def test_a_batch_that_is_said_to_fit_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(memory, "free_bytes", lambda: 40 * 2**20)
    args = ["run", "gan", "--steps=1", "--width=16", "--quiet", "--no-cache"]
    status, _, err = call(*args, "--batch=100000")
    assert status == 2
    (fits,) = re.findall(r"about --batch (\d+) would fit", err)
    monkeypatch.setattr("ganjax.runs.train.train", lambda *_, **__: {})
    assert call(*args, f"--batch={fits}")[0] == 0
    assert call(*args, f"--batch={2 * int(fits)}", "--out=more")[0] == 2


def test_a_step_that_was_looked_at_is_compiled_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(memory, "SMALL", 0.0)
    caplog.set_level(logging.DEBUG, "jax._src.dispatch")
    for i, precision in enumerate(("float32", "bfloat16")):
        caplog.clear()
        own = ("--width=13", f"--precision={precision}")  # of no other test in this process
        assert call(*ARGS, *own, "--out", tmp_path / str(i))[0] == 0
        made = [m for m in caplog.messages if "Finished XLA compilation of jit(_loop)" in m]
        assert len(made) == 1


def test_the_memory_of_this_machine_is_known() -> None:
    free = memory.free_bytes()
    assert free is None or 2**20 < free < 2**50


def test_lanes_that_are_played_together_fill_nine_tenths_in_batches_of_one_size() -> None:
    assert memory.together(10, 1000, 64) == 64
    assert memory.together(10, 640, 64) == 32  # 57 would fit: two batches are needed anyhow
    assert memory.together(10, 100, 64) == 8
    assert memory.together(10, 5, 64) == memory.together(10, -5, 64) == 1
    for free in range(20, 700, 7):
        n = memory.together(10, free, 61)
        assert 10 * n <= max(10, 0.9 * free)
        assert -(-61 // n) == -(-61 // max(1, int(0.9 * free) // 10)) or n == 61


def test_the_lanes_that_fit_are_fewer_with_less_memory_and_all_on_a_cpu() -> None:
    experiment = File(TINY).build({"width": 64})
    game, data = experiment.played, experiment.data
    found = [memory.fitting_lanes(game, data, 64, free) for free in (2**40, 2**20, 3 * 2**17, 0)]
    assert found[0] is None
    assert found[1:] == sorted(found[1:], reverse=True, key=lambda n: n or 64)
    assert found[-1] == 1
    assert 1 < (found[2] or 64) < 64
    assert memory.lanes_per_batch(game, data, 2**15) is None  # the tests' backend is the CPU
