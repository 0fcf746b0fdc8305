"""The same bits on every x86-64 processor with AVX2: what a run is compiled and played with.

What would differ, and what is done about it: vector instructions newer than AVX, and how the
compiler tunes for a processor's name (one limit below every such processor); an approximate
reciprocal root that each maker has its own of; kernels chosen at run time; how many threads share a
product; and by which sizes of caches Eigen cuts the sums of products and convolutions.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

FLAGS = {
    "xla_cpu_max_isa": "AVX",
    "xla_cpu_enable_platform_dependent_math": "false",
    "xla_cpu_experimental_ynn_fusion_type": "",
    "xla_cpu_use_xnnpack": "false",
    "xla_cpu_use_onednn": "false",
}
# Eigen's products are oneDNN's, whatever XLA's flags say; NPROC is XLA's number of threads. LAPACK
# is that of SciPy's OpenBLAS, which reads its settings when JAX first loads it.
ENVIRONMENT = {
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
    "OPENBLAS_NUM_THREADS": "1",
    "NPROC": "2",
}
CACHES = (32 * 2**10, 2**20, 32 * 2**20)  # bytes that Eigen takes for L1, L2 and L3
LIBRARY = "libjax_common"


def set_environment(environment: dict[str, str] | os._Environ[str]) -> None:
    """Sets what JAX reads when it starts. Raises ValueError, one line, where the user's own
    settings are other ones, or the processor is of another kind.
    """
    machine, info = platform.machine(), Path("/proc/cpuinfo")
    if machine not in ("x86_64", "AMD64"):
        raise ValueError(f"--portable is for x86-64 processors with AVX2; this is {machine}")
    if info.is_file() and not re.search(r"\bavx2\b", info.read_text()):
        raise ValueError("--portable is for x86-64 processors with AVX2; this one has none")
    for name, value in ENVIRONMENT.items():
        if environment.get(name, value) != value:
            raise ValueError(f"--portable sets {name} to {value}, and it is {environment[name]}")
    flags = environment.get("XLA_FLAGS", "")
    own = {name: value for name, _, value in map(_parted, flags.split())}
    for name, value in FLAGS.items():
        if own.get(name, value) != value:
            raise ValueError(f"--portable sets --{name}={value}, and XLA_FLAGS has {own[name]!r}")
    new = [f"--{name}={value}" for name, value in FLAGS.items() if name not in own]
    environment["XLA_FLAGS"] = " ".join([*flags.split(), *new])
    for name, value in ENVIRONMENT.items():
        environment[name] = value


def _parted(flag: str) -> tuple[str, str, str]:
    return flag.lstrip("-").partition("=")


def fix_caches(sizes: tuple[int, int, int] = CACHES) -> None:
    """Lets Eigen cut sums as on a processor with these caches, from now on in this process.

    Eigen asks the processor once, has no setting that reaches it in jaxlib, and keeps the three
    sizes in memory, which is where they are replaced. Raises ValueError, one line, where JAX does
    not compute on a CPU, or the sizes are not found in exactly one place.
    """
    import jax

    if (backend := jax.default_backend()) != "cpu":
        raise ValueError(
            f"--portable is for CPUs, and JAX computes on {backend}: JAX_PLATFORMS=cpu"
        )
    ones = np.ones((64, 512), np.float32)
    jax.jit(lambda x: x @ x.T)(ones).block_until_ready()  # Eigen asks at its first product
    places = list(_places())
    if len(places) != 1:
        raise ValueError(
            f"--portable: jaxlib {jax.lib.__version__} keeps the sizes of caches in a way that is "
            f"not known ({len(places)} places)"
        )
    ctypes.memmove(places[0], np.array(sizes, np.int64).tobytes(), 24)


def _places(kib: int = 2**10) -> Iterator[int]:
    """Addresses of three whole numbers in jaxlib's variables that can be sizes of caches."""
    for low, high in _variables(Path("/proc/self/maps")):
        x = np.frombuffer(ctypes.string_at(low, high - low), np.int64)
        l1, l2, l3 = x[:-2], x[1:-1], x[2:]
        fits = (l1 >= 16 * kib) & (l1 <= 256 * kib) & (l1 % (4 * kib) == 0)
        fits &= (l2 >= 128 * kib) & (l2 <= 2**26) & (l2 % (64 * kib) == 0)
        fits &= (l3 >= 256 * kib) & (l3 <= 2**32) & (l3 % (64 * kib) == 0) & (l3 >= l2)
        yield from (low + 8 * int(i) for i in np.flatnonzero(fits))


def _variables(maps: Path) -> Iterator[tuple[int, int]]:
    """The writable memory of jaxlib's library, and what follows it without a name."""
    before = ""
    for line in maps.read_text().splitlines() if maps.is_file() else []:
        place, mode, _, _, _, *name = line.split(maxsplit=5)
        before = name[0] if name else before
        if "w" in mode and LIBRARY in before:
            low, high = (int(part, 16) for part in place.split("-"))
            yield low, high
        if not name:
            before = ""


def kind(environment: Mapping[str, str]) -> str:
    """The processor's name, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.*)", info.read_text()) if info.is_file() else []
    return names[0] if names else environment.get("PROCESSOR_IDENTIFIER", platform.machine())
