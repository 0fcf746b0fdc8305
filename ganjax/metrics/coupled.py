"""Pairs of images of two domains, of which the second is known to be a function of the first
(CoGAN, section 4).
"""

from collections.abc import Callable

from jax import Array

from ganjax.metrics import pairs


def agreement(
    x: Array, change: Callable[[Array], Array], background: float = 0.0
) -> dict[str, Array]:
    """Of pairs x [n, 2, H, W, C] in 0..1, the mean share of pixels in which the second image is
    `change` of the first. Pure.

    par: all pixels, black or white; par_foreground: those alone that are not background in both;
    par_tolerance: all, within .1. ink_1 and
    ink_2 are the mean pixels of both domains: a generator that leaves its page empty agrees with
    everything.
    """
    true, made = change(x[:, 0]), x[:, 1]
    found = {
        "par": pairs.agreement(true, made),
        "par_foreground": pairs.agreement(true, made, pairs.foreground(true, made, background)),
        "par_tolerance": pairs.agreement(true, made, tolerance=0.1),
        "ink_1": x[:, 0],
        "ink_2": made,
    }
    return {name: value.mean() for name, value in found.items()}
