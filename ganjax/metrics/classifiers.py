"""How well labelled samples, or features, serve a simple classifier: nearest neighbour, linear SVM.
Host code, but for `pooled`.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array, random
from numpy.typing import ArrayLike

from ganjax.data import transforms
from ganjax.metrics.vectors import finite, rows

Labelled = tuple[ArrayLike, ArrayLike]  # features or images [n, ...], labels [n]
C_GRID = (1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2)  # DCGAN's authors' (svhn_semisup_analysis.py)


def one_nn(train: ArrayLike, labels: ArrayLike, test: ArrayLike, test_labels: ArrayLike) -> float:
    """Error in 0..1 of the Euclidean nearest neighbour among train [n, ...] on test [t, ...];
    labels [n], test_labels [t].

    DCGAN's Table 3: train are samples of a conditional generator with the labels that it was given,
    test are real images in the same units (uint8 is scaled to 0..1); the authors take 1000 to 100
    000 samples on validation images, and real training images as the anchor. Samples that are not
    finite are left out. Raises ValueError for arrays that do not belong together.
    """
    from sklearn.neighbors import KNeighborsClassifier  # takes seconds to import

    kept = finite(train, "training examples")
    x = rows(np.asarray(train)[kept], "training examples")
    y, t, t_labels = (
        labelled(labels, len(kept)),
        rows(test, "test examples", x),
        labelled(test_labels, len(np.asarray(test))),
    )
    search = KNeighborsClassifier(1, algorithm="brute").fit(x.astype(np.float32), y[kept])
    return float((search.predict(t.astype(np.float32)) != t_labels).mean())


def linear_svm(
    train: Labelled,
    valid: Labelled,
    test: Labelled,
    grid: Sequence[float] = C_GRID,
) -> dict[str, float]:
    """{"svm": error in 0..1 on test, "svm_valid": that on valid, "svm_c": the C of the grid with
    the least error on valid}.

    Each argument is (features [n, ...], labels [n]). One-against-rest L2-SVM on frozen features as
    they are (DCGAN, sections 5.1 and 5.2; 3D-GAN has the grid (.01,)). On equal errors the smaller
    C stands. Raises ValueError for arrays that do not belong together.
    """
    errors = [svm_error(train, valid, C) for C in grid]
    best = int(np.argmin(errors))
    return {
        "svm": svm_error(train, test, grid[best]),
        "svm_valid": errors[best],
        "svm_c": float(grid[best]),
    }


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
    """{"svm": mean error on test, "svm_spread": 1.96 SD over draws, "svm_valid", "svm_c"} of SVMs
    that see few labels.

    DCGAN's Table 2 (svhn_semisup_analysis.py): C has the least mean error on valid over `tries`
    draws of `per_class` labels of each class (their 1000 labels of ten classes); then `draws` fresh
    draws are judged on test. Draws are a function of key. Labels are 0, 1, …. Raises ValueError as
    `linear_svm` does, and where a class has fewer examples.
    """
    x, y = np.asarray(train[0]), labelled(train[1], len(np.asarray(train[0])))

    def drawn(i: int) -> tuple[np.ndarray, np.ndarray]:
        few = np.asarray(
            transforms.labelled_rows(random.fold_in(key, i), y, per_class, int(y.max()) + 1)
        )
        return x[few], y[few]

    errors = np.mean(
        [[svm_error(drawn(i), valid, C) for C in grid] for i in range(tries)], 0
    )  # [len(grid)]
    best = int(np.argmin(errors))
    judged = np.array([svm_error(drawn(tries + i), test, grid[best]) for i in range(draws)])
    spread = float(1.96 * judged.std(ddof=1)) if draws > 1 else 0.0
    return {
        "svm": float(judged.mean()),
        "svm_spread": spread,
        "svm_valid": float(errors[best]),
        "svm_c": float(grid[best]),
    }


def svm_error(train: Labelled, test: Labelled, C: float) -> float:
    """Error in 0..1 of a linear L2-SVM on test; each is (features [n, ...], labels [n]). ValueError
    where shapes do not belong together.
    """
    from sklearn.svm import LinearSVC

    x, y = rows(train[0], "training features"), labelled(train[1], len(np.asarray(train[0])))
    t, t_labels = rows(test[0], "test features", x), labelled(test[1], len(np.asarray(test[0])))
    return float(
        (LinearSVC(C=C, dual="auto", random_state=0).fit(x, y).predict(t) != t_labels).mean()
    )


def pooled(maps: Sequence[Array], side: int = 4) -> Array:
    """A critic's maps [B, *space, C] as one vector an example, [B, Σ side^axes C]: each max-pooled
    to `side`, flattened, joined.

    DCGAN's features (section 5.1: side 4); 3D-GAN's are side 2. Where a space is no multiple of
    side, windows overlap by a row (7 to 4 are 0-1, 1-3, 3-5, 5-6), as in adaptive pooling. Pure and
    jittable. Raises ValueError for a map smaller than side.
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


def labelled(labels: ArrayLike, n: int) -> np.ndarray:
    """Labels as an array [n]; ValueError for another shape."""
    array = np.asarray(labels)
    if array.shape != (n,):
        raise ValueError(f"{n} examples have a label each, not labels {list(array.shape)}")
    return array
