"""Sets that do not fit the device are played page by page: rows of the shuffled set that lie there
for as many steps as draw them all.
"""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, KeysView
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from sys import maxsize
from typing import Any

import jax
import numpy as np
from flax import struct

from ganjax.data import dataset
from ganjax.data.dataset import Set
from ganjax.data.streams import stream

CHUNK = 64  # rows that one thread reads at a time


class Page(struct.PyTreeNode):
    """Some rows of a set, by name as in the dict that a smaller set loads to: {"x": [rows, …], …}.
    A pytree.
    """

    arrays: dict[str, Any]
    source: Set = struct.field(pytree_node=False)

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


def pages(source: Set, page: int = 0) -> Iterator[Page]:
    """Endless host pages of a set from this one on: epoch after epoch, each a permutation of the
    set by its number.

    The order is that of the set, whatever the seed: what a seed's key draws from a page differs,
    and a population shares its pages.
    """
    assert source.examples is not None
    rows = max(1, min(source.examples, dataset.PAGE_BYTES * source.examples // source.bytes))
    chunk = min(CHUNK, rows)
    batches = stream(source, 0, chunk, page * (rows // chunk))
    while True:
        parts = [next(batches) for _ in range(rows // chunk)]
        yield Page(
            {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, source
        )


def turning(
    data: Any, step: int, drawn: int, place: Callable[[Any], Any]
) -> Iterator[tuple[int, Any]]:
    """(end, data) from that of `step` on: data, a Page or any tree of Pages and arrays, as it is
    played until the step `end`.

    drawn: the rows that a step draws; a page is turned when as many were drawn as it has. The next
    page is read, and put on the device by
    `place`, while this one is played. Data without a Page is the same for ever.
    """
    leaves, tree = jax.tree.flatten(data, is_leaf=lambda node: isinstance(node, Page))
    found = [leaf for leaf in leaves if isinstance(leaf, Page)]
    if not found:
        yield maxsize, data
        return
    steps = max(1, min(len(page["x"]) for page in found) // drawn)
    streams = [
        pages(leaf.source, step // steps) if isinstance(leaf, Page) else None for leaf in leaves
    ]

    def turned() -> Any:
        return jax.tree.unflatten(
            tree,
            [leaf if read is None else place(next(read)) for leaf, read in zip(leaves, streams)],
        )

    reader = ThreadPoolExecutor(1)
    try:
        ahead = reader.submit(turned)
        for page in count(step // steps):
            data, ahead = ahead.result(), reader.submit(turned)
            yield (page + 1) * steps, data
    finally:
        reader.shutdown(wait=False, cancel_futures=True)
