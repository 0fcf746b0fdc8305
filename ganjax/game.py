"""Games: players, the loss of each of them, and who moves when."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from ganjax import dynamics
from ganjax.player import Bound, Player, Tree

__all__ = ["Bound", "Game", "Player", "Tree", "Turn"]


@dataclass(frozen=True)
class Turn:
    """Players that move at the same time, on a condition.

    movers: their names
    when: (step, log) -> bool; the turn is taken only where it holds. `log` has the newest value of
        everything logged, and 0 before the first step. None: always.
    """

    movers: tuple[str, ...]
    when: Callable[[Array, Mapping[str, Array]], Array] | None = None


@dataclass(frozen=True, eq=False)
class Game:
    """Players, the loss of each of them, and who moves when.

    players: by name, such as "G" and "D"
    losses: losses(batch, key, *, G, D, ..., [step], [memory]) -> {"G": scalar, "D": scalar, ...},
        a pure function. It returns the loss of each mover, further scalars to log and, where the
        game has a memory, the next one as "memory". Each mover is differentiated in its own
        parameters only, so no stop_gradient is needed between players.
    turns: of one step, in their order: a list of the players that move at the same time, or a Turn
        where they move on a condition. [["D"], ["G"]]: D moves, then G.
    draw: (data, key) -> batch
    memory: makes the first memory; None for a game without one
    fresh: whether the batch and the noise are drawn anew once a "step" or for each "turn"
    dynamics: what the movers of a turn make of the field, `ganjax.dynamics.consensus(10)` say

    Raises ValueError, one line, where the names of players, of the arguments of `losses` and in the
    turns do not agree, and where the dynamics needs other turns or players.
    """

    players: Mapping[str, Player]
    losses: Callable[..., Mapping[str, Any]]
    turns: Sequence[Sequence[str] | Turn]
    draw: Callable[[Any, Array], Any]
    memory: Callable[[], Tree] | None = None
    fresh: Literal["step", "turn"] = "step"
    dynamics: dynamics.Dynamics = dynamics.simultaneous

    def __post_init__(self) -> None:
        there = f"the players are {', '.join(self.players)}"
        movers = [t.movers if isinstance(t, Turn) else t for t in self.turns]
        if any(isinstance(names, str) for names in (self.turns, *movers)):
            raise ValueError(
                f"turns are lists of players, such as [['D'], ['G']]; got {self.turns!r}"
            )
        if not movers or not all(movers):
            raise ValueError(f"turns name no mover; {there}")
        for names in movers:
            if unknown := [name for name in names if name not in self.players]:
                raise ValueError(f"turns name {unknown[0]!r}; {there}")
            if len(set(names)) < len(names):
                raise ValueError(f"a turn moves a player twice: {', '.join(names)}")
        if self.fresh not in ("step", "turn"):
            raise ValueError(f"fresh is 'step' or 'turn'; got {self.fresh!r}")
        if "memory" in self._keywords and self.memory is None:
            raise ValueError("losses asks for memory, but the game has no first memory")
        known = {*self.players, "step", "memory"}
        for name, parameter in self._keywords.items():
            if parameter.default is parameter.empty and name not in known:
                raise ValueError(
                    f"losses asks for {name!r}; {there}, and it may ask for step and memory"
                )
        parameters = inspect.signature(self.losses).parameters.values()
        takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters)
        missing = [name for name in self.players if name not in self._keywords]
        if missing and not takes_all:
            raise ValueError(
                f"losses does not take {missing[0]!r} as a keyword: "
                f"write losses(batch, key, *, {', '.join(self.players)})"
            )
        if clash := {"step", "memory"} & set(self.players):
            raise ValueError(f"a player cannot be called {clash.pop()!r}")
        for names in movers if self.dynamics.together else ():
            if len(names) == 1:
                raise ValueError(
                    f"{self.dynamics.name} adjusts players that move at the same time, such as "
                    f"[['D', 'G']]; {names[0]} moves alone"
                )
        if unknown := [name for name in self.dynamics.through if name not in self.players]:
            raise ValueError(f"{self.dynamics.name} looks through steps of {unknown[0]!r}; {there}")

    def along(self, text: str) -> Game:
        """The game whose movers all move at the same time, along the dynamics of a text, NAME or
        NAME:NUMBER; "alternating" gives each a turn of its own, in their order.

        Raises ValueError, one line, for an unknown text, where a turn has a condition, and where a
        player moves twice in a step.
        """
        chosen = named_dynamics(text)
        movers = [name for turn in self.schedule for name in turn.movers]
        if any(turn.when for turn in self.schedule):
            raise ValueError(f"dynamics {text}: this game's turns have conditions, so they stay")
        if twice := [name for name in movers if movers.count(name) > 1]:
            raise ValueError(f"dynamics {text}: {twice[0]} moves {movers.count(twice[0])} times a "
                             "step, so the turns stay")  # fmt: skip
        turns = [[name] for name in movers] if text == "alternating" else [movers]
        return replace(self, turns=turns, dynamics=chosen)

    @functools.cached_property
    def schedule(self) -> tuple[Turn, ...]:
        """The turns of one step, each as a Turn."""
        return tuple(t if isinstance(t, Turn) else Turn(tuple(t)) for t in self.turns)

    @property
    def movers(self) -> frozenset[str]:
        """The players that move at all."""
        return frozenset(name for turn in self.schedule for name in turn.movers)

    @property
    def convolves(self) -> bool:
        """Whether any player's net holds a convolution."""
        return any(player.convolves for player in self.players.values())

    def apply(
        self,
        params: Tree,
        batch: Any,
        key: Array,
        *,
        aux: Tree,
        step: ArrayLike = 0,
        memory: Tree = None,
    ) -> dict[str, Any]:
        """What `losses` returns for these parameters."""
        arguments: dict[str, Any] = {
            name: player.bind(params[name], aux.get(name), name=name)
            for name, player in self.players.items()
        }
        for name, value in (("step", step), ("memory", memory)):
            if name in self._keywords:
                arguments[name] = value
        return dict(self.losses(batch, key, **arguments))

    def check_losses(self, out: Mapping[str, Any], memory: Tree) -> None:
        """Raises ValueError, one line, where `losses` returned what the game cannot play with.

        out: what it returned, or its shapes
        memory: the first memory
        """
        for name in self.movers:
            if name not in out:
                raise ValueError(f"losses returns no loss of {name}; it returns {', '.join(out)}")
            if not jnp.issubdtype(out[name].dtype, jnp.floating):
                raise ValueError(f"the loss of {name} must be a float; it is {out[name].dtype}")
        if self.memory is None and "memory" in out:
            raise ValueError("losses returns a memory, but the game has no first memory")
        for name, value in out.items():
            if name != "memory" and jnp.shape(value) != ():
                raise ValueError(f"losses returns scalars; {name} has the shape {jnp.shape(value)}")
        if self.memory is not None:
            first, new = (
                jax.tree.map(lambda x: (x.shape, x.dtype), jax.eval_shape(lambda m=m: m))
                for m in (memory, out.get("memory"))
            )
            if first != new:
                raise ValueError(
                    f"losses must return a memory like the first one, {first}; got {new}"
                )

    @functools.cached_property
    def _keywords(self) -> Mapping[str, inspect.Parameter]:
        """The keyword arguments of `losses`."""
        parameters = inspect.signature(self.losses).parameters.values()
        return {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY}


NAMED: dict[str, Callable[..., dynamics.Dynamics]] = {
    f.__name__: f
    for f in (
        dynamics.extragradient, dynamics.past, dynamics.optimistic, dynamics.consensus,
        dynamics.symplectic, dynamics.competitive, dynamics.lola, dynamics.unrolled,
    )
}  # fmt: skip
TURNS = ("simultaneous", "alternating")  # who moves when; each along his own gradient


def named_dynamics(text: str) -> dynamics.Dynamics:
    """The dynamics of a text, NAME or NAME:NUMBER. Raises ValueError, one line, for another."""
    name, colon, number = text.partition(":")
    if name not in (*TURNS, *NAMED):
        raise ValueError(f"there is no dynamics {name!r}: there are {', '.join((*TURNS, *NAMED))}")
    if name in TURNS:
        if colon:
            raise ValueError(f"dynamics {name} takes no number; got {text!r}")
        return dynamics.simultaneous
    default = next(iter(inspect.signature(NAMED[name]).parameters.values())).default
    if not colon and default is inspect.Parameter.empty:
        raise ValueError(f"dynamics {name} needs a number, {name}:0.1 for example")
    kind: Any = int if isinstance(default, int) else float
    try:
        value = kind(number) if colon else default
    except ValueError:
        value = -1
    if not 0 <= value < math.inf:
        what = "a whole number" if kind is int else "a number"
        raise ValueError(f"dynamics {name} takes {what}, 0 or more; got {text!r}")
    return NAMED[name](value)
