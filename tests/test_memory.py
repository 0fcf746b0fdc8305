"""What cannot fit the memory is refused before it starts, with what would fit; looking costs no
second compilation.
"""

import logging
import re
from pathlib import Path

import pytest
from runs import TINY, call

from ganjax.runs import memory

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
        assert call(*ARGS, f"--precision={precision}", "--out", tmp_path / str(i))[0] == 0
        made = [m for m in caplog.messages if "Finished XLA compilation of jit(_loop)" in m]
        assert len(made) == 1


def test_the_memory_of_this_machine_is_known() -> None:
    free = memory.free_bytes()
    assert free is None or 2**20 < free < 2**50
