"""Data sets by name or path: host arrays that live on the device, and one pure function that draws
batches of them by key.

`find(name)` knows a set without reading it, `find(name).load()` reads it, `draw(data, key, n)`
makes a batch; what is too large for the device is played by pages. What a name may be: a toy
mixture (`ring`), `digits`, a prepared TFDS set (`mnist`, `emoji_styles:google`), a folder of images
or an `.npz` file of your own.
"""

import difflib
import os
from pathlib import Path
from typing import Any

from ganjax.data import files, splits, stacked_mnist, tfds
from ganjax.data.batches import draw, scaled
from ganjax.data.catalog import CATALOGUE
from ganjax.data.dataset import Arrays, Set
from ganjax.data.mixtures import MIXTURES, Mixture
from ganjax.data.preparation import listing, prepare, show
from ganjax.data.splits import Parts
from ganjax.data.streams import stream

__all__ = [
    "Arrays",
    "Mixture",
    "Set",
    "draw",
    "find",
    "listing",
    "names",
    "points_or_images",
    "prepare",
]
__all__ += ["Parts", "parts", "require", "scaled", "show", "stream"]


def names() -> list[str]:
    """Every set that `find` knows by name: toy mixtures, the embedded digits, sets prepared through
    TFDS, sets made from MNIST.
    """
    return [*MIXTURES, "digits", *CATALOGUE, *stacked_mnist.MADE]


def find(
    name: str,
    data_dir: str | None = None,
    split: str = "train",
    size: int | None = None,
    channels: int | None = None,
    crop: bool = False,
) -> Set:
    """The set of a name or path, not yet read.

    name: one of `names()`, any other image set prepared in data_dir, or a path: a folder of images,
    an `.npz` file.
    data_dir: where TFDS keeps prepared sets (default: the environment's TFDS_DATA_DIR, then TFDS's
    own).
    split: "train", "test", or a TFDS slice such as "train[:1000]"; a mixture is the same in every
    split.
    size, channels, crop: images as size x size pixels, grey (1) or colour (3), the middle square
    cut out; without them nothing is resized. Raises ValueError, one line: an unknown name, a
    missing or foreign file, an unprepared set, an unknown split, images that do not fit.
    """
    if size is not None and size < 1:
        raise ValueError(f"the size of an image is a number of pixels from 1, not {size}")
    if channels not in (None, 1, 3):
        raise ValueError(f"images have 1 or 3 channels, not {channels}")
    if not name.isprintable():
        raise ValueError(f"{name!r} is neither a name nor a path")
    if is_path(name):
        return files.at(Path(os.path.expanduser(name)), split, size, channels, crop)
    return files.fit(named(name, data_dir, split), size, channels, crop)


def points_or_images(name: str, data_dir: str | None = None, **how: Any) -> Set:
    """The set of a name or path, where a dense game can play on it: points [D], or images [H, W, 1
    or 3]; arguments as in `find`.

    Raises ValueError, one line, for another shape.
    """
    found = find(name, data_dir, **how)
    if len(found.shape) != 1 and not (len(found.shape) == 3 and found.shape[-1] in (1, 3)):
        raise ValueError(
            f"{found.name} has examples of shape {list(found.shape)}; this game plays on points, or images of 1 or 3 channels"
        )
    return found


def parts(name: str, data_dir: str | None = None, **how: Any) -> Parts:
    """As `points_or_images`, in three parts where the set has a test split: training, validation
    (the last sixth of "train"), test.
    """
    return splits.parts(points_or_images, name, data_dir, **how)


def is_path(name: str) -> bool:
    """Is this a path, not a name? Names come first: a folder called mnist is ./mnist."""
    known = name in names() or name.split("/")[0].split(":")[0] in CATALOGUE
    return not known and (os.sep in name or name.endswith(".npz") or os.path.exists(name))


def named(name: str, data_dir: str | None, split: str) -> Set:
    """The set of a name; ValueError, one line, with the names nearest to an unknown one."""
    if name in MIXTURES:
        mixture = MIXTURES[name]()
        return Set(name, (mixture.dim,), lambda: mixture)
    if name == "digits":
        return files.digits(split)
    if name in stacked_mnist.MADE:
        return stacked_mnist.find(name, data_dir, split)
    if name.split("/")[0].split(":")[0] in CATALOGUE:
        return tfds.find(name, data_dir, split)
    if name.isidentifier() and tfds.folder(name, data_dir):
        return tfds.find(name, data_dir, split)
    near = difflib.get_close_matches(name, names(), n=3)
    hint = (
        f"did you mean {' or '.join(near)}?"
        if near
        else f"known are {', '.join(names())}, a folder of images and .npz files"
    )
    raise ValueError(f"there is no data set {name!r}: {hint}")


def require(found: Set, shape: tuple[int | None, ...] | None = None, labels: bool = False) -> Set:
    """The same set, where it has what a game asks for: the shape of one x (None: any size on this
    axis) and labels.

    Raises ValueError where it has not; nothing is ever resized in silence.
    """
    if shape is not None and (
        len(shape) != len(found.shape)
        or any(a not in (None, b) for a, b in zip(shape, found.shape))
    ):
        wanted = " x ".join("any" if a is None else str(a) for a in shape)
        raise ValueError(
            f"{found.name} has examples of {' x '.join(map(str, found.shape))} where {wanted} is wanted: ask for a resize"
        )
    if labels and found.classes is None:
        raise ValueError(f"{found.name} has no labels, and labels are asked for")
    return found


Dataset, Splits, find_splits = Set, Parts, parts
