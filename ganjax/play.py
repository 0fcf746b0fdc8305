"""Playing a game: its state, the vector field of its movers, a turn, a step, a run.

All is a pure function of game, data and seed. A State of S seeds has leaves [S, ...].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import struct
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Key

from ganjax import dynamics, sharding
from ganjax.game import Bound, Game, Tree
from ganjax.keys import stream

Log = dict[str, Array]

# The most steps in one compiled loop; more would only make its buffer of logs longer.
CAPACITY = 1024
# Steps in a compiled loop of fixed length, on an accelerator. A run shorter than this has long
# steps, where the loop costs nothing.
BLOCK = 256


class State(struct.PyTreeNode):
    """All that a game carries from step to step; dictionaries are by player."""

    step: Array  # int32; steps that were taken
    alive: Array  # bool; False once a mover's loss was not finite
    key: Array  # the seed's; it never changes while a game is played
    params: dict[str, Tree]
    opt: dict[str, Tree]  # states of the optimisers
    ema: dict[str, Tree]  # averaged parameters, of the players that keep them
    aux: dict[str, Tree]  # variables of the collection "aux", of the players that have some
    memory: Tree
    past: dict[str, Tree]  # the movers' last gradients, where the dynamics keeps them
    numbers: dict[str, Array]  # of the game, where the lanes of a population differ in some
    log: Log  # the newest value of everything logged; 0 before the first step


def init(
    game: Game, key: Key[Array, "*S"], data: Any, numbers: Mapping[str, Array] | None = None
) -> State:
    """The state before the first step. S keys give a population of S lanes.

    numbers: those in which the lanes' games differ, [S] each (`Game.settings`).

    Raises ValueError, one line, for a key that is not `jax.random.key(seed)`, and where shapes do
    not fit: a net and its inputs, a loss that is not a scalar, a memory that changes its shape.
    """
    template(game, key, data, numbers)
    state: State = _init_fast(game, key, data, dict(numbers or {}))
    return state


def template(
    game: Game, key: Key[Array, "*S"], data: Any, numbers: Mapping[str, Array] | None = None
) -> State:
    """The shapes of the state that `init` makes. Nothing is computed; raises as `init` does."""
    if not (isinstance(key, Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)):
        got = f"{key.dtype}{list(key.shape)}" if isinstance(key, Array) else repr(key)
        raise ValueError(f"the key is a typed one, jax.random.key(seed), or several; got {got}")
    shapes: State = _init_fast.eval_shape(game, key, data, dict(numbers or {}))  # traced once
    return shapes


def _init(game: Game, key: Array, data: Any, numbers: dict[str, Array]) -> State:
    """The first state of one key, or of a population."""
    if key.ndim:
        return jax.vmap(partial(_init, game), (0, None, 0))(key, data, numbers)
    game = game.at(numbers)
    variables = {
        name: player.init(stream(key, "init", name)) for name, player in game.players.items()
    }
    params = {name: p for name, (p, _) in variables.items()}
    aux = {name: a for name, (_, a) in variables.items() if a}
    memory = game.memory() if game.memory is not None else None
    rest = {"aux": aux, "step": jnp.int32(0), "memory": memory}
    out = jax.eval_shape(lambda: game.apply(params, game.draw(data, key), key, **rest))
    game.check_losses(out, memory)
    return State(
        step=jnp.int32(0),
        alive=jnp.bool_(True),
        key=jnp.copy(key),  # else jit returns its own input, and a run donates what it is given
        params=params,
        opt={name: player.init_opt(params[name]) for name, player in game.players.items()},
        ema={name: params[name] for name, player in game.players.items() if player.ema},
        aux=aux,
        memory=memory,
        past=game.dynamics.first({name: params[name] for name in game.movers}),
        numbers=jax.tree.map(jnp.copy, numbers),
        log={name: jnp.zeros((), value.dtype) for name, value in out.items() if name != "memory"},
    )


# A first state is made once, so the time that its program takes to compile is what counts.
_init_fast = jax.jit(
    _init, static_argnums=0, compiler_options={"xla_backend_optimization_level": 0}
)


def check(state: State) -> None:
    """Raises ValueError, one line, where a state is of no more use.

    That is where a player's parameters, their average or its aux are not finite, which names the
    player and the leaf, and where a mover's loss was not finite, so that nobody moves any more. It
    waits for the device: call it after a run, not after each step.
    """
    parts = {"params": state.params, "ema": state.ema, "aux": state.aux}
    for path, leaf in jax.tree_util.tree_leaves_with_path(parts):
        if not jnp.isfinite(leaf).all():
            leaf_ = f"state.{path[0].key}{jax.tree_util.keystr(path[1:])}"
            raise ValueError(f"{path[1].key} is not finite after step {state.step}: {leaf_}")
    if not state.alive.all():
        told = "a mover's loss was not finite and nobody moves any more; the log says whose"
        raise ValueError(f"the state stays at step {state.step}: {told}")


def field(
    game: Game,
    params: Mapping[str, Tree],
    batch: Any,
    key: Array,
    movers: Sequence[str],
    *,
    aux: Mapping[str, Tree] | None = None,
    step: ArrayLike = 0,
    memory: Tree = None,
) -> tuple[dict[str, Tree], dict[str, Any]]:
    """The vector field ξ = (∂ℓ_i/∂θ_i)_i by mover, and what `losses` returned."""

    def losses(params: dict[str, Tree]) -> dict[str, Any]:
        return game.apply(params, batch, key, aux=aux or {}, step=step, memory=memory)

    return dynamics.field(losses, dict(params), movers)


def turn(
    game: Game, batch: Any, movers: Sequence[str], state: State, key: Array, when: Any = None
) -> tuple[State, dict[str, Any]]:
    """The movers step at the same time along the field, or what the game's dynamics makes of it.

    Returns the new state, and what `losses` returned before they moved. The new memory is in the
    latter: a step puts it into the state at its end. Where a mover's loss is not finite, or a
    gradient that dynamics made, nobody moves, and the state is no longer alive; where `when` does
    not hold nobody moves.
    """
    rest = {"aux": state.aux, "step": state.step, "memory": state.memory}
    losses = partial(game.apply, batch=batch, key=stream(key, "loss"), **rest)
    at = (tuple(movers), state.params, state.opt, state.past, game.players)
    grads, out, kept = game.dynamics.adjust(dynamics.Moves(losses, *at))
    alive = state.alive & jnp.isfinite(jnp.stack([out[name] for name in movers])).all()
    if game.dynamics is not dynamics.simultaneous:
        alive &= dynamics.finite(grads)

    def moved() -> State:
        params, opt, ema, aux = map(dict, (state.params, state.opt, state.ema, state.aux))
        for name in movers:
            player = game.players[name]
            params[name], opt[name] = player.update(grads[name], opt[name], params[name])
            if name in ema:
                ema[name] = jax.tree.map(
                    lambda a, p, d=player.ema: d * a + (1 - d) * p, ema[name], params[name]
                )
            if name in aux:
                aux[name] = player.collect(params[name], aux[name], "aux", *player.zero_inputs())
        past = {**state.past, **(kept or {})}
        return state.replace(params=params, opt=opt, ema=ema, aux=aux, past=past)

    going = alive if when is None else alive & when
    alive = alive if when is None else alive | ~when & state.alive
    return _where(going, moved, state).replace(alive=alive), out


def _where(alive: Array, new: Callable[[], State], old: State) -> State:
    # On CPU a branch compiles faster than a select of every leaf. On an accelerator it would cost a
    # round trip to the host, and the select is fused with the update.
    if jax.default_backend() == "cpu":
        return jax.lax.cond(alive, new, lambda: old)
    return jax.tree.map(lambda a, b: b if a is b else jnp.where(alive, a, b), new(), old)


def _skip(game: Game, batch: Any, state: State, key: Array) -> tuple[State, dict[str, Any]]:
    """A turn whose condition does not hold: nobody moves, but the losses are computed."""
    rest = {"aux": state.aux, "step": state.step, "memory": state.memory}
    return state, game.apply(state.params, batch, stream(key, "loss"), **rest)


def step(game: Game, state: State, data: Any) -> tuple[State, Log]:
    """All turns of one step: the new state and its log.

    The log has each mover's loss before its own (last) turn, and of everything else the value in
    the last turn. Once a mover's loss is not finite nobody moves any more: the state stays at that
    step.
    """
    game, key = game.at(state.numbers), jax.random.fold_in(state.key, state.step)
    new, memory = state, state.memory
    for i, t in enumerate(game.schedule):
        if game.fresh == "turn" or i == 0:
            k = jax.random.fold_in(key, i) if game.fresh == "turn" else key
            # Without the barrier the compiler draws the batch again for each use of it.
            batch = jax.lax.optimization_barrier(
                sharding.shard_batch(game.draw(data, stream(k, "draw")))
            )
        when = None if t.when is None else t.when(new.step, new.log)
        take = partial(turn, game, batch, t.movers)
        # On CPU XLA runs convolutions slowly in a branch.
        if when is None or (game.convolves and jax.default_backend() == "cpu"):
            new, out = take(new, k, when)
        else:
            new, out = jax.lax.cond(when, take, partial(_skip, game, batch), new, k)
        memory = out.pop("memory", memory)
        logged = {n: v for n, v in out.items() if n in t.movers or n not in game.movers}
        new = new.replace(log={**new.log, **logged})
    before = (state.memory, state.log)
    memory, log = jax.tree.map(partial(jnp.where, new.alive), (memory, new.log), before)
    state = new.replace(step=new.step + new.alive, memory=memory, log=log)
    return sharding.keep_replicated(state), new.log


def _step(game: Game, state: State, data: Any) -> tuple[State, Log]:
    """`step` of one state or of a population."""
    one = partial(step, game)
    return (sharding.by_lane(jax.vmap(one, (0, None))) if state.step.ndim else one)(state, data)


def _loop(
    game: Game, state: State, data: Any, steps: ArrayLike, capacity: int
) -> tuple[State, Log]:
    logs = jax.tree.map(lambda x: jnp.zeros((capacity, *x.shape), x.dtype), state.log)

    def body(i: Array, carry: tuple[State, Log]) -> tuple[State, Log]:
        state, log = _step(game, carry[0], data)
        return state, jax.tree.map(lambda all, one: all.at[i].set(one), carry[1], log)

    return jax.lax.fori_loop(0, steps, body, (state, logs))


# The number of steps is an argument, so one program plays a run however it is split, to the same
# bits.
scanned = jax.jit(_loop, static_argnums=(0, 4), donate_argnums=1)
# Here the number of steps is known to the compiler. Otherwise an accelerator waits for the host
# after each step, to see whether the loop goes on.
_known = jax.jit(_loop, static_argnums=(0, 3, 4), donate_argnums=1)
dispatched = jax.jit(_step, static_argnums=0, donate_argnums=1)


def run(
    game: Game,
    state: State,
    data: Any,
    steps: int,
    form: Literal["auto", "scan", "dispatch"] = "auto",
) -> tuple[State, Log]:
    """Plays `steps` steps, compiled: the state after them, and the log of each step, [steps, (S)].

    The given state is donated: do not use it again. form: "scan" plays many steps in one program,
    "dispatch" each step by a call of its own. By default a game with convolutions is dispatched on
    CPU, where XLA runs them slowly in a loop, and every other game is scanned.
    """
    if form not in ("auto", "scan", "dispatch") or steps < 0:
        wanted = "a run plays 0 or more steps, its form is auto, scan or dispatch"
        raise ValueError(f"{wanted}; got {steps} steps, form {form!r}")
    if state.step.is_deleted():
        raise ValueError("this state was donated to a run: go on with the one that it returned")
    if form == "auto":
        form = "dispatch" if game.convolves and jax.default_backend() == "cpu" else "scan"
    state, data = sharding.place(state, data, population=state.step.ndim > 0)
    logs: list[Log] = []
    if form == "dispatch":
        for _ in range(steps):
            state, log = dispatched(game, state, data)
            logs.append(jax.tree.map(lambda x: x[None], log))
    else:
        known = 0 if jax.default_backend() == "cpu" else steps // BLOCK
        for _ in range(known):
            state, log = _known(game, state, data, BLOCK, BLOCK)
            logs.append(log)
        for done in range(known * BLOCK, steps, CAPACITY):
            n = min(CAPACITY, steps - done)
            state, log = scanned(game, state, data, jnp.int32(n), CAPACITY)
            logs.append(jax.tree.map(lambda x, n=n: x[:n], log))
    if not logs:
        return state, jax.tree.map(lambda x: jnp.zeros((0, *x.shape), x.dtype), state.log)
    return state, jax.tree.map(lambda *parts: jnp.concatenate(parts), *logs)


def bound(game: Game, state: State) -> dict[str, Bound]:
    """The players as they are evaluated and sampled, with averaged parameters if there are some."""
    return {
        name: p.bind(state.ema.get(name, state.params[name]), state.aux.get(name), name=name)
        for name, p in game.players.items()
    }
