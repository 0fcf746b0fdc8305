"""Features and labels of images by a small classifier that is trained here, once, and what two sets
of images have in common by them.

Images are uint8, or floats in 0..1. Host code around jitted steps.
"""

from __future__ import annotations

import hashlib
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
from jax.typing import ArrayLike

from ganjax import data
from ganjax.data import cache
from ganjax.keys import stream
from ganjax.metrics import frechet
from ganjax.nets.layers import Conv

Tree = Any  # a pytree of arrays
STEPS, BATCH, RATE = 3000, 128, 1e-3  # 6.4 passes over MNIST


class Net(nn.Module):
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
    """A trained net."""

    name: str  # what it is and what it has learnt
    net: Net
    params: Tree
    shape: tuple[int, int, int]  # of one image
    error: float  # on the test set, 0..1


def of(name: str, data_dir: str | None = None, seed: int = 0, **how: Any) -> Classifier:
    """The classifier of a set's own classes, by its name; arguments as in `data.find`. ValueError,
    one line, for a set without labels.
    """
    sets = [
        data.require(data.find(name, data_dir, split, **how), (None, None, None), labels=True)
        for split in ("train", "test")
    ]
    learnt, test = (found.load() for found in sets)
    assert isinstance(learnt, dict)
    assert isinstance(test, dict)
    return train(learnt, test, name, seed)


def train(
    learnt: Mapping[str, ArrayLike],
    test: Mapping[str, ArrayLike],
    name: str,
    seed: int = 0,
    steps: int = STEPS,
    cached: bool = True,
) -> Classifier:
    """A net trained on learnt and judged on test, never chosen by it.

    learnt, test: {"x": images [N, H, W, C], "label": [N] of 0, 1, …}. Adam, 128 images a step, a
    rate of 1e-3 that falls to 0 as a cosine. A function of the data, the seed, the compiled
    program, the version of JAX and the backend; it is kept in the user's cache folder under the
    SHA-256 of these (cached). Its features are ours: no distance between them is comparable with
    one from another extractor. Raises ValueError for arrays that are no labelled images, or too
    small ones.
    """
    sets = [
        {"x": pixels(each["x"]), "label": np.asarray(each["label"], np.int32)}
        for each in (learnt, test)
    ]
    shape = sets[0]["x"].shape[1:]
    if (
        min(shape[:2]) < 4
        or sets[1]["x"].shape[1:] != shape
        or any(each["label"].shape != each["x"].shape[:1] for each in sets)
    ):
        raise ValueError(
            f"labelled images of 4 x 4 or more are wanted, not {[list(a.shape) for each in sets for a in each.values()]}"
        )
    net = Net(int(sets[0]["label"].max()) + 1)
    init, step = training(net, steps)
    arrays, key = jax.device_put(sets[0]), random.key(seed)
    start = jax.eval_shape(init, key, arrays)
    programs = init.lower(key, arrays).as_text() + step.lower(start, arrays, key, 0).as_text()
    stamp = digest(
        programs,
        jax.__version__,
        jax.default_backend(),
        seed,
        steps,
        *(a for each in sets for a in each.values()),
    )
    path = cache.user_folder() / "classifiers" / f"{stamp[:16]}.npz"
    leaves = cache.read([path], stamp) if cached else None
    if leaves is None:
        state = init(key, arrays)
        # Step by step: in a compiled loop a convolution is many times slower on a CPU.
        for i in range(steps):
            state = step(state, arrays, key, i)
        wrong = (
            predict(Classifier(name, net, state[0], shape, np.nan), sets[1]["x"])
            != sets[1]["label"]
        )
        leaves = {
            path: np.asarray(leaf) for path, leaf in flatten_dict(state[0], sep="/").items()
        } | {"error": wrong.mean()}
        if cached:
            cache.write([path], stamp, leaves)
    params = unflatten_dict(
        {path: leaf for path, leaf in leaves.items() if path != "error"}, sep="/"
    )
    return Classifier(
        f"convolutions 16-32-128 of {name}, seed {seed}", net, params, shape, float(leaves["error"])
    )


def training(net: Net, steps: int) -> tuple[Any, Any]:
    """(init: (key, arrays) -> state, step: (state, arrays, key, i) -> state), jitted; a state is
    (params, state of the optimiser).
    """
    tx = optax.adam(optax.cosine_decay_schedule(RATE, steps))

    def init(key: Array, arrays: dict[str, Array]) -> tuple[Tree, Tree]:
        params = net.init(stream(key, "init"), data.scaled(arrays["x"][:1], 0.0))
        return params, tx.init(params)

    def step(
        state: tuple[Tree, Tree], arrays: dict[str, Array], key: Array, i: Array
    ) -> tuple[Tree, Tree]:
        batch = data.draw(arrays, random.fold_in(stream(key, "step"), i), BATCH, 0.0)

        def loss(params: Tree) -> Array:
            logits: Any = net.apply(params, batch["x"])
            return optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean()

        params, opt = state
        updates, opt = tx.update(jax.grad(loss)(params), opt, params)
        return optax.apply_updates(params, updates), opt

    return jax.jit(init), jax.jit(step, donate_argnums=0)


def digest(*parts: Any) -> str:
    """The SHA-256 of arrays, by shape, dtype and bytes, and of other things as they print."""
    found = hashlib.sha256()
    for part in parts:
        array = isinstance(part, np.ndarray)
        found.update(
            repr((part.shape, str(part.dtype)) if array else part).encode()
            + (part.tobytes() if array else b"")
        )
    return found.hexdigest()


def features(classifier: Classifier, x: ArrayLike) -> np.ndarray:
    """The last layer before the logits, float32 [n, 128], for images x [n, H, W, C]. ValueError for
    images of another shape.
    """
    return batched(
        partial(_apply, classifier.net, classifier.params, method="features"),
        fitting(classifier, x),
    )


def predict(classifier: Classifier, x: ArrayLike) -> np.ndarray:
    """The likeliest class, int32 [n], for images x [n, H, W, C]; -1 for an image that is not
    finite. ValueError for another shape.
    """
    images = fitting(classifier, x)
    label = batched(partial(_apply, classifier.net, classifier.params), images).argmax(-1)
    return np.where(np.isfinite(images.reshape(len(images), -1)).all(1), label, -1).astype(np.int32)


def compare(
    extract: Callable[[ArrayLike], np.ndarray],
    extractor: str,
    real: ArrayLike,
    fake: ArrayLike,
    key: Array,
    resize: str = "none",
) -> dict[str, Any]:
    """How far two sets of images are apart by an extractor: all measures of `metrics.frechet`, and
    what they were measured with.

    extract: images [n, H, W, C] -> features [n, d], `partial(features, classifier)` say; extractor:
    its name; resize: what it does to
    images. Of real and fake images as many as there are; the record says how many. It has
    "frechet", not FID, whatever the extractor.
    """
    x, y = extract(real), extract(fake)
    numbers = {
        "frechet": frechet.frechet(frechet.moments([x]), frechet.moments([y])),
        **frechet.kernel_distance(x, y, key),
    }
    numbers |= frechet.precision_recall(x, y) | frechet.density_coverage(x, y)
    record = {
        "extractor": extractor,
        "features": x.shape[1],
        "dtype": str(x.dtype),
        "resize": resize,
    }
    return numbers | record | {"real": len(x), "fake": len(y)}


def pixels(x: ArrayLike) -> np.ndarray:
    """Images [n, H, W, C] as uint8 or float32. ValueError for another shape, for none, and for
    floats that leave 0..1.
    """
    images = np.asarray(x)
    if images.ndim != 4 or not images.size:
        raise ValueError(f"images are wanted as [n, H, W, C], not {list(images.shape)}")
    if images.dtype == np.uint8:
        return images
    low, high = (
        float(end(images, initial=0.5, where=np.isfinite(images))) for end in (np.min, np.max)
    )
    if low < -1e-3 or high > 1 + 1e-3:
        raise ValueError(
            f"pixels are wanted as uint8, or floats in 0..1; these go from {low:.3g} to {high:.3g}"
        )
    return images.astype(np.float32)


def fitting(classifier: Classifier, x: ArrayLike) -> np.ndarray:
    """Images as `pixels` gives them; ValueError where the classifier has not learnt that shape."""
    images = pixels(x)
    if images.shape[1:] != classifier.shape:
        raise ValueError(
            f"{classifier.name} sees images {list(classifier.shape)}, not {list(images.shape[1:])}"
        )
    return images


def batched(function: Callable[[Array], Array], x: np.ndarray, size: int = 512) -> np.ndarray:
    """function(x), block by block of equal size, so that it is compiled once: [n, ...] -> [n, ...]."""
    padded = np.concatenate([x, np.zeros((-len(x) % size, *x.shape[1:]), x.dtype)])
    return np.concatenate(
        [np.asarray(function(jnp.asarray(padded[i : i + size]))) for i in range(0, len(x), size)]
    )[: len(x)]


@partial(jax.jit, static_argnames=("net", "method"))
def _apply(net: Net, params: Tree, x: Array, method: str | None = None) -> Array:
    out: Any = net.apply(params, data.scaled(x, 0.0), method=method)
    return out
