"""Datasets too large for the device are paged.

One page, a part of the shuffled rows, stays on the device until as many examples have been drawn as
it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from sys import maxsize
from typing import Any

import jax

from ganjax.data.dataset import Page


def page_through(
    data: Any, step: int, rows_per_step: int, place: Callable[[Any], Any]
) -> Iterator[tuple[int, Any]]:
    """(end, data), beginning with the pages of `step`: the data of all steps before `end`.

    data: a Page, or any tree of Pages and arrays. Pages are replaced together, when the smallest
    has had as many rows drawn as it holds. The next ones are read, and put on the device by
    `place`, meanwhile. Data without a Page is yielded once, as it is.
    """
    leaves, tree = jax.tree.flatten(data, is_leaf=lambda node: isinstance(node, Page))
    found = [leaf for leaf in leaves if isinstance(leaf, Page)]
    if not found:
        yield maxsize, data
        return
    steps = max(1, min(len(page["x"]) for page in found) // rows_per_step)
    streams = [
        leaf.source.pages(step // steps) if isinstance(leaf, Page) else None for leaf in leaves
    ]

    def read_next() -> Any:
        return jax.tree.unflatten(
            tree,
            [leaf if pages is None else place(next(pages)) for leaf, pages in zip(leaves, streams)],
        )

    reader = ThreadPoolExecutor(1)
    try:
        ahead = reader.submit(read_next)
        for page in count(step // steps):
            data = ahead.result()
            ahead = reader.submit(read_next)
            yield (page + 1) * steps, data
    finally:
        reader.shutdown(wait=False, cancel_futures=True)
