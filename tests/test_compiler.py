"""The compiler at the flags that users get: compiled numbers are those of NumPy."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
import jax, jax.numpy as jnp, numpy as np

rows = np.zeros((32_769, 3), np.float32)
rows[:, 0] = np.arange(len(rows))
lengths = jax.vmap(lambda row: ((jnp.eye(3) @ row) ** 2).sum())
expected = rows[:, 0].astype(np.float64) ** 2
for function in (lengths, jax.jit(lengths)):
    np.testing.assert_allclose(function(rows), expected, rtol=1e-6)
"""


def test_a_matrix_times_each_row_squared_and_summed() -> None:
    """https://github.com/jax-ml/jax/issues/39103: under jaxlib 0.10.2, jit on CPU gives the last of
    32,769 rows another row's value. That release is excluded in pyproject.toml.
    """
    env = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=env | {"JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
