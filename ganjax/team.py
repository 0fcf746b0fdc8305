"""Teams: one stacked tree of variables for all members, and calls that are mapped over them.

A tree of variables is {collection: {submodule: leaves}}. A submodule of which the members have
their own has leaves [n, ...]; one that they share has no team axis.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, jaxprs_in_params
from jax.typing import DTypeLike

Tree = Any  # a pytree of arrays


def axes(variables: Tree, shared: Collection[str]) -> Tree:
    """The axis of the members for each submodule, 0 or None, as `jax.vmap` takes it."""
    # What reaches a shared normalisation layer may still differ between members, so its
    # statistics are never shared.
    return {
        collection: {name: None if name in shared and collection != "stats" else 0 for name in tree}
        for collection, tree in variables.items()
    }


def share(variables: Tree, shared: Collection[str]) -> Tree:
    """The variables with the first member's copy of what is shared, and without its team axis."""

    def first(axis: int | None, tree: Tree) -> Tree:
        return tree if axis == 0 else jax.tree.map(lambda leaf: leaf[0], tree)

    return jax.tree.map(first, axes(variables, shared), variables, is_leaf=_is_none)


def split(tree: Tree, shared: Collection[str]) -> tuple[Tree, Tree]:
    """{submodule: leaves} in two: the members' own, and the shared ones."""
    own = {name: leaves for name, leaves in tree.items() if name not in shared}
    return own, {name: leaves for name, leaves in tree.items() if name in shared}


def vmap(
    call: Callable[..., Any], in_axes: tuple[Any, ...], out_axis: int, unroll: int | None = None
) -> Callable[..., Any]:
    """`jax.vmap(call, in_axes, out_axis)`; with `unroll`, the axis size, as that many calls."""
    if unroll is None:
        return jax.vmap(call, in_axes, out_axis)

    def entry(i: int, axis: int | None, tree: Tree) -> Tree:
        if axis is None:
            return tree
        return jax.tree.map(lambda leaf: leaf[(slice(None),) * axis + (i,)], tree)

    def calls(*args: Tree) -> Any:
        outs = [
            call(*jax.tree.map(partial(entry, i), in_axes, args, is_leaf=_is_none))
            for i in range(unroll)
        ]
        return jax.tree.map(lambda *out: jnp.stack(out, out_axis), *outs)

    return calls


def cast(tree: Tree, dtype: DTypeLike | None) -> Tree:
    """The tree with its floating leaves in dtype; with None as it is."""
    if dtype is None:
        return tree
    floating = lambda leaf: jnp.issubdtype(leaf.dtype, jnp.floating)  # noqa: E731
    return jax.tree.map(lambda leaf: leaf.astype(dtype) if floating(leaf) else leaf, tree)


def convolves(jaxpr: Jaxpr) -> bool:
    """Whether a program, or one that it calls, holds a convolution."""
    return any(
        equation.primitive.name == "conv_general_dilated"
        or any(convolves(inner) for inner in jaxprs_in_params(equation.params))
        for equation in jaxpr.eqns
    )


def _is_none(axis: Any) -> bool:
    return axis is None
