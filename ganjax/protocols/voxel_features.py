"""What D's features are worth with few labels: a linear SVM on them, one on the voxels, and a
classifier that is trained on the labels alone (Wu et al. 2016, section 4.2). Host code.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any

import jax
import numpy as np
import optax
from jax import Array, random
from jaxtyping import Int
from matplotlib.figure import Figure

from ganjax import data, play
from ganjax.experiment import Columns, FinishedRow
from ganjax.figures.few_labels import error_curves
from ganjax.game import Bound, Game, Player
from ganjax.losses import ce
from ganjax.metrics import classifiers
from ganjax.nets import voxels as nets

C = 0.01  # of the SVMs
LABELS = (2, 5, 10, None)  # of each kind; None: all that are not tested
STEPS = 60  # of the classifier
DRAWS = 4  # of test shapes and labels a seed
ROWS = "D's features, linear SVM", "voxels, linear SVM", "3-D CNN of the labels"

Labelled = tuple[np.ndarray, np.ndarray]


def column(labels: int | None) -> str:
    """The name of a column: the error with so many labels of each kind."""
    return f"error_{labels or 'all'}"


def compare(
    finished: Mapping[str, FinishedRow], kinds: int
) -> tuple[Columns, Mapping[str, Figure]]:
    """The errors of three classifiers by the number of labels, for each seed of a table's one row,
    and a figure of them.

    The shapes are all whose label is below `kinds`, training and test shapes of the data. For each
    draw a third of each kind is tested, and the same labels are given to all three. A seed's error
    is the mean over its draws; a seed that diverged has None.
    """
    (row,) = finished.values()
    arrays, players = row.experiment.data, row.players()
    x, label = (
        np.concatenate([np.asarray(arrays[f"{part}{name}"]) for part in ("", "test_")])
        for name in ("x", "label")
    )
    x, label = x[label < kinds].astype(np.float32) / 255, label[label < kinds]
    errors = np.full((len(ROWS), len(LABELS), len(row.seeds)), np.nan)
    for s, seed in enumerate(row.seeds):
        if seed not in players:
            continue
        seen = (features(players[seed]["D"], x), x.reshape(len(x), -1))
        for n, labels in enumerate(LABELS):
            told = []
            for i in range(DRAWS):
                train, test = split(label, labels, 1000 * seed + i)
                svms = [
                    classifiers.svm_error((f[train], label[train]), (f[test], label[test]), C)
                    for f in seen
                ]
                few, rest = (x[train], label[train]), (x[test], label[test])
                told.append([*svms, supervised_error(random.key(seed), few, rest, kinds)])
            errors[:, n, s] = np.mean(told, 0)
    columns = {
        name: {
            column(labels): [None if np.isnan(e) else float(e) for e in errors[i, n]]
            for n, labels in enumerate(LABELS)
        }
        for i, name in enumerate(ROWS)
    }
    names = [str(labels or "all") for labels in LABELS]
    return columns, {"errors": error_curves(dict(zip(ROWS, errors)), names)}


def split(
    label: Int[np.ndarray, " n"], labels: int | None, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows that are learnt from, at most `labels` of each class, and rows that are tested, a third
    of each class. The tested rows do not depend on `labels`, and more labels hold fewer ones.
    """
    rng = np.random.default_rng(seed)
    train, test = [], []
    for c in np.unique(label):
        rows = rng.permutation(np.flatnonzero(label == c))
        third = len(rows) // 3
        test.append(rows[:third])
        train.append(rows[third:][:labels])
    return np.concatenate(train), np.concatenate(test)


def features(D: Bound, x: np.ndarray) -> np.ndarray:
    """D's features of shapes in 0..1, [n, d]: its maps of 16^3 voxels and fewer, those of layers 2,
    3 and 4 at 64^3, max-pooled to 2^3. The shapes are normalised together.
    """

    def pooled(x: Array) -> Array:
        maps = [m for m in D(x, method="features") if m.shape[1] <= 16]
        return classifiers.max_pooled(maps, side=2)

    return np.asarray(jax.jit(pooled)(x))


@lru_cache
def supervised_game(shape: tuple[int, ...], kinds: int) -> Game:
    """A classifier of D's layers, 16 channels wide, that learns from labels alone, 32 a step."""

    def losses(batch: Any, key: Array, *, C: Bound) -> dict[str, Array]:
        return {"C": ce(C(batch["x"]), batch["label"]).mean()}

    C = Player(nets.discriminator(16, kinds), optax.adam(1e-3), shape)
    return Game({"C": C}, losses, [["C"]], partial(data.draw, n=32))


def supervised_error(key: Array, train: Labelled, test: Labelled, kinds: int) -> float:
    """The test error of that classifier after STEPS steps; the tested shapes are normalised
    together, as its batches were.
    """
    game = supervised_game(train[0].shape[1:], kinds)
    arrays = {"x": train[0], "label": train[1]}
    state, _ = play.run(game, play.init(game, key, arrays), arrays, STEPS)
    logits = _apply(play.bound(game, state)["C"], test[0])
    return float((np.asarray(logits).argmax(-1) != test[1]).mean())


@jax.jit
def _apply(C: Bound, x: Array) -> Array:
    return C(x)
