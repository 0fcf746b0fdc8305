"""Seeds whose numbers cease to be finite: found after each dispatch, located to the step, frozen
there or rolled back to the last save.

The compiled step tells of a loss. A gradient that is not finite under a finite loss is seen in the
parameters, one whose square overflows in the optimiser's moments. Both are looked at once a
dispatch, so that a step costs nothing more and has the bits that it had; the step itself is found
by playing again from a good state.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from tqdm import tqdm

from ganjax import play, sharding
from ganjax.game import Game
from ganjax.keys import stream
from ganjax.runs import beginning, population
from ganjax.runs.checkpoint import Checkpoints
from ganjax.runs.exploits import Exploits
from ganjax.runs.population import Lanes
from ganjax.runs.record import RunRecord

TRIES = 3  # new streams for a seed before it is frozen

Try = dict[str, Any]  # {"seed", "from", "to", "try", "why"}: a step back, and the stream from there


class Loss(NamedTuple):
    """A seed that was lost."""

    step: int  # its last good one, where it is frozen
    why: str


class Played:
    """A run as it is played, and the tries that were made so far, which its saves carry."""

    def __init__(
        self,
        game: Game,
        record: RunRecord,
        data: Any,
        checkpoints: Checkpoints,
        tries: Sequence[Try] = (),
        exploits: Exploits | None = None,
    ):
        self.game, self.record, self.data, self.checkpoints = game, record, data, checkpoints
        self.tries, self.exploits = list(tries), exploits

    def steps(self, step: int, lanes: Lanes) -> Iterator[tuple[int, Lanes]]:
        """(step, lanes) as `population.advance` yields them, with the seeds that are lost frozen;
        after a step back the step that the run went back to, which is not above the one before.

        Nothing where there is nothing to play.
        """
        new = {
            s: Loss(n, "as before")
            for s, n in population.diverged(self.record, lanes, step).items()
        }
        stopped = bool(new) and self.record.on_divergence == "stop"
        over = step == self.record.steps or len(new) == len(self.record.each) or stopped
        while self._has_try(new) or not over:
            if self._has_try(new):
                step, lanes = self._roll_back(new)
                yield step, lanes
            over = True
            for now, played, new in self._advance(step, lanes):
                if self._has_try(new):
                    break
                report(self.record, new)
                yield now, played

    def _advance(self, step: int, lanes: Lanes) -> Iterator[tuple[int, Lanes, dict[int, Loss]]]:
        """`population.advance`, with the seeds that were lost since; each is frozen at its last
        good state.
        """
        known = set(population.diverged(self.record, lanes, step))
        before = step
        for now, played, logs in population.advance(self.game, self.record, self.data, lanes, step):
            new: dict[int, Loss] = {}
            for at, log in enumerate(logs):
                if log is None:
                    continue
                seeds = self.record.chunks[at]
                finite, own = learnt_is_finite(played[at]), sharding.whole(played[at].step)
                own = np.atleast_1d(own)
                for i, seed in enumerate(seeds):
                    if seed not in known and not all(flags[i] for flags in finite.values()):
                        good, state, why = self._last_good(at, i, before)
                        # the list is that of `population.advance`, which goes on with it
                        played[at] = _frozen(played[at], state, i)
                        new[seed] = Loss(good, why)
                    elif seed not in known and own[i] < now:
                        new[seed] = Loss(int(own[i]), self._cause(log, own[i] - before, i))
            known |= set(new)
            yield now, played, new
            if self.exploits and self.exploits.due(now):  # which may have revived some
                known = set(population.diverged(self.record, played, now))
            before = now

    @property
    def sorted_tries(self) -> list[Try]:
        """The tries, in an order that does not depend on when they were made: dispatches, after
        which a loss is found, are as long as the machine is fast.
        """
        return sorted(self.tries, key=lambda t: (t["to"], t["seed"], t["try"]))

    def _has_try(self, lost: Mapping[int, Loss]) -> bool:
        """Whether the run goes back for one of the seeds."""
        left = any(self._tries_of(seed) < TRIES for seed in lost)
        return self.record.on_divergence == "rollback" and left

    def _tries_of(self, seed: int) -> int:
        return sum(t["seed"] == seed for t in self.tries)

    def _last_good(self, at: int, i: int, before: int) -> tuple[int, play.State, str]:
        """The last step where the parameters of seed i of a lane are finite, that lane, and why
        they are not after it.
        """
        step, lanes = self._state_at(before, exact=False)
        good, lanes = lanes[at], []
        while True:
            start = step
            for now, lanes, (log,) in population.advance(
                self.game, self.record, self.data, [_copy(good)], start
            ):
                finite = {
                    name: bool(flags[i]) for name, flags in learnt_is_finite(lanes[0]).items()
                }
                if not all(finite.values()):
                    if now - step == 1:
                        return step, good, self._cause(log or {}, 0, i, finite)
                    break  # and from the last good step again, as first dispatches are short
                step, good = now, _copy(lanes[0])
            else:
                raise RuntimeError(
                    f"a seed was lost after step {before}, and not when it was played again"
                )

    def _cause(
        self, log: play.Log, at: int, i: int, finite: Mapping[str, bool] | None = None
    ) -> str:
        """Whose number was the first in a step that was not finite."""
        for turn in self.game.schedule:
            for name in turn.movers:
                if not np.isfinite(np.atleast_1d(jax.device_get(log[name][at]))[i]):
                    return f"the loss of {name} is not finite"
                if finite and not finite[name]:
                    return (
                        f"the gradient of {name}, or its square, is not finite, though its loss is"
                    )
        return "a loss is not finite"

    def _state_at(self, step: int, exact: bool = True) -> tuple[int, Lanes]:
        """The lanes at a step of the run as it was tried so far, from a checkpoint or from nothing;
        not `exact`: at a step before it.
        """
        found = self.checkpoints.restore(
            population.template(self.game, self.record, self.data), newest=step
        )
        now, tries = (found.step, found.note.get("tries", [])) if found else (0, [])
        if found:
            lanes = found.state
        else:
            out = self.checkpoints.folder.parent
            lanes = beginning.initial(out, self.game, self.record, self.data)
        changes: list[tuple[int, Callable[[Lanes], Lanes] | None]] = [
            (t["to"], partial(_with_key, self.record, new=t)) for t in self.tries[len(tries) :]
        ]
        if self.exploits:
            changes += self.exploits.between(now, step)
        for stop, change in [*changes, *([(step, None)] if exact else [])]:
            if now < stop:
                for _, played, _ in population.advance(
                    self.game, self.record, self.data, lanes, now, stop
                ):
                    lanes = played
                now = stop
            if change is not None:
                lanes = change(lanes)
        return now, lanes

    def _roll_back(self, lost: Mapping[int, Loss]) -> tuple[int, Lanes]:
        """Goes back with all seeds to the last save before the first loss, and puts each seed that
        was lost and has a try on a new stream.
        """
        to = min(loss.step for loss in lost.values()) // self.record.save_every
        to *= self.record.save_every
        _, lanes = self._state_at(to)
        for seed, (step, why) in lost.items():
            number = self._tries_of(seed) + 1
            if number > TRIES:
                continue
            new = {"seed": seed, "from": step, "to": to, "try": number, "why": why}
            lanes = _with_key(self.record, lanes, new=new)
            self.tries.append(new)
            told = (
                f"{self.record.title(seed)} diverged at step {step}, {why}; the run goes back to "
            )
            tqdm.write(f"{told}step {to}, this seed on a new stream, try {number}", file=sys.stderr)
        # so that no state of a try that was given up is gone on with
        self.checkpoints.remove_after(to)
        return to, lanes


def report(record: RunRecord, lost: Mapping[int, Loss]) -> None:
    """A line on stderr for each seed that was lost and stays so."""
    for seed, loss in lost.items():
        told = f"{record.title(seed)} diverged at step {loss.step} and is frozen there: {loss.why}"
        tqdm.write(told, file=sys.stderr)


def learnt_is_finite(state: play.State) -> dict[str, np.ndarray]:
    """By player: whether all that is learnt of it, and its optimiser's moments, are finite, [S];
    waits for the device.
    """
    found = jax.device_get(sharding.whole(flags(state)))
    return {name: np.atleast_1d(each) for name, each in found.items()}


def moments(opt: Any, params: Any) -> list[Array]:
    """What an optimiser keeps of each parameter; not a best loss, which is infinite at first."""
    shapes = {leaf.shape for leaf in jax.tree.leaves(params)}
    return [leaf for leaf in jax.tree.leaves(opt) if leaf.shape in shapes]


@jax.jit
def flags(state: play.State) -> dict[str, Array]:
    def one(state: play.State) -> dict[str, Array]:
        learnt = {
            n: (p, moments(state.opt.get(n), p), state.ema.get(n), state.aux.get(n))
            for n, p in state.params.items()
        }
        return {
            name: jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]).all()
            for name, tree in learnt.items()
            if jax.tree.leaves(tree)
        }

    return (jax.vmap(one) if state.step.ndim else one)(state)


def _frozen(lane: play.State, good: play.State, i: int) -> play.State:
    """The lane with seed i as it is in a good one, where it stays."""
    good = good.replace(alive=jnp.zeros_like(good.alive))
    if not lane.step.ndim:
        return good
    return jax.tree.map(lambda leaf, own: leaf.at[i].set(own[i]), lane, good)


def _with_key(record: RunRecord, lanes: Lanes, *, new: Try) -> Lanes:
    """The lanes with a seed on the stream of a try."""
    name = new["seed"]
    key = stream(jax.random.key(record.each[name].seed), "try", new["try"])
    at = next(j for j, names in enumerate(record.chunks) if name in names)
    i, lane = record.chunks[at].index(name), lanes[at]
    moved = lane.replace(key=lane.key.at[i].set(key) if lane.step.ndim else key)
    return [*lanes[:at], moved, *lanes[at + 1 :]]


def _copy(lane: play.State) -> play.State:
    return jax.tree.map(jnp.copy, lane)
