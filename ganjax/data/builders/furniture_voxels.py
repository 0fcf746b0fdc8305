"""Furniture of the Sweet Home 3D libraries as solid voxels."""

import re
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

CATALOG = "PluginFurnitureCatalog.properties"
# By words of a model's name, of which the last that is here decides: a "desk lamp" is a lamp.
KINDS = {
    "chair": ("chair", "chairs", "armchair", "stool"),
    "table": ("table", "desk"),
    "sofa": ("sofa", "couch"),
    "bed": ("bed", "crib"),
    "cabinet": (
        "cabinet", "wardrobe", "bookcase", "shelves", "cupboard", "dresser", "chest", "vanity",
    ),
    "lamp": ("lamp", "light", "lantern", "lamppost"),
    "other": ("fan", "bat", "freezer", "monitor"),
}  # fmt: skip


class FurnitureVoxels(tfds.core.GeneratorBasedBuilder):
    """Solid shapes of furniture, 0 outside and 255 inside."""

    VERSION = tfds.core.Version("1.1.0")
    RELEASE_NOTES = {"1.0.0": "First version.", "1.1.0": "Kinds of furniture."}  # noqa: RUF012
    BUILDER_CONFIGS = [  # noqa: RUF012
        tfds.core.BuilderConfig(name=str(side), description=f"{side} voxels a side")
        for side in (32, 64)
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Sweet Home 3D's furniture libraries (.sh3f files, or their unpacked folders, or a folder "
        "furniture that holds them); furniture32.npz or furniture64.npz will do as well (packed "
        "uint8 [N, side**3 / 8], name, category)"
    )

    @property
    def side(self) -> int:
        return int(self.builder_config.name)

    def _info(self) -> Any:
        return tfds.core.DatasetInfo(
            builder=self,
            description="Models of furniture, voxelised: the surface and what it encloses, the "
            "longest side two voxels short of the cube. Axes are x, y (up), z. Every tenth model "
            "is for testing.",
            features=tfds.features.FeaturesDict(
                {
                    "voxels": tfds.features.Tensor(
                        shape=(self.side,) * 3 + (1,), dtype=np.uint8, encoding="zlib"
                    ),
                    "name": tfds.features.Text(),
                    "category": tfds.features.Text(),
                    "kind": tfds.features.ClassLabel(names=list(KINDS)),
                }
            ),
            homepage="https://www.sweethome3d.com",
            license="by library: CC0 (Blend Swap), CC BY 3.0 (Blend Swap, Kator Legaz, Reallusion, "
            "Scopia)",
            citation="Furniture libraries of Sweet Home 3D 1.8, eTeks: Blend Swap, Kator Legaz, "
            "Reallusion, Scopia.",
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        manual = Path(dl_manager.manual_dir)
        return {
            "train": self._generate_examples(manual, False),
            "test": self._generate_examples(manual, True),
        }

    def _generate_examples(self, manual: Path, test: bool) -> Iterator[tuple[int, dict[str, Any]]]:
        pack = manual / f"furniture{self.side}.npz"
        for i, (shape, name, category) in enumerate(
            packed(pack, self.side) if pack.exists() else models(manual, self.side)
        ):
            if (i % 10 == 9) == test:
                yield (
                    i,
                    {
                        "voxels": shape()[..., None] * np.uint8(255),
                        "name": name,
                        "category": category,
                        "kind": kind(name),
                    },
                )


def kind(name: str) -> str:
    """The kind of furniture that a model's name tells, one of KINDS."""
    words = re.findall("[a-z]+", name.lower())
    found = [kind for word in words for kind, those in KINDS.items() if word in those]
    return found[-1] if found else "other"


Models = list[tuple[Callable[[], np.ndarray], str, str]]  # (its voxels, name, category)


def packed(file: Path, side: int) -> Models:
    """The models in one file of arrays."""
    with np.load(file, allow_pickle=False) as arrays:
        bits, names, categories = arrays["packed"], arrays["name"], arrays["category"]

    def unpacked(row: np.ndarray) -> np.ndarray:
        return np.unpackbits(row).reshape((side,) * 3).astype(bool)

    return [
        (partial(unpacked, row), str(name), str(category))
        for row, name, category in zip(bits, names, categories)
    ]


def models(manual: Path, side: int) -> Models:
    """The models in the furniture libraries of a folder, zipped or not."""
    folder = manual / "furniture" if (manual / "furniture").is_dir() else manual
    libraries: list[Any] = [file.parent for file in sorted(folder.glob(f"**/{CATALOG}"))]
    libraries += [zipfile.Path(file) for file in sorted(folder.glob("**/*.sh3f"))]
    if not libraries:
        raise FileNotFoundError(f"{folder} holds neither a {CATALOG} nor .sh3f files")

    def solid(file: Any) -> np.ndarray:
        return voxels(*mesh(file.read_text(encoding="utf-8", errors="replace")), side)

    found: Models = []
    for library in libraries:
        rows: dict[int, dict[str, str]] = defaultdict(dict)
        for line in (library / CATALOG).read_text(encoding="latin1").splitlines():
            if match := re.fullmatch(r"(\w+)#(\d+)\s*=\s*(.*)", line):
                rows[int(match[2])][match[1]] = match[3]
        for _, row in sorted(rows.items()):
            if "model" in row:
                found.append(
                    (
                        partial(solid, library / row["model"].lstrip("/")),
                        row.get("name", ""),
                        row.get("category", ""),
                    )
                )
    return found


def mesh(obj: str) -> tuple[np.ndarray, np.ndarray]:
    """Vertices float [V, 3] and triangles int [F, 3] of an OBJ file; larger faces become fans."""
    vertices, triangles = [], []
    for line in obj.splitlines():
        kind, *rest = line.split() or [""]
        if kind == "v":
            vertices.append([float(number) for number in rest[:3]])
        elif kind == "f":
            corners = [int(corner.split("/")[0]) for corner in rest]
            corners = [i - 1 if i > 0 else len(vertices) + i for i in corners]
            triangles += [(corners[0], b, c) for b, c in pairwise(corners[1:])]
    return np.array(vertices, float).reshape(-1, 3), np.array(triangles, int).reshape(-1, 3)


def voxels(vertices: np.ndarray, triangles: np.ndarray, side: int) -> np.ndarray:
    """A closed surface as solid voxels, bool [side, side, side].

    It is centred, and its longest extent is side - 2 voxels.
    Points at most half a voxel apart are laid over each triangle, and what they enclose is filled.
    """
    from scipy.ndimage import binary_fill_holes

    corners = vertices[triangles]  # [F, 3, 3]
    if not len(corners) or not np.isfinite(corners).all():
        raise ValueError("a model without a surface")
    low, high = corners.min((0, 1)), corners.max((0, 1))
    # A little less than side - 2, so that the ends fall into the cells 1 and side - 2.
    extent = side - 2 - 1e-3
    corners = (corners - (low + high) / 2) * (extent / max((high - low).max(), 1e-9)) + side / 2
    edges = corners - np.roll(corners, 1, axis=1)
    steps = np.ceil(2 * np.linalg.norm(edges, axis=-1).max(-1)).astype(int).clip(1)  # [F]
    solid = np.zeros((side,) * 3, bool)
    for n in np.unique(steps):
        a, b = (grid.ravel() / n for grid in np.indices((n + 1, n + 1)))
        weights = np.stack([a, b, 1 - a - b], -1)[a + b <= 1 + 1e-9]  # [points, 3]
        for part in np.array_split(
            corners[steps == n], 1 + (steps == n).sum() * len(weights) // 1_000_000
        ):
            cells = (
                np.floor(np.einsum("pc,fcd->fpd", weights, part))
                .astype(int)
                .clip(0, side - 1)
                .reshape(-1, 3)
            )
            solid[tuple(cells.T)] = True
    return binary_fill_holes(solid)
