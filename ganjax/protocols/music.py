"""C-RNN-GAN's protocol: statistics of music while a game is played, and their distances to those of
the corpus (Mogren 2016, section 4 and figure 3).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from matplotlib.figure import Figure

from ganjax.data import music as corpora
from ganjax.data.music import Form
from ganjax.experiment import Columns, FinishedRow, Table
from ganjax.figures.music import statistics_over_steps
from ganjax.game import Bound
from ganjax.keys import stream
from ganjax.metrics import music

DRAWN = ("polyphony", "scale", "repetitions", "span")  # figure 3's
COLUMNS = (
    *DRAWN,
    *(f"w_{name}" for name in DRAWN),
    *(f"{name}_literal" for name in DRAWN[:3]),
)
MEASURED, EVALUATED = 64, 512  # sequences


def sample(key: Array, n: int, *, G: Bound, form: Form) -> Array:
    """n sequences of tuples as `data.music.decode` has them, [n, T, k]."""
    return corpora.decode(G(G.noise(key, n)), form)


def told(G: Bound, z: Array, x: Array, key: Array) -> Array:
    """G's next tone after each real one, [B, T, k]; z [B, 1 + T, k], x [B, T, k]."""
    sees = (z.shape[1:], x.shape[1:])
    return G.replace(player=replace(G.player, sees=sees))(z, x, key=key)


def log_probabilities(logits: Array) -> tuple[Array, Array]:
    """log D and log (1 - D) of sequences, [B, T] -> [B] each, where D is the mean over a sequence
    of the probability of each cell.
    """
    mean = lambda p: jax.nn.logsumexp(p, -1) - math.log(logits.shape[-1])  # noqa: E731
    return mean(jax.nn.log_sigmoid(logits)), mean(jax.nn.log_sigmoid(-logits))


def statistics(tuples: Array, form: Form) -> dict[str, Array]:
    """Those of `metrics.music` of each sequence [n, T, k], [n] each, by its first T tones: so all
    forms are measured on as many, where the number of repetitions depends on it.
    """
    onset, length, pitch, _ = corpora.tones_of(tuples, form)
    order = jnp.argsort(length == 0, axis=-1, stable=True)[:, : tuples.shape[1]]
    rows = [jnp.take_along_axis(v, order, -1) for v in (onset, pitch, length > 0)]
    return jax.vmap(music.statistics)(*rows)


@partial(jax.jit, static_argnames=("form", "T", "n"))
def of_the_corpus(data: Any, form: Form, T: int, n: int = EVALUATED) -> dict[str, Array]:
    """The statistics of n windows of the corpus, always the same."""
    x = corpora.draw_windows(data, jax.random.key(0), n, T)["x"]
    return statistics(corpora.decode(x, form), form)


def measure(data: Any, key: Array, *, G: Bound, form: Form) -> dict[str, Array]:
    """The mean statistics of MEASURED sequences."""
    found = statistics(sample(key, MEASURED, G=G, form=form), form)
    return {name: values.mean() for name, values in found.items()}


def evaluate(data: Any, key: Array, *, G: Bound, form: Form, T: int) -> dict[str, float]:
    """Means of EVALUATED sequences, and the Wasserstein distance of each statistic's distribution
    to that of as many windows of the corpus, w_NAME.
    """
    made = jax.jit(lambda G, key: statistics(sample(key, EVALUATED, G=G, form=form), form))
    return compared(made(G, stream(key, "evaluate")), of_the_corpus(data, form, T))


def compared(found: Mapping[str, Array], real: Mapping[str, Array]) -> dict[str, float]:
    """Means of statistics, and distances to the real ones of those that figure 3 draws."""
    from scipy.stats import wasserstein_distance

    means = {name: float(np.mean(values)) for name, values in found.items()}
    pairs = {name: (np.asarray(found[name]), np.asarray(real[name])) for name in DRAWN}
    return means | {f"w_{name}": wasserstein_distance(*pair) for name, pair in pairs.items()}


def real_music(data_dir: str | None, source: str, T: int) -> dict[str, dict[str, float]]:
    """The row of a table that no game plays: held-out pieces against those for training."""
    form, arrays = Form(), {}
    for split in ("train", "test"):
        pieces = corpora.find(source, data_dir, split)
        arrays[split] = corpora.training_arrays(pieces, form, T, f"{source}, {split}")
    real = {split: of_the_corpus(data, form, T) for split, data in arrays.items()}
    return {"held-out music": compared(real["test"], real["train"])}


def figure3(played: Mapping[str, FinishedRow]) -> tuple[Columns, dict[str, Figure]]:
    """The statistics over the steps of all rows, beside the corpus."""
    if not played:
        return {}, {}
    o = next(iter(played.values())).experiment.options
    form = Form(1)
    arrays = corpora.training_arrays(corpora.find(o.data, o.data_dir), form, o.cells, o.data)
    real = {name: np.asarray(v) for name, v in of_the_corpus(arrays, form, o.cells).items()}
    runs = {row: ended.metrics for row, ended in played.items()}
    return {}, {"figure3": statistics_over_steps(runs, {name: real[name] for name in DRAWN})}


def table(size: dict[str, Any], steps: int, every: int, note: str) -> Table:
    """Figure 3's table: three models, a fourth that is not the paper's, and the corpus.

    size: options of all rows; steps: of each, and all of them alone for the language model.
    """
    rows: dict[str, dict[str, Any]] = {
        "C-RNN-GAN": {},
        "C-RNN-GAN-3": {"tones": 3},
        "language model": {"pretrain": steps},
        "means of features, Adam": {"payoff": "means", "adam": True, "lr": 1e-3},
    }
    return Table(
        {row: {"data": "bach_chorales", **size, "steps": steps, **o} for row, o in rows.items()},
        COLUMNS, seeds=3, every=every, after=figure3,
        anchors=partial(real_music, source="bach_chorales", T=size["cells"]),
        note=f"{note} Of 512 sequences by their first {size['cells']} tones; w_: Wasserstein "
        "distance to 512 windows of the corpus; literal: as the authors' code counts. The paper "
        "has no numbers, and not the last row.",
    )  # fmt: skip
