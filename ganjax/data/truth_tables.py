"""Truth tables, and any labelled set, as examples for neurons: inputs, and signs to be learnt."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

# What each function of one or two bits says of its rows, in the order 0, 1 or 00, 01, 10, 11.
TRUTH = {"and": (0, 0, 0, 1), "or": (0, 1, 1, 1), "not": (1, 0), "xor": (0, 1, 1, 0)}


def truth_table(name: str) -> dict[str, np.ndarray]:
    """{"x": float32 [n, bits] of 0 and 1, "y": float32 [n, 1] of -1 and 1}, the same as "test_x"
    and "test_y". Raises ValueError for a name that is not in TRUTH.
    """
    if name not in TRUTH:
        raise ValueError(f"truth tables are {', '.join(TRUTH)}; got {name!r}")
    n = len(TRUTH[name])
    bits = n.bit_length() - 1
    rows = (np.arange(n)[:, None] >> np.arange(bits)[::-1]) & 1
    x, y = rows.astype(np.float32), 2 * np.array(TRUTH[name], np.float32)[:, None] - 1
    return {"x": x, "y": y, "test_x": x, "test_y": y}


def one_against_rest(
    train: Mapping[str, np.ndarray], test: Mapping[str, np.ndarray], classes: int
) -> dict[str, np.ndarray]:
    """Labelled examples as those of `classes` neurons: "y" and "test_y" [n, classes] are 1 at an
    example's own class and -1 elsewhere.
    """
    signs = [2 * np.eye(classes, dtype=np.float32)[each["label"]] - 1 for each in (train, test)]
    return {"x": train["x"], "y": signs[0], "test_x": test["x"], "test_y": signs[1]}
