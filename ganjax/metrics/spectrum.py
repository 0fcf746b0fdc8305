"""Eigenvalues of a linear map of which only products are known. Pure functions."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Complex, Float, Key

Product = Callable[[Float[Array, " n"]], Float[Array, " n"]]


def eigenvalues(matrix: Float[Array, "n n"]) -> Complex[Array, " n"]:
    """All eigenvalues, the largest in modulus first, of a pair the one above the axis first.

    NumPy finds them on the host, as accelerators may lack the routine.
    """
    n = len(matrix)
    values = jax.pure_callback(
        lambda a: np.linalg.eigvals(np.asarray(a, np.float64)).astype(np.complex64),
        jax.ShapeDtypeStruct((n,), jnp.complex64),
        matrix,
        vmap_method="sequential",
    )
    # rounded, so that a pair does not change places
    size = jnp.round(jnp.log2(jnp.abs(values) + 1e-30), 4)
    return values[jnp.lexsort((-values.imag, -size))]


def exact(product: Product, n: int) -> Complex[Array, " n"]:
    """All eigenvalues of a map of n numbers, from its products with the n unit vectors."""
    return eigenvalues(jax.lax.map(product, jnp.eye(n)).T)


def arnoldi(
    product: Product, n: int, key: Key[Array, ""], steps: int = 30
) -> Complex[Array, " steps"]:
    """Ritz values: eigenvalues of the map on the Krylov space of a random vector. Arnoldi 1951.

    The largest and the outermost of them come near eigenvalues first; `scipy.sparse.linalg.eigs`
    restarts the same process until they do, but is no program that JAX can compile. Each vector is
    made orthogonal twice, as once is not enough in float32.
    """

    def step(basis: Array, i: Array) -> tuple[Array, Array]:
        w = product(basis[i])
        column = jnp.zeros(steps)
        for _ in range(2):
            part = basis[:-1] @ w
            w, column = w - part @ basis[:-1], column + part
        norm = jnp.linalg.norm(w)
        # an invariant space is complete: what is left is rounding
        left = jnp.where(norm > 1e-5 * jnp.linalg.norm(column), norm, 0.0)
        basis = basis.at[i + 1].set(jnp.where(left > 0, w / jnp.maximum(norm, 1e-30), 0.0))
        return basis, jnp.append(column, 0.0).at[i + 1].set(left)

    first = jax.random.normal(key, (n,))
    basis = jnp.zeros((steps + 1, n)).at[0].set(first / jnp.linalg.norm(first))
    _, columns = jax.lax.scan(step, basis, jnp.arange(steps))
    return eigenvalues(columns.T[:steps])
