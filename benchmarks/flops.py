"""Floating-point operations of matrix products and convolutions: what a net needs, and what a
compiled program does.

A multiply-add is two operations. A convolution counts its whole kernel at every place, also where
that hangs over the edge, and no operation for the zeros between the places of a strided or dilated
one.
"""

from __future__ import annotations

import math
import re

from ganjax.nets.operations import needed

__all__ = ["computed", "needed"]

# One instruction: its name, the shape of its (first) result, what it does, its operands, its
# attributes.
_LINE = re.compile(
    r"^\s*(?:ROOT )?%?([\w.-]+) = \(?\w+\[([\d,]*)\].*? ([\w-]+)\(([^)]*)\)(.*)$", re.MULTILINE
)


def computed(program: str) -> int:
    """Operations of an optimised program, the text of a compiled function
    (`jit(f).lower(...).compile().as_text()`), on CPU and GPU.

    The body of a loop counts once, as do all branches of a condition.
    """
    lines = [match.groups() for match in _LINE.finditer(program)]
    shapes = {name: [int(n) for n in dims.split(",") if n] for name, dims, *_ in lines}
    total = 0
    for name, _, kind, operands, rest in lines:
        result, given = (
            shapes[name],
            [shapes.get(o, []) for o in re.findall(r"%([\w.-]+)", operands)],
        )
        if kind == "dot" or "gemm_backend_config" in rest:
            total += (
                2
                * math.prod(result)
                * math.prod(given[0][i] for i in _numbers(rest, "lhs_contracting_dim"))
            )
        elif kind == "convolution" or "__cudnn$convForward" in rest or "__cudnn$convBias" in rest:
            total += _convolution(result, given[1], rest)
        elif "__cudnn$convBackwardInput" in rest:  # window and labels are those of the forward pass
            total += _convolution(given[0], given[1], rest)
        elif "__cudnn$convBackwardFilter" in rest:
            total += _convolution(given[1], result, rest)
    return total


def _convolution(out: list[int], kernel: list[int], rest: str) -> int:
    labels = re.search(r"dim_labels=\w+_(\w+)->", rest)
    assert labels is not None
    window = math.prod(n for n, label in zip(kernel, labels[1]) if label.isdigit())
    dilated = re.search(r"lhs_dilate=([\dx]+)", rest)
    holes = math.prod(map(int, dilated[1].split("x"))) if dilated else 1
    return 2 * math.prod(out) * window * kernel[labels[1].index("i")] // holes


def _numbers(rest: str, name: str) -> list[int]:
    """{0,1} or ["0","1"] after a name."""
    found = re.search(name + r'\w*"?[=:]\s*[\[{]([^\]}]*)', rest)
    assert found is not None
    return [int(n) for n in re.findall(r"\d+", found[1])]
