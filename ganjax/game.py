"""Games: players, what each of them minimises, and who moves when."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from jax import Array
from jax.typing import ArrayLike

from ganjax.player import Bound, Player, Tree

__all__ = ["Bound", "Game", "Player", "Tree", "Turn"]


@dataclass(frozen=True)
class Turn:
    """Who moves at once; with `when(step, log) -> bool`, only where it holds, on the newest value
    of everything logged.

    Before the first step every logged value is 0.
    """

    movers: tuple[str, ...]
    when: Callable[[Array, Mapping[str, Array]], Array] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "movers", (self.movers,) if isinstance(self.movers, str) else tuple(self.movers)
        )


@dataclass(frozen=True, eq=False)
class Game:
    """Players, what each of them minimises, and who moves when.

    `losses(batch, key, *, G, D, ..., [step], [memory]) -> {player: scalar, ...logged scalars,
    ["memory": tree]}` is pure. Each mover is differentiated in its own parameters only, so between
    players it needs no stop_gradient.

    Raises ValueError, one line, where the names of players, of the arguments of `losses` and in the
    turns do not agree.
    """

    players: Mapping[str, Player]
    losses: Callable[..., Mapping[str, Any]]
    turns: Sequence[Sequence[str] | Turn]
    draw: Callable[[Any, Array], Any]  # (data, key) -> batch
    memory: Callable[[], Tree] | None = None  # the first memory
    fresh: Literal["step", "turn"] = (
        "step"  # is the batch and the noise key drawn once a step or once a turn
    )

    def __post_init__(self) -> None:
        turns = tuple(t if isinstance(t, Turn) else Turn(t) for t in self.turns)  # type: ignore[arg-type]
        object.__setattr__(self, "turns", turns)
        there = f"the players are {', '.join(self.players)}"
        if not turns or not all(t.movers for t in turns):
            raise ValueError(f"turns name no mover; {there}")
        for t in turns:
            if unknown := [name for name in t.movers if name not in self.players]:
                raise ValueError(f"turns name {unknown[0]!r}; {there}")
            if len(set(t.movers)) < len(t.movers):
                raise ValueError(f"a turn moves a player twice: {', '.join(t.movers)}")
        if self.fresh not in ("step", "turn"):
            raise ValueError(f"fresh is 'step' or 'turn'; got {self.fresh!r}")
        parameters = inspect.signature(self.losses).parameters.values()
        asked = {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY}
        takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters)
        for name, parameter in asked.items():
            if name == "memory" and self.memory is None:
                raise ValueError("losses asks for memory, but the game has no first memory")
            if parameter.default is parameter.empty and name not in {
                *self.players,
                "step",
                "memory",
            }:
                raise ValueError(
                    f"losses asks for {name!r}; {there}, and it may ask for step and memory"
                )
        if not takes_all and (missing := [name for name in self.players if name not in asked]):
            raise ValueError(
                f"losses does not take {missing[0]!r} as a keyword: write losses(batch, key, *, {', '.join(self.players)})"
            )
        if clash := {"step", "memory"} & set(self.players):
            raise ValueError(f"a player cannot be called {clash.pop()!r}")
        extras = {name for name in ("step", "memory") if name in asked}
        object.__setattr__(self, "_extras", extras)

    @property
    def movers(self) -> frozenset[str]:
        """The players that move at all."""
        return frozenset(name for turn in self.turns for name in turn.movers)  # type: ignore[union-attr]

    @property
    def convolves(self) -> bool:
        """Whether any player's net holds a convolution."""
        return any(player.convolves for player in self.players.values())

    def evaluate(
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
        bound = {
            name: player.bind(params[name], aux.get(name), name=name)
            for name, player in self.players.items()
        }
        extra = {
            name: value
            for name, value in (("step", step), ("memory", memory))
            if name in self._extras
        }  # type: ignore[attr-defined]
        return dict(self.losses(batch, key, **bound, **extra))
