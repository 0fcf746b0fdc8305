"""Datasets by name or path: host arrays, and one pure function that draws batches of them by key.

`find(name)` knows a dataset without reading it, `find(name).load()` reads it, and
`draw(data, key, n)` makes a batch on the device. A name is that of a mixture (`ring`), `digits`, or
a prepared TFDS dataset (`mnist`, `emoji_styles:google`). A path is a folder of images or an `.npz`
file.
"""

from ganjax.data.batches import draw, scaled
from ganjax.data.dataset import Arrays, Dataset
from ganjax.data.mixtures import MIXTURES, Mixture
from ganjax.data.preparation import listing, prepare
from ganjax.data.registry import find, find_splits, names, points_or_images, require
from ganjax.data.splits import Splits, train_and_test

__all__ = [
    "MIXTURES",
    "Arrays",
    "Dataset",
    "Mixture",
    "Splits",
    "draw",
    "find",
    "find_splits",
    "listing",
    "names",
    "points_or_images",
    "prepare",
    "require",
    "scaled",
    "train_and_test",
]
