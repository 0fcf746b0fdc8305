"""How fast is each convolution of a DCGAN in each form, against the least time for its work?

    python benchmarks/layers.py --side 64 --width 128 --batch 128 --out layers.json
    python benchmarks/layers.py --axes 3 --side 32 --channels 1 --forms product slices

The least time is the larger of operations over the rate of a matrix product and bytes (every array
once) over the rate of a copy. Backward is both gradients. "flax" is lax.conv_transpose, which
flax.linen.ConvTranspose calls.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

import jax
import timing
from jax import Array, lax

from ganjax.nets import conv
from ganjax.nets.conv import conv_transpose, convolve

STRIDE, KERNEL, PAD = 2, 4, (1, 1)
Layer = Callable[[Array, Array], Array]
Shape = tuple[int, ...]
FORMS: tuple[conv.Form, ...] = ("conv", "product", "slices")


def flax(x: Array, w: Array) -> Array:
    """The transposed convolution of Flax; w [*kernel, in, out]."""
    return lax.conv_transpose(x, w, (STRIDE,) * (x.ndim - 2), "SAME")


def backward(layer: Layer, x: Array, w: Array, g: Array) -> tuple[Array, Array]:
    """Both gradients of a layer at a cotangent."""
    return jax.vjp(layer, x, w)[1](g)


def layers(
    side: int,
    width: int,
    batch: int,
    channels: int = 3,
    axes: int = 2,
    named: Sequence[conv.Form] = FORMS[:2],
) -> dict[str, tuple[Shape, Shape, dict[str, Layer]]]:
    """Name: (shape of x, shape of w, forms) of each layer, down from the image and up to it."""
    found: dict[str, tuple[Shape, Shape, dict[str, Layer]]] = {}
    sides = [side >> i for i in range(side.bit_length() - 2)]  # side, ..., 4
    maps = [channels, *(width << i for i in range(len(sides) - 1))]
    steps = list(zip(sides, sides[1:], maps, maps[1:]))
    for n, half, few, many in steps:
        forms: dict[str, Layer] = {str(form): partial(_down, form=form) for form in named}
        x, w = (batch, *[n] * axes, few), (*[KERNEL] * axes, few, many)
        found[f"down {n}→{half}, {few}→{many}"] = x, w, forms
    for n, half, few, many in reversed(steps):
        forms = {"flax": flax} if axes == 2 else {}  # on three axes it takes minutes on CPU
        forms |= {str(form): partial(_up, space=(n,) * axes, form=form) for form in named}
        x, w = (batch, *[half] * axes, many), (*[KERNEL] * axes, few, many)
        found[f"up {half}→{n}, {many}→{few}"] = x, w, forms
    return found


def _down(x: Array, w: Array, form: conv.Form) -> Array:
    return convolve(x, w, STRIDE, (PAD,) * (x.ndim - 2), form)


def _up(x: Array, w: Array, space: Shape, form: conv.Form) -> Array:
    return conv_transpose(x, w, STRIDE, (PAD,) * len(space), space, form)


def main(argv: Sequence[str]) -> None:
    """Times one layer after the other, its forms in turns."""
    parser = timing.options(__doc__, blocks=5, block_s=0.02)
    small = jax.default_backend() == "cpu"
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument(
        "--width", type=int, default=16 if small else 128, help="channels next to the image"
    )
    parser.add_argument("--batch", type=int, default=8 if small else 128)
    parser.add_argument(
        "--precision", choices=("float32", "bfloat16"), default="float32" if small else "bfloat16"
    )
    parser.add_argument("--channels", type=int, default=3, help="of the image")
    parser.add_argument("--axes", type=int, choices=(2, 3), default=2, help="of space")
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=FORMS[:2])
    args = parser.parse(argv)
    shape = (args.side, args.width, args.batch, args.channels, args.axes)
    ceilings, rows = timing.ceilings([args.precision]), []
    for name, (x_shape, w_shape, forms) in layers(*shape, args.forms).items():
        x_key, w_key, g_key = jax.random.split(jax.random.key(0), 3)
        x = jax.random.normal(x_key, x_shape, args.precision)
        w = jax.random.normal(w_key, w_shape, args.precision)
        variants: dict[str, timing.Variant] = {}
        for form, layer in forms.items():
            own = w.swapaxes(-1, -2) if form == "flax" else w
            g = jax.random.normal(g_key, jax.eval_shape(layer, x, own).shape, args.precision)
            variants[form] = timing.repeated(jax.jit(layer), x, own)
            variants[f"{form} back"] = timing.repeated(jax.jit(partial(backward, layer)), x, own, g)
        times = timing.interleaved(variants, args.blocks, args.block_s)
        operations = 2 * w.size * min(math.prod(x_shape[:-1]), math.prod(g.shape[:-1]))
        floor = (
            max(
                operations / ceilings[args.precision],
                (x.nbytes + w.nbytes + g.nbytes) / ceilings["copy"],
            )
            / 1e12
        )
        floor_back = (
            max(
                2 * operations / ceilings[args.precision],
                (2 * x.nbytes + 2 * w.nbytes + g.nbytes) / ceilings["copy"],
            )
            / 1e12
        )
        for form in forms:
            there, back = times[form].median, times[f"{form} back"].median
            row = {
                "layer": name,
                "form": form,
                "µs": there * 1e6,
                "TFLOP/s": operations / there / 1e12,
                "of least": floor / there,
            }
            rows.append(
                row
                | {
                    "back µs": back * 1e6,
                    "back TFLOP/s": 2 * operations / back / 1e12,
                    "back of least": floor_back / back,
                }
            )
    timing.report(__doc__, rows, args, ceilings=ceilings)


if __name__ == "__main__":
    timing.script(main)
