"""Tiny files of the kinds that the makers of our sets publish, and the arrays of a set that was
prepared from them.
"""

import itertools
import json
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from ganjax import data

GRIN, WAVE, DARK_WAVE, FLAG = "1f600", "1f44b", "1f44b-1f3ff", "1f1eb-1f1f7"
EMOJI = [GRIN, WAVE, DARK_WAVE, FLAG, *(f"1f6{i:02}" for i in range(1, 40))]


def loaded(name: str, split: str = "train") -> dict[str, np.ndarray]:
    found = data.find(name, split=split)
    arrays = found.load()
    assert isinstance(arrays, dict)
    assert len(arrays["x"]) == found.examples
    assert arrays["x"].shape[1:] == found.shape
    return arrays


def colour(name: str, style: int) -> tuple[int, int, int]:
    """A colour of its own for each emoji in each style."""
    return EMOJI.index(name) * 5, style * 60, 100


def picture(path: Path, size: int, paint: tuple[int, ...]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGBA", (size, size), (*paint, 255)).save(path, lossless=True)


def emoji_folder(root: Path) -> Path:
    for name in EMOJI:
        picture(root / "emoji-google/img/google/64" / f"{name}.png", 64, colour(name, 0))
        picture(root / "emoji-twitter/img/twitter/64" / f"{name}.png", 64, colour(name, 1))
        picture(root / "emoji-fluent3d/assets" / f"{name}.webp", 80, colour(name, 2))
        picture(root / "openmoji/color/618x618" / f"{name.upper()}.png", 128, colour(name, 3))
        picture(root / "openmoji/black/618x618" / f"{name.upper()}.png", 128, (0, 0, 0))
    rows = [
        {"unified": name.upper(), "category": "Flags" if name == FLAG else "Objects"}
        for name in EMOJI
        if name != DARK_WAVE
    ]
    rows[1]["skin_variations"] = {"1F3FF": {"unified": DARK_WAVE.upper()}}  # type: ignore[assignment]
    (root / "emoji-google/emoji.json").write_text(json.dumps(rows))
    return root


def uci_folder(root: Path) -> Path:
    rng = np.random.default_rng(0)
    root.mkdir(parents=True, exist_ok=True)
    for name, n in {"optdigits.tra": 23, "optdigits.tes": 11}.items():
        rows = np.concatenate([rng.integers(0, 17, (n, 64)), np.arange(n)[:, None] % 10], 1)
        np.savetxt(root / name, rows, fmt="%d", delimiter=",")
    return root


def bach_file(root: Path) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    lengths = np.arange(5, 26)
    events = np.random.default_rng(0).uniform(0, 60, (lengths.sum(), 4)).astype(np.float32)
    np.savez(root / "bach_events.npz", ev=events, length=lengths)
    return root


CUBE = "".join(f"v {x} {y} {z}\n" for x, y, z in itertools.product((0, 2), repeat=3)) + (
    "f 1 2 4 3\nf 5 6 8 7\nf 1/1 2/2 6/3 5/4\nf -6 -5 -1 -2\nf 1 3 7 5\nf 2 4 8 6\n"
)


def furniture_folder(root: Path) -> Path:
    """Two libraries: one zipped, one unpacked; eleven cubes each."""
    rows = "".join(
        f"id#{i}=cube{i}\nname#{i}=Cube {i}\ncategory#{i}=Boxes\nmodel#{i}=/m/cube.obj\n"
        for i in range(1, 12)
    )
    (root / "open/m").mkdir(parents=True)
    (root / "open/PluginFurnitureCatalog.properties").write_text(rows)
    (root / "open/m/cube.obj").write_text(CUBE)
    with zipfile.ZipFile(root / "zipped.sh3f", "w") as library:
        library.writestr("PluginFurnitureCatalog.properties", rows)
        library.writestr("m/cube.obj", CUBE)
    return root
