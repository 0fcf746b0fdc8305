"""What does every experiment show in a minute?

    python benchmarks/gallery.py
    python benchmarks/gallery.py gan dcgan

Each experiment plays its `--quick` in a process of its own, programs compiled anew; one figure of
the run is kept in docs/pictures/gallery, and docs/gallery.md says what it shows, the command, and
the seconds. The runs are in runs/gallery. With names, the others stay as they are.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import timing
from digests import processor
from PIL import Image

from ganjax.runs.arguments import Parser
from ganjax.runs.discovery import experiment_file, files

WIDTH, LARGEST = 640, 60_000  # of a picture: pixels, bytes


class Shown(NamedTuple):
    """The figure of a run that shows its point, and what one sees there."""

    figure: str
    sees: str


# In the order of the page.
PICTURES = {
    "gan": Shown("samples", "Digits that G makes of noise."),
    "cgan": Shown("classes", "A column for each class: both players see the label."),
    "dcgan": Shown(
        "walk",
        "Each row walks along a straight line between two random z, and one digit becomes another "
        "without a break.",
    ),
    "cdcgan": Shown("classes", "A column for each class; the label joins every layer."),
    "payoffs": Shown(
        "samples",
        "Eight Gaussians (circles of three standard deviations) and samples, under the "
        "relativistic payoff with both gradient penalties; `--payoff` names another.",
    ),
    "dynamics": Shown(
        "orbit",
        "The bilinear game under simultaneous steps: the two players circle their rest (cross) and "
        "move away from it. `--dynamics extragradient` brings them there.",
    ),
    "mad_gan": Shown(
        "samples",
        "A colour for each of eight generators. As D names the maker of a sample, each keeps to "
        "modes of its own.",
    ),
    "mad_gan_sim": Shown(
        "samples",
        "The same ring; what keeps the eight generators apart is how alike D finds their samples.",
    ),
    "gman": Shown("samples", "Digits of one G that faces five discriminators at once."),
    "roles": Shown(
        "views",
        "Samples of one G as its three discriminators see them: all pixels, means of 2 x 2, and "
        "of 4 x 4.",
    ),
    "grid": Shown(
        "tournament",
        "What three generators and three discriminators are worth against each other on the ring; "
        "below their names the weights that both sides have learnt.",
    ),
    "lapgan": Shown(
        "chain",
        "From noise to 8 x 8 pixels (I1), the detail that the finer G adds (h0), and their sum of "
        "16 x 16 (I0).",
    ),
    "triple_gan": Shown(
        "styles",
        "A noise in each row, a class in each column, of ten labels each: each class is written in "
        "several ways.",
    ),
    "triple_gan_cifar": Shown(
        "styles",
        "As triple_gan, in the nets for colour images: digits of 8 pixels, enlarged to 24.",
    ),
    "cogan": Shown(
        "pairs",
        "Two generators with most layers in common make pairs of one z, a digit and its negative, "
        "though they never saw a pair.",
    ),
    "cogan_adapt": Shown("pairs", "Pairs of the generators of the two sets."),
    "pix2pix": Shown(
        "translations",
        "Digits (x), outlines by G (Gx), true ones (y), and digits by F of these (Fy).",
    ),
    "cyclegan": Shown(
        "translations",
        "A digit, its outline by G, and back by F; then an outline, its digit by F, and back by G. "
        "No pairs were seen.",
    ),
    "gan3d": Shown(
        "nearest",
        "Boxes, tables, chairs, sofas and shelves of 8^3 voxels by G, above the training shapes "
        "nearest to them.",
    ),
    "c_rnn_gan": Shown("samples", "Melodies of G as piano rolls, which `ganjax sample` plays."),
    "channels": Shown(
        "samples",
        "Tones in stereo: one discriminator hears the left, one the right, one both.",
    ),
    "ctc": Shown(
        "alignment",
        "Tones that stand for speech, and the letters that the recurrent nets read over time.",
    ),
    "adversarial": Shown(
        "attacked",
        "A digit, what an attack adds, and their sum, with what the classifier reads in each.",
    ),
    "alexnet": Shown("named", "Test images, and what the net names them; wrong names are orange."),
    "perceptron": Shown(
        "lines",
        "XOR, learnt by two layers: no straight line, all that one neuron has, parts these points.",
    ),
    "hopfield": Shown(
        "recall",
        "Three stored digits (x), with 15 % of their pixels turned over (cue), after one sweep (1) "
        "and at the end: each is recalled.",
    ),
    "boltzmann": Shown(
        "states",
        "The commonest images of 3 x 3 pixels: how often they are, and how probable to the "
        "machine and to pixels that know nothing of each other.",
    ),
    "rbm": Shown("classes", "Samples of images with their labels, a column for each class."),
    "dbn": Shown("samples", "Digits that the upper layer dreams and the lower layer draws."),
}


def play(name: str, out: Path) -> dict[str, float]:
    """Plays `--quick`: its seconds, and those of all cores together. Raises ValueError with its
    last line if it fails.
    """
    command = [sys.executable, "-m", "ganjax", "run", name, "--quick", "--quiet", "--no-cache"]
    command += ["--out", str(out), "--overwrite"]
    before, began = os.times(), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    after, seconds = os.times(), time.perf_counter() - began
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise ValueError(f"{name}: {said[-1]}")
    cores = sum(after[2:4]) - sum(before[2:4])  # of child processes
    return {"seconds": round(seconds, 1), "core_seconds": round(cores, 1)}


def small(picture: Path) -> bytes:
    """A picture as a PNG of at most WIDTH pixels a row and LARGEST bytes, in as many colours as
    these allow.
    """
    image = Image.open(picture).convert("RGB")
    if image.width > WIDTH:
        image = image.resize((WIDTH, round(image.height * WIDTH / image.width)))
    for colours in (256, 128, 64, 32, 16, 8):
        made = BytesIO()
        image.quantize(colours).save(made, "png", optimize=True)
        if len(made.getvalue()) <= LARGEST:
            return made.getvalue()
    raise ValueError(f"{picture} does not fit into {LARGEST} bytes")


def page(record: dict[str, Any]) -> str:
    """The gallery as Markdown."""
    machine = record["machine"]
    parts = [
        "# Gallery",
        "What every experiment shows with `--quick`: on digits of 8 x 8 pixels, points or other "
        "small data that comes with ganjax, in nets that are as small. Papers' sizes are the "
        "defaults without `--quick`. Made by `ganjax bench gallery`; seconds are of "
        f"{machine['cores']} cores ({machine['processor']}), from the start of the process to its "
        "figures, programs compiled anew; *core seconds* are those of all cores together, which "
        "others on the machine change less.",
    ]
    for name, (_, sees) in PICTURES.items():
        if name not in record["runs"]:
            continue
        took = record["runs"][name]
        parts += [
            f"## {name}",
            experiment_file(name).about,
            f"![{name}](pictures/gallery/{name}.png)",
            sees,
            f"`ganjax run {name} --quick`: {took['seconds']:.0f} s, {took['core_seconds']:.0f} "
            "core seconds.",
        ]
    return "\n\n".join(parts) + "\n"


def main(argv: Sequence[str]) -> None:
    """Plays the experiments, one after another."""
    parser = Parser(description=timing.question(__doc__))
    parser.add_argument("names", nargs="*", help="experiments (all)")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="the folder of the page")
    args = parser.parse(argv)
    names = [experiment_file(name).name for name in args.names] or list(PICTURES)
    if missing := {file.name for file in files()} ^ {*PICTURES} | {*names} - {*PICTURES}:
        raise ValueError(f"PICTURES names each experiment; see {', '.join(sorted(missing))}")
    pictures = args.out / "pictures" / "gallery"
    pictures.mkdir(parents=True, exist_ok=True)
    kept = pictures / "runs.json"
    record = json.loads(kept.read_text()) if kept.is_file() else {"runs": {}}
    record["machine"] = timing.machine() | {"processor": processor()}
    for name in names:
        out = Path("runs/gallery") / name
        record["runs"][name] = play(name, out)
        figure = out / "figures" / f"{PICTURES[name].figure}.png"
        (pictures / f"{name}.png").write_bytes(small(figure))
        print(name, record["runs"][name], flush=True)
        kept.write_text(json.dumps(record, indent=1) + "\n")
        (args.out / "gallery.md").write_text(page(record))


if __name__ == "__main__":
    timing.script(main)
