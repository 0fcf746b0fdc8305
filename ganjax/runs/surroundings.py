"""What a command sets for its process: its terminal, Matplotlib, and how JAX starts."""

from __future__ import annotations

import ctypes
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ganjax.data.cache import places
from ganjax.runs.arguments import Parser
from ganjax.runs.portable import fix_caches, set_environment

NVIDIA = ("/dev/nvidia0", "/dev/nvidiactl", "/proc/driver/nvidia/version")

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # glibc's malloc.h
MOST = 2**31 - 1

if TYPE_CHECKING:
    from ganjax.runs.hosts import Meeting


def set_surroundings() -> None:
    """Makes a command independent of its terminal's letters, and of how Matplotlib is set up."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    os.environ |= {"MPLBACKEND": "agg", "MATPLOTLIBRC": os.devnull}
    sys.unraisablehook = _report
    sys.excepthook = _tell


def _report(unraisable: Any) -> None:
    # What writes a checkpoint reports to a loop that has ended, once a part of it failed; the
    # failure itself is raised where it belongs.
    if str(unraisable.exc_value) != "Event loop is closed":
        sys.__unraisablehook__(unraisable)


def _tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    # the same, of threads that Python did not start
    if str(error) != "Event loop is closed":
        sys.__excepthook__(kind, error, trace)


def start(cache: bool, fast: bool, meeting: Meeting | None = None, portable: bool = False) -> None:
    """Sets what JAX reads when it starts: determinism on GPU, the compilation cache.

    meeting: where the processes of the run meet; None where there is one. portable: see
    `ganjax.runs.portable`. Raises as `hosts.meet`, and as that module does.
    """
    if portable:
        set_environment(os.environ)
    _keep_freed_memory()
    flags, deterministic = os.environ.get("XLA_FLAGS", ""), "--xla_gpu_deterministic_ops=true"
    if not fast and deterministic not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {deterministic}".strip()
    import jax

    for place in places("xla-portable" if portable else "xla") if cache else []:
        jax.config.update("jax_compilation_cache_dir", str(place))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)  # many small ones
    if meeting is not None:
        from ganjax.runs import hosts

        hosts.meet(meeting)
    if portable:
        fix_caches()
    if jax.default_backend() == "gpu":
        state = "off (--fast)" if fast else "on; --fast gives them up"
        print(f"deterministic operations: {state}", file=sys.stderr)


def _keep_freed_memory() -> None:
    # A step on CPU takes its buffers from glibc, which gives large ones back to the system at once:
    # the next step meets each page anew, which cost 6 to 10 % of a step.
    if sys.platform == "linux" and hasattr(glibc := ctypes.CDLL(None), "gnu_get_libc_version"):
        for option, value in ((M_MMAP_THRESHOLD, MOST), (M_TRIM_THRESHOLD, MOST), (M_ARENA_MAX, 1)):
            glibc.mallopt(option, value)


def devices(argv: Sequence[str]) -> int:
    """`ganjax devices`: what JAX found, and what to install where a GPU is there but not used."""
    about = "What JAX computes on."
    Parser(prog="ganjax devices", description=about).parse(argv)
    import jax

    for device in jax.devices():
        stats = device.memory_stats() or {}
        limit = f", {stats['bytes_limit'] / 2**30:.1f} GiB" if "bytes_limit" in stats else ""
        print(f"{device.id}: {device.platform}, {device.device_kind}{limit}")
    if jax.default_backend() == "cpu" and any(Path(place).exists() for place in NVIDIA):
        print(
            "an NVIDIA GPU is there but JAX does not use it: pip install 'ganjax[cuda13]' (or "
            "cuda12, by its driver)"
        )
    return 0
