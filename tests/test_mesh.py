"""Four devices play the game of one: the same numbers, a quarter of the work each, and nobody
gathers the images.
"""

import math
import os
import re
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import games
import jax
import jax.numpy as jnp
import mad_gan
import numpy as np
import pytest
from runs import TINY, call, outcome, signalled

from ganjax import data, play, sharding
from ganjax.game import Game
from ganjax.runs import storage
from ganjax.runs.record import read_record

N, BATCH = 4, 64
GAMES = {**games.DENSE, **games.CONVOLUTIONAL}
on_four = pytest.mark.skipif(
    jax.device_count() < N, reason="the test below plays these in a process that has the devices"
)
several = pytest.mark.parametrize(
    "name",
    [
        "bn_team",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("mad_gan", *GAMES)
            if name != "bn_team"
        ),
    ],
)


@pytest.mark.parametrize("which", ["not slow", pytest.param("slow", marks=pytest.mark.slow)])
@pytest.mark.skipif(jax.device_count() >= N, reason="this process has the devices")
def test_on_four_virtual_devices(which: str) -> None:
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={N}"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", which, __file__]
    done = subprocess.run(
        command,
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


@pytest.fixture(autouse=True)
def _larger_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(games, "B", BATCH)
    monkeypatch.setattr(games, "DRAW", partial(data.draw, n=BATCH))


def setting(name: str) -> tuple[Game, Any]:
    """The game and its data."""
    if name == "mad_gan":
        options = mad_gan.Options(k=3, width=16, z=8, batch=BATCH, lr=1e-3)
        return mad_gan.game((2,), options), data.find("ring").load()
    return GAMES[name]()


def compiled(game: Game, data: Any, n: int) -> tuple[Any, play.State]:
    """One step for n devices, compiled, and the state after it."""
    with sharding.use_devices(n):
        state, data = sharding.replicate((play.init(game, jax.random.key(0), data), data))
        step = jax.jit(partial(play.step, game)).lower(state, data).compile()
        return step, step(state, data)[0]


def close(together: Any, alone: Any) -> None:
    """Asserts that each leaf differs by at most 1e-5 of its norm; what an optimiser keeps, by 2e-5,
    as a square doubles an error.
    """
    for (path, x), y in zip(
        jax.tree.leaves_with_path(together), jax.tree.leaves(alone), strict=True
    ):
        if not jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            name, a, b = (
                jax.tree_util.keystr(path),
                np.asarray(x, np.float64),
                np.asarray(y, np.float64),
            )
            assert np.linalg.norm(a - b) <= (2e-5 if ".opt" in name else 1e-5) * np.linalg.norm(
                b
            ), name


def gathered(text: str) -> list[int]:
    """How many numbers each all-gather of a compiled program makes."""
    return [
        math.prod(map(int, filter(None, dims.split(","))))
        for dims in re.findall(r"\[([\d,]*)\]\S* all-gather", text)
    ]


@on_four
@several
def test_four_devices_and_one_make_the_same_step_with_a_quarter_of_the_work_each(name: str) -> None:
    game, data = setting(name)
    (one, alone), (four, together) = (compiled(game, data, n) for n in (1, N))
    assert all(
        leaf.is_fully_replicated and len(leaf.sharding.device_set) == N
        for leaf in jax.tree.leaves(together)
    )
    close(together, alone)
    assert "all-reduce" in four.as_text()
    if name not in ("cyclegan", "triple_gan"):  # a pool of images is whole on each device
        assert max(gathered(four.as_text()), default=0) <= BATCH
    share = four.cost_analysis()["flops"] / one.cost_analysis()["flops"]
    assert 1 / N <= share < 0.36  # the optimiser's part is the same on each


@on_four
def test_a_population_lies_on_several_devices_too_and_the_mesh_ends_with_its_context() -> None:
    (game, data), keys = setting("mad_gan"), jax.vmap(jax.random.key)(jnp.arange(3))
    made = {}
    for n in (1, N, 1):
        with sharding.use_devices(n):
            assert sharding.device_count() == n
            made[n] = play.run(game, play.init(game, keys, data), data, 1)
        assert all(len(leaf.sharding.device_set) == n for leaf in jax.tree.leaves(made[n]))
    assert sharding.device_count() == 1
    close(made[N], made[1])


@on_four
@pytest.mark.parametrize(
    ("name", "mesh"),
    [
        pytest.param("bn_team", {"lanes": 4}, marks=pytest.mark.slow),
        ("mad_gan", {"data": 2, "lanes": 2}),
    ],
)
def test_lanes_are_divided_over_devices_and_talk_only_about_their_batches(
    name: str,
    mesh: dict[str, int],
) -> None:
    (game, data), keys = setting(name), jax.vmap(jax.random.key)(jnp.arange(4))
    alone, _ = play.run(game, play.init(game, keys, data), data, 2)
    with sharding.use_mesh(mesh):
        start = sharding.place(play.init(game, keys, data), data, population=True)
        compiled = play.dispatched.lower(game, *start).compile()
        together, _ = play.run(game, *start, 2)
    for leaf in jax.tree.leaves(together):
        assert len(leaf.sharding.device_set) == N
        assert leaf.addressable_data(0).shape == (4 // mesh["lanes"], *leaf.shape[1:])
    close(together, alone)
    text = str(compiled.as_text())
    assert ("all-reduce" in text) == ("data" in mesh)
    if "data" not in mesh:
        assert not any(
            moved in text for moved in ("all-gather", "all-to-all", "collective-permute")
        )


@on_four
def test_a_run_is_recorded_with_its_mesh_and_goes_on_to_its_bits_or_on_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ["run", TINY, "--quiet", "--no-cache", "--steps=10", "--every=2", "--save-every=5"]
    run += ["--seeds=4", "--lanes=vmap"]
    for name, mesh in (("four", ["--mesh=data=2,lanes=2"]), ("one", [])):
        with monkeypatch.context() as patch:
            patch.setattr(storage, "append_rows", signalled(3, signal.SIGTERM))
            assert call(*run, *mesh, "--out", tmp_path / name) == (143, "", "")
    device = read_record(tmp_path / "four").device
    assert (device["count"], device["mesh"]) == (4, {"data": 2, "lanes": 2})
    shutil.copytree(tmp_path / "four", tmp_path / "to one")
    assert call(*run, "--mesh=data=2,lanes=2", "--out", tmp_path / "whole") == (0, "", "")
    slopes = []
    ways: list[tuple[str, list[str], list[str]]] = [
        ("four", [], []),
        ("to one", ["--devices=1"], ["data=2,lanes=2", "data=1"]),
        ("one", ["--mesh=lanes=4"], ["data=1", "lanes=4"]),
    ]
    for name, mesh, moved in ways:
        status, out, err = call("resume", tmp_path / name, "--quiet", *mesh)
        assert (status, out) == (0, "")
        said = f"with other bits: mesh {moved[0]} is now {moved[1]}\n" if moved else ""
        assert err.endswith(said)
        assert err.count("\n") == bool(moved)
        changes = storage.read_changes(tmp_path / name)
        assert [each["changed"] for each in changes] == ([{"mesh": moved}] if moved else [])
        rows = storage.read_rows(tmp_path / name / "metrics.jsonl")
        assert [(r["step"], r["seed"]) for r in rows] == [
            (step, seed) for step in range(2, 11, 2) for seed in range(4)
        ]
        slopes.append(np.array([row["slope"] for row in rows]))
    np.testing.assert_allclose(slopes[1], slopes[0], rtol=1e-3)
    np.testing.assert_allclose(slopes[2], slopes[0], rtol=1e-3)
    assert outcome(tmp_path / "four") == outcome(tmp_path / "whole")


@on_four
def test_a_batch_that_cannot_be_cut_is_one_line(tmp_path: Path) -> None:
    status, out, err = call(
        "run", TINY, "--quiet", "--no-cache", "--devices", 3, "--out", tmp_path / "run"
    )
    assert (status, out, err) == (
        2,
        "",
        "ganjax: a batch of 8 cannot be cut into 3 equal parts, one for each device\n",
    )
    assert not (tmp_path / "run").exists()


@on_four
@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["--mesh=lanes=4", "--seeds=6"], "6 lanes cannot be cut into 4 equal parts: --mesh lanes"),
        (
            ["--mesh=lanes=4", "--seeds=4", "--lanes=sequential"],
            "a mesh with lanes divides lanes that are played together: --lanes vmap, or data=N",
        ),
    ],
)
def test_lanes_that_cannot_be_divided_are_one_line(
    argv: list[str], told: str, tmp_path: Path
) -> None:
    run = ["run", TINY, "--quiet", "--no-cache", "--out", tmp_path / "run"]
    assert call(*run, *argv) == (2, "", f"ganjax: {told}\n")
    assert not (tmp_path / "run").exists()
