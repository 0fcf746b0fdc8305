"""Datasets by name or path."""

from __future__ import annotations

import difflib
import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np

from ganjax.data import blocks, files, resizing, speech, splits, stacked_mnist, tfds
from ganjax.data.catalog import CATALOG
from ganjax.data.dataset import Arrays, Dataset, require_train
from ganjax.data.kept import kept_of, note_path
from ganjax.data.mixtures import MIXTURES

BUILT_IN = ("digits", "blocks", "tones")  # and the mixtures


def names() -> list[str]:
    """Every name that `find` knows: mixtures, what is built in, the catalog's, MNIST stacked."""
    return [*MIXTURES, *BUILT_IN, *CATALOG, *stacked_mnist.LAYOUTS]


@kept_of(known=lambda name: name in MIXTURES or name in BUILT_IN)
def find(
    name: str,
    data_dir: str | None = None,
    split: str = "train",
    size: int | None = None,
    channels: int | None = None,
    crop: bool = False,
) -> Dataset:
    """The dataset of a name or path, not yet read.

    name: one of `names()`; any other image dataset that TFDS has prepared in data_dir; or a path: a
        folder of images, or an `.npz` file.
    data_dir: the folder of prepared datasets; default TFDS_DATA_DIR, then TFDS's own.
    split: "train", "test", or a TFDS slice such as "train[:1000]". A mixture ignores it.
    size, channels, crop: images as size x size pixels, grey (1) or colour (3), the middle square
        cut out first. Without them nothing is resized.
    Raises ValueError, one line: an unknown name, a missing or foreign file, an unprepared dataset,
    an unknown split, images that do not fit.
    """
    if size is not None and size < 1:
        raise ValueError(f"the size of an image is a number of pixels from 1, not {size}")
    if channels not in (None, 1, 3):
        raise ValueError(f"images have 1 or 3 channels, not {channels}")
    if not name.isprintable():
        raise ValueError(f"{name!r} is neither a name nor a path")
    if is_path(name):
        note_path(name)
        return files.at_path(Path(os.path.expanduser(name)), split, size, channels, crop)
    return resizing.resize_dataset(by_name(name, data_dir, split), size, channels, crop)


def points_or_images(name: str, data_dir: str | None = None, **how: Any) -> Dataset:
    """`find` for dense nets: points [D], or images [H, W, 1 or 3]. ValueError for other shapes."""
    found = find(name, data_dir, **how)
    if len(found.shape) != 1 and not (len(found.shape) == 3 and found.shape[-1] in (1, 3)):
        raise ValueError(
            f"{found.name} has examples of shape {list(found.shape)}; this game plays on points, "
            "or images of 1 or 3 channels"
        )
    return found


def find_splits(name: str, data_dir: str | None = None, **how: Any) -> splits.Splits:
    """The splits of a name or path, as `splits.split_dataset` and `points_or_images` say."""
    return splits.split_dataset(points_or_images(name, data_dir, **how))


def is_path(name: str) -> bool:
    """Whether this is a path, not a name. Names come first: a folder called mnist is ./mnist."""
    known = name in names() or name.split("/")[0].split(":")[0] in CATALOG
    return not known and (os.sep in name or name.lower().endswith(".npz") or os.path.exists(name))


def by_name(name: str, data_dir: str | None, split: str) -> Dataset:
    """The dataset of a name. Raises ValueError with the names that are spelt most alike."""
    if name in MIXTURES:
        mixture = MIXTURES[name]()
        return Dataset(name, (mixture.dim,), lambda: mixture)
    if name == "digits":
        return digits(split)
    if name in speech.NAMES:
        return speech.dataset(name, data_dir, split)
    if name == "blocks":
        return blocks.dataset(split)
    if name in stacked_mnist.LAYOUTS:
        return stacked_mnist.dataset(name, data_dir, split)
    if name.split("/")[0].split(":")[0] in CATALOG:
        return tfds.dataset(name, data_dir, split)
    if name.isidentifier() and tfds.prepared_folder(name, data_dir):
        return tfds.dataset(name, data_dir, split)
    near = difflib.get_close_matches(name, names(), n=3)
    hint = (
        f"did you mean {' or '.join(near)}?"
        if near
        else f"known are {', '.join(names())}, a folder of images and .npz files"
    )
    raise ValueError(f"there is no dataset {name!r}: {hint}")


def digits(split: str = "train") -> Dataset:
    """scikit-learn's 1797 handwritten digits: x uint8 [1797, 8, 8, 1], label 0 … 9.

    They are the test set of UCI's optdigits (Alpaydin and Kaynak 1998). Levels 0 … 16 become
    0 … 255 by round-half-to-even of 255 v / 16.
    """
    require_train("digits", split)

    def read() -> Arrays:
        table = _digits_table()
        levels, label = table[:, :64].reshape(-1, 8, 8, 1), table[:, 64]
        return {
            "x": np.rint(levels * (255 / 16)).astype(np.uint8),
            "label": label.astype(np.int32),
        }

    return Dataset("digits", (8, 8, 1), read, 10, 1797, 1797 * (64 + 4))


def _digits_table() -> np.ndarray:
    """Levels and labels, float64 [1797, 65]."""
    # scikit-learn's reader imports all of SciPy's statistics: a second, to read 57 kB
    package = importlib.util.find_spec("sklearn")
    folders = (package.submodule_search_locations if package else None) or []
    for path in (Path(folder) / "datasets" / "data" / "digits.csv.gz" for folder in folders):
        if path.is_file():
            return np.loadtxt(path, delimiter=",")
    from sklearn.datasets import load_digits  # a version that keeps them elsewhere

    return np.column_stack(load_digits(return_X_y=True))


def require(
    found: Dataset, shape: tuple[int | None, ...] | None = None, labels: bool = False
) -> Dataset:
    """The same dataset, where one x has this shape (None: any size on the axis) and it has labels.

    Raises ValueError otherwise; nothing is resized in silence.
    """
    if shape is not None and len(shape) != len(found.shape):
        raise ValueError(
            f"{found.name} has {described(found.shape)}; {described(shape)} are wanted"
        )
    if shape is not None and any(
        wanted not in (None, side) for wanted, side in zip(shape, found.shape)
    ):
        wanted = " x ".join("any" if side is None else str(side) for side in shape)
        raise ValueError(
            f"{found.name} has examples of {' x '.join(map(str, found.shape))} where {wanted} is "
            "wanted: ask for a resize"
        )
    if labels and found.classes is None:
        raise ValueError(f"{found.name} has no labels, and labels are asked for")
    return found


def described(shape: tuple[int | None, ...]) -> str:
    """Examples of this shape in words; None: any size."""
    sides = "any size" if None in shape[:-1] else " x ".join(map(str, shape[:-1]))
    last = shape[-1] if shape else 1
    if len(shape) == 1:
        return f"points of {'any number of' if last is None else last} numbers"
    if len(shape) == 3:
        depth = "" if last is None else f" and {last} channel" + "s" * (last != 1)
        return f"images of {sides}{depth}"
    return f"examples of {' x '.join('any' if side is None else str(side) for side in shape)}"
