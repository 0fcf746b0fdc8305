"""How fast are batches drawn: from arrays on the device, by a Grain stream, by tfds.load? And what share of a DCGAN step is that?

    python benchmarks/data.py [--data cifar10] [--data-dir DIR] [--tfrecord-dir DIR] [--batch 128] [--out data.json]

Each row is the median over rounds of `steps` batches, as float32 in [-1, 1] on the device. The stream and tfds.load run where Grain and
TensorFlow are installed; tfds.load reads tfrecord files, which lie in a folder of their own. The last row is one step of a DCGAN for
32 x 32 pixels (D and G, batch as above), which is what a draw must be small against.
"""

import argparse
import importlib.util
import itertools
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax import Array, random

from ganjax import data

Batch = dict[str, Array]


def resident(found: data.Set, batch: int) -> Iterator[Batch]:
    """Batches drawn on the device by key."""
    arrays = jax.device_put(found.load())
    drawn = jax.jit(lambda arrays, key, step: data.draw(arrays, random.fold_in(key, step), batch))
    return (drawn(arrays, random.key(0), step) for step in itertools.count())


def streamed(found: data.Set, batch: int) -> Iterator[Batch]:
    """Batches decoded from their records by Grain's threads."""
    ready = jax.jit(lambda rows: {name: data.scaled(values) for name, values in rows.items()})
    return (ready(rows) for rows in data.stream(found, 0, batch))


def loaded(name: str, data_dir: str, batch: int) -> Iterator[Batch]:
    """Batches of a tf.data pipeline with the usual calls: shuffle, repeat, batch, prefetch."""
    import tensorflow_datasets as tfds

    ready = jax.jit(lambda rows: {name: data.scaled(values) for name, values in rows.items()})
    rows = tfds.load(name, split="train", data_dir=data_dir, download=False)
    batches = rows.shuffle(10_000, seed=0).repeat().batch(batch, drop_remainder=True).prefetch(-1)
    return (ready(row) for row in tfds.as_numpy(batches))


class Generator(nn.Module):
    @nn.compact
    def __call__(self, z: Array) -> Array:
        x = nn.relu(nn.Dense(4 * 4 * 256)(z).reshape(-1, 4, 4, 256))
        for width in (128, 64):
            x = nn.relu(nn.GroupNorm(8)(nn.ConvTranspose(width, (4, 4), (2, 2))(x)))
        return jnp.tanh(nn.ConvTranspose(3, (4, 4), (2, 2))(x))


class Discriminator(nn.Module):
    @nn.compact
    def __call__(self, x: Array) -> Array:
        for width in (64, 128, 256):
            x = nn.leaky_relu(nn.Conv(width, (4, 4), (2, 2))(x), 0.2)
        return nn.Dense(1)(x.reshape(len(x), -1))


def dcgan(batch: int) -> Iterator[Any]:
    """Steps of a DCGAN on one fixed batch: no data is drawn."""
    G, D, tx = Generator(), Discriminator(), optax.adam(2e-4, b1=0.5)
    x, z = jnp.zeros((batch, 32, 32, 3)), random.normal(random.key(0), (batch, 100))
    params = {"G": G.init(random.key(1), z), "D": D.init(random.key(2), x)}

    def losses(params: Any, other: Any, player: str) -> Array:
        both = {**other, player: params}
        fake, real = (jnp.asarray(D.apply(both["D"], images)) for images in (G.apply(both["G"], z), x))
        if player == "G":
            return nn.softplus(-fake).mean()
        return nn.softplus(-real).mean() + nn.softplus(fake).mean()

    @jax.jit
    def step(params: Any, state: Any) -> Any:
        for player in ("D", "G"):
            grads = jax.grad(losses)(params[player], params, player)
            updates, state[player] = tx.update(grads, state[player])
            params = {**params, player: optax.apply_updates(params[player], updates)}
        return params, state

    state = {player: tx.init(params[player]) for player in params}
    while True:
        params, state = step(params, state)
        yield params


def milliseconds(batches: Iterator[Any], steps: int, rounds: int = 5) -> float:
    """Median time of one batch; the first round, which compiles, is not counted."""
    times = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        jax.block_until_ready([next(batches) for _ in range(steps)])
        times.append((time.perf_counter() - started) / steps * 1000)
    return statistics.median(times[1:])


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--data", default="cifar10")
    options.add_argument("--data-dir")
    options.add_argument("--tfrecord-dir", help="a TFDS folder with the same set as tfrecord")
    options.add_argument("--batch", type=int, default=128)
    options.add_argument("--steps", type=int, default=50)
    options.add_argument("--out", type=Path, help="write the numbers as JSON")
    args = options.parse_args()
    try:
        found = data.find(args.data, args.data_dir)
        started = time.perf_counter()
        found.load()
        opened = time.perf_counter() - started
    except ValueError as error:
        print(f"benchmarks/data.py: {error}", file=sys.stderr)
        sys.exit(2)

    ways: dict[str, Callable[[], Iterator[Any]]] = {"on the device": lambda: resident(found, args.batch)}
    if importlib.util.find_spec("grain"):
        ways["Grain stream"] = lambda: streamed(found, args.batch)
    if importlib.util.find_spec("tensorflow") and args.tfrecord_dir:
        ways["tfds.load"] = lambda: loaded(args.data, args.tfrecord_dir, args.batch)
    rows = {way: milliseconds(batches(), args.steps) for way, batches in ways.items()}
    step = milliseconds(dcgan(args.batch), steps=max(1, args.steps // 25), rounds=3)

    device = jax.devices()[0].device_kind
    print(f"{args.data}, batches of {args.batch}, on {device} ({platform.machine()}); reading the set took {opened:.2f} s")
    print(f"{'':16}{'ms a batch':>12}{'images/s':>12}{'of a DCGAN step':>18}")
    for way, ms in rows.items():
        print(f"{way:16}{ms:12.2f}{1000 * args.batch / ms:12.0f}{ms / step:18.1%}")
    print(f"{'DCGAN step':16}{step:12.2f}{1000 * args.batch / step:12.0f}")
    if args.out:
        numbers = {"data": args.data, "batch": args.batch, "device": device, "read_s": opened, "ms": rows | {"DCGAN step": step}}
        args.out.write_text(json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    main()
