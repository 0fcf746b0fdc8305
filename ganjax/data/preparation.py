"""What sets there are, how one is prepared, and what one looks like: the commands `ganjax data
list`, `prepare` and `show`.
"""

import importlib
import importlib.util
import os
import socket
import sys
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np

from ganjax.data import tfds, transforms
from ganjax.data.catalog import CATALOGUE
from ganjax.data.dataset import Set
from ganjax.data.mixtures import MIXTURES, Mixture
from ganjax.data.stacked_mnist import MADE


def listing(data_dir: str | None = None) -> list[dict[str, Any]]:
    """One row per set: name, size (examples), shape, licence, prepared (bool), where, about. Reads
    no data; imports no TFDS.
    """
    toys: list[dict[str, Any]] = [
        {
            "name": name,
            "size": "endless",
            "shape": (MIXTURES[name]().dim,),
            "licence": "none needed",
            "about": "mixture of Gaussians",
        }
        for name in MIXTURES
    ]
    digits: dict[str, Any] = {
        "name": "digits",
        "size": "1797",
        "shape": (8, 8, 1),
        "licence": "CC BY 4.0",
        "about": "handwritten digits in scikit-learn",
    }
    rows = [row | {"prepared": True, "where": "built in"} for row in [*toys, digits]]
    rows += [
        row(f"{name}/{config}" if config else name, data_dir)
        for name, e in CATALOGUE.items()
        for config in e.configs or ("",)
    ]
    return rows + [row(name, data_dir) for name in MADE]


def row(name: str, data_dir: str | None = None) -> dict[str, Any]:
    """The row of one set that TFDS prepares, or that is made from one."""
    if name in MADE:
        n, about = str(transforms.MADGAN_TRIPLES), "three digits of MNIST, 1000 classes"
        return row("mnist", data_dir) | {
            "name": name,
            "size": n,
            "shape": MADE[name][1],
            "about": about,
        }
    base, config, _ = tfds.split_name(name)
    entry, where = CATALOGUE[base], tfds.folder(name, data_dir)
    i = entry.at(config)
    return {
        "name": name,
        "size": entry.rows[i],
        "shape": entry.shapes[i],
        "licence": entry.licence,
        "about": entry.about,
        "prepared": where is not None,
        "where": str(where) if where else tfds.command(name, data_dir),
    }


def prepare(name: str, manual: str | None = None, data_dir: str | None = None) -> dict[str, Any]:
    """Prepares a set in data_dir (TFDS's array_record files) and returns its row of `listing`; one
    that is prepared is left as it is.

    manual: the folder of files that cannot be downloaded, or that a machine without internet has
    (TFDS's manual directory).
    TFDS's own sets need TensorFlow here, and never again. Raises ValueError, one line: an unknown
    set, TensorFlow missing, files missing or with another checksum, no internet, a folder that
    cannot be written. What was begun and not ended is never taken for a set.
    """
    if name in MIXTURES or name == "digits":
        return next(row for row in listing(data_dir) if row["name"] == name)
    base, config, picture = tfds.split_name("mnist" if name in MADE else name)
    if base not in CATALOGUE or picture:
        raise ValueError(f"{name!r} cannot be prepared: {', '.join(CATALOGUE)} can")
    if tfds.folder(f"{base}/{config}" if config else base, data_dir) is None:
        if manual is not None and not os.path.isdir(os.path.expanduser(manual)):
            raise ValueError(f"there is no folder {manual}")
        build(
            base, config, Path(os.path.expanduser(manual)) if manual else None, tfds.home(data_dir)
        )
    return row(name, data_dir)


def build(base: str, config: str | None, manual: Path | None, home: Path) -> None:
    """Runs a TFDS builder; its errors become ValueErrors of one line."""
    stock = CATALOGUE[base].builder is None
    if stock and importlib.util.find_spec("tensorflow") is None:
        raise ValueError(
            f"TFDS prepares {base} with TensorFlow, which is missing: pip install 'ganjax[tensorflow]' (reading needs none)"
        )
    import tensorflow_datasets as tfds

    try:
        home.mkdir(parents=True, exist_ok=True)
        if not os.access(home, os.W_OK):
            raise PermissionError(f"{home} cannot be written")
        if stock:
            builder = tfds.builder(base, data_dir=home, file_format="array_record")
            present(builder, manual)
        else:
            module = importlib.import_module(f"ganjax.data.builders.{base}")
            kind = getattr(module, CATALOGUE[base].builder or "")
            if manual is None and CATALOGUE[base].manual[CATALOGUE[base].at(config)]:
                raise ValueError(
                    f"it is made from files of yours, --manual DIR: {kind.MANUAL_DOWNLOAD_INSTRUCTIONS}"
                )
            builder = kind(data_dir=home, config=config, file_format="array_record")
        tfds.display_progress_bar(sys.stderr.isatty())
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(manual_dir=manual)
        )
    except Exception as error:  # TFDS, and what it calls, raise errors of many kinds
        raise ValueError(f"{base} cannot be prepared: {tfds.one_line(error)}") from error


def present(builder: Any, manual: Path | None) -> None:
    """Raises ValueError where TFDS would try for minutes in vain: files missing in the manual
    folder, or no internet.
    """
    names = [info.filename for info in builder.url_infos.values()]
    if manual is not None:
        if missing := [name for name in names if not (manual / name).exists()]:
            raise ValueError(f"{manual} lacks {', '.join(missing)}")
    elif not urllib.request.getproxies():
        for host in {urllib.parse.urlparse(url).hostname for url in builder.url_infos}:
            try:
                socket.getaddrinfo(host, None)
            except OSError as error:
                raise ValueError(
                    f"{host} cannot be reached; --manual DIR takes a folder that holds {', '.join(names)}"
                ) from error


def show(name: str | Set, data_dir: str | None = None, n: int = 64) -> np.ndarray:
    """A contact sheet's pictures: n examples evenly spaced over a set, float32 [n, H, W, C] in [-1,
    1]; pairs stand side by side.

    Voxels are seen from the front, nearer is lighter; notes are a piano roll; a mixture is its
    density, one picture. Raises ValueError for a set whose examples are no pictures.
    """
    from ganjax.data import find

    found = find(name, data_dir) if isinstance(name, str) else name
    data = found.load()
    if isinstance(data, Mixture):
        return 2 * density(data)[None, ..., None] - 1
    rows = np.linspace(0, len(data["x"]) - 1, n).astype(int)
    pictures = [
        pictured(found.name, np.asarray(data[field][rows])) for field in ("x", "y") if field in data
    ]
    channels = max(picture.shape[-1] for picture in pictures)
    pictures = [np.broadcast_to(picture, (*picture.shape[:-1], channels)) for picture in pictures]
    return 2 * np.concatenate(pictures, axis=2) - 1


def pictured(name: str, x: np.ndarray) -> np.ndarray:
    """Examples as pictures, float32 [n, H, W, C] in [0, 1]."""
    if x.ndim == 4:
        return x.astype(np.float32) / 255
    if x.ndim == 5:
        return depths(x[..., 0] > 127)
    if x.ndim == 3 and x.shape[-1] == 4:
        return rolls(x)
    raise ValueError(
        f"{name} has examples of {' x '.join(map(str, x.shape[1:]))}, which are no pictures"
    )


def depths(solid: np.ndarray) -> np.ndarray:
    """Voxels [n, x, y, z] seen along z, y up: nearer is lighter, black where there is nothing."""
    side = solid.shape[3]
    first = np.where(solid.any(3), np.argmax(solid[..., ::-1], 3), side)  # [n, x, y]
    shade = np.where(first < side, 1 - 0.8 * first / side, 0).astype(np.float32)
    return shade.swapaxes(1, 2)[:, ::-1, :, None]


def rolls(events: np.ndarray, steps: int = 128, low: int = 28, high: int = 92) -> np.ndarray:
    """The first 32 quarter notes of pieces [n, notes, 4] as piano rolls [n, high - low, steps, 1]:
    sixteenth notes, high ones on top.
    """
    roll = np.zeros((len(events), high - low, steps, 1), np.float32)
    for i, notes in enumerate(events):
        for onset, duration, pitch, _ in notes[notes[:, 1] > 0]:
            if low <= pitch < high:
                roll[i, high - 1 - int(pitch), round(4 * onset) : round(4 * (onset + duration))] = 1
    return roll


def density(mixture: Mixture, side: int = 256) -> np.ndarray:
    """The density of a mixture in [0, 1]: over its plane [side, side], its eighth root, or as a
    curve filled below [side // 4, side].
    """
    reach = 4 * np.max(mixture.sd)
    low, high = np.min(mixture.mean, 0) - reach, np.max(mixture.mean, 0) + reach
    axes = [np.linspace(a, b, side, dtype=np.float32) for a, b in zip(low, high)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    height = np.exp(np.asarray(mixture.log_prob(points)) / (1 if mixture.dim == 1 else 8))
    height = height / height.max()
    if mixture.dim == 1:
        return (np.linspace(1, 0, side // 4)[:, None] < height).astype(np.float32)
    return height.T[::-1]
