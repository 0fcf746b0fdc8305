"""Two processes of two devices play one run: stopped, killed and restarted it ends in the bits of
the run that nothing happened to.
"""

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from processes import TINY, Ended, Play, server
from runs import call, outcome, saved

from ganjax.runs import storage

RUN = ["run", TINY, "--quiet", "--averaged", "--steps=20", "--every=4", "--save-every=5"]
DEVICES = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2"
# A signal comes to this process alone, while all agree on how long the third dispatch is.
STOPPED = """
import os, signal
from ganjax.runs import hosts
calls, largest = [], hosts.largest
def counted(number):
    calls.append(number)
    if len(calls) == 12:
        os.kill(os.getpid(), signal.SIGUSR1)
    return largest(number)
hosts.largest = counted
"""
# It is killed when step 15 is to be saved, for which the other then waits.
KILLED = """
import os, signal
from ganjax.runs.checkpoint import Checkpoints
save = Checkpoints.save
def killed(self, step, *rest):
    if step == 15:
        os.kill(os.getpid(), signal.SIGKILL)
    save(self, step, *rest)
Checkpoints.save = killed
"""

Pair = Callable[..., list[Ended]]


@pytest.fixture(scope="module")
def play() -> Iterator[Play]:
    """Commands that have two devices each."""
    with server(XLA_FLAGS=DEVICES, JAX_PLATFORMS="cpu") as commands:
        yield commands


@pytest.fixture(scope="module")
def pair(play: Play) -> Pair:
    """pair(*argv, before="") -> how both processes of a command ended; `before` in the second."""

    def both(*argv: object, before: str = "") -> list[Ended]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            where = f"--coordinator=127.0.0.1:{free.getsockname()[1]}"
        first, second = (
            [*map(str, argv), where, "--num-processes=2", "--coordinator-timeout=20", process]
            for process in ("--process-id=0", "--process-id=1")
        )
        ended: list[Ended] = play(*first, beside=[{"argv": second, "before": before}])
        return ended

    return both


def test_two_processes_stopped_killed_and_restarted_end_in_the_bits_of_one_run(
    pair: Pair, tmp_path: Path
) -> None:
    whole, run = tmp_path / "whole", tmp_path / "run"
    done = pair(*RUN, "--out", whole)
    assert [each.status for each in done] == [0, 0], done
    assert outcome(whole)["options"]["device"]["count"] == 4
    assert outcome(whole)["options"]["device"]["processes"] == 2

    stopped = pair(*RUN, "--out", run, before=STOPPED)
    assert [each.status for each in stopped] == [138, 138], stopped
    assert 0 < saved(run)[-1] < 15
    first, second = pair("resume", run, "--quiet", before=KILLED)
    assert second.status == -9
    assert first.status not in (0, -9), first  # it ends by itself
    assert not first.hung
    assert saved(run)[-1] < 15

    shutil.copytree(run, tmp_path / "alone")
    resumed = pair("resume", run, "--quiet")
    assert [each.status for each in resumed] == [0, 0], resumed
    assert outcome(run) == outcome(whole)

    # another number of devices, and of processes: other bits, the same run
    status, out, err = call("resume", tmp_path / "alone", "--quiet", "--devices=1")
    assert (status, out) == (0, "")
    assert err.endswith("with other bits: mesh data=4 is now data=1\n")
    last = [storage.read_rows(out / "metrics.jsonl")[-1] for out in (whole, tmp_path / "alone")]
    np.testing.assert_allclose(last[1]["slope"], last[0]["slope"], rtol=1e-4)


def test_what_one_process_cannot_do_all_refuse(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out, told in (("file", "exists: choose another --out"), ("new", "process 1: no data here")):
        refusal = "from ganjax.runs import request\n"
        refusal += "def fail(*_, **__):\n    raise ValueError('no data here')\n"
        refusal += "request.prepare_run = fail" if out == "new" else ""
        ended = pair(*RUN, "--out", tmp_path / out, before=refusal)
        assert [each.status for each in ended] == [2, 2], ended
        assert all(told in each.err for each in ended), ended
    assert not (tmp_path / "new").exists()


def test_a_coordinator_that_does_not_answer_is_one_line(play: Play, tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{silent.getsockname()[1]}"
        asked = [f"--coordinator={where}", "--process-id=1", "--num-processes=2"]
        ended = play(*RUN, "--out", tmp_path / "run", *asked, "--coordinator-timeout=1")
    told = f"ganjax: the coordinator {where} did not answer, or not all processes came, in 1 s\n"
    assert (ended.status, ended.out, ended.err) == (2, "", told)
    assert not (tmp_path / "run").exists()
