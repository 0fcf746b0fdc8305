"""Two domains of images, uint8 on the host: a paired dataset, one and what is derived from it, or
two datasets.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, random

from ganjax.data import transforms
from ganjax.data.batches import draw, scaled
from ganjax.data.dataset import Dataset
from ganjax.data.kept import kept_of
from ganjax.data.registry import find
from ganjax.data.splits import read_arrays, train_and_test

Images = dict[str, np.ndarray]  # "x" [N, H, W, C] and "y" [M, H, W, C], uint8
DERIVED = {"edge": transforms.edge, "negative": transforms.negative}
FEWEST = 12  # images, of which a sixth is held out and the rest cut in halves
SHOWN = 64  # training images of each domain that are looked at where no pairs are known


class Domains(NamedTuple):
    """Images of both domains for training, where x and y are unpaired, and for testing."""

    train: Images
    test: Images
    paired: bool = True  # row i of the test's x belongs to row i of its y; no run trains on them

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image, (H, W, C)."""
        return self.train["x"].shape[1:]

    def test_images(self, n: int) -> tuple[Array, Array]:
        """The first n of the test's x and y, float32 [n, H, W, C] in -1 … 1."""
        x, y = (scaled(jnp.asarray(self.test[name][:n])) for name in ("x", "y"))
        return x, y


@kept_of(make=lambda kept: Domains(**kept))
def domains_of(
    name: str, derive: str | None = None, *, together: bool = False, **how: Any
) -> Domains:
    """The two domains of one dataset: its pairs (x, y), or x and what is derived from it.

    derive: "edge" or "negative"; None for a paired dataset. y is then derived from one half of the
        training images, and x is the other half, so that no image is seen in both domains.
    together: both come from all images, and row i of x belongs to row i of y.
    how: data_dir, size, channels and crop, as in `registry.find`.
    Held out is what `splits` says. Grey images become colour where the other domain is. Raises
    ValueError, one line, for anything but images, and for one domain alone.
    """
    train, test = train_and_test(require_images(find(name, **how)))
    if derive is None:
        if "y" not in train:
            raise ValueError(
                f"{name} is one domain: a paired dataset is wanted, or {' or '.join(DERIVED)} "
                "derived from it, or a second dataset"
            )
        return Domains(match_channels(train["x"], train["y"]), match_channels(test["x"], test["y"]))

    def derived(x: np.ndarray) -> np.ndarray:
        return np.asarray(jax.jit(DERIVED[derive])(x))

    x = train["x"]
    of_x = of_y = np.arange(len(x))
    if not together:
        halves = jax.jit(transforms.halves, static_argnums=1)
        of_x, of_y = map(np.asarray, halves(random.key(0), len(x)))
    return Domains({"x": x[of_x], "y": derived(x[of_y])}, {"x": test["x"], "y": derived(test["x"])})


@kept_of(make=lambda kept: Domains(**kept))
def domains_of_two(name_x: str | None, name_y: str | None, **how: Any) -> Domains:
    """The x of two datasets, of which no pairs are known; `how` as in `domains_of`.

    Raises ValueError, one line, where one of the names is None, and for images of different sizes.
    """
    if name_x is None or name_y is None:
        raise ValueError("--data-x and --data-y are given together, or neither is")
    x, y = (read_arrays(require_images(find(name, **how)))["x"] for name in (name_x, name_y))
    if x.shape[1:3] != y.shape[1:3]:
        raise ValueError(
            f"{name_x} has images of {list(x.shape[1:3])}, {name_y} of {list(y.shape[1:3])}: "
            "ask for one size"
        )
    train = match_channels(x, y)
    return Domains(train, {name: v[:SHOWN] for name, v in train.items()}, paired=False)


def require_sides(found: Domains, multiple: int) -> Domains:
    """The same domains, where the sides of an image are multiples of this; ValueError otherwise."""
    if any(side % multiple for side in found.shape[:2]):
        raise ValueError(
            f"sides are multiples of {multiple} pixels, and images are {list(found.shape[:2])}: "
            "ask for a size"
        )
    return found


def unpaired(
    data: Any, key: Array, n: int, low: float = -1.0, high: float = 1.0
) -> dict[str, Array]:
    """n images of each domain, drawn independently, x with its labels where it has some.

    {"x": [n, …], "y": [n, …], ["label"]}. Pure, jittable.
    """
    x_key, y_key = random.split(key)
    known = {name: data[name] for name in ("x", "label") if name in data}
    y = draw({"x": data["y"]}, y_key, n, low, high)["x"]
    return draw(known, x_key, n, low, high) | {"y": y}


def require_images(found: Dataset) -> Dataset:
    """The same dataset. Raises ValueError for anything but enough images that fit the device."""
    if len(found.shape) != 3 or found.shape[-1] not in (1, 3):
        raise ValueError(
            f"{found.name} has examples of shape {list(found.shape)}; images of 1 or 3 channels "
            "are wanted"
        )
    if not found.resident or (found.examples or 0) < FEWEST:
        raise ValueError(
            f"{found.name} has {found.examples} examples: {FEWEST} or more are wanted, as many as "
            "fit the device"
        )
    return found


def match_channels(x: np.ndarray, y: np.ndarray) -> Images:
    """Both domains with as many channels as the richer one."""
    channels = max(x.shape[-1], y.shape[-1])
    return {
        name: v if v.shape[-1] == channels else v.repeat(channels, -1)
        for name, v in (("x", x), ("y", y))
    }
