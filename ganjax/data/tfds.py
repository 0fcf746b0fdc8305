"""Datasets that TensorFlow Datasets has prepared.

They are read once through TFDS, from then on from a cache of decoded arrays beside them.
"""

from __future__ import annotations

import glob
import hashlib
import json
import logging
import math
import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ganjax.data import cache
from ganjax.data.catalog import CATALOG, Entry
from ganjax.data.dataset import Arrays, Dataset
from ganjax.host import one_line

CACHE_FORMAT = 1


def data_folder(data_dir: str | os.PathLike[str] | None = None) -> Path:
    """data_dir, else the environment's TFDS_DATA_DIR, else TFDS's own ~/tensorflow_datasets."""
    return Path(
        os.path.expanduser(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets")
    )


def parse_name(name: str) -> tuple[str, str | None, str | None]:
    """(dataset, config, picture) of mnist, furniture_voxels/64, emoji_styles:google, …

    Raises ValueError for what is no such name.
    """
    match = re.fullmatch(r"(\w+)(?:/([\w.-]+))?(?::(\w+))?", name)
    if not match:
        raise ValueError(
            f"{name!r} is not a name of a dataset: NAME, NAME/CONFIG or NAME:PICTURE are"
        )
    base, config, picture = match.groups()
    entry = CATALOG.get(base)
    if entry and config and config not in entry.configs:
        raise ValueError(
            f"{base} has no config {config!r}: its configs are {', '.join(entry.configs) or 'none'}"
        )
    pictures = entry.pictures if entry else ()
    if picture and picture not in pictures:
        raise ValueError(
            f"{base} has no picture {picture!r}: its pictures are {', '.join(pictures) or 'none'}"
        )
    return base, config or (entry.configs[0] if entry and entry.configs else None), picture


def prepared_folder(name: str, data_dir: str | os.PathLike[str] | None = None) -> Path | None:
    """The folder of a dataset's newest prepared version, or None.

    Half-prepared versions have other folder names, and are never taken.
    """
    base, config, _ = parse_name(name)
    versions = glob.escape(str(data_folder(data_dir) / base / (config or "")))
    folders = [
        Path(file).parent for file in glob.glob(os.path.join(versions, "*", "dataset_info.json"))
    ]
    return max(
        (folder for folder in folders if re.fullmatch(r"\d+\.\d+\.\d+", folder.name)),
        key=lambda folder: tuple(map(int, folder.name.split("."))),
        default=None,
    )


def dataset(name: str, data_dir: str | None = None, split: str = "train") -> Dataset:
    """The prepared dataset of a name.

    Raises ValueError, one line, where it is not prepared, foreign, or without such a split.
    """
    base, _, picture = parse_name(name)
    folder = prepared_folder(name, data_dir)
    if folder is None:
        raise ValueError(
            f"{name} is not prepared in {data_folder(data_dir)}: "
            f"run `{prepare_command(name, data_dir)}`"
        )
    builder = open_builder(folder)
    features = builder.info.features
    fields = choose_features(CATALOG.get(base), picture, features, folder)
    n = sum(end - first for _, first, end in split_ranges(builder, split))
    if not n:
        raise ValueError(f"{name} has no examples in {split!r}")
    shape = tuple(features[fields["x"]].shape)
    if None in shape:
        if base not in CATALOG:
            raise ValueError(
                f"{name} has examples of several sizes, {shape}: only one size can be read"
            )
        shape = CATALOG[base].shapes[0]

    def read() -> Arrays:
        return read_split(builder, folder, split, fields, shape)

    def read_rows(rows: np.ndarray) -> dict[str, np.ndarray]:
        found = builder.as_data_source(split).__getitems__([int(row) for row in rows])
        columns = {array: [row[feature] for row in found] for array, feature in fields.items()}
        return stack_columns(columns, shape)

    row_bytes = sum(
        math.prod(shape if array == "x" else features[field].shape)
        * np.dtype(features[field].np_dtype).itemsize
        for array, field in fields.items()
    )
    test = builder.info.splits.get("test")
    has_test = "test" not in split and test is not None and test.num_examples > 0
    return Dataset(
        name,
        shape,
        read,
        features[fields["label"]].num_classes if "label" in fields else None,
        n,
        n * row_bytes,
        read_rows if file_format(builder) == "array_record" else None,
        partial(dataset, name, data_dir, "test") if has_test else None,
        tuple(features[fields["label"]].names or ()) if "label" in fields else (),
    )


def prepare_command(name: str, data_dir: str | os.PathLike[str] | None = None) -> str:
    """The command that prepares a dataset."""
    base, config, _ = parse_name(name)
    entry = CATALOG.get(base)
    manual = " --manual DIR" if entry and entry.manual[entry.config_index(config)] else ""
    return f"ganjax data prepare {name.split(':')[0]}{manual}" + (
        f" --data-dir {data_dir}" if data_dir else ""
    )


def open_builder(folder: Path) -> Any:
    """TFDS's builder of a prepared folder; it reads, and never downloads."""
    import tensorflow_datasets as tfds

    logging.getLogger("absl").addFilter(drop_opencv_advice)
    try:
        return tfds.builder_from_directory(folder)
    except Exception as error:  # TFDS raises whatever json and protobuf do
        raise ValueError(f"{folder} is not a prepared TFDS dataset: {one_line(error)}") from error


def file_format(builder: Any) -> str:
    """The format of a dataset's files: array_record, tfrecord."""
    return str(builder.info.file_format.value)


def choose_features(
    entry: Entry | None, picture: str | None, features: Any, folder: Path
) -> dict[str, str]:
    """Array -> TFDS feature: as in the catalog, but x alone where one picture is asked for.

    Of any other dataset image, and label where there is one. ValueError where one is missing.
    """
    fields = dict(entry.fields) if entry else {"x": "image", "label": "label"}
    if picture:
        fields = {"x": picture} | ({"label": fields["label"]} if "label" in fields else {})
    fields = {
        array: feature
        for array, feature in fields.items()
        if entry or array == "x" or feature in features
    }
    if missing := [feature for feature in fields.values() if feature not in features]:
        raise ValueError(
            f"{folder} has the features {', '.join(features)}, not {', '.join(missing)}"
        )
    return fields


def split_ranges(builder: Any, split: str) -> list[tuple[str, int, int]]:
    """(split, first row, end) of each part of "train", "train[:1000]", "train+test", …"""
    import tensorflow_datasets as tfds

    splits = builder.info.splits
    try:
        found = tfds.core.ReadInstruction.from_spec(split).to_absolute(splits)
    except Exception as error:  # ValueError, KeyError or AssertionError, some over several lines
        raise ValueError(
            f"{builder.info.name} has the splits {', '.join(splits)}, not {split!r}"
        ) from error
    return [
        (
            part.splitname,
            part.from_ or 0,
            splits[part.splitname].num_examples if part.to is None else part.to,
        )
        for part in found
    ]


def read_split(
    builder: Any, folder: Path, split: str, fields: dict[str, str], shape: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """The arrays of a TFDS split, slices and sums included."""
    parts = [
        (read_or_decode(builder, folder, name, fields, shape), slice(first, end))
        for name, first, end in split_ranges(builder, split)
    ]
    return {
        array: np.concatenate([arrays[array][rows] for arrays, rows in parts])
        for array in parts[0][0]
    }


def read_or_decode(
    builder: Any, folder: Path, split: str, fields: dict[str, str], shape: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """All rows of one split: from the cache where it fits, else decoded and cached."""
    info = builder.info.splits[split]
    try:
        shards = {name: (folder / name).stat().st_size for name in info.filenames}
    except OSError as error:
        raise ValueError(
            f"{folder} lacks {Path(error.filename).name}: "
            "remove the folder and prepare the dataset again"
        ) from error
    made_of = [CACHE_FORMAT, builder.info.full_name, split, info.num_examples, fields, shape]
    stamp = json.dumps([*made_of, sorted(shards.items())], sort_keys=True)
    name = f"ganjax-{split}-{'-'.join(fields.values())}.npz"
    place = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    caches = [folder / name, *cache.places(f"{place}-{name}")]
    found = cache.read(caches, stamp)
    if found is None:
        found = decode(builder, folder, split, fields, shape)
        cache.write(caches, stamp, found)
    return found


def decode(
    builder: Any, folder: Path, split: str, fields: dict[str, str], shape: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """One split through TFDS, in its order: array_record without TensorFlow, tfrecord with it."""
    n = builder.info.splits[split].num_examples
    columns: dict[str, list[Any]] = {array: [] for array in fields}
    try:
        for row in iterate_rows(builder, split, n):
            for array, feature in fields.items():
                columns[array].append(row[feature])
    except ImportError as error:
        raise ValueError(
            f"{folder} holds {file_format(builder)} files, which need TensorFlow: "
            "pip install 'ganjax[tensorflow]'"
        ) from error
    except Exception as error:  # the readers of records and of images raise errors of many kinds
        raise ValueError(
            f"{folder} holds a damaged file: {one_line(error)}; "
            "remove the folder and prepare the dataset again"
        ) from error
    if len(columns["x"]) != n:
        raise ValueError(
            f"{folder} holds {len(columns['x'])} of the {n} examples of {split}: "
            "remove the folder and prepare the dataset again"
        )
    return stack_columns(columns, shape)


def iterate_rows(builder: Any, split: str, n: int) -> Iterator[Any]:
    """The n rows of a split, one by one."""
    import tensorflow_datasets as tfds

    if file_format(builder) == "array_record":
        source = builder.as_data_source(split)
        for first in range(0, n, 1024):
            yield from source.__getitems__(range(first, min(first + 1024, n)))
    else:
        in_order = tfds.ReadConfig(interleave_cycle_length=1)
        yield from tfds.as_numpy(builder.as_dataset(split, read_config=in_order))


def stack_columns(columns: dict[str, list[Any]], shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Lists of values as arrays, integers as int32.

    Lists of notes are padded with zeros to one length; "length" says how many notes there were.
    """
    out: dict[str, np.ndarray] = {}
    for array, values in columns.items():
        if array == "x" and len(shape) == 2:
            out["length"] = np.array([len(value) for value in values], np.int32)
            values = [np.pad(value, [(0, shape[0] - len(value)), (0, 0)]) for value in values]
        out[array] = np.stack(values)
        if out[array].dtype == np.int64:
            if out[array].size and not -(2**31) <= out[array].min() <= out[array].max() < 2**31:
                raise ValueError(f"{array} holds integers that do not fit 32 bits")
            out[array] = out[array].astype(np.int32)
    return out


def drop_opencv_advice(record: logging.LogRecord) -> bool:
    """Keeps TFDS's advice to install OpenCV off stderr."""
    return "OpenCV" not in str(record.msg)
