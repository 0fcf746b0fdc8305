"""A recogniser on held-out utterances: posteriors, decoded with and without a language model."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from matplotlib.figure import Figure

from ganjax.data import draw
from ganjax.data.sequences import pad, strided
from ganjax.data.speech import CLASSES, SPACE, Speech, decode, encode
from ganjax.experiment import Columns, FinishedRow
from ganjax.figures.speech import alignment
from ganjax.game import Bound, Player
from ganjax.metrics import ctc

SHORTEST = 128  # frames that the shortest utterances are padded to


@dataclass(frozen=True)
class Search:
    """The beam search with a language model of the training texts."""

    order: int  # of the n-grams of letters
    weight: float  # of the model's log p
    bonus: float  # for a letter
    beam: int = 8


def draw_rows(data: Any, key: Array, n: int) -> dict[str, Array]:
    """n training rows of `speech.training_arrays`."""
    return draw(data["train"], key, n)


def mean_posterior(logits: Array) -> Array:
    """log of the members' mean posterior, [B, K, T, C] -> [B, T, C]."""
    return jax.nn.logsumexp(jax.nn.log_softmax(logits), 1) - math.log(logits.shape[1])


def measure(data: Any, key: Array, *, R: Bound) -> dict[str, Array]:
    """The label error of the team's mean posterior, decoded greedily, on held-out utterances no
    longer than a training row.
    """
    held = data["held"]
    log_p = mean_posterior(R(held["x"], held["frames"]))  # [n, T, C]
    frames = jnp.asarray(strided(held["frames"], R.player.net.stride))
    labels, n = jax.vmap(ctc.greedy)(log_p, frames)
    wrong = jax.vmap(ctc.edit_distance)(labels, n, held["y"], held["letters"])
    return {"error": wrong.sum() / held["letters"].sum()}


def padded_length(x: np.ndarray) -> int:
    """The power of two that an utterance [T, …] is padded to, so that few programs are compiled."""
    return max(SHORTEST, 2 ** math.ceil(math.log2(len(x))))


def posteriors(R: Bound, frames: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The logits of each utterance [T, bands] by each member, [K, T', C].

    Utterances are padded to powers of two, those of one length go through one program; the net
    takes any length, whatever it was trained on.
    """
    lengths = [padded_length(x) for x in frames]
    found: dict[int, np.ndarray] = {}
    for T in sorted(set(lengths)):
        chosen = [i for i, length in enumerate(lengths) if length == T]
        x, n = pad([frames[i] for i in chosen], T)
        logits = np.asarray(_logits(R.replace(player=_taking(R.player, x.shape[1:])), x, n))
        for i, own, length in zip(chosen, logits, strided(n, R.player.net.stride)):
            found[i] = own[:, :length]
    return [found[i] for i in range(len(frames))]


_logits = jax.jit(lambda R, x, n: R(x, n))


@functools.cache
def _taking(player: Player, shape: tuple[int, ...]) -> Player:
    """The player of inputs of another length. One object, as compiled programs are cached by it."""
    return replace(player, sees=(shape, ()))


def evaluate(
    data: Any, key: Array, *, R: Bound, speech: Speech, frames: Sequence[np.ndarray], search: Search
) -> dict[str, float]:
    """Label errors on all held-out utterances: `label_error` of the first member, decoded greedily,
    `with_lm` of it by beam search with a language model of the training texts, and those of the
    team's mean posterior, `team` and `team_with_lm`.

    Spaces at the ends of what is found, and after another space, do not count.
    """
    held = np.flatnonzero(speech.test).tolist()
    logits = posteriors(R, [frames[i] for i in held])
    true = [encode(speech.text[i]).tolist() for i in held]
    # A space before the text tells the model where a word begins.
    training = [[SPACE, *encode(t).tolist()] for t, h in zip(speech.text, speech.test) if not h]
    model = ctc.character_model(training, CLASSES, search.order)

    def told(before: tuple[int, ...], label: int) -> float:
        return model((SPACE, *before[-search.order :]), label)

    found: dict[str, list[list[int]]] = {name: [] for name in ("", "_lm", "team", "team_lm")}
    for each in logits:
        for name, log_p in (("", one_of(each)), ("team", team_of(each))):
            found[name].append(greedy(log_p))
            best = ctc.beam_search(log_p, told, search.weight, search.bonus, search.beam)
            found[name + "_lm"].append(list(best))
    names = ("label_error", "with_lm", "team", "team_with_lm")
    plain = [[encode(decode(labels)).tolist() for labels in rows] for rows in found.values()]
    return {name: ctc.label_error(rows, true) for name, rows in zip(names, plain)}


def greedy(log_p: np.ndarray) -> list[int]:
    """`ctc.greedy` of all frames [T, C]."""
    x = np.zeros((padded_length(log_p), log_p.shape[1]), np.float32)
    x[: len(log_p)] = log_p
    labels, n = _greedy(x, len(log_p))
    return np.asarray(labels)[: int(n)].tolist()


_greedy = jax.jit(ctc.greedy)


def one_of(logits: np.ndarray) -> np.ndarray:
    """log p by the first member, [K, T, C] -> [T, C]."""
    return _log_softmax(logits[0])


def team_of(logits: np.ndarray) -> np.ndarray:
    """log p by the team, [K, T, C] -> [T, C]; on the host, as each utterance has its own length."""
    return np.logaddexp.reduce(_log_softmax(logits)) - math.log(len(logits))


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    x = np.asarray(logits, np.float64)
    return x - np.logaddexp.reduce(x, -1, keepdims=True)


def figures(
    data: Any, x: None, rows: Any, *, R: Bound, speech: Speech, frames: Sequence[np.ndarray]
) -> dict[str, Figure]:
    """The posterior over time of the held-out utterance of median length."""
    held = sorted(np.flatnonzero(speech.test).tolist(), key=lambda i: len(frames[i]))
    i = held[len(held) // 2]
    log_p = team_of(posteriors(R, [frames[i]])[0])
    stride = R.player.net.stride
    return {"alignment": alignment(speech.audio[i], speech.rate, log_p, stride, speech.text[i])}


def errors_of_one_run(
    played: Mapping[str, FinishedRow], row: str, names: Mapping[str, str]
) -> Columns:
    """More rows of a table, read from the last measurement of one of its rows: {new row: column}
    -> {new row: {"label_error": one for each seed}}.
    """
    if row not in played:
        return {}
    ended = played[row]
    last = {m["seed"]: m for m in ended.metrics if m["step"] == ended.experiment.steps}
    return {
        new: {"label_error": [last.get(seed, {}).get(column) for seed in ended.seeds]}
        for new, column in names.items()
    }
