"""A checkpoint gives back what was saved, or is passed over; it never gives back anything else."""

import errno
import gc
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import random

from ganjax.runs.checkpoint import KEPT, Checkpoints, Saved

# Reads of a damaged checkpoint leave coroutines behind that nobody awaits.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore:coroutine:RuntimeWarning"
)


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    yield
    gc.collect()


def tree(i: int) -> dict[str, Any]:
    """All kinds of leaves that a state has; i tells one step's tree from another's."""
    params = {
        "Dense_0": {"kernel": jnp.arange(6.0).reshape(2, 3) + i, "bias": jnp.zeros(3)},
        "empty": {},
    }
    return {
        "step": jnp.int32(i),
        "key": random.key(i),
        "keys": random.split(random.key(i), 3),
        "params": params,
        "opt": optax.chain(optax.clip(1.0), optax.adam(0.1)).init(params),
        "half": (jnp.arange(5) / 3 + i).astype(jnp.bfloat16),
        "bytes": jnp.arange(4, dtype=jnp.uint8) + i,
        "flags": (jnp.array(i % 2 == 0), jnp.zeros((0, 2))),
        "memory": None,
        "numbered": {7: [jnp.float16(i)]},
    }


def equal(a: Any, b: Any) -> bool:
    """The same structure, types and bits."""

    def bits(leaf: Any) -> tuple[Any, bytes]:
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return (leaf.dtype, leaf.shape), np.asarray(
            random.key_data(leaf) if is_key else leaf
        ).tobytes()

    structure: Any = jax.tree.structure(a)
    if structure != jax.tree.structure(b):
        return False
    return all(bits(x) == bits(y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b)))


def like() -> Any:
    """Shapes and types of a tree."""
    return jax.eval_shape(lambda: tree(0))


def save(folder: Path, *steps: int, tie: str = "tie") -> None:
    """Saves the trees of some steps, and waits."""
    checkpoints = Checkpoints(folder, tie)
    for step in steps:
        checkpoints.save(step, tree(step))
    checkpoints.close()


def newest(folder: Path, tie: str = "tie", read_only: bool = False) -> Saved | None:
    """What a new process would find."""
    checkpoints = Checkpoints(folder, tie, read_only)
    try:
        return checkpoints.restore(like())
    finally:
        checkpoints.close()


def restore(folder: Path, read_only: bool = False) -> tuple[int, Any]:
    """The step and the tree that a new process would find."""
    found = newest(folder, read_only=read_only)
    assert found is not None
    return found[:2]


def steps(folder: Path) -> list[int]:
    """The steps that are in a folder."""
    return sorted(int(path.name) for path in folder.iterdir())


def test_nothing_saved_is_nothing_found(tmp_path: Path) -> None:
    assert newest(tmp_path / "new") is None
    assert newest(tmp_path / "missing", read_only=True) is None
    assert not (tmp_path / "missing").exists()


def test_what_is_restored_is_what_was_saved(tmp_path: Path) -> None:
    save(tmp_path, 3)
    step, got = restore(tmp_path)
    assert step == 3
    assert equal(got, tree(3))
    assert got["memory"] is None
    assert (random.normal(got["key"], (4,)) == random.normal(random.key(3), (4,))).all()


def test_arrays_may_be_donated_as_soon_as_save_returns(tmp_path: Path) -> None:
    state, checkpoints = tree(5), Checkpoints(tmp_path, "tie")
    checkpoints.save(5, state)
    for leaf in jax.tree.leaves(state):
        leaf.delete()
    checkpoints.close()
    assert equal(restore(tmp_path)[1], tree(5))


def test_a_bounded_number_is_kept_the_newest(tmp_path: Path) -> None:
    save(tmp_path, *range(1, KEPT + 4))
    assert steps(tmp_path) == list(range(4, KEPT + 4))


def test_another_tie_is_refused_whatever_the_shapes(tmp_path: Path) -> None:
    save(tmp_path, 1)
    with pytest.raises(ValueError, match="another run"):
        newest(tmp_path, tie="another")
    checkpoints = Checkpoints(tmp_path, "another")
    with pytest.raises(ValueError, match="another run"):
        checkpoints.restore({"step": jax.ShapeDtypeStruct((9,), jnp.float32)})
    checkpoints.close()
    assert steps(tmp_path) == [1]


def test_one_of_another_run_among_ones_own_is_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path, 1)
    with Checkpoints(tmp_path, "another") as checkpoints:
        checkpoints.save(2, tree(2))
    assert restore(tmp_path)[0] == 1
    assert capsys.readouterr().err == "checkpoint 2 is passed over, it is another run's\n"


def halve(data: bytes) -> bytes:
    """The first half."""
    return data[: len(data) // 2]


def test_a_save_takes_the_place_of_a_damaged_one(tmp_path: Path) -> None:
    save(tmp_path, 10, 20)
    for path in (tmp_path / "20").rglob("*"):
        if path.is_file():
            path.write_bytes(halve(path.read_bytes()))
    save(tmp_path, 15)
    assert restore(tmp_path)[0] == 15
    save(tmp_path, 20)
    step, got = restore(tmp_path)
    assert step == 20
    assert equal(got, tree(20))


def test_a_save_that_was_killed_is_made_again(tmp_path: Path) -> None:
    save(tmp_path, 10, 20)
    # As a save is called until it is complete.
    (tmp_path / "20").rename(tmp_path / "20.orbax-checkpoint-tmp")
    assert restore(tmp_path, read_only=True)[0] == 10
    assert (tmp_path / "20.orbax-checkpoint-tmp").is_dir(), (
        "a reader takes a save under way for its own"
    )
    assert restore(tmp_path)[0] == 10
    save(tmp_path, 20)
    assert restore(tmp_path)[0] == 20
    assert steps(tmp_path) == [10, 20]


def test_a_step_without_its_state_is_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path, 10, 20)
    shutil.rmtree(tmp_path / "20" / "state")
    assert restore(tmp_path)[0] == 10
    assert "checkpoint 20 is passed over" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "10" / "tie")
    before = steps(tmp_path)
    with pytest.raises(ValueError, match=r"none of its checkpoints \(10, 20\) is good.*--restart"):
        newest(tmp_path)
    assert steps(tmp_path) == before


def test_a_state_of_another_run_is_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "a", 10, 20)
    save(tmp_path / "b", 20, tie="another")
    checkpoints = Checkpoints(tmp_path / "b", "another")
    checkpoints.save(20, tree(7))
    checkpoints.close()
    shutil.rmtree(tmp_path / "a" / "20" / "state")
    shutil.copytree(tmp_path / "b" / "20" / "state", tmp_path / "a" / "20" / "state")
    assert restore(tmp_path / "a")[0] == 10
    assert "checkpoint 20 is passed over, its state is not" in capsys.readouterr().err


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.EBUSY, "busy")])
def test_an_error_that_may_pass_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    save(tmp_path, 10, 20)
    checkpoints = Checkpoints(tmp_path, "tie")

    def fails(step: int, **item: Any) -> None:
        raise error

    monkeypatch.setattr(checkpoints, "_read", fails)
    with pytest.raises(type(error)):
        checkpoints.restore(like())
    checkpoints.close()


def test_a_save_that_fails_is_an_error_in_one_line_and_keeps_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 10)
    checkpoints = Checkpoints(tmp_path, "tie")

    def full(*args: Any, **how: Any) -> None:
        raise ValueError("No space left on device\nand a long trace")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.manager, "save", full)
        checkpoints.save(20, tree(20))
        with pytest.raises(OSError, match=r"checkpoint 20 .* cannot be written.*No space") as said:
            checkpoints.close()
    assert "\n" not in str(said.value)
    assert restore(tmp_path)[0] == 10


def test_a_step_that_is_asked_for_is_that_step_or_an_error(tmp_path: Path) -> None:
    save(tmp_path, 5, 10)
    with Checkpoints(tmp_path, "tie", read_only=True) as checkpoints:
        found = checkpoints.restore(like(), wanted=5)
        assert found
        assert found.step == 5
        assert equal(found.state, tree(5))
        plain = checkpoints.restore(None, wanted=5)
        assert plain
        assert np.array_equal(
            plain.state["['params']['Dense_0']['kernel']"], tree(5)["params"]["Dense_0"]["kernel"]
        )
        with pytest.raises(ValueError, match=r"keeps no step 7: it keeps 5, 10$"):
            checkpoints.restore(like(), wanted=7)
    shutil.rmtree(tmp_path / "5" / "state")
    with (
        Checkpoints(tmp_path, "tie", read_only=True) as checkpoints,
        pytest.raises(ValueError, match=r"its checkpoint 5 is not good$"),
    ):
        checkpoints.restore(like(), wanted=5)
