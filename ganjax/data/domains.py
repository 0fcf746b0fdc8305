"""Two domains of images: a set and what is made of it, a paired set, or two sets. Host arrays,
uint8.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, random

from ganjax import data as sets
from ganjax.data import transforms

Images = dict[str, np.ndarray]  # "x" [N, H, W, C] and "y" [M, H, W, C], uint8
DERIVED = {"edge": transforms.edge, "negative": transforms.negative}
FEWEST = 12  # images: a sixth of them in two halves


class Domains(NamedTuple):
    """What is learnt from, unpaired, and what is looked at."""

    train: Images
    test: Images
    paired: bool = (
        True  # row i of the test's x belongs to row i of its y, and neither is learnt from
    )

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image, (H, W, C)."""
        return self.train["x"].shape[1:]

    def look(self, n: int) -> tuple[Array, Array]:
        """The first n of the test's x and y, float32 [n, H, W, C] in -1..1."""
        return sets.scaled(jnp.asarray(self.test["x"][:n])), sets.scaled(
            jnp.asarray(self.test["y"][:n])
        )


def chosen(
    name: str,
    derive: str | None,
    name_x: str | None,
    name_y: str | None,
    data_dir: str | None = None,
    sides: int = 1,
    **how: Any,
) -> Domains:
    """`two` sets where both are named, else the `domains` of one.

    Raises ValueError, one line, where one of two is named, and where the images' sides are no
    multiples of `sides`.
    """
    if (name_x is None) != (name_y is None):
        raise ValueError("--data-x and --data-y are given together, or neither is")
    found = (
        two(name_x, name_y, data_dir, **how)
        if name_x and name_y
        else domains(name, derive, data_dir, **how)
    )
    if found.shape[0] % sides or found.shape[1] % sides:
        raise ValueError(
            f"sides are multiples of {sides} pixels, and images are {list(found.shape[:2])}: ask for a size"
        )
    return found


def domains(
    name: str,
    derive: str | None = None,
    data_dir: str | None = None,
    together: bool = False,
    **how: Any,
) -> Domains:
    """The two domains of a set: its pairs (x, y), or x and what `derive`, edge or negative, makes
    of x.

    What is derived comes from one half of the training images, and x is the other half, so that
    nothing is seen in both domains; together, they come from all images, and row i of x belongs to
    row i of y. The test split is held out, or the last sixth of a set without one. Grey images
    become colour where the other domain is. `how` as in `ganjax.data.find`. Raises ValueError, one
    line, for a set of anything but images, or of one domain alone.
    """
    train, test = parted(name, data_dir, **how)
    if derive is None:
        if "y" not in train:
            raise ValueError(
                f"{name} is one domain: a paired set is wanted, or {' or '.join(DERIVED)} derived from it, or a second set"
            )
        return Domains(alike(train["x"], train["y"]), alike(test["x"], test["y"]))
    change = DERIVED[derive]
    n = len(train["x"])
    first, second = (
        (np.arange(n),) * 2
        if together
        else (np.asarray(rows) for rows in transforms.halves(random.key(0), n))
    )
    changed = lambda x: np.asarray(change(jnp.asarray(x)))  # noqa: E731
    return Domains(
        {"x": train["x"][first], "y": changed(train["x"][second])},
        {"x": test["x"], "y": changed(test["x"])},
    )


def two(name_x: str, name_y: str, data_dir: str | None = None, **how: Any) -> Domains:
    """The x of two sets, of which no pairs are known; some of them are looked at.

    Raises ValueError, one line, where their images are of different sizes.
    """
    x, y = (whole(sets.find(name, data_dir, **how))["x"] for name in (name_x, name_y))
    if x.shape[1:3] != y.shape[1:3]:
        raise ValueError(
            f"{name_x} has images of {list(x.shape[1:3])}, {name_y} of {list(y.shape[1:3])}: ask for one size"
        )
    train = alike(x, y)
    return Domains(train, {name: v[:64] for name, v in train.items()}, paired=False)


def unpaired(
    data: Any, key: Array, n: int, low: float = -1.0, high: float = 1.0
) -> dict[str, Array]:
    """n images of each domain, drawn apart, x with its labels: {"x": [n, …], "y": [n, …],
    ["label"]}. Pure, jittable.
    """
    x_key, y_key = random.split(key)
    known = {name: data[name] for name in ("x", "label") if name in data}
    return sets.draw(known, x_key, n, low, high) | {
        "y": sets.draw({"x": data["y"]}, y_key, n, low, high)["x"]
    }


def parted(name: str, data_dir: str | None, **how: Any) -> tuple[Images, Images]:
    """A set's images in two parts: those of training, and those held out."""
    train = whole(sets.find(name, data_dir, **how))
    try:
        return train, whole(sets.find(name, data_dir, split="test", **how))
    except ValueError:  # no such split
        cut = len(train["x"]) - len(train["x"]) // 6
        return {k: v[:cut] for k, v in train.items()}, {k: v[cut:] for k, v in train.items()}


def whole(found: sets.Set) -> Images:
    """All images of a set of them. Raises ValueError for anything else, for too few, and for what
    does not fit the device.
    """
    if len(found.shape) != 3 or found.shape[-1] not in (1, 3):
        raise ValueError(
            f"{found.name} has examples of shape {list(found.shape)}; images of 1 or 3 channels are wanted"
        )
    if not found.resident or (found.examples or 0) < FEWEST:
        raise ValueError(
            f"{found.name} has {found.examples} examples: {FEWEST} or more are wanted, as many as fit the device"
        )
    arrays = found.read()
    assert isinstance(arrays, dict)
    return {name: values for name, values in arrays.items() if name in ("x", "y")}


def alike(x: np.ndarray, y: np.ndarray) -> Images:
    """Both domains with as many channels as the richer one."""
    channels = max(x.shape[-1], y.shape[-1])
    return {
        name: v if v.shape[-1] == channels else v.repeat(channels, -1)
        for name, v in (("x", x), ("y", y))
    }
