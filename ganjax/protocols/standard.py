"""How samples are judged on the kind of data there is: a mixture by its density, labelled images by
their nearest neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ganjax import play
from ganjax.data.dataset import Dataset
from ganjax.data.mixtures import Mixture
from ganjax.data.splits import Splits
from ganjax.game import Bound
from ganjax.keys import stream
from ganjax.metrics import classifiers, imagenet, mixtures, neighbours, parzen
from ganjax.metrics import equilibrium as balance

CHUNK = 2**17  # samples made at once where a protocol asks for a million
THOUSAND = 1000
NEIGHBOURS = (
    5000  # real images that samples are compared with, at most: time grows with their square
)


def flat(x: Array, shape: tuple[int, ...]) -> Array:
    """[n, (K,) *shape] -> [n K, *shape]: the samples of all generators together."""
    return x.reshape(-1, *shape)


def measure(data: Any, x: Array, key: Array) -> dict[str, Array]:
    """What is worth looking at while a game is played: `mixtures.measure` of all generators'
    samples; nothing for other data. Pure.
    """
    return mixtures.measure(data, flat(x, (data.dim,)), key) if isinstance(data, Mixture) else {}


def equilibrium(data: Any, x: Array, key: Array, D: Bound) -> dict[str, Array]:
    """On a mixture `equilibrium.value` of D at samples x [n, d] and as many real ones, and
    `equilibrium.best`; else nothing. Pure.
    """
    if not isinstance(data, Mixture):
        return {}
    return balance.value(D(data.draw(stream(key, "equilibrium"), len(x))), D(x)) | balance.best(
        data, x, stream(key, "best")
    )


def judge(
    data: Any, sample: Callable[..., Array], key: Array, **players: Bound
) -> dict[str, float]:
    """The numbers of a finished run. Host code; sample(key, n, **players) makes [n, (K,) *shape], K
    the generators of a team.

    On a mixture: `mixtures.measure` of 1,048,576 samples, equally many from each generator, and the
    share of them in each mode. On labelled images (samples in 0..1): `neighbours.classes` of as
    many samples as there are images, or 5000.
    """
    make = jax.jit(sample, static_argnums=1)
    probe = jax.eval_shape(partial(sample, n=1, **players), key)
    if isinstance(data, Mixture):
        teams = int(np.prod(probe.shape[1:])) // data.dim
        n = CHUNK // teams
        rounds = -(-mixtures.SAMPLES // (n * teams))
        x = jnp.concatenate(
            [flat(make(stream(key, "judge", i), n, **players), (data.dim,)) for i in range(rounds)]
        )[: mixtures.SAMPLES]
        numbers = jax.jit(mixtures.measure)(data, x, stream(key, "real"))
        shares = mixtures.shares(data, x)
        named = {f"share_{i}": float(share) for i, share in enumerate(shares)}
        return (
            {name: float(value) for name, value in numbers.items()}
            | {"share_min": float(shares.min())}
            | named
        )
    if "label" in data:
        shape = data["x"].shape[1:]
        teams = max(1, int(np.prod(probe.shape[1:])) // int(np.prod(shape)))
        real, label = (np.asarray(data[name][:NEIGHBOURS]) for name in ("x", "label"))
        x = flat(make(stream(key, "judge"), -(-len(real) // teams), **players), shape)
        return neighbours.classes(
            np.asarray(x), real / 255.0 if real.dtype == np.uint8 else real, label
        )
    return {}


def drawn(sample: Callable[..., Array], key: Array, n: int, **players: Bound) -> np.ndarray:
    """n samples [n, *shape] of a single generator, made by the thousand: float32 on the host."""
    make = jax.jit(sample, static_argnums=1)
    return np.concatenate(
        [np.asarray(make(stream(key, i), THOUSAND, **players)) for i in range(-(-n // THOUSAND))]
    )[:n]


def likelihood(
    sample: Callable[..., Array], key: Array, parts: Splits, **players: Bound
) -> dict[str, float]:
    """The Parzen-window log-likelihood of the test images, by the protocol of Goodfellow et al.
    2014; nothing where none are held out.

    10,000 samples in 0..1, the window's width chosen on the first 1,000 validation images. Host
    code.
    """
    if parts.test is None:
        return {}
    return parzen.log_likelihood(
        drawn(sample, key, 10 * THOUSAND, **players),
        images(parts.valid)[:THOUSAND],
        images(parts.test),
    )


def conditional(
    sample: Callable[..., Array], key: Array, parts: Splits, classes: int, **players: Bound
) -> dict[str, float]:
    """`likelihood`, and the test error of a nearest neighbour among 1,000, 10,000 and 50,000
    labelled samples (Radford et al. 2016).

    sample(key, n) makes sample i of class i mod classes. Host code.
    """
    if parts.test is None:
        return {}
    label = np.arange(THOUSAND) % classes  # of each thousand that is drawn
    x, test = drawn(sample, key, 50 * THOUSAND, **players), (images(parts.test), labels(parts.test))
    errors = {
        f"one_nn_{n}k": classifiers.one_nn(x[: n * THOUSAND], np.tile(label, n), *test)
        for n in (1, 10, 50)
    }
    return {**likelihood(sample, key, parts, **players), **errors}


def few_label_features(key: Array, data: Any, parts: Splits, D: Bound) -> dict[str, float]:
    """Test errors of a linear SVM that sees 100 labels a class: "svm" on D's features, "svm_pixels"
    on pixels (Radford et al. 2016, 5.2).

    Features are every layer's maps (the net's method `features`) under standing statistics of
    training images, max-pooled to 4x4; images in -1..1. C is chosen among three by two draws of
    labels on 2,000 validation images, and five more are judged: theirs are 10 and 100. Nothing
    where no labels are held out, or a class has fewer than 100. Host code.
    """
    if (
        parts.valid is None
        or parts.test is None
        or "label" not in data
        or np.bincount(data["label"][: 10 * THOUSAND]).min() < 100
    ):
        return {}
    kept = (
        (data, 10 * THOUSAND),
        (_arrays(parts.valid), 2 * THOUSAND),
        (_arrays(parts.test), None),
    )
    x = [2 * (np.asarray(part["x"][:n]) / np.float32(255)) - 1 for part, n in kept]
    y = [np.asarray(part["label"][:n]) for part, n in kept]
    rows = 250  # normalised together, and a divisor of every thousand
    stats = play.standing(
        D.player,
        D.params,
        None,
        jnp.asarray(x[0][: len(x[0]) // rows * rows]).reshape(-1, rows, *x[0].shape[1:]),
    )
    still = D.player.bind(D.params, stats=stats, name="D")
    maps = jax.jit(lambda images: classifiers.pooled(still(images, method="features")))
    seen = [
        np.concatenate(
            [np.asarray(maps(part[i : i + 2 * rows])) for i in range(0, len(part), 2 * rows)]
        )
        for part in x
    ]
    errors = {}
    for name, features in (
        ("svm", seen),
        ("svm_pixels", [part.reshape(len(part), -1) for part in x]),
    ):
        train, valid, test = zip(features, y)
        errors[name] = classifiers.few_label_svm(
            key, train, valid, test, grid=(1e-4, 1e-3, 1e-2), tries=2, draws=5
        )["svm"]
    return errors


def photographs(
    data: Any, sample: Callable[..., Array], key: Array, **players: Bound
) -> dict[str, float]:
    """`imagenet.distance` of samples in 0..1 from as many colour images, at most 5000; nothing for
    grey ones. Host code.
    """
    if data["x"].shape[-1] != 3:
        return {}
    return imagenet.distance(
        np.asarray(data["x"][:NEIGHBOURS]), lambda n: drawn(sample, key, n, **players)
    )


def parzen_anchors(parts: Splits) -> dict[str, dict[str, float]]:
    """Rows of a Parzen table that no model makes: 10,000 training images, and as many centroids of
    k-means (Theis et al. 2016, table 1).
    """
    from sklearn.cluster import MiniBatchKMeans

    if parts.test is None:
        return {}
    train = images(parts.train)
    means = MiniBatchKMeans(
        10 * THOUSAND,
        init="random",
        n_init=1,
        batch_size=10 * THOUSAND,
        max_iter=10,
        random_state=0,
    )
    centroids = means.fit(train.reshape(len(train), -1)).cluster_centers_.reshape(
        -1, *train.shape[1:]
    )
    rows = {"training images": train[: 10 * THOUSAND], "k-means centroids": centroids}
    return {
        name: parzen.log_likelihood(x, images(parts.valid)[:THOUSAND], images(parts.test))
        for name, x in rows.items()
    }


def images(part: Dataset | None) -> np.ndarray:
    """The images of a held-out set, uint8 0..255 as 0..1."""
    x = _arrays(part)["x"]
    return x / np.float32(255) if x.dtype == np.uint8 else x


def labels(part: Dataset | None) -> np.ndarray:
    """Their labels."""
    return _arrays(part)["label"]


def _arrays(part: Dataset | None) -> dict[str, np.ndarray]:
    found = part.read() if part else {}
    assert isinstance(found, dict)
    return found
