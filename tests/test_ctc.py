"""CTC: its loss, its decoders and its measure against sums over everything and other libraries."""

from __future__ import annotations

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from ganjax.losses import ctc
from ganjax.metrics.ctc import (
    beam_search,
    character_model,
    edit_distance,
    greedy,
    label_error,
)

T, C = 6, 3  # frames; the blank and two labels


def log_posterior(seed: int, frames: int = T, classes: int = C) -> np.ndarray:
    logits = 2 * np.random.default_rng(seed).normal(size=(frames, classes))
    return np.asarray(jax.nn.log_softmax(logits), np.float64)


def collapsed(path: tuple[int, ...]) -> tuple[int, ...]:
    """Graves et al. 2006, section 3.1: first the repeats go, then the blanks."""
    return tuple(label for label, _ in itertools.groupby(path) if label)


def by_every_path(log_p: np.ndarray) -> dict[tuple[int, ...], float]:
    """p of every labelling, the sum over all paths."""
    found: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(log_p.shape[1]), repeat=len(log_p)):
        p = math.exp(sum(log_p[t, c] for t, c in enumerate(path)))
        found[collapsed(path)] = found.get(collapsed(path), 0.0) + p
    return found


def padded(labels: tuple[int, ...], L: int) -> np.ndarray:
    return np.array([*labels, *[0] * (L - len(labels))], np.int32)


@pytest.mark.parametrize("frames", range(1, T + 1))
def test_the_loss_is_the_sum_over_all_alignments(frames):
    """Padding behind the frames and the labels has values of its own that must not count."""
    log_p = log_posterior(frames, T)
    p = by_every_path(log_p[:frames])
    batch = list(p)
    labels = np.stack([padded(y, T) for y in batch])
    lengths = np.array([len(y) for y in batch])
    logits = np.broadcast_to(log_p + 3.0, (len(batch), T, C))  # a shift of logits changes nothing
    got = ctc(jnp.asarray(logits, jnp.float32), np.full(len(batch), frames), labels, lengths)
    np.testing.assert_allclose(got, [-math.log(p[y]) for y in batch], rtol=1e-4, atol=1e-5)


def test_the_loss_of_a_team_is_that_of_each_member():
    logits = random.normal(random.key(0), (4, 3, T, C))
    labels, lengths, frames = np.full((4, 2), 1), np.array([1, 2, 0, 1]), np.array([6, 4, 3, 5])
    team = ctc(logits, frames, labels, lengths)
    for k in range(3):
        np.testing.assert_allclose(team[:, k], ctc(logits[:, k], frames, labels, lengths), 1e-5)


def test_the_gradient_is_that_of_finite_differences():
    log_p = log_posterior(0, 5)
    labels = (1, 1, 2)

    def exact(logits: np.ndarray) -> float:
        shifted = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        return -math.log(by_every_path(shifted)[labels])

    got = jax.grad(lambda x: ctc(x[None], np.array([5]), np.array([labels]), np.array([3]))[0])(
        jnp.asarray(log_p, jnp.float32)
    )
    for t, c in np.ndindex(*log_p.shape):
        step = np.zeros_like(log_p)
        step[t, c] = 1e-5
        slope = (exact(log_p + step) - exact(log_p - step)) / 2e-5
        assert got[t, c] == pytest.approx(slope, abs=2e-4)


def test_the_loss_and_its_gradient_are_pytorchs():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(5, 40, 9)).astype(np.float32)
    frames, lengths = np.array([40, 33, 25, 40, 12]), np.array([11, 8, 1, 14, 4])
    labels = rng.integers(1, 9, (5, 14)).astype(np.int32)
    value, slope = jax.value_and_grad(lambda x: ctc(x, frames, labels, lengths).sum())(
        jnp.asarray(logits)
    )
    x = torch.tensor(logits, requires_grad=True)
    theirs = torch.nn.functional.ctc_loss(
        x.log_softmax(-1).transpose(0, 1),
        torch.tensor(labels),
        torch.tensor(frames),
        torch.tensor(lengths),
        reduction="sum",
    )
    theirs.backward()
    assert float(value) == pytest.approx(theirs.item(), rel=1e-5)
    np.testing.assert_allclose(slope, x.grad.numpy(), atol=1e-4)


def prior(before: tuple[int, ...], label: int) -> float:
    """A language model that dislikes a label after itself."""
    return math.log(0.1 if before[-1:] == (label,) else 0.7)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("model", "weight", "bonus"), [(None, 1.0, 0.0), (prior, 0.8, 0.4)])
def test_the_beam_search_finds_the_best_of_all_labellings(seed, model, weight, bonus):
    """With a beam that keeps all prefixes it is exact: a wrong merge of prefixes shows."""
    log_p = log_posterior(seed)

    def score(y: tuple[int, ...], p: float) -> float:
        told = sum(model(y[:i], c) for i, c in enumerate(y)) if model else 0.0
        return math.log(p) + weight * told + bonus * len(y)

    best = max(by_every_path(log_p).items(), key=lambda item: score(*item))[0]
    found = beam_search(log_p, model, weight, bonus, beam=10_000, least=-math.inf)
    assert found == best


def test_the_beam_search_sums_over_alignments_where_the_best_path_does_not():
    """Two frames, p(blank) = .4 and p(1) = .6 / .36: the best path is blank blank, the best
    labelling is 1.
    """
    log_p = np.log(np.array([[0.6, 0.4], [0.6, 0.4]]))
    assert beam_search(log_p) == (1,)
    assert int(greedy(jnp.asarray(log_p), jnp.asarray(2))[1]) == 0


@pytest.mark.parametrize("seed", range(4))
def test_greedy_collapses_the_best_path(seed):
    log_p = log_posterior(seed, 12)
    for frames in (12, 7, 0):
        labels, n = greedy(jnp.asarray(log_p), jnp.asarray(frames))
        expected = collapsed(tuple(log_p.argmax(1)[:frames].tolist()))
        assert tuple(np.asarray(labels)[: int(n)].tolist()) == expected
        assert not np.asarray(labels)[int(n) :].any()


def test_edit_distances_are_rapidfuzzs():
    levenshtein = pytest.importorskip("rapidfuzz").distance.Levenshtein
    rng = np.random.default_rng(0)
    pairs = [
        [rng.integers(1, 4, rng.integers(0, 13)).tolist() for _ in range(2)] for _ in range(200)
    ]
    expected = [levenshtein.distance(a, b) for a, b in pairs]
    distance = jax.jit(edit_distance)
    for (a, b), wanted in zip(pairs[:40], expected):
        rest = rng.integers(1, 4, (2, 13)).astype(np.int32)  # behind the ends is anything
        rest[0, : len(a)], rest[1, : len(b)] = a, b
        assert distance(rest[0], len(a), rest[1], len(b)) == wanted
    total = sum(len(b) for _, b in pairs)
    got = label_error([a for a, _ in pairs], [b for _, b in pairs])
    assert got == pytest.approx(sum(expected) / total)


def test_the_language_model_is_witten_and_bells():
    """By hand on "1 1 2", three labels: p(2 | 1) = (1 + 2 p(2)) / (2 + 2), p(2) = (1 + 2/3) / 5."""
    model = character_model([[1, 1, 2]], 4, order=2)
    lower = {1: (2 + 2 / 3) / 5, 2: (1 + 2 / 3) / 5, 3: (2 / 3) / 5}
    for label, p in lower.items():
        assert model((), label) == pytest.approx(math.log(p))
        seen = 0 if label == 3 else 1
        assert model((3, 1), label) == pytest.approx(math.log((seen + 2 * p) / 4))
        assert model((3,), label) == pytest.approx(math.log(p))  # a history never seen
    for before in ((), (1,), (1, 1), (2, 3)):
        deep = character_model([[1, 1, 2], [3, 1, 1]], 4, order=3)
        assert sum(math.exp(deep(before, c)) for c in (1, 2, 3)) == pytest.approx(1)
