"""GMAM: which of two trained systems of generator and discriminators has the better generator
(Durugkar et al. 2017, section 5).
"""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

Columns = dict[str, dict[str, list[float | None]]]


def gmam(value: Float[Array, "M M *rest"]) -> Float[Array, "M M *rest"]:
    """log[(F^a_{G_b} / F^a_{G_a}) / (F^b_{G_a} / F^b_{G_b})] for all pairs of M systems, [M, M,
    ...]; above 0: b has the better generator.

    value[a, b] = F^a_{G_b}: system a's aggregate of its discriminators' values of G_b, all below
    0, on one real batch for all. The result is antisymmetric in a and b. (The paper prints its
    fourth F with a's superscript; b's is meant, as in the authors' GMAM.py.)
    """
    log = jnp.log(-value)
    own = jnp.diagonal(log, axis1=0, axis2=1)  # [..., M]
    own = jnp.moveaxis(own, -1, 0)  # [M, ...]
    return log - own[:, None] - jnp.swapaxes(log, 0, 1) + own[None]


def gmam_table(value: Array, names: Sequence[str]) -> Columns:
    """A row for each of M systems, {"score", "against A": a number for each seed}, for value [M, M,
    S, batches]; above 0: the row's generator is better.

    The paper's table 1, transposed: the mean of `gmam` over the batches, and the score of a system,
    the sum over its opponents. A number that is not finite becomes None. Raises ValueError for an
    array of another shape, and for values that are not below 0.
    """
    M = len(names)
    if value.ndim != 4 or value.shape[:2] != (M, M) or not value.size:
        raise ValueError(
            f"values of {M} systems are wanted as [{M}, {M}, seeds, batches], "
            f"not {list(value.shape)}"
        )
    if bool((value >= 0).any()):
        raise ValueError("values of the original objective are below 0, and some of these are not")
    found = np.asarray(gmam(value).mean(-1), np.float64)  # [M, M, S]
    rows = {}
    for j, name in enumerate(names):
        numbers = {"score": found[:, j].sum(0)} | {
            f"against {other}": found[i, j] for i, other in enumerate(names) if i != j
        }
        rows[name] = {
            column: [float(v) if np.isfinite(v) else None for v in by_seed]
            for column, by_seed in numbers.items()
        }
    return rows
