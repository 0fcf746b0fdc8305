"""Shapes as voxels: the sets, turns and sizes, how alike they are, as pictures and as meshes."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from collections import Counter
from pathlib import Path

import jax
import numpy as np
import pytest

from ganjax import data
from ganjax.data import blocks, splits, voxels
from ganjax.data.builders.furniture_voxels import kind
from ganjax.figures import meshes
from ganjax.figures.voxels import render
from ganjax.metrics import voxels as metrics
from ganjax.protocols import voxel_features

needs_skimage = pytest.mark.skipif(
    importlib.util.find_spec("skimage") is None, reason="scikit-image is an extra"
)


def refused(*args: object) -> str:
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z") as caught:
        voxels.find(*args)  # type: ignore[arg-type]
    return str(caught.value)


def test_blocks_are_the_same_each_time_and_stand_on_the_ground():
    train, test = (splits.read_arrays(data.find("blocks", split=s)) for s in ("train", "test"))
    blocks.shapes.cache_clear()
    np.testing.assert_array_equal(train["x"], splits.read_arrays(data.find("blocks"))["x"])
    assert train["x"].shape == (600, 16, 16, 16, 1)
    assert set(np.unique(train["x"])) == {0, 255}
    assert Counter(test["label"]) == dict.fromkeys(range(5), 60)
    for x in (train["x"], test["x"]):
        assert not x[:, :, 0].any()
        assert x[:, :, 1].any((1, 2, 3)).all()
    assert metrics.iou(train["x"], test["x"]).max(0).mean() < 0.95  # no copies
    chairs, tables = (x[..., 0] > 0 for x in (train["x"][train["label"] == k] for k in (2, 1)))
    back, front = slice(0, 8), slice(8, 16)
    assert (chairs[:, :, 8:, back].sum((1, 2, 3)) > chairs[:, :, 8:, front].sum((1, 2, 3))).all()
    assert abs(tables[..., back].mean() - tables[..., front].mean()) < 0.02


def test_what_is_no_set_of_cubes_is_refused(tmp_path: Path):
    assert refused("digits") == (
        "digits has examples of 8 x 8 x 1, which are no voxels: N x N x N x 1 are"
    )
    np.savez(tmp_path / "x.npz", x=np.zeros((3, 8, 8, 16, 1), np.uint8))
    assert refused(str(tmp_path / "x.npz")).endswith(
        "x.npz has voxels of 8 x 8 x 16: a cube is wanted, all sides alike"
    )
    np.savez(tmp_path / "y.npz", x=np.zeros((3, 12, 12, 12, 1), np.uint8))
    powers = "voxels have sides of 8, 16, 32, 64, ..., powers of two; got "
    assert refused(str(tmp_path / "y.npz")) == powers + "12"
    assert refused("blocks", None, 4) == powers + "4"
    assert refused("blocks", None, 32) == "blocks has 16 voxels a side, which 32 does not divide"


def test_a_voxel_is_full_where_any_of_those_it_stands_for_is():
    found = voxels.find("blocks", None, 8)
    train, test = splits.train_and_test(found)
    assert found.shape == train["x"].shape[1:] == test["x"].shape[1:] == (8, 8, 8, 1)
    large = splits.read_arrays(data.find("blocks"))["x"][7]
    for at in itertools.product(range(8), repeat=3):
        part = large[tuple(slice(2 * i, 2 * i + 2) for i in at)]
        assert train["x"][7][at] == part.max()


def test_turns_are_the_eight_symmetries_about_the_vertical_axis():
    cube = np.arange(27, dtype=np.float32).reshape(1, 3, 3, 3, 1)
    out = np.asarray(voxels.turned(jax.numpy.asarray(cube.repeat(400, 0)), jax.random.key(0)))
    quarter = [np.rot90(cube[0], i, (0, 2)) for i in range(4)]
    expected = {t.tobytes(): i for i, t in enumerate(quarter + [t[::-1] for t in quarter])}
    counts = Counter(expected[shape.tobytes()] for shape in out)
    assert len(counts) == 8
    assert min(counts.values()) > 25


def test_kinds_of_furniture_are_told_by_the_last_word_that_names_one():
    names = {"Desk lamp": "lamp", "Coffee table": "table", "Table fan": "other", "Sofa 2": "sofa"}
    names |= {"Bedside table": "table", "Toaster": "other", "Armchair ottoman": "chair"}
    assert {name: kind(name) for name in names} == names


def test_intersection_over_union_is_that_of_sets():
    rng = np.random.default_rng(0)
    a, b = rng.random((4, 3, 3, 3, 1)), rng.integers(0, 256, (5, 3, 3, 3, 1), np.uint8)
    a[0], b[0] = 0, 0
    found = metrics.iou(a, b)
    for i, j in np.ndindex(4, 5):
        x, y = (set(np.flatnonzero(s)) for s in (a[i] > 0.5, b[j] > 127))
        assert found[i, j] == pytest.approx(len(x & y) / max(len(x | y), 1))
    with pytest.raises(ValueError, match=r"shapes of \[3, 3, 3, 1\] voxels are wanted"):
        metrics.iou(a[:, :2], b)


def test_coverage_of_itself_is_whole_and_of_one_shape_is_its_share():
    x = splits.read_arrays(data.find("blocks", split="test"))["x"]
    x = x[np.unique(x.reshape(300, -1), axis=0, return_index=True)[1]]
    whole = {"iou_samples": 1.0, "iou_shapes": 1.0, "coverage": 1.0}
    assert metrics.coverage(x, x) == pytest.approx(whole)
    one = metrics.coverage(x[:1].repeat(len(x), 0), x)
    assert one["coverage"] == pytest.approx(1 / len(x))
    assert one["iou_samples"] == 1 > one["iou_shapes"]
    assert metrics.coverage(np.zeros_like(x), x)["coverage"] == 0


def test_pictures_show_up_as_up_and_nothing_as_white():
    x = np.zeros((3, 16, 16, 16, 1), np.uint8)
    x[1, 4:12, 12:14, 4:12] = x[2, 4:12, 2:4, 4:12] = 255
    nothing, high, low = render(x)
    assert nothing.min() == 1
    rows = [np.flatnonzero((picture < 1).any((1, 2))).mean() for picture in (high, low)]
    assert rows[0] < rows[1] - 10
    assert 0.1 < high.min() < 0.9
    # The top is lit more than the sides.
    solid = high[(high < 1).all(-1)]
    assert solid.max() > 1.3 * solid.min()


@needs_skimage
def test_a_surface_is_closed_and_encloses_the_shape():
    x = np.zeros((8, 8, 8, 1), np.uint8)
    x[2:6, 0:5, 3:7] = 255  # it stands on the border
    vertices, triangles = meshes.surface(x)
    edges = Counter((t[i], t[(i + 1) % 3]) for t in triangles.tolist() for i in range(3))
    assert all(edges[b, a] == n == 1 for (a, b), n in edges.items())
    a, b, c = vertices[triangles].swapaxes(0, 1)
    volume = (a * np.cross(b, c)).sum() / 6  # positive where triangles look outwards
    assert volume == pytest.approx(4 * 5 * 4 / 8**3, rel=0.15)
    np.testing.assert_allclose(vertices.min(0), [2 / 8, 0, 3 / 8], atol=1e-6)
    np.testing.assert_allclose(vertices.max(0), [6 / 8, 5 / 8, 7 / 8], atol=1e-6)


@needs_skimage
def test_an_obj_file_holds_the_surface(tmp_path: Path):
    x = splits.read_arrays(data.find("blocks"))["x"][2]
    meshes.write_obj(x, tmp_path / "x.obj")
    lines = [line.split() for line in (tmp_path / "x.obj").read_text().splitlines()]
    vertices, triangles = meshes.surface(x)
    read = np.array([line[1:] for line in lines if line[0] == "v"], float)
    np.testing.assert_allclose(read, vertices, atol=1e-5)
    faces = np.array([line[1:] for line in lines if line[0] == "f"], int)
    np.testing.assert_array_equal(faces - 1, triangles)
    meshes.write_obj(np.zeros_like(x), tmp_path / "empty.obj")
    assert (tmp_path / "empty.obj").read_text().split() == []


def test_meshes_name_what_they_need(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "skimage.measure", None)
    with pytest.raises(ValueError, match=r"scikit-image: pip install 'ganjax\[meshes\]'"):
        meshes.surface(np.ones((8, 8, 8, 1)))
    with pytest.raises(ValueError, match=r"a shape of voxels is \[X, Y, Z, 1\], not \[8, 8\]"):
        meshes.surface(np.ones((8, 8)))


def test_more_labels_hold_fewer_ones_and_none_is_tested():
    label = np.random.default_rng(0).integers(0, 3, 60)
    few, many, every = (voxel_features.split(label, n, 5) for n in (2, 5, None))
    np.testing.assert_array_equal(few[1], every[1])
    assert set(few[0]) < set(many[0]) < set(every[0])
    assert Counter(label[few[0]]) == {0: 2, 1: 2, 2: 2}
    assert sorted([*every[0], *every[1]]) == list(range(60))
    assert set(few[0]) != set(voxel_features.split(label, 2, 6)[0])
