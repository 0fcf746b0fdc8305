"""Examples of a dataset as pictures: the contact sheet of `ganjax data show`."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ganjax.data import speech
from ganjax.data.dataset import Arrays, Dataset, Page
from ganjax.data.mixtures import Mixture
from ganjax.figures.samples import image_grid
from ganjax.figures.speech import spectrograms


def contact_sheet(found: Dataset, n: int = 64, data: Any = None) -> Figure:
    """n examples evenly spaced over a dataset: a grid of pictures, or spectrograms of speech with
    their texts. Raises ValueError for examples that are neither.

    data: what `found.load()` returned, where that is at hand.
    """
    data = found.load() if data is None else data
    if found.name not in speech.NAMES:
        return image_grid(example_pictures(found, n, data), -1.0, 1.0)
    rows = np.linspace(0, len(data["x"]) - 1, min(n, len(data["x"]))).astype(int)
    sounds = [data["x"][i, : data["length"][i]] for i in rows]
    texts = [bytes(data["text"][i]).decode() for i in rows]
    return spectrograms(sounds, texts, speech.RATE)


def class_table(found: Dataset, data: Arrays | Page) -> list[list[str]]:
    """A heading, and a row for each class that a dataset has: its number, name, and examples in
    the data; no row where it has no labels.
    """
    if found.classes is None or isinstance(data, Mixture):
        return []
    count = np.bincount(np.asarray(data["label"]), minlength=found.classes)
    rows = [[str(i), name, str(n)] for i, (name, n) in enumerate(zip(found.named_classes, count))]
    where = "" if found.resident else " in the first page"
    return [["class", "name", f"examples{where}"], *rows]


def example_pictures(found: Dataset, n: int = 64, data: Arrays | Page | None = None) -> np.ndarray:
    """n examples, or all if they are fewer, evenly spaced over a dataset: float32 [n, H, W, C] in
    [-1, 1], pairs side by side.

    data: what `found.load()` returned, where that is at hand. Voxels are seen from the front,
    nearer is lighter. Notes are a piano roll. A mixture is one picture, its density. Raises
    ValueError for examples that are no pictures.
    """
    data = found.load() if data is None else data
    if isinstance(data, Mixture):
        return 2 * density(data)[None, ..., None] - 1
    rows = np.linspace(0, len(data["x"]) - 1, min(n, len(data["x"]))).astype(int)
    pictures = [
        as_pictures(found.name, np.asarray(data[field][rows]))
        for field in ("x", "y")
        if field in data
    ]
    channels = max(picture.shape[-1] for picture in pictures)
    pictures = [np.broadcast_to(picture, (*picture.shape[:-1], channels)) for picture in pictures]
    return 2 * np.concatenate(pictures, axis=2) - 1


def as_pictures(name: str, x: np.ndarray) -> np.ndarray:
    """Examples of a dataset as pictures, float32 [n, H, W, C] in [0, 1]."""
    if x.ndim == 4:
        return x.astype(np.float32) / 255
    if x.ndim == 5:
        return depth_maps(x[..., 0] > 127)
    if x.ndim == 3 and x.shape[-1] == 4:
        return piano_rolls(x)
    raise ValueError(
        f"{name} has examples of {' x '.join(map(str, x.shape[1:]))}, which are no pictures"
    )


def depth_maps(solid: np.ndarray) -> np.ndarray:
    """Voxels [n, x, y, z] seen along z, y up, [n, y, x, 1]: nearer is lighter, empty is black."""
    side = solid.shape[3]
    first = np.where(solid.any(3), np.argmax(solid[..., ::-1], 3), side)  # [n, x, y]
    shade = np.where(first < side, 1 - 0.8 * first / side, 0).astype(np.float32)
    return shade.swapaxes(1, 2)[:, ::-1, :, None]


def piano_rolls(events: np.ndarray, steps: int = 128, low: int = 28, high: int = 92) -> np.ndarray:
    """The first `steps` sixteenth notes of pieces [n, notes, 4], [n, high - low, steps, 1].

    low, high: MIDI pitches, high ones on top.
    """
    roll = np.zeros((len(events), high - low, steps, 1), np.float32)
    for i, notes in enumerate(events):
        for onset, duration, pitch, _ in notes[notes[:, 1] > 0]:
            if low <= pitch < high:
                roll[i, high - 1 - int(pitch), round(4 * onset) : round(4 * (onset + duration))] = 1
    return roll


def density(mixture: Mixture, side: int = 256) -> np.ndarray:
    """The density of a mixture in [0, 1].

    In the plane its eighth root, [side, side]; in one dimension a filled curve, [side // 4, side].
    """
    reach = 4 * np.max(mixture.sd)
    low = np.min(mixture.mean, 0) - reach
    high = np.max(mixture.mean, 0) + reach
    axes = [np.linspace(a, b, side, dtype=np.float32) for a, b in zip(low, high)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    height = np.exp(np.asarray(mixture.log_prob(points)) / (1 if mixture.dim == 1 else 8))
    height = height / height.max()
    if mixture.dim == 1:
        return (np.linspace(1, 0, side // 4)[:, None] < height).astype(np.float32)
    return height.T[::-1]
