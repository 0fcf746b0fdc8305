"""Which datasets there are, and how one is prepared: `ganjax data list` and `prepare`."""

from __future__ import annotations

import importlib
import importlib.util
import os
import socket
import sys
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from ganjax.data import blocks, stacked_mnist, tfds, tones
from ganjax.data.catalog import CATALOG
from ganjax.data.mixtures import MIXTURES
from ganjax.host import one_line


def listing(data_dir: str | None = None) -> list[dict[str, Any]]:
    """One row per dataset: name, size (examples), shape, licence, prepared (bool), where, about.

    Reads no data, imports no TFDS.
    """
    built_in: list[dict[str, Any]] = [
        {
            "name": name,
            "size": "endless",
            "shape": (mixture().dim,),
            "licence": "none needed",
            "about": "mixture of Gaussians",
        }
        for name, mixture in MIXTURES.items()
    ]
    built_in.append(
        {
            "name": "digits",
            "size": "1797",
            "shape": (8, 8, 1),
            "licence": "CC BY 4.0",
            "about": "handwritten digits in scikit-learn",
        }
    )
    built_in.append(
        {
            "name": "tones",
            "size": f"{tones.TEXTS - tones.HELD_OUT} + {tones.HELD_OUT}",
            "shape": (8000,),
            "licence": "none needed",
            "about": "letters as chords of two tones, 8 kHz",
        }
    )
    built_in.append(
        {
            "name": "blocks",
            "size": " + ".join(map(str, blocks.EXAMPLES.values())),
            "shape": (blocks.SIDE,) * 3 + (1,),
            "licence": "none needed",
            "about": "boxes, tables, chairs, sofas and shelves as voxels",
        }
    )
    rows = [row | {"prepared": True, "where": "built in"} for row in built_in]
    rows += [
        listing_row(f"{name}/{config}" if config else name, data_dir)
        for name, entry in CATALOG.items()
        for config in entry.configs or ("",)
    ]
    return rows + [listing_row(name, data_dir) for name in stacked_mnist.LAYOUTS]


def listing_row(name: str, data_dir: str | None = None) -> dict[str, Any]:
    """The row of one dataset that TFDS prepares, or that is composed of such a one."""
    if name in stacked_mnist.LAYOUTS:
        return listing_row("mnist", data_dir) | {
            "name": name,
            "size": str(stacked_mnist.EXAMPLES),
            "shape": stacked_mnist.LAYOUTS[name][1],
            "about": "three digits of MNIST, 1000 classes",
        }
    base, config, _ = tfds.parse_name(name)
    entry = CATALOG[base]
    folder = tfds.prepared_folder(name, data_dir)
    i = entry.config_index(config)
    return {
        "name": name,
        "size": entry.sizes[i],
        "shape": entry.shapes[i],
        "licence": entry.licence,
        "about": entry.about,
        "prepared": folder is not None,
        "where": str(folder) if folder else tfds.prepare_command(name, data_dir),
    }


def prepare(name: str, manual: str | None = None, data_dir: str | None = None) -> dict[str, Any]:
    """Prepares a dataset in data_dir (array_record files) and returns its row of `listing`.

    A prepared one is left as it is. TFDS's own datasets need TensorFlow here, and never again.
    manual: the folder of files that cannot be downloaded, or that a machine without internet has
        (TFDS's manual directory).
    Raises ValueError, one line: an unknown dataset, TensorFlow missing, files missing or with
    another checksum, no internet, a folder that cannot be written. An interrupted preparation is
    never taken for a dataset.
    """
    if name in MIXTURES or name in ("digits", "blocks", "tones"):
        return next(row for row in listing(data_dir) if row["name"] == name)
    base, config, picture = tfds.parse_name("mnist" if name in stacked_mnist.LAYOUTS else name)
    if base not in CATALOG or picture:
        raise ValueError(f"{name!r} cannot be prepared: {', '.join(CATALOG)} can")
    if tfds.prepared_folder(f"{base}/{config}" if config else base, data_dir) is None:
        folder = Path(os.path.expanduser(manual)) if manual is not None else None
        if folder and not folder.is_dir():
            raise ValueError(f"there is no folder {manual}")
        run_builder(base, config, folder, tfds.data_folder(data_dir))
    return listing_row(name, data_dir)


def run_builder(base: str, config: str | None, manual: Path | None, data_dir: Path) -> None:
    """Runs a TFDS builder; its errors become ValueErrors of one line."""
    entry = CATALOG[base]
    if entry.builder is None and importlib.util.find_spec("tensorflow") is None:
        raise ValueError(
            f"TFDS prepares {base} with TensorFlow, which is missing: "
            "pip install 'ganjax[tensorflow]' (reading needs none)"
        )
    import tensorflow_datasets

    if str(data_dir).startswith("~"):
        raise ValueError(f"there is no home folder to expand {data_dir}: name another --data-dir")
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        if not os.access(data_dir, os.W_OK):
            raise PermissionError(f"{data_dir} cannot be written")
        how = {"data_dir": data_dir, "file_format": "array_record"}
        if entry.builder is None:
            builder = tensorflow_datasets.builder(base, **how)
            require_sources(builder, manual)
        else:
            module = importlib.import_module(f"ganjax.data.builders.{base}")
            builder_class = getattr(module, entry.builder)
            if manual is None and entry.manual[entry.config_index(config)]:
                raise ValueError(
                    "it is made from files of yours, --manual DIR: "
                    f"{builder_class.MANUAL_DOWNLOAD_INSTRUCTIONS}"
                )
            builder = builder_class(config=config, **how)
        tensorflow_datasets.display_progress_bar(sys.stderr.isatty())
        builder.download_and_prepare(
            download_config=tensorflow_datasets.download.DownloadConfig(manual_dir=manual)
        )
    except Exception as error:  # TFDS, and what it calls, raise errors of many kinds
        raise ValueError(f"{base} cannot be prepared: {one_line(error)}") from error


def require_sources(builder: Any, manual: Path | None) -> None:
    """Raises ValueError where TFDS would try for minutes in vain.

    That is: files missing in the manual folder, or no internet.
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
                    f"{host} cannot be reached; --manual DIR takes a folder that holds "
                    f"{', '.join(names)}"
                ) from error
