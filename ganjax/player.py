"""Players: a network with its optimiser, alone or as a team, and the same with parameters in hand.

`Player` is the static description. `Bound` is a player with parameters: what a paper writes as
G(z) or D(x), and all that a function `losses` works with.
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
from jaxtyping import Key, Shaped

from ganjax import keys, sharding, team
from ganjax.team import Tree

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Player:
    """A network with its optimiser; with `n`, a team of n members with one stacked tree [n, ...].

    net: a Flax Linen module, called as net(*inputs, **per). Without a key it evaluates: it may drop
        out only where `self.has_rng("dropout")`. Its variables of the collection "aux" (a power
        iteration's vector, say) are updated once a turn.
    tx: its Optax optimiser; the members of a team have a state each
    sees: the shape of one input without its batch axis; a tuple of shapes for several inputs, which
        share their leading axes (labels are one-hot); None for a player of parameters only
    n: members of the team; None for a single player, which has no team axis anywhere
    shared: top-level submodules of which the team has a single copy
    per: keyword arguments of the net that differ between the members and are not learned, [n] each
    prior: (key, shape) -> array; draws the noise, which is the first input
    ema: decay of the averaged parameters, in [0, 1); 0 keeps none
    dtype: of the computation; None computes in the parameters' float32
    form: how a team is compiled, by vmap or member by member; the numbers agree to rounding

    Raises ValueError where the fields contradict each other.
    """

    net: nn.Module
    tx: optax.GradientTransformation
    sees: Shape | tuple[Shape, ...] | None
    n: int | None = None
    shared: tuple[str, ...] = ()
    per: Mapping[str, ArrayLike] = field(default_factory=dict)
    prior: Callable[[Array, Shape], Array] = jax.random.normal
    ema: float = 0.0
    dtype: DTypeLike | None = None
    form: Literal["auto", "vmap", "unroll"] = "auto"

    def __post_init__(self) -> None:
        if not isinstance(self.net, nn.Module):
            kind = f"{type(self.net).__module__}.{type(self.net).__qualname__}"
            raise ValueError(f"net is a Flax Linen module (flax.linen.Module); got a {kind}")
        if self.n is not None and self.n < 1:
            raise ValueError(f"a team has n >= 1 members; got n={self.n}")
        if self.n is None and self.shared:
            raise ValueError(f"shared={self.shared} needs a team: give n")
        if self.sees is not None and not isinstance(self.sees, tuple):
            raise ValueError(f"sees is a shape, a tuple of shapes, or None; got {self.sees!r}")
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema is a decay in [0, 1); got {self.ema}")
        for name, value in self.per.items():
            shape = jnp.shape(value)
            if self.n is not None and shape[:1] != (self.n,):
                raise ValueError(
                    f"per[{name!r}] needs one entry for each of {self.n} members; it is {shape}"
                )

    @property
    def inputs(self) -> tuple[Shape, ...]:
        """The shape of each input without its batch axis; empty for a player of parameters only."""
        if self.sees is None:
            return ()
        several = bool(self.sees) and all(isinstance(shape, tuple) for shape in self.sees)
        return self.sees if several else (self.sees,)  # type: ignore[return-value]

    @functools.cached_property
    def convolves(self) -> bool:
        """Whether the net holds a convolution; found in the program of its first call."""
        return team.convolves(jax.make_jaxpr(self._init_member)(jax.random.key(0)).jaxpr)

    @functools.cached_property
    def apply(self) -> Callable[..., Any]:
        """(method, variables, per, key, *inputs) -> output, of a player or a member; it is traced
        once for inputs of one shape, and is a part of each program that calls it.
        """

        def apply(method: str | None, variables: Tree, per: Tree, key: Any, *xs: ArrayLike) -> Any:
            variables, xs = team.cast((variables, xs), self.dtype)
            rngs = None if key is None else {"dropout": key}
            per = {**self.per, **per}  # a single player's own are no tracers
            out = self.net.apply(variables, *xs, **per, rngs=rngs, method=method)
            return team.cast(out, self.dtype and jnp.float32)

        return jax.jit(apply, static_argnums=0, inline=True)

    @property
    def unrolled(self) -> bool:
        """Whether the team is compiled member by member: by default where it convolves, as vmap
        makes grouped convolutions, which are slow.
        """
        return self.form == "unroll" or (self.form == "auto" and self.convolves)

    def init(self, key: Key[Array, ""]) -> tuple[Tree, Tree]:
        """Parameters and aux. A team's own leaves are [n, ...], its shared ones have no team axis.

        Raises ValueError for an unknown name in `shared`, and where everything is shared.
        """
        if self.n is None:
            variables = self._init_member(key)
        else:
            variables = jax.vmap(self._init_member)(keys.members(key, self.n))
            if not set(variables["params"]) - set(self.shared):
                raise ValueError("a team shares all of its submodules: make it a single player")
            if unknown := set(self.shared) - set(variables["params"]):
                raise ValueError(
                    f"shared names no top-level submodule: {sorted(unknown)}; "
                    f"there are {sorted(variables['params'])}"
                )
            variables = team.share(variables, self.shared)
        return variables["params"], variables.get("aux", {})

    def bind(
        self, params: Tree, aux: Tree | None = None, stats: Tree | None = None, name: str = "player"
    ) -> Bound:
        """The player with parameters in hand; `stats` are standing statistics, which normalisation
        layers use instead of the batch's. `name` is for error messages and PRNG streams.
        """
        return Bound(self, {"params": params, "aux": aux or {}, "stats": stats or {}}, name)

    def init_opt(self, params: Tree) -> Tree:
        """The optimiser's first state; a team's is {"own": [n, ...], "shared": ...}."""
        if self.n is None:
            return self.tx.init(params)
        own, shared = team.split(params, self.shared)
        return {"own": jax.vmap(self.tx.init)(own), "shared": self.tx.init(shared)}

    def update(self, grads: Tree, opt: Tree, params: Tree) -> tuple[Tree, Tree]:
        """One update, (params, optimiser state): of each member, and one of what they share."""
        if self.n is None:
            updates, opt = self.tx.update(grads, opt, params)
        else:
            own, shared = team.split(params, self.shared)
            own_grads, shared_grads = team.split(grads, self.shared)
            own_updates, own_opt = jax.vmap(self.tx.update)(own_grads, opt["own"], own)
            shared_updates, shared_opt = self.tx.update(shared_grads, opt["shared"], shared)
            updates = own_updates | shared_updates
            opt = {"own": own_opt, "shared": shared_opt}
        return optax.apply_updates(params, updates), opt

    def collect(self, params: Tree, aux: Tree, collection: str, *xs: ArrayLike) -> Tree:
        """What a call on xs, [B, *sees] each, writes to a collection, "aux" or "stats"."""

        def member(variables: Tree, per: Tree) -> Tree:
            _, written = self.net.apply(variables, *xs, **per, mutable=[collection])
            return written.get(collection, {})

        variables = {"params": params, "aux": aux}
        per = dict(self.per)
        if self.n is None:
            return member(variables, per)
        written = jax.vmap(member, (team.axes(variables, self.shared), 0))(variables, per)
        return team.share({collection: written}, self.shared)[collection]

    def zero_inputs(self) -> tuple[Array, ...]:
        """A batch of one for each input, all zeros, [1, *sees]."""
        return tuple(jnp.zeros((1, *shape)) for shape in self.inputs)

    def _init_member(self, key: Array) -> Tree:
        first = (lambda value: value) if self.n is None else (lambda value: jnp.asarray(value)[0])
        per: dict[str, Any] = {name: first(value) for name, value in self.per.items()}
        return self.net.init(key, *self.zero_inputs(), **per)


class Bound(struct.PyTreeNode):
    """A player with parameters, called as papers write it: G(z), D(x). A pytree of variables."""

    player: Player = struct.field(pytree_node=False)
    variables: Tree
    name: str = struct.field(pytree_node=False, default="player")

    @property
    def n(self) -> int:
        """The number of members of the team. Raises ValueError for a single player."""
        if self.player.n is None:
            raise ValueError(f"{self.name} is a single player and has no n")
        return self.player.n

    @property
    def params(self) -> Tree:
        """The parameters; a team's own leaves are [n, ...]."""
        return self.variables["params"]

    def __call__(
        self, *xs: ArrayLike, key: Key[Array, ""] | None = None, method: str | None = None
    ) -> Any:
        """The net's output, [B, ..., *sees] -> [B, ..., (n,) *out]; all members see the same input.

        Axes between B and the input are mapped over, so that normalisation never mixes them.
        Without a key the net evaluates; with one it drops out. `method` names another method of
        the net, its features for example. Raises ValueError for a wrong shape.
        """
        return self._call(xs, key, method, each=False)

    def each(
        self, *xs: ArrayLike, key: Key[Array, ""] | None = None, method: str | None = None
    ) -> Any:
        """As a call, but member i sees input i: [B, ..., n, *sees] -> [B, ..., n, *out]."""
        if self.player.n is None:
            raise ValueError(f"{self.name}.each needs a team; {self.name} is a single player")
        if not xs:
            raise ValueError(f"{self.name}.each needs an input for each member")
        return self._call(xs, key, method, each=True)

    def noise(self, key: Key[Array, ""], B: int, each: bool = True) -> Shaped[Array, "B ..."]:
        """A batch of noise from the player's prior, [B, (n,) *sees].

        With each=False all members of a team have the same noise, [B, *sees].
        """
        if not self.player.inputs:
            raise ValueError(f"{self.name} sees no input, so it has no noise")
        key = keys.stream(key, self.name, "noise")

        def draw(key: Array) -> Array:
            return self.player.prior(key, (B, *self.player.inputs[0]))

        if self.player.n is None or not each:
            return sharding.shard_batch(draw(key))
        return sharding.shard_batch(jax.vmap(draw, out_axes=1)(keys.members(key, self.n)))

    def extra_axes(self, xs: tuple[ArrayLike, ...], each: bool = False) -> int:
        """The number of axes between B and the input; with `each`, the members' axis is one.

        Raises ValueError where the shapes are not those that the player sees.
        """
        shapes = self.player.inputs
        given = tuple(jnp.shape(x) for x in xs)
        leads = {x[: len(x) - len(shape)] for x, shape in zip(given, shapes)}
        lead = next(iter(leads), (0,))
        fits = (
            len(given) == len(shapes)
            and all(x[len(x) - len(shape) :] == shape for x, shape in zip(given, shapes))
            and len(leads) <= 1
            and len(lead) >= 1 + each
            and (not each or lead[-1] == self.player.n)
        )
        if not fits:
            axes = f"[B, ..., {self.n}, *shape]" if each else "[B, ..., *shape]"
            raise ValueError(f"{self.name} sees {shapes} as {axes}; got {given}")
        return len(lead) - 1

    def _call(self, xs: Any, key: Array | None, method: str | None, each: bool) -> Any:
        axes = self.extra_axes(xs, each) - each
        stream = None if key is None else keys.stream(key, self.name)
        return self._map(self._members(method, each), axes)(stream, *xs)

    def _members(self, method: str | None, each: bool) -> Callable[..., Any]:
        """(key, *inputs [B, (n,) *sees]) -> output [B, (n,) *out], of a player or of a team."""
        player, n = self.player, self.player.n
        batch_axis = 0 if player.sees is None else 1
        member = functools.partial(player.apply, method)

        def members(key: Array | None, *xs: ArrayLike) -> Any:
            if n is None:
                return member(self.variables, {}, key, *xs)
            member_keys = None if key is None else keys.members(key, n)
            own = team.axes(self.variables, player.shared)
            axes = (own, 0, 0, *[1 if each else None] * len(xs))
            call = team.vmap(member, axes, batch_axis, n if player.unrolled else None)
            return call(self.variables, dict(player.per), member_keys, *xs)

        return members

    def _map(self, call: Callable[..., Any], axes: int) -> Callable[..., Any]:
        """The call mapped over the axes between B and the input, each index with its own key."""
        if axes == 0:
            return call
        inner = self._map(call, axes - 1)

        def mapped(key: Array | None, *xs: ArrayLike) -> Any:
            n = jnp.shape(xs[0])[1]
            index_keys = None if key is None else keys.members(key, n)
            # vmap would merge the axis with B, as its minor part; over several devices a
            # convolution then gathers the whole batch.
            unroll = sharding.device_count() > 1 and self.player.convolves
            call = team.vmap(inner, (0, *[1] * len(xs)), 1, n if unroll else None)
            return call(index_keys, *xs)

        return mapped
