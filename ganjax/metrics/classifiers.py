"""How well a simple classifier learns from labelled samples or from features: nearest neighbour,
linear SVM. Host code, but for `max_pooled`.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array, random
from jaxtyping import Float
from numpy.typing import ArrayLike

from ganjax.data import transforms
from ganjax.data.splits import hold_out
from ganjax.metrics import distances
from ganjax.metrics.inputs import as_labels, as_rows, finite_rows

Labelled = tuple[ArrayLike, ArrayLike]  # features or images [n, ...], labels [n]
C_GRID = (1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2)  # DCGAN's authors' (svhn_semisup_analysis.py)

FAR = 1e3  # squared length of the features' mean, in their total variances


def one_nn(train: ArrayLike, labels: ArrayLike, test: ArrayLike, test_labels: ArrayLike) -> float:
    """The test error, in 0..1, of the Euclidean nearest neighbour among train [n, ...], labels [n],
    on test [t, ...], test_labels [t].

    DCGAN's Table 3: train are samples of a conditional generator with the labels that it was given,
    test are real images in the same units (uint8 is scaled to 0..1). The authors take 1000 to
    100,000 samples and validation images, and compare with real training images. Samples that are
    not finite are left out; of equally near ones the first counts. Raises ValueError for arrays
    that do not fit together.
    """
    kept = finite_rows(train, "training examples")
    x = as_rows(np.asarray(train)[kept], "training examples")
    y = as_labels(labels, len(kept))[kept]
    t = as_rows(test, "test examples", x)
    wanted = as_labels(test_labels, len(t))
    return float((y[distances.nearest(t, x)[0]] != wanted).mean())


def few_label_svm(
    key: Array,
    train: Labelled,
    valid: Labelled,
    test: Labelled,
    per_class: int = 100,
    grid: Sequence[float] = C_GRID,
    tries: int = 10,
    draws: int = 100,
) -> dict[str, float]:
    """{"svm": mean test error, "svm_spread": 1.96 SD over draws, "svm_valid": mean validation
    error, "svm_c": C} of linear SVMs that are trained on few labels.

    DCGAN's Table 2 (svhn_semisup_analysis.py): C is that of the grid with the least mean error on
    valid over `tries` draws of `per_class` labels of each class (theirs: 1000 labels of ten
    classes); then SVMs of `draws` fresh draws are tested. On equal errors the smaller C stands.
    Draws are a function of key. Labels are 0, 1, …. Raises ValueError for arrays that do not fit
    together, and where a class has fewer examples.
    """
    x = np.asarray(train[0])
    y = as_labels(train[1], len(x))

    def drawn(i: int) -> tuple[np.ndarray, np.ndarray]:
        few = transforms.labelled_rows(random.fold_in(key, i), y, per_class, int(y.max()) + 1)
        rows = np.asarray(few)
        return x[rows], y[rows]

    by_try = [[svm_error(drawn(i), valid, C) for C in grid] for i in range(tries)]
    errors = np.mean(by_try, 0)  # [len(grid)]
    best = int(np.argmin(errors))
    tested = np.array([svm_error(drawn(tries + i), test, grid[best]) for i in range(draws)])
    spread = float(1.96 * tested.std(ddof=1)) if draws > 1 else 0.0
    return {
        "svm": float(tested.mean()),
        "svm_spread": spread,
        "svm_valid": float(errors[best]),
        "svm_c": float(grid[best]),
    }


def svm_error(train: Labelled, test: Labelled, C: float) -> float:
    """The test error, in 0..1, of a one-against-rest linear L2-SVM; train and test are (features
    [n, ...], labels [n]).

    Raises ValueError for arrays that do not fit together.
    """
    from sklearn.svm import LinearSVC

    x = as_rows(train[0], "training features")
    y = as_labels(train[1], len(x))
    t = as_rows(test[0], "test features", x)
    wanted = as_labels(test[1], len(t))
    # The solver stops where the gradient has fallen by tol, and far from the origin the first one
    # is so steep that it would stop at once.
    far = np.square(x.mean(0)).sum() > FAR * x.var(0).sum()
    how = {"dual": False, "tol": 1e-10, "max_iter": 10_000} if far else {"dual": "auto"}
    svm = LinearSVC(C=C, random_state=0, **how).fit(x, y)
    return float((svm.predict(t) != wanted).mean())


def tuned_svm(train: Labelled, test: Labelled, grid: Sequence[float]) -> float:
    """`svm_error` with the C of the grid under which the error on a sixth of the training examples
    is least; on equal errors the smaller one. The last SVM learns from all of them.

    Raises ValueError as `svm_error` does, and below 6 examples.
    """
    x, y = np.asarray(train[0]), np.asarray(train[1])
    kept, held = hold_out(len(x))
    errors = [svm_error((x[kept], y[kept]), (x[held], y[held]), C) for C in grid]
    return svm_error(train, test, grid[int(np.argmin(errors))])


def max_pooled(
    maps: Sequence[Float[Array | np.ndarray, "B ..."]], side: int = 4
) -> Float[Array, "B d"]:
    """A critic's maps [B, *space, C] as one feature vector an example: each map is max-pooled to
    `side` on each axis and flattened, and all are concatenated.

    DCGAN's features (section 5.1: side 4); 3D-GAN's are side 2. Where an axis is no multiple of
    side, windows overlap by a row (7 to 4: 0-1, 1-3, 3-5, 5-6), as in adaptive pooling. Pure.
    Raises ValueError for a map smaller than side.
    """
    if small := [map.shape for map in maps if min(map.shape[1:-1], default=0) < side]:
        raise ValueError(
            f"maps are pooled to {side} on each side, and one has the shape {list(small[0])}"
        )
    joined = []
    for x in maps:
        for axis in range(1, x.ndim - 1):
            n = x.shape[axis]
            windows = [
                jnp.take(x, jnp.arange(i * n // side, -(-(i + 1) * n // side)), axis)
                for i in range(side)
            ]
            x = jnp.stack([window.max(axis) for window in windows], axis)
        joined.append(x.reshape(len(x), -1))
    return jnp.concatenate(joined, -1)
