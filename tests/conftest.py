"""Settings for all tests: compiled in a hurry, as most of a test's time is compilation, and cached
between runs.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault(
    "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import jax

jax.config.update(
    "jax_compilation_cache_dir",
    str(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ganjax" / "tests"),
)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)

# The experiments are imported as a user's own files are: by name, from their folder.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "experiments"))
