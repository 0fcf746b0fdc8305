"""A dataset: what is known of it unread, and the ways to read it (at once, streamed, by pages)."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, KeysView
from dataclasses import dataclass
from typing import Any

import numpy as np
from flax import struct

from ganjax.data.mixtures import Mixture

# One row per example in every array: "x" uint8 or float32 [N, *shape]; where the dataset has them
# "label" int32 [N] and a paired "y" [N, …].
Arrays = dict[str, np.ndarray] | Mixture

# Larger datasets are paged. Constants, not shares of the device's memory: the same command draws
# the same batches on every machine.
RESIDENT_BYTES = 4 * 2**30
PAGE_BYTES = 2**28
CHUNK = 64  # rows that one thread reads at a time


@dataclass(frozen=True)
class Dataset:
    """A dataset that is known but not yet read."""

    name: str
    shape: tuple[int, ...]  # of one x, without the batch axis: (28, 28, 1), (2,)
    read: Callable[[], Arrays]  # reads all of it: host arrays, or a Mixture
    classes: int | None = None  # labels are 0 … classes - 1; None: no labels
    examples: int | None = None  # N; None: a mixture, which is endless
    bytes: int = 0  # of all its arrays
    # Reads the rows of these numbers [n] alone; None where only `read` can.
    read_rows: Callable[[np.ndarray], dict[str, np.ndarray]] | None = None
    test: Callable[[], Dataset] | None = None  # finds its own "test" split; None: it has none
    class_names: tuple[str, ...] = ()  # of class 0, 1, …; none where they are their numbers

    @property
    def named_classes(self) -> tuple[str, ...]:
        """The name of each class, its number where it has no other; none without labels."""
        return self.class_names or tuple(map(str, range(self.classes or 0)))

    @property
    def resident(self) -> bool:
        """Whether all of it fits the device. If not, it is paged (`ganjax.data.paging`)."""
        return self.bytes <= RESIDENT_BYTES

    def load(self) -> Arrays | Page:
        """What a game plays on: all arrays or a Mixture, or the first page where all do not fit.

        Raises ValueError where a paged dataset finds no Grain.
        """
        return self.read() if self.resident else next(self.pages())

    def stream(
        self, seed: int, n: int, step: int = 0, threads: int = 8
    ) -> Iterator[dict[str, np.ndarray]]:
        """Endless host batches of n examples from batch `step` on, dtypes as they are stored.

        Every epoch is a permutation by (seed, epoch). Batch t holds the examples n t … n t + n - 1
        of this stream, so it resumes at any step without an iterator's state. Threads read ahead.
        Raises ValueError for a mixture, and where Grain is missing.
        """
        try:
            import grain
        except ImportError as error:
            raise ValueError("streaming needs Grain: pip install 'ganjax[grain]'") from error
        read_rows, size = self.read_rows, self.examples
        if read_rows is None:
            arrays = self.read()
            if isinstance(arrays, Mixture):
                raise ValueError(f"{self.name} is a mixture: it is drawn from, not streamed")
            size = len(arrays["x"])

            def read_rows(rows: np.ndarray) -> dict[str, np.ndarray]:
                return {name: values[rows] for name, values in arrays.items()}

        batches = grain.MapDataset.range(size).seed(seed).shuffle().repeat().batch(n).map(read_rows)
        options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * threads)
        return iter(batches[step:].to_iter_dataset(options))

    def pages(self, first: int = 0) -> Iterator[Page]:
        """Endless host pages from number `first` on; every epoch is a permutation by its number.

        The order does not depend on the run's seed, so a population of seeds shares its pages.
        """
        assert self.examples is not None
        rows = max(1, min(self.examples, PAGE_BYTES * self.examples // self.bytes))
        chunk = min(CHUNK, rows)
        batches = self.stream(0, chunk, first * (rows // chunk))
        while True:
            parts = [next(batches) for _ in range(rows // chunk)]
            yield Page(
                {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, self
            )


class Page(struct.PyTreeNode):
    """Some rows of a dataset, {"x": [rows, …], …}, used like its dict of arrays. A pytree."""

    arrays: dict[str, Any]
    source: Dataset = struct.field(pytree_node=False)

    def __getitem__(self, name: str) -> Any:
        return self.arrays[name]

    def __contains__(self, name: str) -> bool:
        return name in self.arrays

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)

    def keys(self) -> KeysView[str]:
        return self.arrays.keys()

    def items(self) -> ItemsView[str, Any]:
        return self.arrays.items()


def require_train(name: str, split: str) -> None:
    """Raises ValueError where another split than "train" is asked of a dataset without others."""
    if split != "train":
        raise ValueError(f"{name} has one split, train: {split!r} is not there")
