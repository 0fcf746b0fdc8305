"""A run's folder: files are whole or absent, torn lines are cut off, digests depend on numbers
alone.
"""

import hashlib
import json
import struct
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganjax.runs import storage

numbers = (
    st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53) | st.none()
)
rows = st.builds(
    lambda step, seed, time, rest: {"step": step, "seed": seed, "time": time, **rest},
    st.integers(0, 9),
    st.integers(0, 3),
    st.floats(0, 1e6),
    st.dictionaries(
        st.text(min_size=1).filter(lambda name: name not in ("step", "seed", "time")),
        numbers,
        max_size=3,
    ),
)
files = st.lists(rows, max_size=6)
calm = settings(deadline=None, max_examples=50)  # a disk takes the time it takes


def written(path: Path, given: list[storage.Row]) -> bytes:
    """The bytes of a metrics file of these rows, added in two goes."""
    storage.append_rows(path, given[:2])
    storage.append_rows(path, given[2:])
    return path.read_bytes()


@calm
@given(files)
def test_what_is_read_is_what_was_added(given: list[storage.Row]) -> None:
    with TemporaryDirectory() as place:
        path = Path(place) / "metrics.jsonl"
        assert storage.read_rows(path) == []
        written(path, given)
        assert storage.read_rows(path) == given


@calm
@given(files, st.integers(0, 10**4))
def test_a_torn_last_line_is_no_row(given: list[storage.Row], length: int) -> None:
    with TemporaryDirectory() as place:
        path = Path(place) / "metrics.jsonl"
        torn = written(path, given)[:length]
        path.write_bytes(torn)
        assert storage.read_rows(path) == given[: torn.count(b"\n")]


def test_a_damaged_line_is_refused_and_nothing_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    before = written(path, [{"step": step, "seed": 0, "time": 0.0} for step in range(3)]).replace(
        b'"step": 1,', b'"st\0\0'
    )
    path.write_bytes(before)
    for look in (storage.read_rows, lambda path: storage.truncate_rows(path, 1)):
        with pytest.raises(
            ValueError,
            match=r"\A[^\n]*is damaged in line 2: mend it, or remove it and what follows\Z",
        ):
            look(path)
    assert path.read_bytes() == before


def test_one_process_at_a_time_plays_into_a_folder(tmp_path: Path) -> None:
    (tmp_path / "options.json").touch()
    with (
        storage.locked(tmp_path),
        pytest.raises(ValueError, match=f"{tmp_path} is being played by another process"),
        storage.locked(tmp_path),
    ):
        pass
    with storage.locked(tmp_path):
        pass


@calm
@given(files, st.binary(max_size=20).filter(lambda junk: b"\n" not in junk and b"\r" not in junk))
def test_junk_at_the_end_is_no_row(given: list[storage.Row], junk: bytes) -> None:
    with TemporaryDirectory() as place:
        path = Path(place) / "metrics.jsonl"
        path.write_bytes(written(path, given) + junk)
        assert storage.read_rows(path) == given


@calm
@given(files, st.integers(0, 9), st.integers(0, 10**4))
def test_cut_leaves_whole_rows_up_to_a_step(
    given: list[storage.Row], step: int, length: int
) -> None:
    with TemporaryDirectory() as place:
        path = Path(place) / "metrics.jsonl"
        torn = written(path, given)[:length]
        path.write_bytes(torn)
        left = storage.truncate_rows(path, step)
        assert left == [row for row in given[: torn.count(b"\n")] if row["step"] <= step]
        assert storage.read_rows(path) == left
        assert storage.truncate_rows(path, step) == left
        storage.append_rows(path, given)
        assert storage.read_rows(path) == left + given
        assert [p.name for p in Path(place).iterdir()] == ["metrics.jsonl"]


def test_cut_without_a_file_makes_none(tmp_path: Path) -> None:
    assert storage.truncate_rows(tmp_path / "metrics.jsonl", 3) == []
    assert list(tmp_path.iterdir()) == []


def test_cut_survives_what_a_killed_cut_left(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    rows = [{"step": 1, "seed": 0}, {"step": 2, "seed": 0}]
    storage.append_rows(path, rows)
    (tmp_path / ".metrics.jsonl.new").write_text('{"step": 7}\n{"st')
    assert storage.truncate_rows(path, 1) == storage.read_rows(path) == rows[:1]


def test_json_that_cannot_be_written_leaves_the_old(tmp_path: Path) -> None:
    path = tmp_path / "options.json"
    storage.write_json(path, {"a": [1, None, 0.1]})
    with pytest.raises(TypeError):
        storage.write_json(path, {"a": 2, "b": object()})
    assert json.loads(path.read_text()) == {"a": [1, None, 0.1]}


def test_tree_digest_is_the_sha_of_little_endian_bytes_in_path_order() -> None:
    tree = {
        "D": {"w": np.array([[1.0, -2.5]], np.float32)},
        "A": {"n": np.array(3, np.int16)},
        "D0": np.array([True]),
    }
    text = struct.pack("<h", 3) + struct.pack("<2f", 1.0, -2.5) + b"\x01"
    assert storage.tree_digest(tree) == hashlib.sha256(text).hexdigest()


@given(st.permutations(["G", "D", "D_X", "C", "a1", "a"]))
def test_tree_digest_does_not_see_the_order_of_a_dict(names: list[str]) -> None:
    def tree(names: list[str]) -> Any:
        return {
            name: {"b": np.float32(len(name)), "a": np.array([ord(c) for c in name])}
            for name in names
        }

    assert storage.tree_digest(tree(names)) == storage.tree_digest(tree(sorted(names)))


@pytest.mark.parametrize("kind", ["f4", "f8", "i4", "u2", "c8"])
def test_tree_digest_does_not_see_the_order_of_bytes(kind: str) -> None:
    values = [1, 2, 250]
    assert storage.tree_digest({"w": np.array(values, "<" + kind)}) == storage.tree_digest(
        {"w": np.array(values, ">" + kind)}
    )


def test_tree_digest_takes_device_arrays_of_every_float() -> None:
    half = jnp.array([1.0, -2.0], jnp.bfloat16)
    assert (
        storage.tree_digest({"w": half})
        == hashlib.sha256(struct.pack("<2H", 0x3F80, 0xC000)).hexdigest()
    )
    assert storage.tree_digest({"w": jnp.float32(1)}) == storage.tree_digest({"w": np.float32(1)})


@given(
    st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=5),
    st.integers(0, 4),
    st.integers(0, 31),
)
def test_tree_digest_sees_every_bit(values: list[float], at: int, bit: int) -> None:
    a = np.array(values, np.float32)
    b = a.copy()
    b.view(np.uint32)[at % len(a)] ^= np.uint32(1 << bit)
    assert storage.tree_digest({"w": a}) != storage.tree_digest({"w": b})


@given(files, st.lists(st.floats(0, 1e6), min_size=6, max_size=6))
def test_metrics_digest_sees_everything_but_the_time(
    given: list[storage.Row], times: list[float]
) -> None:
    digest = storage.metrics_digest(given)
    assert (
        storage.metrics_digest([{**row, "time": time} for row, time in zip(given, times)]) == digest
    )
    assert storage.metrics_digest(json.loads(json.dumps(given))) == digest
    for i, row in enumerate(given):
        assert storage.metrics_digest([*given[:i], {**row, "seed": 4}, *given[i + 1 :]]) != digest
        assert storage.metrics_digest(given[:i] + given[i + 1 :]) != digest


def test_digest_of_one_seed_and_of_several() -> None:
    a, b = {"w": np.float32(1)}, {"w": np.float32(2)}
    shas = [storage.tree_digest(tree) for tree in (a, b)]
    assert storage.run_digest({4: a}, [], 7) == {
        "params": shas[0],
        "metrics": hashlib.sha256(b"").hexdigest(),
        "steps": 7,
    }
    both = storage.run_digest({4: a, 5: b}, [], 7)
    assert both["seeds"] == {"4": shas[0], "5": shas[1]}
    assert both["params"] == hashlib.sha256("".join(shas).encode()).hexdigest()
    assert storage.run_digest({4: b, 5: a}, [], 7)["params"] != both["params"]
