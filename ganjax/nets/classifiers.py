"""Classifiers of images: convolutions, pooling, dense layers."""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
from jax import Array

from ganjax.nets.layers import Conv, Dropout, max_pool


class Convnet(nn.Module):
    """Groups of convolutions, each group ended by a max pool, then dense layers: x [B, H, W, C] ->
    [B, classes] logits.
    """

    groups: tuple[tuple[int, ...], ...] = (
        (20,),
        (50,),
    )  # channels of the convolutions of each group
    pools: tuple[tuple[int, int], ...] = ((2, 2), (2, 2))  # window and stride after each group
    units: tuple[int, ...] = (500,)  # of the dense layers
    classes: int = 10
    kernel: int = 5
    padding: str = "VALID"
    act: Callable[[Array], Array] = nn.relu
    rate: float = 0.0  # of dropout after each dense layer

    def __call__(self, x: Array) -> Array:
        return self._units_and_logits(x)[1]

    def features(self, x: Array) -> Array:
        """The last dense layer before the logits, [B, units]."""
        return self._units_and_logits(x)[0]

    @nn.compact
    def _units_and_logits(self, x: Array) -> tuple[Array, Array]:
        for group, (window, stride) in zip(self.groups, self.pools, strict=True):
            for features in group:
                x = self.act(Conv(features, self.kernel, padding=self.padding)(x))
            if window == stride == 2 and not any(side % 2 for side in x.shape[1:3]):
                x = max_pool(x)
            else:
                x = nn.max_pool(x, (window, window), (stride, stride), "SAME")
        x = x.reshape(len(x), -1)
        for units in self.units:
            x = Dropout()(self.act(nn.Dense(units)(x)), self.rate)
        return x, nn.Dense(self.classes, name="logits")(x)


def lenet(classes: int = 10, side: int = 28) -> Convnet:
    """The LeNet of Caffe's examples for 28 pixels, with a ReLU after its convolutions as well.

    Images below 20 pixels get padded kernels of 3.
    """
    if side < 20:
        return Convnet(classes=classes, kernel=3, padding="SAME")
    return Convnet(classes=classes)


def tanh_lenet(classes: int = 10) -> Convnet:
    """The classifier with which MAD-GAN's authors count modes of stacked digits, for 32 pixels."""
    return Convnet(((32,), (64,)), ((3, 3), (2, 2)), (200,), classes, act=nn.tanh)


def alexnet(classes: int = 10) -> Convnet:
    """The small AlexNet for 32 pixels of Zhang et al. 2017 (appendix A), without its local response
    normalisation.
    """
    return Convnet(((64,), (64,)), ((3, 2), (3, 2)), (384, 192), classes, padding="SAME")
