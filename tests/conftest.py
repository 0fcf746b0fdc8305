"""Settings for all tests: shapes and types are enforced, programs are compiled fast and cached."""

import inspect
import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault(
    "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import jax
import pytest
from jaxtyping import install_import_hook

jax.config.update(
    "jax_compilation_cache_dir",
    str(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ganjax" / "tests"),
)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)

# Modules and packages whose annotations beartype enforces. The hook must come before they are
# imported.
ENFORCED = (
    "ganjax.aggregates",
    "ganjax.attacks",
    "ganjax.data.audio",
    "ganjax.data.batches",
    "ganjax.data.mixtures",
    "ganjax.data.sequences",
    "ganjax.data.transforms",
    "ganjax.game",
    "ganjax.image_pool",
    "ganjax.keys",
    "ganjax.losses",
    "ganjax.metrics",
    "ganjax.optim",
    "ganjax.penalties",
    "ganjax.play",
    "ganjax.player",
    "ganjax.protocols",
    "ganjax.sharding",
    "ganjax.team",
)
install_import_hook(ENFORCED, "beartype.beartype")

# The experiments are imported as a user's own files are: by name, from their folder.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "experiments"))

# A State is a pytree, and a transformation may put anything in place of its leaves.
from ganjax.play import State  # noqa: E402

State.__init__ = inspect.unwrap(State.__init__)  # type: ignore[method-assign]

# Linux allows a process 65,530 mappings of memory, and each compiled program takes some: beyond
# them loading a program ends the process.
MAPPINGS = 35_000
tests_run = itertools.count(1)


@pytest.fixture(autouse=True)
def _few_programs() -> Iterator[None]:
    yield
    maps = Path("/proc/self/maps")
    if next(tests_run) % 20 == 0 and maps.exists() and maps.read_bytes().count(b"\n") > MAPPINGS:
        jax.clear_caches()
