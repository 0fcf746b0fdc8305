"""Classifiers of images: convolutions, pooling, dense layers."""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
from jax import Array

from ganjax.nets.layers import Conv, Dropout, Padding, local_response_norm, max_pool


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
        x = x.reshape(x.shape[0], -1)
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


def small_alexnet(classes: int = 10) -> Convnet:
    """The small AlexNet for 32 pixels of Zhang et al. 2017 (appendix A), without its local response
    normalisation.
    """
    return Convnet(((64,), (64,)), ((3, 2), (3, 2)), (384, 192), classes, padding="SAME")


class AlexNet(nn.Module):
    """AlexNet: x [B, H, W, C] -> [B, classes] logits.

    Krizhevsky, Sutskever and Hinton 2012, sections 3.1 to 3.5: five convolutions, of which 2, 4 and
    5 see the half of the channels that lay on their own GPU; local response normalisation after 1
    and 2, overlapping max pools after 1, 2 and 5; dropout after both dense layers. The initial
    weights are those of He et al. 2015, and the biases begin at 0. The normalisation runs over both
    halves, as the paper's formula does.
    """

    classes: int = 1000
    width: int = 96  # channels of the first convolution, a multiple of 6; others by it
    units: int = 4096  # of each dense layer
    kernel: int = 11  # of the first convolution
    stride: int = 4
    padding: Padding = (1, 2)  # 224 pixels become the 227 of which 55 x 55 places come
    rate: float = 0.5  # of dropout

    @nn.compact
    def __call__(self, x: Array) -> Array:
        w = self.width
        he = nn.initializers.he_normal()
        x = nn.relu(Conv(w, self.kernel, self.stride, self.padding, kernel_init=he)(x))
        x = max_pool(local_response_norm(x), 3, 2)
        x = nn.relu(Conv(8 * w // 3, 5, kernel_init=he, groups=2)(x))
        x = max_pool(local_response_norm(x), 3, 2)
        x = nn.relu(Conv(4 * w, 3, kernel_init=he)(x))
        x = nn.relu(Conv(4 * w, 3, kernel_init=he, groups=2)(x))
        x = nn.relu(Conv(8 * w // 3, 3, kernel_init=he, groups=2)(x))
        x = max_pool(x, 3, 2).reshape(x.shape[0], -1)
        for _ in range(2):
            x = Dropout()(nn.relu(nn.Dense(self.units, kernel_init=he)(x)), self.rate)
        return nn.Dense(self.classes, name="logits")(x)


def alexnet(classes: int = 1000) -> AlexNet:
    """AlexNet as it was made, for 224 pixels."""
    return AlexNet(classes)


def narrow_alexnet(size: int, classes: int = 10, width: int = 24, rate: float = 0.5) -> AlexNet:
    """AlexNet for 32 or 64 pixels, narrower: kernels of 5 and a stride of size / 32 in the first
    layer, dense layers of 20 width units. With the width 24 it has as many parameters as LeNet on
    32 pixels in colour.

    Raises ValueError for other sizes, and for a width that is no multiple of 6.
    """
    if size not in (32, 64):
        raise ValueError(f"the narrow AlexNet sees 32 or 64 pixels a side, not {size}")
    if width % 6 or width < 6:
        raise ValueError(f"width is a multiple of 6, so that halves are whole; got {width}")
    return AlexNet(classes, width, 20 * width, 5, size // 32, "SAME", rate)
