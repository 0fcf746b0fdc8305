"""What a data set is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ganjax.data.mixtures import Mixture

if TYPE_CHECKING:
    from ganjax.data.paging import Page

# One row per example in every array: "x" uint8 or float32 [N, *shape]; where the set has them
# "label" int32 [N] and a paired "y" [N, …].
Arrays = dict[str, np.ndarray] | Mixture

# Larger sets are played by pages. Constants, not shares of the device's memory: the same command
# draws the same batches on every machine.
RESIDENT_BYTES = 4 * 2**30
PAGE_BYTES = 2**28


@dataclass(frozen=True)
class Set:
    """A data set that is known but not yet read."""

    name: str
    shape: tuple[int, ...]  # of one x, without the batch axis: (28, 28, 1), (2,)
    read: Callable[[], Arrays]  # reads all of it: host arrays, or a Mixture
    classes: int | None = None  # labels are 0 … classes - 1; None: no labels
    examples: int | None = None  # N; None: a mixture, which is endless
    bytes: int = 0  # of all its arrays
    rows: Callable[[np.ndarray], dict[str, np.ndarray]] | None = (
        None  # reads some rows [n] alone, where that can be done
    )

    @property
    def resident(self) -> bool:
        """Does it live on the device as a whole? If not, it is played by pages
        (`ganjax.data.paging`).
        """
        return self.bytes <= RESIDENT_BYTES

    def load(self) -> Arrays | Page:
        """What a game plays on: all of it, host arrays or a Mixture, or the first page of what does
        not fit the device.

        Raises ValueError where a set that is played by pages finds no Grain.
        """
        if self.resident:
            return self.read()
        from ganjax.data.paging import pages

        return next(pages(self))
