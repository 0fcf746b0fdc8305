"""A small classifier that is trained here, once for each dataset, and what it measures of images.

Its training is a game of one player. Images are uint8, or floats in 0..1. Host code.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import flatten_dict, unflatten_dict
from jax import Array, random
from jaxtyping import Float32, Int32
from numpy.typing import ArrayLike

from ganjax import data, play
from ganjax.data import cache
from ganjax.game import Bound, Game, Player
from ganjax.metrics import frechet, stacked_mnist
from ganjax.metrics.inputs import as_images, in_batches
from ganjax.nets.layers import Conv

STEPS = 3000  # 6.4 passes over MNIST
BATCH = 128
RATE = 1e-3
LABELS: dict[str, Callable[[Callable[[Array], Array], Array], Array]] = {
    "stacked_mnist": stacked_mnist.stacked_labels,
    "compositional_mnist": stacked_mnist.compositional_labels,
}


class SmallConvNet(nn.Module):
    """Two convolutions of stride 2, 128 features, logits: [B, H, W, C] in 0..1 -> [B, classes].

    Strides, not pooling: they cost a quarter, and the gradient of a max pool is slow on a CPU.
    """

    classes: int

    def setup(self) -> None:
        self.conv1, self.conv2 = Conv(16, 5, 2), Conv(32, 5, 2)
        self.dense, self.logits = nn.Dense(128), nn.Dense(self.classes)

    def features(self, x: Array) -> Array:
        """The last layer before the logits, [B, 128]."""
        x = nn.relu(self.conv2(nn.relu(self.conv1(x))))
        return nn.relu(self.dense(x.reshape(len(x), -1)))

    def __call__(self, x: Array) -> Array:
        """Logits."""
        return self.logits(self.features(x))


@dataclass(frozen=True, eq=False)
class Classifier:
    """A trained classifier."""

    name: str  # its net, dataset and seed
    C: Bound
    error: float  # on the test images, 0..1

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape [H, W, C] of the images that it was trained on."""
        return self.C.player.inputs[0]


def of_dataset(name: str, data_dir: str | None = None, seed: int = 0, **how: Any) -> Classifier:
    """The classifier of a dataset's own classes; arguments as in `data.find`.

    Raises ValueError, one line, for a dataset without labels.
    """
    train, test = (
        data.require(data.find(name, data_dir, split, **how), (None, None, None), labels=True)
        for split in ("train", "test")
    )
    return trained(train.load(), test.load(), name, seed)  # type: ignore[arg-type]


def trained(
    train: Mapping[str, ArrayLike],
    test: Mapping[str, ArrayLike],
    name: str,
    seed: int = 0,
    steps: int = STEPS,
    cached: bool = True,
) -> Classifier:
    """A classifier trained on `train`; `test` gives its error and chooses nothing.

    train, test: {"x": images [N, H, W, C], "label": [N] of 0, 1, …}. Adam, 128 images a step, a
    learning rate that falls from 1e-3 to 0 as a cosine. The result is a function of the data, the
    seed, the program, XLA's flags, the version of JAX and the backend; it is cached in the user's
    cache folder under the SHA-256 of these. Distances in its features compare only with distances
    in the same features. Raises ValueError for arrays that are no labelled images of 4 x 4 pixels
    or more.
    """
    splits = [
        {"x": as_images(split["x"]), "label": np.asarray(split["label"], np.int32)}
        for split in (train, test)
    ]
    shape = splits[0]["x"].shape[1:]
    if (
        min(shape[:2]) < 4
        or splits[1]["x"].shape[1:] != shape
        or any(split["label"].shape != split["x"].shape[:1] for split in splits)
    ):
        got = [list(array.shape) for split in splits for array in split.values()]
        raise ValueError(f"labelled images of 4 x 4 or more are wanted, not {got}")
    training = game(shape, int(splits[0]["label"].max()) + 1, steps)
    player, key = training.players["C"], random.key(seed)
    arrays = jax.device_put(splits[0])
    start = play.template(training, key, arrays)
    programs = (
        jax.jit(player.init).lower(key).as_text(),
        jax.jit(partial(play.step, training)).lower(start, arrays).as_text(),
    )
    flags = os.environ.get("XLA_FLAGS", "")
    environment = (jax.__version__, jax.default_backend(), flags, seed, steps)
    stamp = digest(*programs, *environment, *(a for split in splits for a in split.values()))
    paths = cache.places(f"classifiers/{stamp[:16]}.npz")
    leaves = cache.read(paths, stamp) if cached else None
    if leaves is None:
        state = play.init(training, key, arrays)
        for done in range(0, steps, 100):
            state, _ = play.run(training, state, arrays, min(100, steps - done))
        new = Classifier(name, player.bind(state.params["C"], name="C"), np.nan)
        wrong = predict(new, splits[1]["x"]) != splits[1]["label"]
        flat = flatten_dict(jax.device_get(state.params["C"]), sep="/")
        leaves = {**flat, "error": wrong.mean()}
        if cached:
            cache.write(paths, stamp, leaves)
    error = float(leaves.pop("error"))
    C = player.bind(unflatten_dict(leaves, sep="/"), name="C")
    return Classifier(f"convolutions 16-32-128 of {name}, seed {seed}", C, error)


def game(shape: tuple[int, ...], classes: int, steps: int) -> Game:
    """The training of the classifier: one player that minimises its cross entropy."""

    def losses(batch: Mapping[str, Array], key: Array, *, C: Bound) -> dict[str, Array]:
        error = optax.softmax_cross_entropy_with_integer_labels(C(batch["x"]), batch["label"])
        return {"C": error.mean()}

    adam = optax.adam(optax.cosine_decay_schedule(RATE, steps))
    draw = partial(data.draw, n=BATCH, low=0.0)
    return Game({"C": Player(SmallConvNet(classes), adam, shape)}, losses, [["C"]], draw)


def digest(*parts: Any) -> str:
    """The SHA-256 of arrays, by shape, dtype and bytes, and of anything else as it prints."""
    found = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            found.update(repr((part.shape, str(part.dtype))).encode() + part.tobytes())
        else:
            found.update(repr(part).encode())
    return found.hexdigest()


def features(classifier: Classifier, x: ArrayLike) -> Float32[np.ndarray, "n 128"]:
    """The last layer before the logits, for images x [n, H, W, C].

    Raises ValueError for images of another shape.
    """
    return in_batches(partial(_apply, classifier.C, method="features"), _fitting(classifier, x))


def predict(classifier: Classifier, x: ArrayLike) -> Int32[np.ndarray, " n"]:
    """The likeliest class of images x [n, H, W, C]; -1 for an image that is not finite.

    Raises ValueError for images of another shape.
    """
    images = _fitting(classifier, x)
    label = in_batches(partial(_apply, classifier.C), images).argmax(-1)
    finite = np.isfinite(images.reshape(len(images), -1)).all(1)
    return np.where(finite, label, -1).astype(np.int32)


def probabilities(classifier: Classifier, x: ArrayLike) -> Float32[np.ndarray, "n classes"]:
    """The probability of each class of images x [n, H, W, C].

    Raises ValueError for images of another shape.
    """
    logits = in_batches(partial(_apply, classifier.C), _fitting(classifier, x))
    return np.asarray(jax.nn.softmax(logits))


def _fitting(classifier: Classifier, x: ArrayLike) -> np.ndarray:
    images = as_images(x)
    if images.shape[1:] != classifier.shape:
        wanted, got = list(classifier.shape), list(images.shape[1:])
        raise ValueError(f"{classifier.name} sees images {wanted}, not {got}")
    return images


@partial(jax.jit, static_argnames="method")
def _apply(C: Bound, x: Array, method: str | None = None) -> Array:
    return C(data.scaled(x, 0.0), method=method)


def mode_coverage(name: str, data_dir: str | None, x: ArrayLike) -> dict[str, float]:
    """{"modes", "kl"} of images x [n, H, W, C] of a dataset in LABELS: a classifier of MNIST at
    their size reads each digit.
    """
    images = jnp.asarray(x)
    size = images.shape[1] // (2 if name == "compositional_mnist" else 1)
    digits = of_dataset("mnist", data_dir, size=size)
    label = LABELS[name](lambda x: jnp.asarray(predict(digits, x)), images)
    return {key: float(value) for key, value in stacked_mnist.coverage(label).items()}


def training_images(data_dir: str | None, name: str, **how: Any) -> dict[str, dict[str, float]]:
    """A row of a table to compare with: `mode_coverage` of the training images of a dataset; how:
    as in `data.find`.
    """
    images: Any = data.find(name, data_dir, **how).read()
    return {"training images": mode_coverage(name, data_dir, images["x"])}


def frechet_distance(
    draw: Callable[[int], np.ndarray], name: str, data_dir: str | None, **how: Any
) -> dict[str, float]:
    """{"frechet"} between the test images of a labelled dataset and draw(n), as many samples in
    0..1, in features of the dataset's classifier.

    how: as in `data.find`. Raises ValueError, one line, for a dataset without labels or test split.
    """
    classifier = of_dataset(name, data_dir, **how)
    real: Any = data.find(name, data_dir, "test", **how).read()
    images = (real["x"], draw(len(real["x"])))
    moments = (frechet.moments([features(classifier, x)]) for x in images)
    return {"frechet": frechet.frechet(*moments)}
