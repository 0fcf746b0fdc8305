"""The best setting by a metric: by the mean over its seeds, never by its best lane."""

from __future__ import annotations

import itertools
import json
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ganjax.host import one_line
from ganjax.runs import storage
from ganjax.runs.discovery import nearest_name

MODES = ("max", "min")
FILE = "best.json"


class Mean(NamedTuple):
    """A setting at one step."""

    setting: dict[str, float]  # of what was swept; empty without
    step: int
    mean: float  # over the seeds that live
    sd: float | None  # of the sample; None of one seed
    n: int  # seeds that live
    lanes: list[int]  # their names: seeds, where nothing was swept

    def told(self, seeds: int) -> str:
        """ "lr 0.01, lam 1: 0.5 ± 0.1 (n = 3 of 4)"."""
        setting = ", ".join(f"{name} {value:g}" for name, value in self.setting.items())
        spread = "" if self.sd is None else f" ± {self.sd:.2g}"
        count = f"n = {self.n}" + (f" of {seeds}" if self.n < seeds else "")
        return f"{setting}{': ' if setting else ''}{self.mean:.4g}{spread} ({count})"


def asked(text: str, what: str = "--keep") -> tuple[str, str]:
    """A metric, and "max" or "min". Raises ValueError, one line."""
    name, _, mode = text.rpartition(":")
    if not name or mode not in MODES:
        raise ValueError(f"{what} takes METRIC:max or METRIC:min; got {text}")
    return name, mode


def check(text: str | None, known: Collection[str], what: str = "--keep") -> None:
    """Raises ValueError, one line, unless the metric is one that every measurement has."""
    if text is not None and (name := asked(text, what)[0]) not in known:
        raise ValueError(f"{what}: nothing measures {name}: {nearest_name(name, known)}")


def means(rows: Iterable[storage.Row], swept: Collection[str], metric: str) -> list[Mean]:
    """The settings in the rows of one step, without those of which no seed has the number."""
    found: dict[tuple[float, ...], list[storage.Row]] = {}
    for row in rows:
        if row.get(metric) is not None:
            found.setdefault(tuple(row[name] for name in swept), []).append(row)
    return [
        Mean(
            dict(zip(swept, values)),
            own[0]["step"],
            statistics.fmean(row[metric] for row in own),
            statistics.stdev(row[metric] for row in own) if own[1:] else None,
            len(own),
            [int(row["lane"] if "lane" in row else row["seed"]) for row in own],
        )
        for values, own in found.items()
    ]


def best(found: Sequence[Mean], mode: str) -> Mean | None:
    """The best of the settings that lost fewest seeds; of equal ones the first."""
    sign = 1 if mode == "max" else -1
    return max(found, key=lambda each: (each.n, sign * each.mean), default=None)


class Keeper:
    """Finds, after each measurement of a run, the step that `--keep` keeps."""

    def __init__(self, keep: str | None, swept: Collection[str], save_every: int):
        self.keep, self.swept, self.save_every = keep, swept, save_every
        self.each: list[Mean] = []  # the best setting of each step
        self.spared: set[int] = set()  # steps whose checkpoints stay

    def begin(self, rows: Iterable[storage.Row]) -> None:
        """Takes what was measured so far."""
        self.each = []
        for _, own in itertools.groupby(rows, key=lambda row: row["step"]):
            self.look(list(own))

    def look(self, rows: Sequence[storage.Row]) -> bool:
        """Whether the step of these rows is the best so far; of equal ones the first is.

        What was best at the last regular save stays as well: a run may go back to there.
        """
        metric, mode = asked(self.keep) if self.keep else ("", "max")
        new = best(means(rows, self.swept, metric), mode) if self.keep else None
        if new is None:
            return False
        self.each.append(new)
        saved = new.step // self.save_every * self.save_every
        before = [each for each in self.each if each.step <= saved]
        self.spared = {_first(own, mode).step for own in (self.each, before) if own}
        return _first(self.each, mode) is new

    @property
    def record(self) -> dict[str, Any]:
        """What best.json says; nothing where nothing is kept."""
        if not (self.keep and self.each):
            return {}
        return {"keep": self.keep, **_first(self.each, asked(self.keep)[1])._asdict()}


def _first(each: Sequence[Mean], mode: str) -> Mean:
    """The first of the best steps."""
    return max(each, key=lambda one: one.mean if mode == "max" else -one.mean)


def sentence(kept: Mapping[str, Any], seeds: int) -> str:
    """What best.json says, in words."""
    metric, mode = asked(kept["keep"])
    mean = Mean(**{name: value for name, value in kept.items() if name != "keep"})
    what = "highest" if mode == "max" else "lowest"
    return f"{metric} was {what} at step {mean.step}, which is kept: {mean.told(seeds)}"


def kept(out: Path) -> tuple[str, Mean]:
    """What `--keep` kept of a run, and as what. Raises ValueError, one line, where nothing is."""
    try:
        told = dict(json.loads((out / FILE).read_text("utf-8", "replace")))
        return told.pop("keep"), Mean(**told)
    except FileNotFoundError as error:
        raise ValueError(
            f"{out} keeps no best step: `ganjax run --keep METRIC:max` or min does"
        ) from error
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"{out / FILE} is damaged: {one_line(error)}") from error


def step_of(out: Path, asked: str | None) -> int | None:
    """The step that `--step` names, a number or "best"; None for none.

    Raises ValueError, one line.
    """
    if asked is None:
        return None
    if asked == "best":
        return kept(out)[1].step
    if not (asked.isascii() and asked.isdigit()):
        raise ValueError(f"--step takes a number or best; got {asked}")
    return int(asked)


def table(
    metrics: Iterable[str], runs: Sequence[tuple[str, Sequence[storage.Row], Collection[str], int]]
) -> list[list[str]]:
    """By metric the best setting, if high is good and if low is, of all runs at their last steps.

    runs: name, the rows of its last step, what it swept, how many seeds it has.
    """
    lines = []
    for metric in metrics:
        cells = [metric]
        for mode in MODES:
            found = [
                (name, each, seeds)
                for name, rows, swept, seeds in runs
                for each in means(rows, swept, metric)
            ]
            sign = 1 if mode == "max" else -1
            top = max(found, key=lambda f: (f[1].n / f[2], sign * f[1].mean), default=None)
            if top:
                name = f"{top[0]}: " if len(runs) > 1 else ""
                cells.append(name + top[1].told(top[2]))
        lines.append(cells)
    return [line for line in lines if len(line) > 1]
