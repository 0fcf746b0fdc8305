"""Samples of players: of one class, and walks from one noise to another."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ganjax.experiment import Experiment, with_players
from ganjax.game import Bound
from ganjax.runs import population

Prior = Callable[[Array, tuple[int, ...]], Array]


def draw(
    experiment: Experiment,
    players: Mapping[str, Bound],
    key: Array,
    n: int,
    label: int | None = None,
    walk: int | None = None,
) -> np.ndarray:
    """n samples, [n, (K,) *shape], or all where a translator makes fewer.

    label: their class. Those of a class are every so many-th of all samples, as classes take turns:
        a batch, and so batch statistics, are of all classes as in training.
    walk: samples of a walk, which follow each other: each walk goes from one noise to another. Its
        samples are of the label, or walks take turns. What else the sampler draws does not walk.
    Sample i is the same whatever n is. Raises ValueError, one line, where nothing is made, for a
    class that there is not, and for a walk where no noise is drawn.
    """
    classes = experiment.classes
    if label is not None and not label < classes:
        known = f"classes are 0 to {classes - 1}" if classes else "its samples are of no class"
        raise ValueError(f"this experiment makes no samples of class {label}: {known}")
    if walk is not None:
        return walks(experiment, players, key, n, label, walk)
    size = population.block(experiment)
    if label is None:
        return population.sample_of(experiment, players, key, n, size)
    turns = -(-size // classes) * classes
    return population.sample_of(experiment, players, key, n * classes, turns)[label::classes]


def walks(
    experiment: Experiment,
    players: Mapping[str, Bound],
    key: Array,
    n: int,
    label: int | None,
    walk: int,
) -> np.ndarray:
    """The first n samples of walks of `walk` each, as `draw` says."""
    points = max(1, population.BLOCK // walk) * walk  # that are drawn together
    turns = experiment.classes or 1
    drawn: list[str] = []

    def of(bound: Bound) -> Bound:
        def prior(key: Array, shape: tuple[int, ...]) -> Array:
            drawn.append(bound.name)
            return path(bound.player.prior, points, walk, key, shape)

        return bound.replace(player=dataclasses.replace(bound.player, prior=prior))

    walkers = {name: of(bound) for name, bound in players.items()}
    sampler = population.sampler(experiment)
    jax.eval_shape(lambda players: with_players(sampler, players, key, points * turns), walkers)
    if not drawn:
        raise ValueError("the samples of this experiment come from no noise that one could walk")
    blocks = -(-n // points)
    size = points * turns
    x = population.sample_of(experiment, walkers, key, blocks * size, size)
    i = np.arange(n)
    return x[i * turns + (i // walk % turns if label is None else label)]


def path(prior: Prior, points: int, walk: int, key: Array, shape: tuple[int, ...]) -> Array:
    """Noise for so many points, [points, *sees], whole walks; each is repeated where more noise is
    asked for, as for each class.

    Normal noise goes along the sphere (White 2016, "Sampling Generative Networks"), as far from 0
    as it begins and ends; other noise straight, so that it stays between its ends.
    """
    ends = prior(key, (2 * points // walk, *shape[1:]))
    between = spherical if prior is jax.random.normal else straight
    line = jnp.linspace(0, 1, walk)
    steps = jax.vmap(lambda a, b: jax.vmap(partial(between, a, b))(line))(ends[::2], ends[1::2])
    every = steps.reshape(points, *shape[1:])
    return every[jnp.arange(shape[0]) * points // shape[0]]


def straight(a: Array, b: Array, t: Array) -> Array:
    """(1 - t) a + t b."""
    return (1 - t) * a + t * b


def spherical(a: Array, b: Array, t: Array) -> Array:
    """The point at the share t of the way from a to b over the angle between them."""
    cosine = (a * b).sum() / jnp.sqrt((a**2).sum() * (b**2).sum())
    angle = jnp.arccos(jnp.clip(cosine, -1, 1))
    arc = (jnp.sin((1 - t) * angle) * a + jnp.sin(t * angle) * b) / jnp.sin(angle)
    return jnp.where(jnp.sin(angle) < 1e-4, straight(a, b, t), arc)
