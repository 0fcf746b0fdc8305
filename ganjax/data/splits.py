"""What is kept from training: validation and test examples."""

from __future__ import annotations

from typing import Any, NamedTuple

from ganjax.data.dataset import Set


class Parts(NamedTuple):
    """A set in three: what is learnt from, what choices are made by, what is judged on. Without
    held-out examples only the first.
    """

    train: Set
    valid: Set | None = None
    test: Set | None = None


def parts(find: Any, name: str, data_dir: str | None = None, **how: Any) -> Parts:
    """The set of a name as `find` knows it, in three: of a prepared set with a test split, the last
    sixth of "train" validates.

    That is 50 000, 10 000 and 10 000 images of MNIST (Goodfellow et al. 2014). Any other set is one
    part. Raises ValueError as `find`.
    """
    whole = find(name, data_dir, **how)
    if whole.examples is None or not whole.examples // 6:
        return Parts(whole)
    first = whole.examples - whole.examples // 6
    try:
        cut = (f"train[:{first}]", f"train[{first}:]", "test")
        return Parts(*(find(name, data_dir, split=split, **how) for split in cut))
    except ValueError:  # no such splits
        return Parts(whole)
