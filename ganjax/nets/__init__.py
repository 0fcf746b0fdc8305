"""Networks, layer for layer as the papers give them: a module for each paper, `dense` for what many
share.

A layer before a normalisation has no bias: it would be subtracted again. Judges return logits.
Without a key nothing is dropped out.
"""

from ganjax.nets import (
    cgan,
    classifiers,
    cogan,
    cyclegan,
    dcgan,
    gman,
    lapgan,
    mad_gan,
    sequences,
    triple_gan,
    voxels,
)
from ganjax.nets.mlp import (
    MLP,
    MaxoutCritic,
    Positive,
    TrunkAndHead,
    Weights,
    pixel_logits,
    symmetric,
    symmetric_init,
)

__all__ = [
    "MLP",
    "MaxoutCritic",
    "Positive",
    "TrunkAndHead",
    "Weights",
    "cgan",
    "classifiers",
    "cogan",
    "cyclegan",
    "dcgan",
    "gman",
    "lapgan",
    "mad_gan",
    "pixel_logits",
    "sequences",
    "symmetric",
    "symmetric_init",
    "triple_gan",
    "voxels",
]
