"""Commands that use a trained run: samples, a player on a user's images, a player as files."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from PIL import Image

from ganjax.data.files import at_path
from ganjax.data.image_folder import read_header
from ganjax.data.image_listing import counted, described, list_images
from ganjax.data.resizing import resize_image
from ganjax.experiment import with_players
from ganjax.game import Bound
from ganjax.host import one_line, whole_file
from ganjax.keys import stream
from ganjax.runs import storage, written
from ganjax.runs.arguments import Parser, add_trained, integer, refuse_output, sample_parser
from ganjax.runs.best import step_of
from ganjax.runs.export import export as write_export
from ganjax.runs.loading import Run, load
from ganjax.runs.record import read_record
from ganjax.runs.surroundings import start

MULTIPLES = (1, 2, 4, 8, 16, 32)  # of which sides may have to be, in the order of trial
WALKS = 8  # between noises, where the number of samples is not said
BATCH = 16  # images of one size at once


def sample(argv: Sequence[str]) -> int:
    """`ganjax sample`: the exit status. Raises ValueError, one line, for a wrong request."""
    args = sample_parser().parse(argv)
    written.refuse_place(args.out)
    run = started(args)
    asked = args.n or (args.walk and WALKS * args.walk)
    n = written.number_of_samples(run.experiment, args.out, asked)
    x = run.sample(
        n, None if args.seed is None else jax.random.key(args.seed), args.label, args.walk
    )
    told = written.write(run.experiment, x, args.out, n, args.walk)
    if told and args.n:
        print(told, file=sys.stderr)
    return 0


def started(args: argparse.Namespace) -> Run:
    """The run that is asked for, loaded in a process that computes as it did."""
    step = step_of(args.run, args.step)
    record = read_record(args.run)
    start(cache=True, fast=not record.deterministic, portable=record.portable)
    return load(args.run, args.lane, step, args.trust, args.data_dir)


def black(run: Run) -> float:
    """The value of a black pixel, -1 or 0; a white one is 1."""
    batch = run.game.draw(run.experiment.data, jax.random.key(0))
    images = [x for x in jax.tree.leaves(batch) if x.ndim == 4]
    return -1.0 if any(float(x.min()) < 0 for x in images) else 0.0


def player_of(run: Run, name: str | None, fits: Callable[[Bound], bool], what: str) -> Bound:
    """The player of this name, or the only one that fits. Raises ValueError, one line."""
    known = ", ".join([*run.players, *run.experiment.attackers])
    if name is not None:
        if name not in run.players:
            raise ValueError(f"there is no player {name}: there are {known}")
        if not fits(run.players[name]):
            raise ValueError(
                f"{name} does not take {what}: it sees {run.players[name].player.sees}"
            )
        return run.players[name]
    fitting = [n for n, player in run.players.items() if fits(player)]
    if len(fitting) != 1:
        found = ", ".join(fitting) or "none"
        raise ValueError(f"say --player: of {known}, {found} take {what}")
    return run.players[fitting[0]]


def export(argv: Sequence[str]) -> int:
    """`ganjax export`: the exit status. Raises ValueError, one line, for a wrong request."""
    about = "A player of a run as files that need no ganjax: StableHLO, safetensors, a card."
    parser = Parser(prog="ganjax export", description=about)
    add_trained(parser)
    parser.add_argument("--player", required=True, help="its name, G say")
    parser.add_argument("--out", type=Path, required=True, help="a new or empty folder")
    args = parser.parse(argv)
    run = started(args)
    player = player_of(run, args.player, lambda _: True, "anything")
    told: dict[str, Any] = {
        "step": run.step,
        "seed": run.seed,
        "data": f"SHA-256 {run.record.data}",
        # of this lane at this step: at the end of a run that of digest.json
        "digest of the parameters": storage.tree_digest(run.state.params),
    }
    if last := [row for row in run.metrics if row["step"] == run.step]:
        told["metrics"] = {n: v for n, v in last[-1].items() if n not in ("step", "seed", "time")}
    write_export(player, args.out, run.record, told)
    print(f"{args.out}: {', '.join(sorted(path.name for path in args.out.iterdir()))}")
    return 0


def apply(argv: Sequence[str]) -> int:
    """`ganjax apply`: the exit status. Raises ValueError, one line, for a wrong request."""
    about = "A player of a run on your images: translations, labels as a table, attacks."
    parser = Parser(prog="ganjax apply", description=about)
    add_trained(parser)
    parser.add_argument("--player", help="its name, where several take images; an attack")
    parser.add_argument("--input", type=Path, required=True, help="a folder of images, or an .npz")
    how = "a new or empty folder of .png, an .npz with the array x, or of a classifier a .csv"
    parser.add_argument("--out", type=Path, required=True, help=how)
    how = "side in pixels; without it images keep their size, where the player takes it"
    parser.add_argument("--size", type=integer(1, 2**14), help=how)
    parser.add_argument("--crop", action="store_true", help="cut the middle square out first")
    args = parser.parse(argv)
    if args.out.suffix:
        refuse_output(args.out, ".npz", ".csv")
    elif args.out.exists() and (not args.out.is_dir() or any(args.out.iterdir())):
        raise ValueError(f"{args.out} is not empty: choose another --out")

    run = started(args)
    low = black(run)
    attack = args.player in run.experiment.attackers
    player = player_of(run, None if attack else args.player, takes_images, "one image")
    channels = player.player.inputs[0][-1]
    given = dict(images(args.input, channels, args.size, args.crop))
    calls = {shape: fitted(player, shape) for shape in {x.shape for x in given.values()}}
    if attack:
        known = labels(args.input, player)
        calls = {shape: partial(attacked, run, args.player) for shape in calls}
    made: dict[str, np.ndarray] = {}
    for shape, call in calls.items():
        names = [name for name, x in given.items() if x.shape == shape]
        for i in range(0, len(names), BATCH):
            some = names[i : i + BATCH]
            x = low + np.stack([given[name] for name in some]) / 255 * (1 - low)
            own = [[known.get(name, -1) for name in some]] if attack else []
            made |= zip(some, np.asarray(call(x.astype(np.float32), *own)))
    ordered = {name: made[name] for name in given}
    told = write(ordered, args.out, low)
    print(f"{args.out}: {told} by {args.player or player.name} at step {run.step}")
    return 0


def labels(path: Path, player: Bound) -> dict[str, int]:
    """The labels of an .npz by the names of its images; none where it has none, and of a folder.

    Raises ValueError, one line, for one that is no class of the player's.
    """
    y = np.zeros(0, int)
    if path.suffix.lower() == ".npz":
        # as they are: a data set of one's own would count classes anew
        with np.load(path) as found:
            y = np.asarray(found.get("label", y)).astype(int)
    image = jax.ShapeDtypeStruct((1, *player.player.inputs[0]), np.float32)
    classes = jax.eval_shape(lambda own, x: own(x), player, image).shape[-1]
    if y.size and not 0 <= y.min() <= y.max() < classes:
        raise ValueError(
            f"{path} has labels {y.min()} to {y.max()}: classes are 0 to {classes - 1}"
        )
    return {f"{i:04d}": int(label) for i, label in enumerate(y)}


def attacked(run: Run, name: str, x: np.ndarray, y: Sequence[int]) -> Any:
    """What an attacker of the experiment makes of images [B, H, W, C] with labels, -1: unknown."""
    attack = jax.jit(run.experiment.attackers[name])
    key = stream(run.state.key, "attack")
    return with_players(attack, run.players, x, np.asarray(y, np.int32), key)


def takes_images(player: Bound) -> bool:
    """Whether its one input is an image, and its output images or the scores of classes."""
    inputs = player.player.inputs
    return len(inputs) == 1 and len(inputs[0]) == 3 and inputs[0][-1] in (1, 3)


def images(
    path: Path, channels: int, size: int | None, crop: bool
) -> Iterator[tuple[str, np.ndarray]]:
    """(name, uint8 [H, W, C]) of each image of a folder or an .npz file. Raises ValueError."""
    if path.suffix.lower() == ".npz":
        found = at_path(path, size=size, channels=channels, crop=crop).load()
        assert isinstance(found, dict)
        if found["x"].dtype != np.uint8 or found["x"].ndim != 4:
            raise ValueError(f"{path} holds no images of 8 bits, [n, H, W, C]")
        yield from ((f"{i:04d}", x) for i, x in enumerate(np.asarray(found["x"])))
        return
    if not path.is_dir():
        raise ValueError(f"{path} is neither a folder of images nor an .npz file")
    listing = list_images(path)
    refused = described(listing.left_out)
    for file in listing.files:
        header = read_header(file)
        try:
            if header is None:
                raise ValueError("no image that can be read")
            side = (size or min(header[:2]),) * 2 if size or crop else header[:2]
            with Image.open(file) as image:
                x = resize_image(image, (*side, channels), crop)
        except Exception as error:  # Pillow's readers raise errors of many kinds
            refused.append(f"{file.name}: {one_line(error)}")
        else:
            yield str(file.relative_to(path).with_suffix("")), x
    if refused:
        print(f"left out of {path}: {'; '.join(refused)}", file=sys.stderr)
    if len(refused) == len(listing.files):
        raise ValueError(f"{path} holds no image that can be taken")


def fitted(player: Bound, shape: tuple[int, ...]) -> Callable[[np.ndarray], Any]:
    """The player for images of one shape, [n, H, W, C] -> images of that shape, or scores [n, K].

    Where the player needs sides of a multiple, images are continued by their edge, and its output
    is cut. Raises ValueError, one line, where it takes no such images.
    """
    sees = player.player.inputs[0]
    for m in MULTIPLES:
        grown = (*(-(-side // m) * m for side in shape[:2]), shape[2])
        own = player.replace(player=dataclasses.replace(player.player, sees=grown))
        x = jax.ShapeDtypeStruct((1, *grown), np.float32)
        try:
            out = jax.eval_shape(lambda own, x: own(x), own, x)
        except Exception:  # of Flax or of the net: any
            continue
        scores = hasattr(out, "ndim") and out.ndim == 2 and grown == shape
        if not (hasattr(out, "shape") and out.shape == (1, *grown)) and not scores:
            continue
        return partial(_call, jax.jit(lambda own, x: own(x)), own, shape, grown)
    raise ValueError(
        f"{player.name} makes neither an image nor labels of {shape[1]} x {shape[0]} pixels: it "
        f"learnt from {sees[1]} x {sees[0]}; --size {sees[0]} brings images to that"
    )


def _call(
    net: Callable[..., Any], player: Bound, shape: tuple[int, ...], grown: tuple[int, ...], x: Any
) -> Any:
    pad = [(0, 0), *((0, g - s) for g, s in zip(grown, shape))]
    y = net(player, np.pad(x, pad, mode="edge"))
    return y if y.ndim == 2 else y[:, : shape[0], : shape[1]]


def write(made: dict[str, np.ndarray], out: Path, low: float) -> str:
    """Writes what was made by name; what to say of it. Raises ValueError for the wrong kind."""
    labels = all(y.ndim == 1 for y in made.values())
    if labels != (out.suffix == ".csv"):
        wanted = "labels: --out ends in .csv" if labels else "images: --out is a folder or an .npz"
        raise ValueError(f"this player makes {wanted}; got {out}")
    if labels:
        with whole_file(out) as scratch, scratch.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("image", "label", "confidence"))
            for name, scores in made.items():
                p = np.exp(scores - scores.max())
                rows.writerow((name, int(scores.argmax()), f"{p.max() / p.sum():.6f}"))
        return counted(len(made), "label")
    scaled = {name: (y - low) / (1 - low) for name, y in made.items()}
    if out.suffix == ".npz":
        if len({x.shape for x in scaled.values()}) > 1:
            raise ValueError("an .npz holds images of one size: give a folder, or --size")
        with whole_file(out) as scratch, scratch.open("wb") as file:
            np.savez_compressed(file, x=written.to_bytes(np.stack(list(scaled.values()))))
        return counted(len(made), "image")
    for name, x in scaled.items():
        place = out / f"{name}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        written.write_image(x, place)
    return counted(len(made), "image")
