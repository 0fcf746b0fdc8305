"""3D-GAN's nets (Wu, Zhang, Xue, Freeman and Tenenbaum 2016): DCGAN's on three axes, kernel 4.
Their z ~ U(0, 1) has 200 entries.
"""

from __future__ import annotations

import flax.linen as nn

from ganjax.nets import dcgan


def generator(side: int = 64, width: int = 64) -> dcgan.Generator:
    """z [B, Z] -> [B, side, side, side, 1], how full each voxel is, in (0, 1)."""
    return dcgan.Generator((side, side, side, 1), width, kernel=4, last=nn.sigmoid)


def discriminator(
    width: int = 64, classes: int | None = None, norm: bool = True
) -> dcgan.Discriminator:
    """[B, side, side, side, 1] -> [B] logits, or [B, classes]; `features` gives the maps of its
    convolutions, of which the paper takes 2, 3 and 4. norm=False: biases in place of batch norm.
    """
    return dcgan.Discriminator(width, kernel=4, classes=classes, norm=norm)
