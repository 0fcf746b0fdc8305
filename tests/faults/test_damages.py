"""A checkpoint gives back what was saved, or is passed over, whatever happened to its files; it
never gives back anything else.
"""

import gc
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runs import TINY, call, outcome
from test_checkpoint import equal, restore, save, tree

# Reads of a damaged checkpoint leave coroutines behind that nobody awaits.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore:coroutine:RuntimeWarning"
)
DAMAGES = ("truncated", "emptied", "flipped", "removed", "swapped")


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture(scope="module")
def saves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints 10 and 20 of one run, and in `other` 10 and 20 of another."""
    place = tmp_path_factory.mktemp("saves")
    save(place / "run", 10, 20)
    save(place / "other", 10, 21)
    return place


def files(folder: Path) -> list[Path]:
    """All files below a folder, in one order."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def damage(path: Path, kind: str, at: int, other: Path) -> bool:
    """Damages a file; whether its bytes are others than before. `at` chooses the place."""
    before = data = path.read_bytes()
    if kind == "removed":
        path.unlink()
        return True
    if kind == "truncated":
        data = data[: at % max(1, len(data))]
    elif kind == "emptied":
        data = b""
    elif kind == "flipped" and data:
        byte = at // 8 % len(data)
        data = data[:byte] + bytes([data[byte] ^ 1 << at % 8]) + data[byte + 1 :]
    elif kind == "swapped":
        data = other.read_bytes()
    path.write_bytes(data)
    return data != before


def tried(saves: Path, place: Path, file: int, kind: str, at: int) -> tuple[bool, bool]:
    """Damages one file of the newest checkpoint: whether that changed it, and was passed over."""
    run = shutil.copytree(saves / "run", place / "run")
    found = files(run / "20")
    path = found[file % len(found)]
    others = [p for p in files(saves / "other") + found if p.name == path.name and p != path]
    changed = damage(path, kind, at, others[at % len(others)] if others else saves / "none")
    try:
        step, got = restore(run, read_only=True)
    finally:
        shutil.rmtree(run)
    assert equal(got, tree(step)), (path.relative_to(run), kind, at)
    assert step == 20 or (changed and step == 10)
    return changed, step == 10


def test_every_file_and_every_damage_gives_the_step_before_or_no_change(
    saves: Path, tmp_path: Path, count: Callable[..., None]
) -> None:
    results = [
        tried(saves, tmp_path, file, kind, at)
        for file, path in enumerate(files(saves / "run" / "20"))
        for kind, at in zip(DAMAGES, (path.stat().st_size // 2, 0, 4 * path.stat().st_size, 0, 0))
        if kind != "swapped" or len(list((saves / "other").rglob(path.name))) > 0
    ]
    passed_over = sum(passed for _, passed in results)
    assert passed_over > len(results) // 5
    count("damages", tried=len(results), passed_over=passed_over, wrong=0, tracebacks=0)


@pytest.mark.parametrize("examples", [40, pytest.param(2000, marks=pytest.mark.slow)])
def test_damages_at_any_place_give_the_step_before_or_no_change(
    examples: int, saves: Path, tmp_path: Path, count: Callable[..., None]
) -> None:
    results: list[bool] = []

    @settings(deadline=None, max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 99), st.sampled_from(("truncated", "flipped")), st.integers(0, 2**20))
    def one(file: int, kind: str, at: int) -> None:
        results.append(tried(saves, tmp_path, file, kind, at)[1])

    one()
    count("damages", tried=len(results), passed_over=sum(results), wrong=0, tracebacks=0)


@pytest.mark.parametrize("seed", [0, *(pytest.param(s, marks=pytest.mark.slow) for s in range(30))])
def test_a_run_goes_on_from_a_damaged_checkpoint_to_equal_bits(
    seed: int, tmp_path: Path, count: Callable[..., None]
) -> None:
    args = ["run", TINY, "--quiet", "--averaged", "--every=3", "--save-every=5"]
    assert call(*args, "--out", tmp_path / "whole") == (0, "", "")
    out = shutil.copytree(tmp_path / "whole", tmp_path / "run")
    (out / "digest.json").unlink()
    for number, path in enumerate(files(out / "checkpoints" / "20")):
        damage(path, DAMAGES[(seed + number) % 4], seed * 977 + number, path)
    status, said, err = call("resume", out, "--quiet")
    assert (status, said) == (0, "")
    assert "Traceback" not in err
    assert outcome(out) == outcome(tmp_path / "whole")
    count("damaged runs", tried=1, resumed_to_equal_bits=1)
