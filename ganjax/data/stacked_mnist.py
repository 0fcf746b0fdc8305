"""Sets that are made from MNIST when they are read: stacked and compositional MNIST, as MAD-GAN's
authors fix them.
"""

import numpy as np
from jax import random

from ganjax.data import files, tfds, transforms
from ganjax.data.dataset import Arrays, Set

MADE = {
    "stacked_mnist": (transforms.stacked, (28, 28, 3)),
    "compositional_mnist": (transforms.compositional, (56, 56, 1)),
}


def find(name: str, data_dir: str | None = None, split: str = "train") -> Set:
    """25 600 images of three digits each, drawn once from all 70 000 (by a key of ours), with their
    number 0..999 as label.

    ValueError, one line, where MNIST is not prepared, and for another split than "train".
    """
    files.whole(name, split)
    digits = tfds.find("mnist", data_dir, "train+test")
    compose, shape = MADE[name]

    def load() -> Arrays:
        arrays = digits.read()
        assert isinstance(arrays, dict)
        rows = transforms.triples(random.key(0), transforms.MADGAN_TRIPLES, len(arrays["x"]))
        return {
            field: np.asarray(values)
            for field, values in compose(arrays["x"], arrays["label"], rows).items()
        }

    n = transforms.MADGAN_TRIPLES
    return Set(name, shape, load, 1000, n, n * (int(np.prod(shape)) + 4))
