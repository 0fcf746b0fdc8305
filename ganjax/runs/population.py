"""The states of a run: a State for each lane, or for those that are played together by vmap."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import jaxprs_in_params
from matplotlib.figure import Figure

from ganjax import play, sharding
from ganjax.data.mixtures import Mixture
from ganjax.data.paging import page_through
from ganjax.experiment import Experiment, with_players
from ganjax.figures.samples import sample_figure
from ganjax.game import Bound, Game
from ganjax.keys import stream
from ganjax.runs import hosts
from ganjax.runs.checkpoint import Checkpoints
from ganjax.runs.record import RunRecord

CACHE = 2**20  # bytes that a core holds near itself
SECONDS = 0.5  # a dispatch is about this long: signals are answered after each
BLOCK = 64  # samples that are drawn together
MOST_CLASSES = 128  # in a block; where they are more, their turns begin anew with each
PIXELS, POINTS = 2**24, 4000  # of a figure of samples
Lanes = list[play.State]


@lru_cache(maxsize=4)
def at_precision(game: Game, precision: str) -> Game:
    """The game with players that compute in bfloat16; parameters and losses stay float32.

    One object, as compiled programs are cached by it.
    """
    if precision == "float32":
        return game
    players = {n: dataclasses.replace(p, dtype=jnp.bfloat16) for n, p in game.players.items()}
    make = game.settings
    settings = make and (lambda numbers: at_precision.__wrapped__(make(numbers), precision))
    return dataclasses.replace(game, players=players, settings=settings)


def starts(record: RunRecord) -> Iterator[tuple[jax.Array, dict[str, jax.Array]]]:
    """The keys and the numbers of the lanes that are played together, [S] each; of a lane that is
    played alone without that axis.
    """
    for names in record.chunks:
        lanes = [record.each[name] for name in names]
        keys = [jax.random.key(lane.seed) for lane in lanes]
        numbers = {n: jnp.float32([lane.numbers[n] for lane in lanes]) for n in record.sweep}
        if record.lanes == "vmap":
            yield jnp.stack(keys), numbers
        else:
            yield keys[0], {n: values[0] for n, values in numbers.items()}


def form(experiment: Experiment, count: int) -> tuple[str, int | None]:
    """How so many lanes are played where nothing is said, and how many of them together.

    Under vmap a convolution becomes a slow one, and a turn with a condition is computed whether it
    holds or not. On CPU lanes gain by vmap as long as their arrays stay in a core's cache.
    """
    game = experiment.played
    if count == 1 or game.convolves or any(turn.when for turn in game.schedule):
        return "sequential", None
    if jax.default_backend() != "cpu":
        return "vmap", None
    together = CACHE // largest_array(game, experiment.data)
    return ("vmap", together) if together > 1 else ("sequential", None)


def largest_array(game: Game, data: Any) -> int:
    """Bytes of the largest array that the losses compute."""
    state = play.template(game, jax.random.key(0), data)
    batch = jax.eval_shape(game.draw, data, jax.random.key(0))
    rest = {"aux": state.aux, "step": state.step, "memory": state.memory}

    def losses(params: Any, batch: Any, rest: Any) -> Any:
        return game.apply(params, batch, jax.random.key(0), **rest)

    def largest(jaxpr: Any) -> int:
        sizes = [0]
        for equation in jaxpr.eqns:
            sizes += [4 * out.aval.size for out in equation.outvars if hasattr(out.aval, "size")]
            sizes += [largest(inner) for inner in jaxprs_in_params(equation.params)]
        return max(sizes)

    return max(1, largest(jax.make_jaxpr(losses)(state.params, batch, rest).jaxpr))


def template(game: Game, record: RunRecord, data: Any) -> Lanes:
    """The shapes of the lanes. Raises ValueError, one line, where a game's shapes do not fit."""
    shapes: dict[Any, play.State] = {}
    for key, numbers in starts(record):
        if key.shape not in shapes:
            shapes[key.shape] = play.template(game, key, data, numbers)
    sizes = [(len(names),) if record.lanes == "vmap" else () for names in record.chunks]
    return [shapes[size] for size in sizes]


def initial(game: Game, record: RunRecord, data: Any) -> Lanes:
    """The lanes before the first step."""
    together = record.lanes == "vmap"
    placed = [sharding.place(start, data, together)[0] for start in starts(record)]
    return [play.init(game, key, data, numbers) for key, numbers in placed]


def by_name(record: RunRecord, lanes: Sequence[play.State]) -> dict[int, play.State]:
    """The state of each lane, whole in this process: of a seed, where nothing is swept."""
    found: dict[int, play.State] = {}
    for names, several in zip(record.chunks, sharding.whole(list(lanes))):
        for i, name in enumerate(names):
            one = several.step.ndim == 0
            found[name] = several if one else jax.tree.map(lambda leaf, i=i: leaf[i], several)
    return found


def diverged(record: RunRecord, lanes: Sequence[play.State], step: int) -> dict[int, int]:
    """The lanes that stopped before the step, and where: their next loss was not finite."""
    steps = np.concatenate([np.atleast_1d(sharding.whole(lane.step)) for lane in lanes])
    return {name: int(own) for name, own in zip(record.each, steps) if own < step}


def advance(
    game: Game, record: RunRecord, data: Any, lanes: Lanes, step: int, to: int | None = None
) -> Iterator[tuple[int, Lanes, list[play.Log | None]]]:
    """(step, lanes, the log of each lane since) again and again, to the end of the run or `to`.

    It yields at every measurement and save, where a page is turned, and after about half a
    second of steps. A lane that stands still has no log.
    """
    last = record.steps if to is None else to
    with sharding.use_mesh(record.mesh):
        place = sharding.placer()
    pages = page_through(data, step, rows_per_step(game, data), place)
    end, page = next(pages)
    n = 1
    while step < last:
        if step == end:
            end, page = next(pages)
        stops = ((step // every + 1) * every for every in (record.every, record.save_every))
        n = min(n, min(last, end, *stops) - step)
        started = time.perf_counter()
        with sharding.use_mesh(record.mesh):  # here alone: measurements have batches of their own
            played = [play.run(game, s, page, n) if _moves(s, step) else (s, None) for s in lanes]
        lanes, logs = [lane for lane, _ in played], sharding.whole([log for _, log in played])
        jax.block_until_ready(lanes)
        took = time.perf_counter() - started
        step += n
        yield step, lanes, logs
        n = hosts.largest(max(1, min(2 * n, int(n * SECONDS / took) + 1)))


def _moves(lane: play.State, step: int) -> bool:
    """Whether any seed of a lane has come as far as the step."""
    return bool((np.asarray(sharding.whole(lane.step)) == step).any())


def rows_per_step(game: Game, data: Any) -> int:
    """How many rows a step draws from the data."""
    batch = jax.eval_shape(game.draw, data, jax.random.key(0))
    draws = len(game.turns) if game.fresh == "turn" else 1
    return draws * max((leaf.shape[0] for leaf in jax.tree.leaves(batch) if leaf.ndim), default=1)


def sample(experiment: Experiment, game: Game, state: play.State, n: int) -> np.ndarray:
    """n samples of one seed, [n, (K,) *shape], or all where a translator makes fewer.

    Raises ValueError where nothing is made.
    """
    key = stream(state.key, "sample")
    return sample_of(experiment, play.bound(game, state), key, n, block(experiment))


def sample_of(
    experiment: Experiment, players: Mapping[str, Bound], key: jax.Array, n: int, size: int
) -> np.ndarray:
    """`sample` of these players, in blocks of a size, each with a key of its own: sample i is the
    same whatever n is.
    """
    draw = jax.jit(sampler(experiment), static_argnums=1)
    if n > size:
        n = sample_shape(experiment, n).shape[0]
    parts: list[np.ndarray] = []
    for i in range(-(-n // size)):
        own = jax.random.fold_in(key, i) if i else key
        parts.append(np.asarray(with_players(draw, players, own, size)))
        if len(parts[-1]) < size:
            break
    return np.concatenate(parts)[:n]


def block(experiment: Experiment) -> int:
    """Samples that are drawn together: 64, fewer where figures are made of fewer, and, as classes
    take turns, whole turns.
    """
    size, data = min(BLOCK, experiment.shown), experiment.data
    if not isinstance(data, Mixture) and "label" in data and np.size(data["label"]):
        classes = int(np.max(data["label"])) + 1
        size = -(-size // classes) * classes if classes <= MOST_CLASSES else size
    return size


def sample_shape(experiment: Experiment, n: int) -> jax.ShapeDtypeStruct:
    """The shape and dtype of n samples of one seed; nothing is computed."""
    key = jax.random.key(0)
    state = play.template(experiment.played, key, experiment.data)

    def draw(state: play.State) -> Any:
        players = play.bound(experiment.played, state)
        return with_players(sampler(experiment), players, key, n)

    return jax.eval_shape(draw, state)


def sampler(experiment: Experiment) -> Callable[..., Any]:
    """What draws samples. Raises ValueError where nothing is made."""
    if experiment.sample is None:
        raise ValueError("no player of this experiment makes anything that could be sampled")
    return experiment.sample


def picture(
    experiment: Experiment, x: np.ndarray, most: int | None = None, columns: int | None = None
) -> Figure:
    """The figure of samples x, as `sample_figure` says. Raises ValueError for samples without."""
    if experiment.picture is not None:
        return experiment.picture(experiment.data, x)
    return sample_figure(experiment.data, x, 0.0, 1.0, most, columns)


def pictured(experiment: Experiment, x: np.ndarray) -> int:
    """How many samples the figure shows: an experiment's own as many as it says; of images as
    many as make a sheet of 4096 x 4096 pixels.
    """
    if experiment.picture is not None:
        return min(len(x), experiment.pictured or experiment.shown)
    if x.ndim < 4:
        return min(len(x), POINTS) if x.shape[-1] == 2 else len(x)
    channels = x.shape[-1] if x.shape[-1] in (1, 3) else 1
    return min(len(x), max(64, PIXELS * channels // x[0].size))


def restored(
    out: Path, record: RunRecord, experiment: Experiment, step: int | None = None
) -> tuple[Game, dict[int, play.State]]:
    """The game and the state of each seed, from the newest readable checkpoint, or that of a step.

    Raises ValueError without one.
    """
    game = at_precision(experiment.played, record.precision)
    with Checkpoints(out / "checkpoints", record.tie, read_only=True) as checkpoints:
        found = checkpoints.restore(template(game, record, experiment.data), wanted=step)
    if found is None:
        raise ValueError(f"{out} has no checkpoint yet")
    return game, by_name(record, found[1])


def finished_players(
    out: Path, record: RunRecord, experiment: Experiment
) -> dict[int, dict[str, Bound]]:
    """The players of each seed of a finished run that lives.

    Raises ValueError where the run is not finished.
    """
    game, states = restored(out, record, experiment)
    ended = {seed: state for seed, state in states.items() if int(state.step) == record.steps}
    if not ended:
        raise ValueError(f"{out} has no checkpoint of its last step")
    return {seed: play.bound(game, state) for seed, state in ended.items()}
