"""How fast are batches drawn from arrays on the device, by a Grain stream, by tfds.load?

    python benchmarks/data.py --data cifar10 --batch 128 --out data.json

Batches are float32 in [-1, 1] on the device. The stream and tfds.load run where Grain and
TensorFlow are installed; tfds.load reads tfrecord files, which lie in a folder of their own. The
last row is a step of a DCGAN for 32 x 32 pixels (D and G, batch as above), which is what a draw
must be small against.
"""

import importlib.util
import itertools
import time
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import timing
from cases import images
from jax import Array, random

from ganjax import data
from ganjax.runs.arguments import integer

Batch = dict[str, Array]


def resident(found: data.Dataset, batch: int) -> Iterator[Batch]:
    """Batches drawn on the device by key."""
    arrays = jax.device_put(found.load())
    drawn = jax.jit(lambda arrays, key, step: data.draw(arrays, random.fold_in(key, step), batch))
    return (drawn(arrays, random.key(0), step) for step in itertools.count())


def streamed(found: data.Dataset, batch: int) -> Iterator[Batch]:
    """Batches decoded from their records by Grain's threads."""
    ready = jax.jit(lambda rows: {name: data.scaled(values) for name, values in rows.items()})
    return (ready(rows) for rows in found.stream(0, batch))


def loaded(name: str, data_dir: str, batch: int) -> Iterator[Batch]:
    """Batches of a tf.data pipeline with the usual calls: shuffle, repeat, batch, prefetch."""
    import tensorflow_datasets as tfds

    ready = jax.jit(lambda rows: {name: data.scaled(values) for name, values in rows.items()})
    rows = tfds.load(name, split="train", data_dir=data_dir, download=False)
    batches = rows.shuffle(10_000, seed=0).repeat().batch(batch, drop_remainder=True).prefetch(-1)
    return (ready(row) for row in tfds.as_numpy(batches))


def variant(batches: Iterator[Any]) -> timing.Variant:
    """So many batches, waited for together."""
    return lambda n: [next(batches) for _ in range(n)]


def main(argv: Sequence[str]) -> None:
    """Times every way in turns, then a step."""
    options = timing.options(__doc__)
    options.add_argument("--data", default="cifar10", help="a set's name, or a path (cifar10)")
    options.add_argument("--data-dir", help="where prepared sets are")
    options.add_argument("--tfrecord-dir", help="a TFDS folder with the same set as tfrecord")
    options.add_argument("--batch", type=integer(1), default=128)
    args = options.parse(argv)
    found = data.find(args.data, args.data_dir)
    began = time.perf_counter()
    found.load()
    opened = time.perf_counter() - began

    ways = {"on the device": variant(resident(found, args.batch))}
    if importlib.util.find_spec("grain"):
        ways["Grain stream"] = variant(streamed(found, args.batch))
    if importlib.util.find_spec("tensorflow") and args.tfrecord_dir:
        ways["tfds.load"] = variant(loaded(args.data, args.tfrecord_dir, args.batch))
    times = timing.interleaved(ways, args.blocks, args.block_s)
    case = images(32, 3, 64, args.batch)
    step = timing.interleaved(
        {"step": timing.played(case.game, jax.random.key(0), case.data)}, 3, args.block_s
    )["step"]
    rows = []
    for way, took in (times | {"DCGAN step": step}).items():
        rows.append(
            {
                "way": way,
                **took.row(),
                "images/s": args.batch / took.median,
                "of a DCGAN step": took.median / step.median,
            }
        )
    timing.report(__doc__, rows, args, read_s=opened)


if __name__ == "__main__":
    timing.script(main)
