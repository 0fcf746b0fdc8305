"""Reading sets that TensorFlow Datasets has prepared: once through TFDS, from then on from a cache
of decoded arrays beside them.
"""

import glob
import hashlib
import json
import logging
import math
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from ganjax.data import cache
from ganjax.data.catalog import CATALOGUE, Entry
from ganjax.data.dataset import Arrays, Set

CACHE_FORMAT = 1


def home(data_dir: str | os.PathLike[str] | None = None) -> Path:
    """The folder of prepared sets: data_dir, else the environment's TFDS_DATA_DIR, else TFDS's own
    ~/tensorflow_datasets.
    """
    return Path(
        os.path.expanduser(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets")
    )


def split_name(name: str) -> tuple[str, str | None, str | None]:
    """(set, config, picture) of a name such as mnist, furniture_voxels/64, emoji_styles:google;
    ValueError for what is no such name.
    """
    match = re.fullmatch(r"(\w+)(?:/([\w.-]+))?(?::(\w+))?", name)
    if not match:
        raise ValueError(
            f"{name!r} is not a name of a data set: NAME, NAME/CONFIG or NAME:PICTURE are"
        )
    base, config, picture = match.groups()
    entry = CATALOGUE.get(base)
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


def folder(name: str, data_dir: str | os.PathLike[str] | None = None) -> Path | None:
    """The folder of a set's newest prepared version, or None. Half-prepared ones carry other names
    and are never taken for one.
    """
    base, config, _ = split_name(name)
    found = glob.glob(
        os.path.join(
            glob.escape(str(home(data_dir) / base / (config or ""))), "*", "dataset_info.json"
        )
    )
    versions = [
        Path(file).parent
        for file in found
        if re.fullmatch(r"\d+\.\d+\.\d+", Path(file).parent.name)
    ]
    return max(versions, key=lambda path: tuple(map(int, path.name.split("."))), default=None)


def find(name: str, data_dir: str | None = None, split: str = "train") -> Set:
    """The prepared set of a name; ValueError, one line, where it is not prepared, foreign or
    without such a split.
    """
    base, _, picture = split_name(name)
    where = folder(name, data_dir)
    if where is None:
        raise ValueError(
            f"{name} is not prepared in {home(data_dir)}: run `{command(name, data_dir)}`"
        )
    builder = opened(where)
    fields = chosen(CATALOGUE.get(base), picture, builder.info.features, where)
    features, n = builder.info.features, sum(end - first for _, first, end in parts(builder, split))
    shape = tuple(features[fields["x"]].shape)
    if None in shape:
        if base not in CATALOGUE:
            raise ValueError(
                f"{name} has examples of several sizes, {shape}: only sets of one size can be read"
            )
        shape = CATALOGUE[base].shapes[0]
    if not n:
        raise ValueError(f"{name} has no examples in {split!r}")

    def load() -> Arrays:
        return arrays(builder, where, split, fields, shape)

    def rows(chosen: np.ndarray) -> dict[str, np.ndarray]:
        found = builder.as_data_source(split).__getitems__([int(i) for i in chosen])
        return stacked(
            {array: [row[feature] for row in found] for array, feature in fields.items()}, shape
        )

    each = [
        (shape if array == "x" else features[field].shape, np.dtype(features[field].np_dtype))
        for array, field in fields.items()
    ]
    return Set(
        name,
        shape,
        load,
        features[fields["label"]].num_classes if "label" in fields else None,
        n,
        n * sum(math.prod(one) * dtype.itemsize for one, dtype in each),
        rows if suffix(builder) == "array_record" else None,
    )


def command(name: str, data_dir: str | os.PathLike[str] | None = None) -> str:
    """The command that prepares a set."""
    base, config, _ = split_name(name)
    entry = CATALOGUE.get(base)
    manual = " --manual DIR" if entry and entry.manual[entry.at(config)] else ""
    return f"ganjax data prepare {name.split(':')[0]}{manual}" + (
        f" --data-dir {data_dir}" if data_dir else ""
    )


def opened(where: Path) -> Any:
    """TFDS's builder of a prepared folder; it reads, and never downloads."""
    import tensorflow_datasets as tfds

    logging.getLogger("absl").addFilter(unless_advice)
    try:
        return tfds.builder_from_directory(where)
    except Exception as error:  # TFDS raises whatever json and protobuf do
        raise ValueError(f"{where} is not a prepared TFDS set: {one_line(error)}") from error


def suffix(builder: Any) -> str:
    """The format of a set's files: array_record, tfrecord."""
    return str(builder.info.file_format.value)


def chosen(entry: Entry | None, picture: str | None, features: Any, where: Path) -> dict[str, str]:
    """Array -> feature: the catalogue's choice; x alone where one picture is asked for; image and
    label of any other TFDS set.
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
            f"{where} has the features {', '.join(features)}, not {', '.join(missing)}"
        )
    return fields


def parts(builder: Any, split: str) -> list[tuple[str, int, int]]:
    """(split, first row, end) of each part of a TFDS split such as "train", "train[:1000]",
    "train+test".
    """
    import tensorflow_datasets as tfds

    try:
        found = tfds.core.ReadInstruction.from_spec(split).to_absolute(builder.info.splits)
    except (
        Exception
    ) as error:  # TFDS raises ValueError, KeyError or AssertionError, some over several lines
        raise ValueError(
            f"{builder.info.name} has the splits {', '.join(builder.info.splits)}, not {split!r}"
        ) from error
    return [
        (
            p.splitname,
            p.from_ or 0,
            builder.info.splits[p.splitname].num_examples if p.to is None else p.to,
        )
        for p in found
    ]


def arrays(
    builder: Any, where: Path, split: str, fields: dict[str, str], shape: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """The arrays of a split, from the cache where it is there and fits, else decoded once and
    cached.
    """
    found = [
        (whole(builder, where, name, fields, shape), slice(first, end))
        for name, first, end in parts(builder, split)
    ]
    return {
        array: np.concatenate([part[array][rows] for part, rows in found]) for array in found[0][0]
    }


def whole(
    builder: Any, where: Path, split: str, fields: dict[str, str], shape: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """All rows of one split."""
    info = builder.info.splits[split]
    try:
        shards = {name: (where / name).stat().st_size for name in info.filenames}
    except OSError as error:
        raise ValueError(
            f"{where} lacks {Path(error.filename).name}: remove the folder and prepare the set again"
        ) from error
    stamp = json.dumps(
        [
            CACHE_FORMAT,
            builder.info.full_name,
            split,
            info.num_examples,
            fields,
            shape,
            sorted(shards.items()),
        ],
        sort_keys=True,
    )
    name = f"ganjax-{split}-{'-'.join(fields.values())}.npz"
    caches = [
        where / name,
        cache.user_folder()
        / f"{hashlib.sha256(str(where.resolve()).encode()).hexdigest()[:16]}-{name}",
    ]
    decoded = cache.read(caches, stamp)
    if decoded is None:
        decoded = decode(builder, where, split, fields, shape)
        cache.write(caches, stamp, decoded)
    return decoded


def decode(
    builder: Any, where: Path, split: str, fields: dict[str, str], shape: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """One split through TFDS: array_record without TensorFlow, tfrecord with it. Rows are in TFDS's
    order.
    """
    import tensorflow_datasets as tfds

    n = builder.info.splits[split].num_examples
    found: dict[str, list[Any]] = {array: [] for array in fields}
    try:
        if suffix(builder) == "array_record":
            source = builder.as_data_source(split)
            rows = (
                row
                for first in range(0, n, 1024)
                for row in source.__getitems__(range(first, min(first + 1024, n)))
            )
        else:
            one_by_one = tfds.ReadConfig(interleave_cycle_length=1)
            rows = iter(tfds.as_numpy(builder.as_dataset(split, read_config=one_by_one)))
        for row in rows:
            for array, feature in fields.items():
                found[array].append(row[feature])
    except ImportError as error:
        raise ValueError(
            f"{where} holds {suffix(builder)} files, which need TensorFlow: pip install 'ganjax[tensorflow]'"
        ) from error
    except Exception as error:  # the readers of records and of images raise errors of many kinds
        raise ValueError(
            f"{where} holds a damaged file: {one_line(error)}; remove the folder and prepare the set again"
        ) from error
    if len(found["x"]) != n:
        raise ValueError(
            f"{where} holds {len(found['x'])} of the {n} examples of {split}: remove the folder and prepare the set again"
        )
    return stacked(found, shape)


def stacked(found: dict[str, list[Any]], shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Rows as arrays: integers int32; x of this shape, where lists of notes end in zeros and
    "length" says how many there were.
    """
    out: dict[str, np.ndarray] = {}
    for array, rows in found.items():
        if array == "x" and len(shape) == 2:
            out["length"] = np.array([len(row) for row in rows], np.int32)
            rows = [np.pad(row, [(0, shape[0] - len(row)), (0, 0)]) for row in rows]
        out[array] = np.stack(rows)
        if out[array].dtype == np.int64:
            out[array] = out[array].astype(np.int32)
    return out


def unless_advice(record: logging.LogRecord) -> bool:
    """Keeps TFDS's advice to install OpenCV off stderr."""
    return "OpenCV" not in str(record.msg)


def one_line(error: BaseException) -> str:
    """The first line of an error's message."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(":")
