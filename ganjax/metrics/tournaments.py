"""GMAM: which of two trained systems of generator and discriminators has the better generator (Durugkar et al. 2017, section 5)."""

import jax.numpy as jnp
from jax import Array


def gmam(value: Array) -> Array:
    """log[(F^a_{G_b} / F^a_{G_a}) / (F^b_{G_a} / F^b_{G_b})] for all pairs of M systems, [M, M, ...]; above 0: b has the better generator.

    value [M, M, ...]: value[a, b] = F^a_{G_b}, what system a's aggregate makes of its discriminators' values of G_b; all below 0, on the
    same real batch for all. The result is antisymmetric in a and b. (The paper's fourth F is printed with a's superscript; b's is meant,
    as in the authors' GMAM.py.)
    """
    log = jnp.log(-value)
    own = jnp.diagonal(log, axis1=0, axis2=1)  # [..., M]
    own = jnp.moveaxis(own, -1, 0)  # [M, ...]
    return log - own[:, None] - jnp.swapaxes(log, 0, 1) + own[None]


def tournament(value: Array) -> dict[str, Array]:
    """{"mean", "sd": [M, M] of `gmam` over batches, n - 1 in the denominator, "score": [M]} for value [M, M, batches].

    The paper's Table 1: row a is the opponent, column b the variant, and the score of a variant the sum of its column. Its authors take
    5 batches. Raises ValueError for an array of another shape, fewer than two batches, and values that are not below 0.
    """
    if value.ndim != 3 or value.shape[0] != value.shape[1] or value.shape[2] < 2:
        raise ValueError(f"values are wanted as [M, M, batches] with two batches or more, not {list(value.shape)}")
    if not bool((value < 0).all()):
        raise ValueError("values of the original objective are below 0, and some of these are not")
    found = gmam(value)
    return {"mean": found.mean(-1), "sd": found.std(-1, ddof=1), "score": found.mean(-1).sum(0)}
