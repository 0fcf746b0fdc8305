"""What do attacks cost: images a second of each, and a step of PGD training beside PyTorch?

    python benchmarks/attacks.py --out attacks.json

The net is Caffe's LeNet on 28 pixels. A step of training is PGD's 40 gradients and one of the
parameters, batch 50; ganjax has it in one program. Both sides begin with the same parameters, and
their gradients in the images must agree. Without PyTorch ganjax is timed alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as in peers.py
os.environ.setdefault("GOMP_SPINCOUNT", "0")

import jax
import numpy as np
import optax
import timing
from jax import Array, random

from ganjax import attacks, cli, play
from ganjax.data import draw
from ganjax.game import Bound, Game, Player
from ganjax.losses import ce
from ganjax.nets.classifiers import lenet

EPS, RATE, STEPS, BATCH = 0.3, 0.01, 40, 50


def losses(batch: Any, key: Array, *, C: Bound) -> dict[str, Array]:
    """The cross entropy of PGD's images."""
    x, y = batch["x"], batch["label"]
    near = attacks.pgd(jax.lax.stop_gradient(C), x, y, EPS, RATE, STEPS, key)
    return {"C": ce(C(near), y).mean()}


def training() -> tuple[Game, dict[str, Array]]:
    """The game of PGD training, and random images for it."""
    C = Player(lenet(), optax.adam(1e-4), (28, 28, 1))
    keys = random.split(random.key(0))
    arrays = {
        "x": random.uniform(keys[0], (1000, 28, 28, 1)),
        "label": random.randint(keys[1], (1000,), 0, 10),
    }
    return Game({"C": C}, losses, [["C"]], partial(draw, n=BATCH)), arrays


def attack_variants(C: Bound, arrays: dict[str, Array], n: int) -> dict[str, timing.Variant]:
    """Each attack on n images, as a variant whose step is one attack."""
    x, y = arrays["x"][:n], arrays["label"][:n]
    forms: dict[str, Callable[[Bound], Array]] = {
        "FGSM": lambda C: attacks.fgsm(C, x, y, EPS),
        "PGD-40": lambda C: attacks.pgd(C, x, y, EPS, RATE, STEPS),
        "DeepFool": lambda C: attacks.deepfool(C, x),
        "CW, 100 steps, 1 search": lambda C: attacks.carlini_wagner(C, x, y, 100, 1),
    }

    def variant(attack: Callable[[Bound], Array]) -> timing.Variant:
        compiled = jax.jit(attack)
        return lambda steps: [compiled(C) for _ in range(steps)]

    return {name: variant(attack) for name, attack in forms.items()}


def peer(params: Any, arrays: dict[str, Array]) -> tuple[timing.Variant, float]:
    """PGD training in PyTorch, and how far its gradient in the images is from ours, relative."""
    import torch
    from torch import nn
    from torch.nn.functional import cross_entropy

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net = nn.Sequential(
        nn.Conv2d(1, 20, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(20, 50, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10),
    ).to(device)  # fmt: skip
    given = jax.device_get(params)
    first = given["Dense_0"]["kernel"].reshape(4, 4, 50, 500).transpose(3, 2, 0, 1)
    weights = [
        *(given[f"Conv_{i}"]["kernel"].transpose(3, 2, 0, 1) for i in (0, 1)),
        first.reshape(500, 800),
        given["logits"]["kernel"].T,
    ]
    with torch.no_grad():
        layers: Any = net[0], net[3], net[7], net[9]
        for layer, w in zip(layers, weights):
            layer.weight.copy_(torch.tensor(np.ascontiguousarray(w)))
            layer.bias.zero_()
    images = torch.tensor(np.asarray(arrays["x"]).transpose(0, 3, 1, 2)[:BATCH]).to(device)
    label = torch.tensor(np.asarray(arrays["label"][:BATCH]), dtype=torch.long).to(device)
    adam = torch.optim.Adam(net.parameters(), 1e-4)

    def slope(x: Any) -> Any:
        x = x.detach().requires_grad_()
        return torch.autograd.grad(cross_entropy(net(x), label, reduction="sum"), x)[0]

    def step() -> None:
        x = (images + EPS * (2 * torch.rand_like(images) - 1)).clamp(0, 1)
        for _ in range(STEPS):
            x = x + RATE * slope(x).sign()
            x = x.clamp(images - EPS, images + EPS).clamp(0, 1)
        adam.zero_grad()
        cross_entropy(net(x.detach()), label).backward()
        adam.step()

    def steps(n: int) -> None:
        for _ in range(n):
            step()
        if device == "cuda":
            torch.cuda.synchronize()

    x, y = arrays["x"][:BATCH], arrays["label"][:BATCH]
    C = training()[0].players["C"].bind(params)
    ours = np.asarray(jax.grad(lambda x: ce(C(x), y).sum())(x)).transpose(0, 3, 1, 2)
    theirs = slope(images).cpu().numpy()
    return steps, float(np.linalg.norm(ours - theirs) / np.linalg.norm(ours))


def main(argv: Sequence[str]) -> None:
    """Times each attack, then a step of training on both sides in turns."""
    parser = timing.options(__doc__)
    args = parser.parse(argv)
    cli.start(cache=False, fast=True)
    game, arrays = training()
    state = play.init(game, random.key(0), arrays)
    rows = []
    variants = attack_variants(play.bound(game, state)["C"], arrays, 200)
    for name, times in timing.interleaved(variants, args.blocks, args.block_s).items():
        rows.append({"what": name, **times.row(), "images/s": 200 / times.median})
    both = {"ganjax": timing.played(game, random.key(0), arrays)}
    facts: dict[str, Any] = {}
    try:
        both["PyTorch"], facts["gradients apart by"] = peer(state.params["C"], arrays)
    except ImportError as missing:
        facts["PyTorch"] = str(missing)
    times = timing.interleaved(both, args.blocks, args.block_s)
    for name, each in times.items():
        over = timing.ratio(each.blocks, times["ganjax"].blocks)["median"]
        rows.append(
            {"what": f"PGD training, {name}", **each.row(), "images/s": BATCH / each.median,
             "times ganjax": over}
        )  # fmt: skip
    timing.report(__doc__, rows, args, **facts)


if __name__ == "__main__":
    timing.script(main)
