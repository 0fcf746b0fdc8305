"""How fast is our max pool of 2 x 2, forward and backward, beside Flax's?

    python benchmarks/pooling.py --mode deterministic --out pooling.json

Flax's gradient is a scatter, ours a selection. Each follows its rectifier; the shapes are those of
Triple-GAN's classifier of digits, at a batch of 100 and the authors' width.
"""

from collections.abc import Callable, Sequence
from functools import partial

import flax.linen as nn
import jax
import timing
from jax import Array

from ganjax import cli
from ganjax.nets.layers import max_pool

SHAPES = ((100, 24, 24, 32), (100, 10, 10, 64))
FORMS: dict[str, Callable[[Array], Array]] = {
    "choice": max_pool,
    "flax": partial(nn.max_pool, window_shape=(2, 2), strides=(2, 2)),
}


def loss(x: Array, pool: Callable[[Array], Array]) -> Array:
    """The sum of squares after rectifier and pool."""
    return (pool(nn.relu(x)) ** 2).sum()


def main(argv: Sequence[str]) -> None:
    """Times both forms at each shape, in turns."""
    parser = timing.options(__doc__, block_s=0.05)
    parser.add_argument(
        "--mode", choices=("fast", "deterministic"), default="fast", help="operations on GPU (fast)"
    )
    args = parser.parse(argv)
    cli.start(cache=False, fast=args.mode == "fast")
    rows = []
    for shape in SHAPES:
        x = jax.random.normal(jax.random.key(0), shape)
        variants = {
            name: timing.repeated(jax.jit(jax.value_and_grad(partial(loss, pool=pool))), x)
            for name, pool in FORMS.items()
        }
        times = timing.interleaved(variants, args.blocks, args.block_s)
        rows += [
            {"shape": " x ".join(map(str, shape)), "form": name, **times[name].row(1e6, "µs")}
            for name in FORMS
        ]
    timing.report(__doc__, rows, args)


if __name__ == "__main__":
    timing.script(main)
