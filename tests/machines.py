"""Small Boltzmann machines, and their energies by sums over pairs of units."""

from __future__ import annotations

from itertools import product
from typing import Any

import jax.numpy as jnp
import numpy as np

from ganjax.nets.boltzmann import Machine


def machine_of(
    V: int, H: int, scale: float = 1.0, classes: int = 0, within: bool = False
) -> Machine:
    """A machine of random weights and biases."""
    rng = np.random.default_rng(V + H)
    b, c, W = (scale * rng.normal(size=size) for size in ((V,), (H,), (V, H)))
    L, J = (np.triu(scale * rng.normal(size=(n, n)), 1) for n in (V, H))
    connected = {"L": jnp.float32(L + L.T), "J": jnp.float32(J + J.T)} if within else {}
    return Machine(jnp.float32(b), jnp.float32(c), jnp.float32(W), **connected, classes=classes)


def all_states(n: int, classes: int = 0) -> np.ndarray:
    """Every state of n units, of which the last `classes` are one-hot, float64."""
    plain = np.array(list(product([0.0, 1.0], repeat=n - classes))).reshape(-1, n - classes)
    if not classes:
        return plain
    return np.array([[*x, *label] for x in plain for label in np.eye(classes)])


def energies(m: Machine, classes: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All v, all h, and E of each pair, by sums over pairs of units in float64."""
    b, c, W = (np.asarray(a, np.float64) for a in (m.b, m.c, m.W))
    vs, hs = all_states(len(b), classes), all_states(len(c))
    E = -(vs @ b)[:, None] - hs @ c - vs @ W @ hs.T
    for i in range(len(b)):
        for j in range(i):
            E -= float(m.L[i, j] if m.L is not None else 0) * (vs[:, i] * vs[:, j])[:, None]
    for i in range(len(c)):
        for j in range(i):
            E -= float(m.J[i, j] if m.J is not None else 0) * hs[:, i] * hs[:, j]
    return vs, hs, E


def close(a: Any, b: Any, atol: float = 2e-5) -> None:
    np.testing.assert_allclose(np.asarray(a, np.float64), b, rtol=1e-5, atol=atol)
