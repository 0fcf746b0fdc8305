"""Networks, layer for layer as the papers give them: a module for each paper, `mlp` for many.

A layer before a normalisation has no bias, which would be subtracted again. Discriminators return
logits. Without a key nothing is dropped out.
"""

from ganjax.nets.mlp import (
    MLP,
    Linear,
    MaxoutNet,
    Point,
    Positive,
    TrunkAndHead,
    Weights,
    pixel_logits,
    symmetric,
    symmetric_init,
)

__all__ = [
    "MLP",
    "Linear",
    "MaxoutNet",
    "Point",
    "Positive",
    "TrunkAndHead",
    "Weights",
    "pixel_logits",
    "symmetric",
    "symmetric_init",
]
