"""Emoji by their Unicode code points, and their pictures from their makers' files."""

import hashlib
import io
from pathlib import Path
from typing import Any

DROPPED = {
    "1F3FB",
    "1F3FC",
    "1F3FD",
    "1F3FE",
    "1F3FF",
    "2640",
    "2642",
}  # skin tones, the signs of woman and man
PERSONS = {"1F468": "1F9D1", "1F469": "1F9D1"}  # man, woman: person
FLAGS = {"1F3F3", "1F3F4", "1F3C1", "1F38C", "1F6A9"}
# Pictures of two people are one code point in yellow, and a sequence of points where each has a
# skin tone.
PAIRS = {
    "1F46C": "1F46B",
    "1F46D": "1F46B",
    "1F9D1-1F91D-1F9D1": "1F46B",
    "1F9D1-2764-1F48B-1F9D1": "1F48F",
    "1F9D1-2764-1F9D1": "1F491",
    "1F9D1-1FAEF-1F9D1": "1F93C",
    "1F9D1-1F430-1F9D1": "1F46F",
    "1FAF1-1FAF2": "1F91D",
}


def code(name: str) -> str:
    """Code points of a file name in one spelling: 1f469-1f3fb-200d-1f52c.png is
    1F469-1F3FB-200D-1F52C.

    Variation selectors and leading zeros are dropped: 0023-fe0f-20e3 is 23-20E3.
    """
    return "-".join(
        point.lstrip("0") for point in name.split(".")[0].upper().split("-") if point != "FE0F"
    )


def base(emoji: str) -> str:
    """The code points that all skin tones and genders of an emoji share, without joiners."""
    points = [
        PERSONS.get(point, point) for point in emoji.split("-") if point not in DROPPED | {"200D"}
    ]
    return PAIRS.get("-".join(points), "-".join(points))


def is_flag(emoji: str) -> bool:
    """A flag of Unicode's, or of OpenMoji's own in the private use area."""
    first = int(emoji.split("-")[0], 16)
    return f"{first:X}" in FLAGS or 0x1F1E6 <= first <= 0x1F1FF or 0xE420 <= first <= 0xE43F


def split(emoji: str) -> str:
    """The split of an emoji: "test" for about a tenth of them, "train" for the rest.

    All skin tones and genders of one emoji are in the same split.
    """
    return "train" if hashlib.sha256(base(emoji).encode()).digest()[0] >= 26 else "test"


def files(folder: Path, suffix: str) -> dict[str, Path]:
    """Emoji -> file of the pictures in a folder; FileNotFoundError where there are none."""
    found = {code(file.name): file for file in sorted(folder.glob(f"*{suffix}"))}
    if not found:
        raise FileNotFoundError(f"{folder} holds no {suffix} files")
    return found


def openmoji(folder: Path, kind: str) -> dict[str, Path]:
    """Emoji -> file of OpenMoji's drawings, kind "color" or "black".

    SVG files where there are some, else PNG files of 618 pixels.
    """
    return (
        files(folder / kind / "svg", ".svg")
        if (folder / kind / "svg").is_dir()
        else files(folder / kind / "618x618", ".png")
    )


def picture(file: Path, size: int) -> Any:
    """A PNG, WebP or SVG file as a PIL image of size x size pixels, RGB on white."""
    from PIL import Image

    source: Any = file
    if file.suffix == ".svg":
        try:
            import resvg_py
        except ImportError as error:
            raise ImportError("drawing SVG files needs resvg: pip install resvg-py") from error
        source = io.BytesIO(
            bytes(resvg_py.svg_to_bytes(svg_path=str(file), width=size, height=size))
        )
    with Image.open(source) as opened:
        image = opened.convert("RGBA")
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.LANCZOS)
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
