"""A run that is killed at any moment, and again while it goes on, ends in the bits of the run that
was not.
"""

import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from processes import SHORT, Play, server
from runs import outcome, saved


@pytest.fixture(scope="module")
def play() -> Iterator[Play]:
    """Commands in processes of their own."""
    with server() as play:
        yield play


@pytest.fixture(scope="module")
def whole(play: Play, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A run that nothing happened to, and how often it touched its folder."""
    place = tmp_path_factory.mktemp("whole")
    ended = play("run", *SHORT, "--out", place / "run", folder=str(place))
    assert ended[:3] == (0, "", "")
    assert ended.touches > 100
    return place / "run", ended.touches


def begun(out: Path) -> bool:
    """Whether there is a run to go on with."""
    return (out / "options.json").exists()


@pytest.mark.parametrize(
    ("chains", "kills"),
    [(3, 4), *(pytest.param(*size, marks=pytest.mark.slow) for size in ((2, 5), (50, 4)))],
)
def test_a_killed_run_ends_in_the_bits_of_the_one_that_was_not(
    chains: int,
    kills: int,
    play: Play,
    whole: tuple[Path, int],
    tmp_path: Path,
    count: Callable[..., None],
) -> None:
    expected, touches = outcome(whole[0]), whole[1]
    moments = random.Random(chains)
    killed = 0
    for chain in range(chains):
        out = tmp_path / str(chain) / "run"
        out.parent.mkdir()
        for kill in range(kills):
            command = ["resume", out, "--quiet"] if begun(out) else ["run", *SHORT, "--out", out]
            # at a moment when Python touches the folder, or at any other, which finds the rest
            at: dict[str, float] = {"die_at": moments.randint(1, touches // (kill + 1))}
            if moments.random() < 0.3:
                at = {"die_after": moments.uniform(0.3, 1.5)}
            ended = play(*command, folder=str(out.parent), **at)
            assert ended.status in (0, -signal.SIGKILL), ended
            killed += ended.status != 0
        command = ["resume", out, "--quiet"] if begun(out) else ["run", *SHORT, "--out", out]
        ended = play(*command)
        assert (ended.status, ended.out, ended.hung) == (0, "", False), ended
        assert "Traceback" not in ended.err
        assert outcome(out) == expected
        assert saved(out)[-1] == 20
        # killed before the run had its name, it leaves what has another: `.run.PID`
        assert {path.name[:5] for path in out.parent.iterdir()} <= {"run", ".run."}
    assert killed >= chains
    count("kills", tried=chains * kills, killed=killed, resumed_to_equal_bits=chains, lost=0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_saves_and_its_status_says_which(
    number: signal.Signals, play: Play, whole: tuple[Path, int], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    do = f"import os; os.kill(os.getpid(), {int(number)})"
    ended = play("run", *SHORT, "--out", out, folder=str(tmp_path), at=30, do=do)
    assert ended[:3] == (128 + number, "", "")
    assert 0 < saved(out)[-1] < 20
    assert play("resume", out, "--quiet")[:3] == (0, "", "")
    assert outcome(out) == outcome(whole[0])
