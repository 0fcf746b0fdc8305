"""The pictures of a page: figures of a run, samples of its checkpoints, small enough to embed."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from ganjax import play
from ganjax.experiment import Experiment
from ganjax.game import Game
from ganjax.runs import population
from ganjax.runs.checkpoint import Checkpoints
from ganjax.runs.drawing import told
from ganjax.runs.record import RunRecord, read_record
from ganjax.runs.request import rebuild_to_sample

SHOWN = 64  # images of a sheet of samples
LEAST = 3000  # bytes: below, a picture shows nothing


@dataclass(frozen=True)
class Picture:
    """An image file, and what it is called."""

    title: str
    data: bytes

    @property
    def url(self) -> str:
        """The file as a data: URL."""
        kind = "png" if self.data.startswith(b"\x89PNG") else "webp"
        return f"data:image/{kind};base64,{base64.b64encode(self.data).decode()}"


@dataclass(frozen=True)
class Drawn:
    """The pictures of a run."""

    figures: list[Picture] = field(default_factory=list)
    samples: list[Picture] = field(default_factory=list)  # by step
    turns: str = ""  # who moves when
    why: str = ""  # there are no samples


def figures(out: Path) -> list[Picture]:
    """The figures in a run's folder; what is not an image is left out."""
    found = []
    for path in sorted((out / "figures").glob("*.png")):
        data = path.read_bytes()
        try:
            Image.open(io.BytesIO(data)).verify()
        except Exception:  # Pillow's readers raise errors of many types
            continue
        found.append(Picture(path.stem, data))
    return found


def samples(out: Path, data_dir: str | None, trust: bool) -> Drawn:
    """A picture of samples for each readable checkpoint, of the lane that lives longest, and who
    moves when; or why there are none.
    """
    if not (out / "checkpoints").is_dir():
        return Drawn(why="the folder has no checkpoints")
    turns, found = "", []
    try:
        record = read_record(out)
        experiment = rebuild_to_sample(out, record, data_dir, trust)
        turns = _turns(experiment.played)
        if experiment.sample is None:
            return Drawn(turns=turns, why="no player makes anything that could be sampled")
        n = _number(experiment)
        for step, name, game, state in _states(out, record, experiment):
            x = population.sample(experiment, game, state, n)
            found.append(Picture(f"step {step}, {record.title(name)}", _png(experiment, x)))
    except Exception as error:  # code of the experiment: the page is made without its samples
        return Drawn(samples=found[::-1], turns=turns, why=told(error))
    return Drawn(samples=found[::-1], turns=turns, why="" if found else "it has no checkpoint yet")


def _states(
    out: Path, record: RunRecord, experiment: Experiment
) -> Iterator[tuple[int, int, Game, play.State]]:
    """(step, lane, game, state) of each readable checkpoint, the newest first: of the lane, of a
    seed where nothing is swept, that lives longest.
    """
    game = population.at_precision(experiment.played, record.precision)
    like = population.template(game, record, experiment.data)
    checkpoints = Checkpoints(out / "checkpoints", record.tie, read_only=True)
    try:
        newest, chosen = None, None
        while found := checkpoints.restore(like, newest=newest):
            states = population.by_name(record, found.state)
            if chosen is None:
                chosen = max(states, key=lambda name: int(states[name].step))
            yield found.step, chosen, game, states[chosen]
            newest = found.step - 1
    finally:
        checkpoints.close()


def _number(experiment: Experiment) -> int:
    """How many samples are drawn for a picture."""
    if experiment.picture is not None:
        return min(experiment.shown, experiment.pictured or experiment.shown)
    images = len(population.sample_shape(experiment, 2).shape) >= 4
    return min(SHOWN, experiment.shown) if images else experiment.shown


def _png(experiment: Experiment, x: np.ndarray) -> bytes:
    file = io.BytesIO()
    figure = population.picture(experiment, x)
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _turns(game: Game) -> str:
    """Who moves when in a step: "D, then G"."""
    return ", then ".join(
        " and ".join(turn.movers) + (" on a condition" if turn.when else "")
        for turn in game.schedule
    )


def fitted(pictures: Sequence[Picture], most: int) -> list[Picture | None]:
    """The pictures in at most so many bytes together: the small ones as they are, the large ones
    as WebP, made smaller where that is not enough; None for what shows nothing then.
    """
    left = most
    found: list[Picture | None] = [None] * len(pictures)
    order = sorted(range(len(pictures)), key=lambda i: len(pictures[i].data))
    for done, i in enumerate(order):
        data = _within(pictures[i].data, left // (len(order) - done))
        if data is not None:
            found[i] = replace(pictures[i], data=data)
            left -= len(data)
    return found


def _within(data: bytes, most: int) -> bytes | None:
    """An image in at most so many bytes."""
    if len(data) <= most:
        return data
    if most < LEAST:
        return None
    image = Image.open(io.BytesIO(data)).convert("RGB")
    scale = 1.0
    for _ in range(6):
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        file = io.BytesIO()
        image.resize(size, Image.Resampling.LANCZOS).save(file, "WEBP", quality=80)
        if file.tell() <= most:
            return file.getvalue()
        scale *= min(0.85, (most / file.tell()) ** 0.5)
    return None
