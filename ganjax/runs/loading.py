"""A trained run in Python, from its folder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jax import Array

from ganjax import play
from ganjax.experiment import Experiment
from ganjax.game import Bound, Game
from ganjax.keys import stream
from ganjax.runs import population, sampling, storage
from ganjax.runs.record import RunRecord, read_record
from ganjax.runs.request import rebuild_to_sample
from ganjax.runs.sweep import of_setting


@dataclass(frozen=True, eq=False)
class Run:
    """One seed of a run, or one lane of a sweep, at a step that was saved."""

    path: Path
    record: RunRecord  # options.json
    experiment: Experiment  # its `data` are examples that the folder keeps, where it keeps some
    game: Game
    seed: int  # of a sweep the number of the lane
    state: play.State

    @property
    def options(self) -> Any:
        """The experiment's Options."""
        return self.experiment.options

    @property
    def step(self) -> int:
        """Steps that were played."""
        return int(self.state.step)

    @cached_property
    def players(self) -> dict[str, Bound]:
        """The players by name, with averaged parameters where there are some."""
        return play.bound(self.game, self.state)

    @cached_property
    def metrics(self) -> list[storage.Row]:
        """The rows of metrics.jsonl of this seed or lane, {"step", "time", NAME: number, …} each;
        also those after the step.
        """
        rows = storage.read_rows(self.path / "metrics.jsonl")
        name = "lane" if self.record.sweep else "seed"
        return [row for row in rows if row[name] == self.seed]

    def sample(
        self, n: int, key: Array | None = None, label: int | None = None, walk: int | None = None
    ) -> np.ndarray:
        """n samples, [n, (K,) *shape]; without a key those that `ganjax sample` draws.

        label: of this class. walk: rows of so many samples, each from one noise to another.
        Raises ValueError, one line, where the experiment has none such.
        """
        key = stream(self.state.key if key is None else key, "sample")
        return sampling.draw(self.experiment, self.players, key, n, label, walk)


def load(
    path: str | Path,
    seed: int | None = None,
    step: int | None = None,
    trust: bool = False,
    data_dir: str | None = None,
) -> Run:
    """A run from its folder, finished or not.

    seed: of a population, or the lane of a sweep; without it that which came farthest.
    step: one that was saved and is kept; without it the newest that can be read.
    trust: runs the experiment's file that the folder brings, though it was never played here.
    data_dir: where prepared data sets are, for a run whose folder keeps no examples.
    Raises ValueError, one line, where the folder has none such.
    """
    out = Path(path)
    record = read_record(out)
    experiment = rebuild_to_sample(out, record, data_dir, trust)
    if seed is not None and seed not in record.each:
        kind = "lane" if record.sweep else "seed"
        known = ", ".join(map(str, record.each))
        raise ValueError(f"{out} has no {kind} {seed}: there are {known}")
    game, states = population.restored(out, record, experiment, step)
    if seed is None:
        seed = max(states, key=lambda name: int(states[name].step))
    own = of_setting(experiment, record.each[seed].numbers)
    return Run(out, record, own, game, seed, states[seed])
