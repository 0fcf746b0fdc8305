"""Runs with --portable: what they are compiled with, what is refused, and the recorded bits."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import pytest
from runs import EXPERIMENTS, TINY, call

from ganjax.runs import portable
from ganjax.runs.record import read_record
from ganjax.runs.surroundings import start
from ganjax.tables import checking

FOLDER = Path(__file__).parent.parent / "experiments"
KEY = f"cpu, jaxlib {jax.lib.__version__}, portable"
x86 = pytest.mark.skipif(
    not re.search(r"\bavx2\b", Path("/proc/cpuinfo").read_text())
    if Path("/proc/cpuinfo").is_file()
    else True,
    reason="no x86-64 processor with AVX2 and /proc",
)
recorded = pytest.mark.skipif(
    KEY not in checking.read(FOLDER / checking.DIGESTS), reason=f"no digests of {KEY}"
)


def python(*argv: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """A process of Python with the flags that users get."""
    env = {n: v for n, v in os.environ.items() if n not in {"XLA_FLAGS", *portable.ENVIRONMENT}}
    command = [sys.executable, *map(str, argv)]
    return subprocess.run(command, env=env | environment, capture_output=True, text=True)


def ganjax(*argv: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command in such a process."""
    return python("-m", "ganjax", *argv, **environment)


@x86
def test_flags_are_added_to_the_users_own_and_refused_where_they_clash() -> None:
    environment = {"XLA_FLAGS": "--xla_dump_to=here --xla_cpu_max_isa=AVX"}
    portable.set_environment(environment)
    flags = environment["XLA_FLAGS"].split()
    assert flags[:2] == ["--xla_dump_to=here", "--xla_cpu_max_isa=AVX"]
    assert sorted(flags[1:]) == sorted(f"--{n}={v}" for n, v in portable.FLAGS.items())
    again = dict(environment)
    portable.set_environment(again)
    assert again == environment
    for name, value in (("XLA_FLAGS", "--xla_cpu_use_onednn=true"), ("NPROC", "3")):
        with pytest.raises(ValueError, match="--portable sets"):
            portable.set_environment({name: value})


def test_it_is_refused_on_other_processors_and_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portable.platform, "machine", lambda: "arm64")
    with pytest.raises(ValueError, match="this is arm64"):
        portable.set_environment({})
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    with pytest.raises(ValueError, match="JAX computes on gpu"):
        portable.fix_caches()


PRODUCTS = """
import os, sys
from ganjax.runs import portable
portable.set_environment(os.environ)
import jax, numpy as np
x = np.random.default_rng(0).normal(size=(16, 3000)).astype(np.float32)
for l1 in (32, 64, 32):
    portable.fix_caches((l1 * 2**10, 2**20, 2**25))
    print(np.asarray(jax.jit(lambda a, b: a @ b.T)(x[:8], x[8:])).tobytes().hex())
"""


@x86
def test_sums_are_cut_by_the_sizes_that_are_set() -> None:
    """If jaxlib kept the sizes elsewhere, the middle product would have the bits of the others."""
    done = python("-c", PRODUCTS, JAX_PLATFORMS="cpu")
    assert done.returncode == 0, done.stderr
    first, other, last = done.stdout.split()
    assert first == last != other


FACTORS = """
import os, sys
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:int(sys.argv[1])])
from ganjax.runs import portable
portable.set_environment(os.environ)
assert "scipy" not in sys.modules
import jax, numpy as np
x = np.random.default_rng(0).normal(size=(200, 200)).astype(np.float32)
print(np.asarray(jax.numpy.linalg.eigh(x @ x.T)[1]).tobytes().hex())
"""


@x86
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core")
def test_factors_are_those_of_one_core() -> None:
    """SciPy's LAPACK shares a factorisation among threads, unless it is told not to before."""
    one, two = (python("-c", FACTORS, n, JAX_PLATFORMS="cpu") for n in (1, 2))
    assert one.returncode == two.returncode == 0, one.stderr + two.stderr
    assert one.stdout == two.stdout


@pytest.mark.slow
@x86
def test_a_run_is_portable_to_its_end_and_is_compiled_apart(tmp_path: Path) -> None:
    out, cache = tmp_path / "run", {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    run = ("run", TINY, "--steps", 4, "--save-every", 2, "--quiet", "--out", out)
    done = ganjax(*run, "--portable", JAX_PLATFORMS="cpu", **cache)
    assert done.returncode == 0, done.stderr
    assert read_record(out).portable
    assert not (tmp_path / "cache" / "ganjax" / "xla").exists()
    digest = json.loads((out / "digest.json").read_text())["params"]
    (out / "digest.json").unlink()
    for path in (out / "checkpoints").glob("4"):
        path.rename(tmp_path / "aside")
    done = ganjax("resume", out, "--quiet", JAX_PLATFORMS="cpu", **cache)
    assert done.returncode == 0, done.stderr
    assert json.loads((out / "digest.json").read_text())["params"] == digest
    assert not (tmp_path / "cache" / "ganjax" / "xla").exists()


def test_programs_of_portable_runs_have_a_cache_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("ganjax.runs.surroundings.set_environment", lambda _: None)
    monkeypatch.setattr("ganjax.runs.surroundings.fix_caches", lambda: None)
    before = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
    try:
        for one in (True, False):
            start(cache=True, fast=False, portable=one)
            folder = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
            assert Path(folder).name == ("xla-portable" if one else "xla")
    finally:
        jax.config.update("jax_compilation_cache_dir", before)


def test_a_check_says_what_is_new_what_differs_and_what_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("experiments").mkdir()
    made = {"gan": checking.Made({"params": "a", "metrics": "b"}, {"G": 1.0})}
    later = {(): {"G": 2.0}, ("--portable",): {"G": 2.002}}  # by the options of the run

    def played(name: str, flags: list[str], steps: int = checking.STEPS) -> checking.Made:
        if steps == checking.STEPS:
            return made[name]
        return checking.Made({}, later[tuple(flags)], seconds=seconds)

    seconds = 1.0
    monkeypatch.setattr(checking, "play", played)
    words = ("reproduce", "all", "--quick", "--check", "--only", "gan")
    status, out, _ = call(*words)
    assert (status, "no digest for gan; written with --update" in out) == (0, True)
    assert call(*words, "--update")[0] == 0
    assert checking.read(Path("experiments/losses.json")) == {"gan": {"G": 1.0}}
    rows = checking.read(Path("experiments/later_losses.json"))
    assert rows == {"gan": {"losses": {"G": 2.002}, "within": pytest.approx(0.02 / 2.002)}}
    assert call(*words)[0] == 0
    later["--portable",] = {"G": 2.021}
    assert call(*words)[0] == 0
    for wrong in (2.023, 1.981, float("nan")):
        later["--portable",] = {"G": wrong}
        status, out, _ = call(*words)
        assert (status, f"; G is {wrong} at step 100, recorded 2.002" in out) == (1, True)
        assert "0 ok, 1 differ, 0 new, 0 failed" in out
    later["--portable",], seconds = {"G": 2.0}, 100.0
    assert call(*words, "--update")[0] == 0
    assert checking.read(Path("experiments/later_losses.json")) == {}
    made["gan"] = checking.Made({"params": "c", "metrics": "b"}, {"G": 1.0})
    status, out, _ = call(*words)
    assert (status, out.splitlines()[0].split()[1:3]) == (1, ["differs:", "params"])
    made["gan"] = checking.Made({}, {}, "no memory")
    status, out, _ = call(*words)
    assert (status, out.splitlines()[0].split()[1:]) == (1, ["failed:", "no", "memory"])
    status, _, err = call("reproduce", "all", "--check")
    assert (status, "--quick" in err) == (2, True)


@x86
@recorded
@pytest.mark.parametrize("name", ["boltzmann", "dynamics", "perceptron"])
def test_the_bits_are_those_that_were_recorded(name: str) -> None:
    made = checking.play(name, ["--portable"])
    assert made.failure == ""
    assert made.digest == checking.read(FOLDER / checking.DIGESTS)[KEY][name]


@pytest.mark.slow
@x86
@recorded
def test_the_bits_of_every_experiment_are_those_that_were_recorded() -> None:
    assert checking.read(FOLDER / checking.DIGESTS)[KEY].keys() == {
        file.name for file in EXPERIMENTS.values()
    }
    done = ganjax("reproduce", "all", "--quick", "--check", JAX_PLATFORMS="cpu")
    assert done.returncode == 0, done.stdout + done.stderr
