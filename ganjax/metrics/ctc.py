"""From posteriors of characters to text, and how wrong the text is. Label 0 is the blank."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int, Num

Labels = tuple[int, ...]
# (labels before, next label) -> log p
LanguageModel = Callable[[Labels, int], float]


def edit_distance(
    a: Int[Array, " A"], n: Num[Array, ""], b: Int[Array, " B"], m: Num[Array, ""]
) -> Int[Array, ""]:
    """Insertions, deletions and substitutions that make the first n of a the first m of b.

    Levenshtein 1966, by Wagner and Fischer's table, row by row; jittable.
    """
    columns = jnp.arange(len(b) + 1)

    def step(row: Array, given: tuple[Array, Array]) -> tuple[Array, None]:
        i, symbol = given
        above = jnp.minimum(row[1:] + 1, row[:-1] + (b != symbol))
        new = jnp.concatenate([row[:1] + 1, above])
        # An insertion costs 1 a column: the least of new_k + (j - k) over k <= j.
        new = jax.lax.cummin(new - columns) + columns
        return jnp.where(i < n, new, row), None

    return jax.lax.scan(step, columns, (jnp.arange(len(a)), a))[0][jnp.asarray(m, int)]


def greedy(scores: Float[Array, "T C"], frames: Num[Array, ""]) -> tuple[Array, Array]:
    """The likeliest label of each of the first `frames` frames, repeats and blanks dropped: labels
    [T], zeros behind them, and how many; jittable.
    """
    best = scores.argmax(-1)
    before = jnp.concatenate([jnp.zeros_like(best[:1]), best[:-1]])
    kept = (best != before) & (best != 0) & (jnp.arange(len(best)) < frames)
    # What is dropped goes to a place beyond the end, and is lost.
    place = jnp.where(kept, kept.cumsum() - 1, len(best))
    return jnp.zeros_like(best).at[place].set(best, mode="drop"), kept.sum()


def label_error(found: Sequence[Sequence[int]], true: Sequence[Sequence[int]]) -> float:
    """Edit distances over all examples, divided by the number of true labels."""
    arrays = []
    for rows in (found, true):
        out = np.zeros((len(rows), max(1, *map(len, rows))), np.int32)
        for i, row in enumerate(rows):
            out[i, : len(row)] = row
        arrays += [out, np.array(list(map(len, rows)), np.int32)]
    return float(np.sum(_distances(*arrays)) / max(1, sum(map(len, true))))


_distances = jax.jit(jax.vmap(edit_distance))


def character_model(texts: Sequence[Sequence[int]], classes: int, order: int) -> LanguageModel:
    """An n-gram model of labels 1 … classes - 1, smoothed by Witten and Bell's interpolation.

    p(c | h) = (count(h c) + kinds(h) p(c | h')) / (count(h) + kinds(h)), h' being h without its
    first label; below the empty history is 1 / (classes - 1). Witten and Bell 1991, method C, as
    interpolated by Chen and Goodman 1999, section 2.4 (recalled, not read). order: labels of an
    n-gram.
    """
    counts: dict[Labels, Counter[int]] = defaultdict(Counter)
    for text in texts:
        for i, symbol in enumerate(text):
            for n in range(min(order, i + 1)):
                counts[tuple(text[i - n : i])][symbol] += 1
    known: dict[Labels, dict[int, float]] = {}

    def distribution(history: Labels) -> dict[int, float]:
        if history not in known:
            below = (
                distribution(history[1:])
                if history
                else dict.fromkeys(range(1, classes), 1 / (classes - 1))
            )
            seen = counts.get(history, Counter())
            kinds, total = len(seen), sum(seen.values())
            known[history] = {
                c: (seen.get(c, 0) + kinds * p) / (total + kinds) if kinds else p
                for c, p in below.items()
            }
        return known[history]

    def log_p(before: Labels, symbol: int) -> float:
        return math.log(distribution(before[max(0, len(before) - order + 1) :])[symbol])

    return log_p


def beam_search(
    log_p: Float[np.ndarray, "T C"],
    model: LanguageModel | None = None,
    weight: float = 1.0,
    bonus: float = 0.0,
    beam: int = 16,
    least: float = -6.0,
) -> Labels:
    """The labels y with the largest log p(y | x) + weight log p_model(y) + bonus |y| that a search
    over prefixes finds.

    p(y | x) sums over the alignments; prefixes that meet are merged. Graves and Jaitly 2014,
    algorithm 1, with the model's score as Hannun et al. 2014 weigh it (recalled, not read). beam:
    prefixes that are kept a frame. least: labels of less log p in a frame are not tried there.
    """
    empty: Labels = ()
    # Prefix -> log p of its alignments that end in a blank, and of those that end in its last label
    heads: dict[Labels, tuple[float, float]] = {empty: (0.0, -math.inf)}
    prior = {empty: 0.0}

    for frame in log_p:
        tried = [int(c) for c in np.flatnonzero(frame > least) if c]
        row = frame.tolist()
        new: dict[Labels, list[float]] = {}
        for y, (blank, last) in heads.items():
            both = _add(blank, last)
            own = new.setdefault(y, [-math.inf, -math.inf])
            own[0] = _add(own[0], both + row[0])
            if y:
                own[1] = _add(own[1], last + row[y[-1]])
            for c in tried:
                longer = (*y, c)
                # Two equal labels in a row have a blank between them.
                before = blank if y and y[-1] == c else both
                if before == -math.inf:
                    continue
                if longer not in prior:
                    told = weight * model(y, c) if model else 0.0
                    prior[longer] = prior[y] + told + bonus
                other = new.setdefault(longer, [-math.inf, -math.inf])
                other[1] = _add(other[1], before + row[c])
        ranked = sorted(new, key=lambda y: -_add(*new[y]) - prior[y])[:beam]
        heads = {y: (new[y][0], new[y][1]) for y in ranked}
    return max(heads, key=lambda y: _add(*heads[y]) + prior[y])


def _add(a: float, b: float) -> float:
    """log(e^a + e^b)."""
    if a < b:
        a, b = b, a
    return a if b == -math.inf else a + math.log1p(math.exp(b - a))
