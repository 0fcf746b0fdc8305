"""Sets that do not fit the device: batches streamed by Grain, their place a function of the step."""

from collections.abc import Iterator

import numpy as np

from ganjax.data.dataset import Set
from ganjax.data.mixtures import Mixture


def stream(
    found: Set, seed: int, n: int, step: int = 0, threads: int = 8
) -> Iterator[dict[str, np.ndarray]]:
    """Endless host batches of n examples, from that of `step` on: uint8 images as they are stored
    (see `scaled`), labels int32.

    Epoch after epoch, each a permutation of the set by (seed, epoch); batch t holds the examples n
    t … n t + n - 1 of this stream, so a run resumes at any step without a state of the iterator.
    Threads decode ahead. Raises ValueError for a mixture, and where Grain is missing.
    """
    try:
        import grain
    except ImportError as error:
        raise ValueError("streaming needs Grain: pip install 'ganjax[grain]'") from error
    rows, size = found.rows, found.examples
    if rows is None:
        data = found.read()
        if isinstance(data, Mixture):
            raise ValueError(f"{found.name} is a mixture: it is drawn from, not streamed")
        arrays, size = data, len(data["x"])

        def rows(chosen: np.ndarray) -> dict[str, np.ndarray]:
            return {name: values[chosen] for name, values in arrays.items()}

    batches = grain.MapDataset.range(size).seed(seed).shuffle().repeat().batch(n).map(rows)
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * threads)
    return iter(batches[step:].to_iter_dataset(options))
