"""A disk that is full, has no inodes left, becomes read-only or loses the run's folder ends a run
in one line and exit status 1, and never hangs; with room again it goes on to equal bits.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from processes import SHORT, Ended, Play, server
from runs import outcome

SIZES = [24, 120]  # KiB; the whole run takes about 300
INODES = [12]
MORE_SIZES = [*range(4, 60, 8), *range(64, 320, 12)]
MORE_INODES = [*range(3, 90, 4)]


@pytest.fixture(scope="module")
def play() -> Iterator[Play]:
    """Commands in processes of their own."""
    with server() as play:
        yield play


@pytest.fixture(scope="module")
def whole(play: Play, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing happened to."""
    out = tmp_path_factory.mktemp("whole") / "run"
    assert play("run", *SHORT, "--out", out)[:3] == (0, "", "")
    return out


@contextmanager
def disk(place: Path, options: str) -> Iterator[Callable[[str], None]]:
    """A small disk at a place; its options can be changed. Skips where mounting is not allowed."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o"]
    if os.name != "posix" or not shutil.which("mount"):
        pytest.skip("needs mount")
    made = subprocess.run([*mount, options, "tmpfs", str(place)], capture_output=True)
    if made.returncode:
        pytest.skip("needs the right to mount")
    try:
        yield lambda changed: subprocess.run(
            ["mount", "-o", f"remount,{changed}", str(place)], check=True
        ).check_returncode()
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def is_one_line(ended: Ended, statuses: tuple[int, ...] = (1,)) -> bool:
    """Whether a command failed as it should."""
    one_line = ended.err.startswith("ganjax: ") and ended.err.count("\n") == 1
    return not ended.hung and ended.status in statuses and not ended.out and one_line


def ends(play: Play, out: Path, whole: Path) -> None:
    """Goes on with a run, or begins it, and compares what it makes."""
    go_on = (out / "options.json").exists()
    ended = play(*(["resume", out, "--quiet"] if go_on else ["run", *SHORT, "--out", out]))
    assert ended[:3] == (0, "", ""), ended
    assert outcome(out) == outcome(whole)


@pytest.mark.parametrize(
    ("sizes", "inodes"),
    [(SIZES, INODES), pytest.param(MORE_SIZES, MORE_INODES, marks=pytest.mark.slow)],
)
def test_a_full_disk_is_one_line_and_nothing_is_lost(
    sizes: list[int],
    inodes: list[int],
    play: Play,
    whole: Path,
    tmp_path: Path,
    count: Callable[..., None],
) -> None:
    disks = [f"size={size}k" for size in sizes] + [f"size=9m,nr_inodes={n}" for n in inodes]
    full = 0
    for number, options in enumerate(disks):
        place = tmp_path / str(number)
        with disk(place, options) as change:
            ended = play("run", *SHORT, "--out", place / "run")
            if ended.status:
                full += 1
                # a folder that cannot even be made is a wrong request
                assert is_one_line(ended, (1, 2)), (options, ended)
                change("size=9m,nr_inodes=9000")
            ends(play, place / "run", whole)
    assert full > len(disks) // 2
    count("full disks", tried=len(disks), full=full, one_line=full, hung=0, lost=0)


@pytest.mark.parametrize("moments", [(40,), pytest.param(range(2, 128, 6), marks=pytest.mark.slow)])
@pytest.mark.parametrize("fault", ["read-only", "removed"])
def test_a_folder_that_is_lost_while_it_plays_is_one_line(
    fault: str,
    moments: tuple[int, ...],
    play: Play,
    whole: Path,
    tmp_path: Path,
    count: Callable[..., None],
) -> None:
    failed = 0
    for at in moments:
        place = tmp_path / str(at)
        with disk(place, "size=9m") as change:
            out = place / "run"
            do = f"import shutil; shutil.rmtree({str(out)!r}, ignore_errors=True)"
            if fault == "read-only":
                command = ["mount", "-o", "remount,ro", str(place)]
                do = f"import subprocess; subprocess.run({command!r})"
            ended = play("run", *SHORT, "--out", out, folder=str(place), at=at, do=do)
            change("rw")
            if ended.status:
                failed += 1
                assert is_one_line(ended, (1, 2)), (at, ended)
            if fault == "removed":  # what was being written when it was removed may be there
                shutil.rmtree(out, ignore_errors=True)
            ends(play, out, whole)
    count(f"folders {fault}", tried=len(moments), failed=failed, one_line=failed, hung=0)
