"""How a classifier stands up to attacks: errors, confidences, distances, and what they look like.

Test images are attacked whether they are read right or not, as in the papers. Host code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float
from matplotlib.figure import Figure

from ganjax import attacks
from ganjax.data import scaled
from ganjax.figures import robustness as figures
from ganjax.game import Bound
from ganjax.keys import stream

SIZES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.6, 1.0)  # of the curves, in pixel values
BATCH = 200  # images that are attacked at once


@dataclass(frozen=True)
class Protocol:
    """The attacks, and how many test images each of them has; FGSM and the noise have all."""

    fgsm_eps: float = 0.25
    pgd_eps: float = 0.3
    pgd_rate: float = 0.01
    pgd_steps: int = 40
    pgd_images: int = 1000
    deepfool_images: int = 500
    cw_images: int = 100
    cw_steps: int = 1000
    cw_searches: int = 9

    @property
    def cw_rate(self) -> float:
        """.01 at 1,000 steps, as the authors' code has it; fewer steps go as far."""
        return 10 / self.cw_steps


def evaluate(arrays: Any, key: Array, *, C: Bound, p: Protocol) -> dict[str, float]:
    """The row of a table: the share of test images that C misreads as they are ("clean"), after
    each attack and after noise, how sure it is of its errors, and how far the attacks in L2 go.

    arrays: "test_x", "test_label". "noise" is as far from the images as "fgsm", in L2.
    "cw_l2" is the mean L2 distance of the images that Carlini and Wagner's attack turned, a share
    "cw_fooled" of those that were read right; "deepfool" is DeepFool's ρ, mean ‖r‖/‖x‖, of all.
    What no image gives is left out: the confidence of no error, say.
    """
    x, y = _images(arrays)
    clean = _read(C, x)
    found: dict[str, float] = {"clean": _error(clean, y)}
    for name, n, eps in (
        ("fgsm", None, p.fgsm_eps),
        ("noise", None, p.fgsm_eps),
        ("pgd", p.pgd_images, p.pgd_eps),
    ):
        new = _attacked(name, C, x[:n], y[:n], key, eps, p)
        read = _read(C, new)
        wrong = read.argmax(-1) != y[:n]
        found[name] = wrong.mean().item()
        if wrong.any():
            found[f"{name}_confidence"] = read.max(-1)[wrong].mean().item()
    right = np.flatnonzero(clean.argmax(-1) == y)[: p.cw_images]
    found |= _carlini_wagner(C, x[right], y[right], key, p)
    few = x[: p.deepfool_images]
    new = _attacked("deepfool", C, few, y[: len(few)], key, 0.0, p)
    found["deepfool"] = (_norm(new - few) / np.maximum(_norm(few), 1e-6)).mean().item()
    return found


def _carlini_wagner(
    C: Bound, x: np.ndarray, y: np.ndarray, key: Array, p: Protocol
) -> dict[str, float]:
    if not len(x):
        return {}
    new = _attacked("cw", C, x, y, key, 0.0, p)
    fooled = _read(C, new).argmax(-1) != y
    if not fooled.any():
        return {"cw_fooled": 0.0}
    return {"cw_fooled": fooled.mean().item(), "cw_l2": _norm(new - x)[fooled].mean().item()}


def measure(arrays: Any, key: Array, *, C: Bound, p: Protocol, n: int = 1000) -> dict[str, Array]:
    """The errors on the first n test images, as they are and after FGSM. Pure."""
    x, y = scaled(arrays["test_x"][:n], 0.0), jnp.asarray(arrays["test_label"][:n])
    new = attacks.fgsm(C, x, y, p.fgsm_eps)
    return {
        "error": (C(x).argmax(-1) != y).mean(),
        "fgsm_error": (C(new).argmax(-1) != y).mean(),
    }


def draw(arrays: Any, samples: Any, rows: Any, *, C: Bound, p: Protocol) -> dict[str, Figure]:
    """Two figures: the error by the size of each attack, and for each attack an image it turned.

    Both are of the first test images: so many as are attacked at once; distances are of those that
    C reads right.
    """
    x, y = (array[:BATCH] for array in _images(arrays))
    key = stream(jax.random.key(0), "figures")
    by_size: dict[str, list[float]] = {"FGSM": [], "PGD": [], "noise, L2 of FGSM": []}
    for eps in SIZES:
        for line, name in zip(by_size, ("fgsm", "pgd", "noise")):
            new = _attacked(name, C, x, y, key, eps, p)
            by_size[line].append(_error(_read(C, new), y))
    distances = {}
    right = _read(C, x).argmax(-1) == y
    for line, name, n in (("DeepFool", "deepfool", len(x)), ("CW", "cw", p.cw_images)):
        new = _attacked(name, C, x[:n], y[:n], key, 0.0, p)
        turned = _read(C, new).argmax(-1) != y[:n]
        distances[line] = np.where(turned, _norm(new - x[:n]), np.inf)[right[:n]]
    return {
        "curves_of_attacks": figures.error_curves(SIZES, by_size, distances),
        "attacked": figures.perturbations(_examples(C, x, y, key, p)),
    }


def attackers(p: Protocol) -> dict[str, Callable[..., Array]]:
    """The attacks of the protocol by name, (images in 0..1, labels, key, *, C) -> images."""
    sizes = {"FGSM": p.fgsm_eps, "PGD": p.pgd_eps, "CW": 0.0, "DeepFool": 0.0}
    return {name: partial(_perturbed, attack=name.lower(), eps=e, p=p) for name, e in sizes.items()}


def _perturbed(
    x: Array, y: Array, key: Array, *, C: Bound, attack: str, eps: float, p: Protocol
) -> Array:
    y = jnp.where(y < 0, C(x).argmax(-1), y)
    return _attack(attack, C, x, y, key, eps, p)


def _examples(
    C: Bound, x: np.ndarray, y: np.ndarray, key: Array, p: Protocol
) -> list[figures.Example]:
    """For each attack an image of its own: the first of a class that C reads right, if any."""
    n = p.cw_images  # as many as the costliest attack has
    before = _read(C, x)
    right = np.flatnonzero(before[:n].argmax(-1) == y[:n])
    chosen = [right[y[right] == label][0] for label in np.unique(y[right])]
    chosen += [i for i in range(n) if i not in chosen]
    titles = {
        "fgsm": (f"FGSM {p.fgsm_eps:g}", p.fgsm_eps),
        "noise": (f"noise, L2 of FGSM {p.fgsm_eps:g}", p.fgsm_eps),
        "pgd": (f"PGD {p.pgd_eps:g}", p.pgd_eps),
        "cw": ("CW", 0.0),
        "deepfool": ("DeepFool", 0.0),
    }
    found = []
    for i, (name, (title, eps)) in zip(chosen, titles.items()):
        m = n if name == "cw" else len(x)
        new = _attacked(name, C, x[:m], y[:m], key, eps, p)
        reads = [(int(r.argmax()), float(r.max())) for r in (before[i], _read(C, new)[i])]
        found.append(figures.Example(title, x[i], new[i], *reads))
    return found


def _images(arrays: Any) -> tuple[np.ndarray, np.ndarray]:
    """The test images in 0..1, and their labels."""
    return np.asarray(scaled(arrays["test_x"], 0.0)), np.asarray(arrays["test_label"])


@partial(jax.jit, static_argnames=("name", "p"))
def _attack(
    name: str, C: Bound, x: Array, y: Array, key: Array, eps: ArrayLike, p: Protocol
) -> Array:
    if name == "pgd":
        # A large ball needs longer steps, or its border would not be reached.
        rate = jnp.maximum(p.pgd_rate, eps / (0.75 * p.pgd_steps))
        return attacks.pgd(C, x, y, eps, rate, p.pgd_steps, key)
    if name == "cw":
        return attacks.carlini_wagner(C, x, y, p.cw_steps, p.cw_searches, p.cw_rate)
    if name == "deepfool":
        return attacks.deepfool(C, x)
    near = attacks.fgsm(C, x, y, eps)
    if name == "noise":
        return attacks.random_noise(key, x, attacks.distance(near, x))
    return near


def _attacked(
    name: str, C: Bound, x: np.ndarray, y: np.ndarray, key: Array, eps: float, p: Protocol
) -> Float[np.ndarray, "n ..."]:
    """The images after an attack, batch by batch; the last batch is filled up with the first."""
    size = min(BATCH, len(x))
    rows = np.arange(-(-len(x) // size) * size) % len(x)
    parts = [
        np.asarray(_attack(name, C, x[at], y[at], stream(key, name, i), jnp.float32(eps), p))
        for i, at in enumerate(rows.reshape(-1, size))
    ]
    return np.concatenate(parts)[: len(x)]


@jax.jit
def _probabilities(C: Bound, x: Array) -> Array:
    return jax.nn.softmax(C(x))


def _read(C: Bound, x: np.ndarray) -> Float[np.ndarray, "n K"]:
    """The probabilities of the classes."""
    parts = [np.asarray(_probabilities(C, x[i : i + BATCH])) for i in range(0, len(x), BATCH)]
    return np.concatenate(parts)


def _error(read: np.ndarray, y: np.ndarray) -> float:
    return float((read.argmax(-1) != y).mean())


def _norm(r: np.ndarray) -> np.ndarray:
    return np.linalg.norm(r.reshape(len(r), -1), axis=1)
