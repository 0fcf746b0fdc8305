"""Images in the eyes of a classifier that is trained here on real ones. Host code."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np

from ganjax import data as sets
from ganjax.metrics import features, frechet, stacked_mnist

NAMED: dict[str, Callable[..., Any]] = {
    "stacked_mnist": stacked_mnist.stacked,
    "compositional_mnist": stacked_mnist.compositional,
}


def counted(name: str, data_dir: str | None, images: Any) -> dict[str, float]:
    """{"modes", "kl"} of images {"x": [n, H, W, C]} of a set in NAMED, read digit by digit by a
    classifier of MNIST at their size.
    """
    x = jnp.asarray(images["x"])
    digits = features.of(
        "mnist", data_dir, size=x.shape[1] // (2 if name == "compositional_mnist" else 1)
    )
    found = stacked_mnist.coverage(
        NAMED[name](lambda x: jnp.asarray(features.predict(digits, x)), x)
    )
    return {measure: float(value) for measure, value in found.items()}


def anchor(data_dir: str | None, name: str, **how: Any) -> dict[str, dict[str, float]]:
    """The row of `counted` that no model makes: the training images of the set themselves. how: as
    in `data.find`.
    """
    return {"training images": counted(name, data_dir, sets.find(name, data_dir, **how).read())}


def distance(
    drawn: Callable[[int], np.ndarray], name: str, data_dir: str | None, **how: Any
) -> dict[str, float]:
    """{"frechet"} between the test images of a labelled set and drawn(n), as many samples in 0..1,
    by the features of its classifier.

    how: as in `data.find`. Raises ValueError, one line, for a set without labels or a test split.
    """
    classifier = features.of(name, data_dir, **how)
    real: Any = sets.find(name, data_dir, "test", **how).read()
    extract = partial(features.features, classifier)
    a, b = (frechet.moments([extract(x)]) for x in (real["x"], drawn(len(real["x"]))))
    return {"frechet": frechet.frechet(a, b)}
