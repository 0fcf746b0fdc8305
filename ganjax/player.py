"""Players and teams: networks with their optimisers, and what a paper writes once they have
parameters.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax import Array
from jax.typing import ArrayLike, DTypeLike

from ganjax import keys, sharding

Shape = tuple[int, ...]
Tree = Any  # a pytree of arrays


@dataclass(frozen=True, eq=False)
class Player:
    """A network with its optimiser; with `n`, a team of n members whose parameters are one stacked
    tree [n, ...].

    The inputs of a conditional player share their leading axes; labels are given one-hot.

    A net is a Flax Linen module called as net(*inputs, **per). Without a key it evaluates: it drops
    out only where `self.has_rng("dropout")`. Variables of its collection "aux" (say, a power
    iteration's vector) move once a turn.

    Raises ValueError where the fields contradict each other.
    """

    net: nn.Module
    tx: optax.GradientTransformation
    sees: (
        Shape | tuple[Shape, ...] | None
        # of one input, without its batch axis; several for a conditional player; None: parameters only
    )
    n: int | None = None  # members of the team; None: a single player, and no team axis anywhere
    shared: tuple[str, ...] = ()  # top-level submodules of which the team has one copy
    per: Mapping[str, ArrayLike] = field(
        default_factory=dict
    )  # what differs between members and is no parameter: [n] each
    prior: Callable[[Array, Shape], Array] = (
        jax.random.normal
    )  # draws the first input, where that is noise
    ema: float = 0.0  # decay of the average of the parameters; 0: none is kept
    dtype: DTypeLike | None = None  # of the computation; None: as the parameters, float32
    form: Literal["auto", "vmap", "unroll"] = (
        "auto"  # how a team is compiled; the numbers are the same
    )

    def __post_init__(self) -> None:
        if self.n is not None and self.n < 1:
            raise ValueError(f"a team has n >= 1 members; got n={self.n}")
        if self.n is None and self.shared:
            raise ValueError(f"shared={self.shared} needs a team: give n")
        if self.sees is not None and not isinstance(self.sees, tuple):
            raise ValueError(
                f"sees is the shape of an input, a tuple, or a tuple of shapes, or None; got {self.sees!r}"
            )
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema is a decay in [0, 1); got {self.ema}")
        for name, value in self.per.items():
            if self.n is not None and jnp.shape(value)[:1] != (self.n,):
                raise ValueError(
                    f"per[{name!r}] needs one entry for each of {self.n} members; its shape is {jnp.shape(value)}"
                )

    @property
    def inputs(self) -> tuple[Shape, ...]:
        """The shape of each input, without its batch axis; empty for a player of parameters only."""
        if self.sees is None:
            return ()
        several = bool(self.sees) and all(isinstance(shape, tuple) for shape in self.sees)
        return self.sees if several else (self.sees,)  # type: ignore[return-value]

    @functools.cached_property
    def convolves(self) -> bool:
        """Whether the net holds a convolution, found by tracing it."""
        return "conv_general_dilated" in str(jax.make_jaxpr(self._init_member)(jax.random.key(0)))

    @property
    def unrolled(self) -> bool:
        """Whether the team is compiled member by member: vmap would turn convolutions into slow
        grouped ones.
        """
        return self.form == "unroll" or (self.form == "auto" and self.convolves)

    def init(self, key: Array) -> tuple[Tree, Tree]:
        """Parameters and aux; own leaves [n, ...], shared ones without a team axis. Raises
        ValueError on an unknown `shared` name.
        """
        if self.n is None:
            variables = self._init_member(key)
        else:
            variables = jax.vmap(self._init_member)(keys.members(key, self.n))
            if not set(variables["params"]) - set(self.shared):
                raise ValueError(
                    "a team shares all of its submodules: leave some of their own, or make it a single player"
                )
            if unknown := set(self.shared) - set(variables["params"]):
                raise ValueError(
                    f"shared names no top-level submodule: {sorted(unknown)}; there are {sorted(variables['params'])}"
                )
            variables = self._pick(variables, 0, own=False)
        return variables["params"], variables.get("aux", {})

    def bind(
        self, params: Tree, aux: Tree | None = None, stats: Tree | None = None, name: str = "player"
    ) -> Bound:
        """The player with parameters in hand; `stats` are standing statistics of its normalisation
        layers.
        """
        return Bound(self, {"params": params, "aux": aux or {}, "stats": stats or {}}, name)

    def move(self, grads: Tree, opt: Tree, params: Tree) -> tuple[Tree, Tree]:
        """One update of the optimiser: (params, optimiser state). Members move apart, shared leaves
        once.
        """
        if self.n is None:
            updates, opt = self.tx.update(grads, opt, params)
        else:
            own, one = self._split(params)
            own_updates, own_opt = jax.vmap(self.tx.update)(self._split(grads)[0], opt["own"], own)
            one_updates, one_opt = self.tx.update(self._split(grads)[1], opt["shared"], one)
            updates, opt = own_updates | one_updates, {"own": own_opt, "shared": one_opt}
        return optax.apply_updates(params, updates), opt

    def rest(self, params: Tree) -> Tree:
        """The optimiser's first state."""
        if self.n is None:
            return self.tx.init(params)
        own, one = self._split(params)
        return {"own": jax.vmap(self.tx.init)(own), "shared": self.tx.init(one)}

    def collect(self, params: Tree, aux: Tree, collection: str, *xs: Array) -> Tree:
        """What the net writes to a collection when called on xs, [B, *sees] each: the next "aux",
        or the "stats" of a batch.
        """

        def member(variables: Tree, per: Tree) -> Tree:
            return self.net.apply(variables, *xs, **per, mutable=[collection])[1].get(
                collection, {}
            )

        variables, per = {"params": params, "aux": aux}, dict(self.per)
        if self.n is None:
            return member(variables, per)
        written = jax.vmap(member, (self._axes(variables), 0))(variables, per)
        return self._pick({collection: written}, 0, own=False)[collection]

    def zeros(self) -> tuple[Array, ...]:
        """One input of each kind, all zeros, [1, *sees] each."""
        return tuple(jnp.zeros((1, *shape)) for shape in self.inputs)

    def _init_member(self, key: Array) -> Tree:
        per: dict[str, Any] = {
            name: value if self.n is None else jnp.asarray(value)[0]
            for name, value in self.per.items()
        }
        return self.net.init(key, *self.zeros(), **per)

    def _own(self, collection: str, name: str) -> bool:
        # What reaches a shared normalisation layer may still differ between members, so its
        # statistics are never shared.
        return name not in self.shared or collection == "stats"

    def _axes(self, variables: Tree) -> Tree:
        return {
            c: {name: 0 if self._own(c, name) else None for name in tree}
            for c, tree in variables.items()
        }

    def _pick(self, variables: Tree, i: int, own: bool) -> Tree:
        """Member i of the own submodules (own=True), or of the shared ones (own=False); the others
        as they are.
        """
        return {
            c: {
                name: jax.tree.map(lambda leaf: leaf[i], sub) if self._own(c, name) == own else sub
                for name, sub in tree.items()
            }
            for c, tree in variables.items()
        }

    def _split(self, tree: Tree) -> tuple[Tree, Tree]:
        return {k: v for k, v in tree.items() if k not in self.shared}, {
            k: v for k, v in tree.items() if k in self.shared
        }


class Bound(struct.PyTreeNode):
    """A player with parameters in hand: what a paper writes as G(z), D(x). A pytree of its
    variables.
    """

    player: Player = struct.field(pytree_node=False)
    variables: Tree
    name: str = struct.field(pytree_node=False, default="player")

    @property
    def n(self) -> int:
        """Members of the team. Raises ValueError for a single player."""
        if self.player.n is None:
            raise ValueError(f"{self.name} is a single player and has no n")
        return self.player.n

    @property
    def params(self) -> Tree:
        """The parameters, own leaves [n, ...]."""
        return self.variables["params"]

    def __call__(self, *xs: Array, key: Array | None = None, method: str | None = None) -> Array:
        """The net's output, [B, ..., *sees] -> [B, ..., (n,) *out]; every member sees the same
        input.

        Without a key it evaluates; with one it drops out. `method` names another method of the net,
        say its features. Axes between B and the input are kept apart: normalisation never mixes
        them. Raises ValueError on a wrong shape.
        """
        return self._over(self._team(method, each=False), self.lead(xs, 0))(self._stream(key), *xs)

    def each(self, *xs: Array, key: Array | None = None, method: str | None = None) -> Array:
        """As a call, but member i sees input i: [B, ..., n, *sees] -> [B, ..., n, *out]."""
        if self.player.n is None:
            raise ValueError(f"{self.name}.each needs a team; {self.name} is a single player")
        if not xs:
            raise ValueError(f"{self.name}.each needs an input for each member")
        return self._over(self._team(method, each=True), self.lead(xs, 1) - 1)(
            self._stream(key), *xs
        )

    def noise(self, key: Array, B: int, each: bool = True) -> Array:
        """A batch of the player's first input from its prior, [B, (n,) *sees]; each=False: [B,
        *sees], one for all members.
        """
        if not self.player.inputs:
            raise ValueError(f"{self.name} sees no input, so it has no noise")
        shape, key = self.player.inputs[0], keys.stream(key, self.name, "noise")
        if self.player.n is None or not each:
            return sharding.spread(self.player.prior(key, (B, *shape)))
        return sharding.spread(
            jax.vmap(lambda key: self.player.prior(key, (B, *shape)), out_axes=1)(
                keys.members(key, self.n)
            )
        )

    def _stream(self, key: Array | None) -> Array | None:
        return None if key is None else keys.stream(key, self.name)

    def lead(self, xs: tuple[Array, ...], team: int = 0) -> int:
        """How many axes stand between B and the input (and the team, if team=1). Raises ValueError
        where a shape does not fit.
        """
        shapes, leads = (
            self.player.inputs,
            {jnp.shape(x)[: jnp.ndim(x) - len(s)] for x, s in zip(xs, self.player.inputs)},
        )
        right = len(xs) == len(shapes) and all(
            jnp.shape(x)[jnp.ndim(x) - len(s) :] == s for x, s in zip(xs, shapes)
        )
        lead = next(iter(leads), (0,))
        if (
            not right
            or len(leads) > 1
            or len(lead) < 1 + team
            or (team and lead[-1] != self.player.n)
        ):
            axes = f"[B, ..., {self.n}, *shape]" if team else "[B, ..., *shape]"
            raise ValueError(
                f"{self.name} sees {shapes} as {axes}; got {tuple(jnp.shape(x) for x in xs)}"
            )
        return len(lead) - 1

    def _team(self, method: str | None, each: bool) -> Callable[..., Array]:
        player, n, batch = self.player, self.player.n, 0 if self.player.sees is None else 1
        axes = (player._axes(self.variables), 0, 0)

        def member(variables: Tree, per: Tree, key: Array | None, *xs: Array) -> Array:
            variables, xs = _cast((variables, xs), player.dtype)
            rngs = None if key is None else {"dropout": key}
            return _cast(
                player.net.apply(variables, *xs, **per, rngs=rngs, method=method),
                player.dtype and jnp.float32,
            )

        def team(key: Array | None, *xs: Array) -> Array:
            if n is None:
                return member(self.variables, dict(player.per), key, *xs)
            per, keyed = dict(player.per), None if key is None else keys.members(key, n)
            if not player.unrolled:
                seen = [1 if each else None] * len(xs)
                call = jax.vmap(
                    member, (*axes[:2], None if key is None else 0, *seen), out_axes=batch
                )
                return call(self.variables, per, keyed, *xs)
            outs = [
                member(
                    player._pick(self.variables, i, own=True),
                    {name: value[i] for name, value in per.items()},  # type: ignore[index]
                    None if keyed is None else keyed[i],
                    *(x[:, i] if each else x for x in xs),
                )
                for i in range(n)
            ]
            return jax.tree.map(lambda *out: jnp.stack(out, batch), *outs)

        return team

    def _over(self, call: Callable[..., Array], axes: int) -> Callable[..., Array]:
        """The call mapped over the axes between B and the input, each index with a key of its own."""
        if axes == 0:
            return call
        inner = self._over(call, axes - 1)

        def mapped(key: Array | None, *xs: Array) -> Array:
            n = xs[0].shape[1]
            keyed = None if key is None else keys.members(key, n)
            # Under vmap a convolution merges the axis with B, as its slower part, and over a mesh
            # that gathers the whole batch.
            if sharding.devices() > 1 and self.player.convolves:
                outs = [
                    inner(None if keyed is None else keyed[i], *(x[:, i] for x in xs))
                    for i in range(n)
                ]
                return jax.tree.map(lambda *out: jnp.stack(out, 1), *outs)
            return jax.vmap(inner, (None if key is None else 0, *[1] * len(xs)), out_axes=1)(
                keyed, *xs
            )

        return mapped


def _cast(tree: Tree, dtype: DTypeLike | None) -> Tree:
    if dtype is None:
        return tree
    return jax.tree.map(
        lambda leaf: leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf, tree
    )
