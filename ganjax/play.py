"""One engine for every game: its state, the vector field of its movers, a turn, a step, a run.

Everything is a pure function of (game, data, seed); a population is a State with a leading axis of
seeds.
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

from ganjax import sharding
from ganjax.game import Bound, Game, Player, Tree
from ganjax.keys import stream

Log = dict[str, Array]

# Steps in one compiled loop: more only makes the buffer of logs longer.
CAPACITY = 1024
# Steps in a compiled loop whose length is known: many, as a game that plays fewer at once is one
# whose steps are long.
BLOCK = 256


class State(struct.PyTreeNode):
    """All that a game carries from step to step."""

    step: Array  # int32
    alive: Array  # bool; False once a mover's loss was not finite
    key: Array  # of the seed; never changes
    params: dict[str, Tree]
    opt: dict[str, Tree]  # of the optimisers
    ema: dict[str, Tree]  # averaged parameters, of the players that keep them
    aux: dict[str, Tree]  # of the nets that have some
    memory: Tree
    log: Log  # the newest value of all that was logged; zeros before the first step


def init(game: Game, key: Array, data: Any) -> State:
    """The state before the first step; keys [S] give a population of S seeds.

    Raises ValueError, one line, where shapes do not fit: a net and its inputs, a loss that is no
    scalar, a memory that changes shape.
    """
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        raise ValueError(
            f"init takes a typed key, jax.random.key(seed), or an array of them; got {key.dtype}{list(key.shape)}"
        )
    template(game, key, data)
    state = (_init_one if key.ndim == 0 else _init_population)(game, key, data)
    return jax.tree.map(
        jnp.copy, state
    )  # jit may hand back its own inputs, and a run donates what it is given


def template(game: Game, key: Array, data: Any) -> State:
    """The shapes of the state that `init` makes; nothing is computed. Raises ValueError as `init`
    does.
    """
    return jax.eval_shape(
        partial(_init, game) if key.ndim == 0 else jax.vmap(partial(_init, game), (0, None)),
        key,
        data,
    )


def _init(game: Game, key: Array, data: Any) -> State:
    variables = {
        name: player.init(stream(key, "init", name)) for name, player in game.players.items()
    }
    params = {name: p for name, (p, _) in variables.items()}
    aux = {name: a for name, (_, a) in variables.items() if a}
    memory = game.memory() if game.memory is not None else None
    log = jax.eval_shape(
        lambda: game.evaluate(
            params, game.draw(data, key), key, aux=aux, step=jnp.int32(0), memory=memory
        ),
    )
    _check(game, log, memory)
    return State(
        step=jnp.int32(0),
        alive=jnp.bool_(True),
        key=key,
        params=params,
        opt={name: player.rest(params[name]) for name, player in game.players.items()},
        ema={name: params[name] for name, player in game.players.items() if player.ema},
        aux=aux,
        memory=memory,
        log={name: jnp.zeros((), value.dtype) for name, value in log.items() if name != "memory"},
    )


# A first state is made once, so its program is compiled in a hurry.
_hurry = {"xla_backend_optimization_level": 0}
_init_one = jax.jit(_init, static_argnums=0, compiler_options=_hurry)
_init_population = jax.jit(
    jax.vmap(_init, (None, 0, None)), static_argnums=0, compiler_options=_hurry
)


def _check(game: Game, out: Mapping[str, Any], memory: Tree) -> None:
    for name in game.movers:
        if name not in out:
            raise ValueError(f"losses returns no loss of {name}; it returns {', '.join(out)}")
        if not jnp.issubdtype(out[name].dtype, jnp.floating):
            raise ValueError(f"the loss of {name} must be a float; it is {out[name].dtype}")
    if game.memory is None and "memory" in out:
        raise ValueError("losses returns a memory, but the game has no first memory")
    for name, value in out.items():
        if name != "memory" and jnp.shape(value) != ():
            raise ValueError(f"losses returns scalars; {name} has the shape {jnp.shape(value)}")
    if game.memory is not None:
        shapes = [
            jax.tree.map(lambda x: (x.shape, x.dtype), jax.eval_shape(lambda m=m: m))
            for m in (memory, out.get("memory"))
        ]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"losses must return a memory like the first one, {shapes[0]}; got {shapes[1]}"
            )


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
    """The vector field ξ = (∂ℓ_i/∂θ_i)_i of the movers, and what `losses` returned.

    Each mover differentiates `losses` by itself; the compiler finds what they share.
    """

    def loss(own: Tree, name: str) -> tuple[Array, dict[str, Any]]:
        out = game.evaluate(
            {**params, name: own}, batch, key, aux=aux or {}, step=step, memory=memory
        )
        return out[name], out

    turns = {name: jax.grad(loss, has_aux=True)(params[name], name) for name in movers}
    return {name: grads for name, (grads, _) in turns.items()}, turns[movers[0]][1]


def turn(
    game: Game, batch: Any, movers: Sequence[str], state: State, key: Array
) -> tuple[State, dict[str, Any]]:
    """The movers step at once along the field: the new state, and what `losses` returned before
    they moved.

    The new memory is in what was returned, not in the state: a step commits it at its end.
    """
    rest = {"aux": state.aux, "step": state.step, "memory": state.memory}
    grads, out = field(game, state.params, batch, stream(key, "loss"), movers, **rest)
    alive = state.alive & jnp.isfinite(jnp.stack([out[name] for name in movers])).all()

    def moved() -> State:
        params, opt, ema, aux = (
            dict(state.params),
            dict(state.opt),
            dict(state.ema),
            dict(state.aux),
        )
        for name in movers:
            player = game.players[name]
            params[name], opt[name] = player.move(grads[name], opt[name], params[name])
            if name in ema:
                ema[name] = jax.tree.map(
                    lambda a, p, d=player.ema: d * a + (1 - d) * p, ema[name], params[name]
                )
            if name in aux:
                aux[name] = player.collect(params[name], aux[name], "aux", *player.zeros())
        return state.replace(params=params, opt=opt, ema=ema, aux=aux)

    return _where(alive, moved, state).replace(alive=alive), out


def _where(alive: Array, new: Callable[[], State], old: State) -> State:
    # A branch compiles faster than a select of every leaf, but on an accelerator it costs a round
    # trip to the host, and there the select is fused with the update.
    if jax.default_backend() == "cpu":
        return jax.lax.cond(alive, new, lambda: old)
    return jax.tree.map(lambda a, b: b if a is b else jnp.where(alive, a, b), new(), old)


def _skip(game: Game, batch: Any, state: State, key: Array) -> tuple[State, dict[str, Any]]:
    """A turn whose condition does not hold: nobody moves, everything is looked at."""
    rest = {"aux": state.aux, "step": state.step, "memory": state.memory}
    return state, game.evaluate(state.params, batch, stream(key, "loss"), **rest)


def step(game: Game, state: State, data: Any) -> tuple[State, Log]:
    """All turns of one step. The log holds each mover's loss before its own (last) turn, and the
    last turn's value of everything else.

    A turn in which a mover's loss is not finite is not taken, and from then on nobody moves: the
    state stays at that step.
    """
    key = jax.random.fold_in(state.key, state.step)
    new, memory = state, state.memory
    for i, t in enumerate(game.turns):
        if game.fresh == "turn" or i == 0:
            k = jax.random.fold_in(key, i) if game.fresh == "turn" else key
            # Held fast, or the compiler draws anew for each of its readers.
            batch = jax.lax.optimization_barrier(
                sharding.spread(game.draw(data, stream(k, "draw")))
            )
        if t.when is None:  # type: ignore[union-attr]
            new, out = turn(game, batch, t.movers, new, k)  # type: ignore[union-attr]
        else:
            new, out = jax.lax.cond(
                t.when(new.step, new.log),  # type: ignore[union-attr]
                partial(turn, game, batch, t.movers),  # type: ignore[union-attr]
                partial(_skip, game, batch),
                new,
                k,
            )
        memory = out.pop("memory", memory)
        own = {
            name: value
            for name, value in out.items()
            if name in t.movers or name not in game.movers
        }  # type: ignore[union-attr]
        new = new.replace(log={**new.log, **own})
    memory, log = jax.tree.map(
        partial(jnp.where, new.alive), (memory, new.log), (state.memory, state.log)
    )
    return sharding.whole(new.replace(step=new.step + new.alive, memory=memory, log=log)), new.log


def _loop(
    game: Game, state: State, data: Any, steps: ArrayLike, capacity: int
) -> tuple[State, Log]:
    play = partial(step, game) if state.step.ndim == 0 else jax.vmap(partial(step, game), (0, None))
    logs = jax.tree.map(lambda x: jnp.zeros((capacity, *x.shape), x.dtype), state.log)

    def body(i: Array, carry: tuple[State, Log]) -> tuple[State, Log]:
        state, log = play(carry[0], data)
        return state, jax.tree.map(lambda all, one: all.at[i].set(one), carry[1], log)

    return jax.lax.fori_loop(0, steps, body, (state, logs))


# The number of steps is an argument, so that any split of a run is played by one program: the same
# bits.
_scanned = jax.jit(_loop, static_argnums=(0, 4), donate_argnums=1)
# An accelerator waits for the host to see whether a loop goes on, unless the number of steps is
# known when it is compiled.
_known = jax.jit(_loop, static_argnums=(0, 3, 4), donate_argnums=1)
_dispatched = jax.jit(
    lambda game, state, data: (
        partial(step, game) if state.step.ndim == 0 else jax.vmap(partial(step, game), (0, None))
    )(state, data),
    static_argnums=0,
    donate_argnums=1,
)


def run(
    game: Game,
    state: State,
    data: Any,
    steps: int,
    form: Literal["auto", "scan", "dispatch"] = "auto",
) -> tuple[State, Log]:
    """Plays `steps` steps: (state, log [steps] or, for a population, [steps, S]). Compiled; donates
    the state.

    A scan is one program for many steps; on CPU a game with convolutions is dispatched step by
    step, as they are slow in a loop there.
    """
    if form not in ("auto", "scan", "dispatch") or steps < 0:
        raise ValueError(
            f"a run plays 0 or more steps, its form is auto, scan or dispatch; got {steps} steps, form {form!r}"
        )
    if form == "auto":
        form = "dispatch" if game.convolves and jax.default_backend() == "cpu" else "scan"
    state, data = sharding.placed((state, data)) if sharding.devices() > 1 else (state, data)
    logs: list[Log] = []
    if form == "dispatch":
        for _ in range(steps):
            state, log = _dispatched(game, state, data)
            logs.append(jax.tree.map(lambda x: x[None], log))
    else:
        known = 0 if jax.default_backend() == "cpu" else steps // BLOCK
        for _ in range(known):
            state, log = _known(game, state, data, BLOCK, BLOCK)
            logs.append(log)
        for done in range(known * BLOCK, steps, CAPACITY):
            n = min(CAPACITY, steps - done)
            state, log = _scanned(game, state, data, jnp.int32(n), CAPACITY)
            logs.append(jax.tree.map(lambda x, n=n: x[:n], log))
    if not logs:
        return state, jax.tree.map(lambda x: jnp.zeros((0, *x.shape), x.dtype), state.log)
    return state, jax.tree.map(lambda *parts: jnp.concatenate(parts), *logs)


def bound(game: Game, state: State) -> dict[str, Bound]:
    """The players as they are judged and sampled: with averaged parameters where they are kept."""
    return {
        name: p.bind(state.ema.get(name, state.params[name]), state.aux.get(name), name=name)
        for name, p in game.players.items()
    }


def standing(player: Player, params: Tree, aux: Tree | None, *batches: Array) -> Tree:
    """Standing statistics of the player's normalisation layers: the mean over batches, [n batches,
    B, *sees] for each input.
    """
    collected = jax.lax.map(lambda xs: player.collect(params, aux or {}, "stats", *xs), batches)
    return jax.tree.map(lambda x: x.mean(0), collected)
