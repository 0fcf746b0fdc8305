"""The numbers of a row of metrics.jsonl."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import jax
import numpy as np

from ganjax import play
from ganjax.experiment import Experiment, with_players
from ganjax.game import Game
from ganjax.keys import stream
from ganjax.runs.drawing import told
from ganjax.runs.sweep import of_setting


def measurement(
    experiment: Experiment, game: Game, data: Any, failures: list[str]
) -> Callable[[Mapping[str, float], play.State, int], dict[str, float | int | None]]:
    """(what was swept, state, step) -> the numbers of its row; None for what is not finite.

    They are the losses, what is measured and, at the end, what is evaluated. Why this could not be
    evaluated is added to failures.
    """
    jitted = jax.jit(experiment.measure)

    @cache
    def of(setting: tuple[tuple[str, float], ...]) -> tuple[Any, Any]:
        own = of_setting(experiment, dict(setting))
        same = own.measure is experiment.measure
        return jitted if same else jax.jit(own.measure), own.evaluate

    def measured(
        setting: Mapping[str, float], state: play.State, step: int
    ) -> dict[str, float | int | None]:
        measure, evaluate = of(tuple(setting.items()))
        players = play.bound(game, state)
        key = stream(state.key, "measure", step)
        numbers = {**state.log, **with_players(measure, players, data, key)}
        if step == experiment.steps:
            key = stream(state.key, "judge")  # an old name: another would change the numbers
            try:
                numbers |= with_players(evaluate, players, data, key)
            except Exception as error:  # hours of training must not be lost to it
                failures.append(f"it cannot be evaluated: {told(error)}")
        plain = {n: np.asarray(v).item() for n, v in jax.device_get(numbers).items()}
        return {n: v if np.isfinite(v) else None for n, v in plain.items()}

    return measured
