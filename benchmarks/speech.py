"""How long is a step of CTC beside PyTorch's, and how does its memory grow with length?

    python benchmarks/speech.py --out speech.json

One bidirectional LSTM on rows of log-mel frames, `ctc`'s net without convolutions and without
dropout, at its own batch and rate. Without PyTorch its side is left out; with it, the loss of both
sides must agree at the same parameters. "first s" holds the compilation. Memory is what XLA plans
for a compiled step: the arguments and what is kept between them.
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

from ganjax import cli, play
from ganjax.data import draw
from ganjax.data.sequences import strided
from ganjax.game import Bound, Game, Player
from ganjax.losses import ctc
from ganjax.nets.ctc import Recogniser
from ganjax.runs.arguments import integer

CLASSES, BANDS, STRIDE, BATCH, LR = 29, 40, 3, 8, 3e-3
GATES = (0, 1, 3, 2)  # PyTorch's order input, forget, candidate, output in ours


def losses(batch: Any, key: jax.Array, *, R: Bound) -> dict[str, jax.Array]:
    """Nats of a batch."""
    logits = R(batch["x"], batch["frames"])
    frames = strided(batch["frames"], STRIDE)
    return {"R": ctc(logits, frames, batch["y"], batch["letters"]).sum() / BATCH}


def case(T: int, units: int) -> tuple[Game, dict[str, np.ndarray]]:
    """A game on rows of T frames of noise, full ones, and its data; a letter for 10 frames."""
    rng, n = np.random.default_rng(0), 64
    data = {
        "x": rng.normal(size=(n, T, BANDS)).astype(np.float32),
        "frames": np.full(n, T, np.int32),
        "y": rng.integers(1, CLASSES, (n, T // 10)).astype(np.int32),
        "letters": np.full(n, T // 10, np.int32),
    }
    net = Recogniser(CLASSES, units, stride=STRIDE, rate=0.0)
    R = Player(net, optax.adam(LR), ((T, BANDS), ()))
    return Game({"R": R}, losses, [["R"]], partial(draw, n=BATCH)), data


def megabytes(game: Game, data: dict[str, np.ndarray]) -> float:
    """What XLA plans for a step, in MB."""
    state = play.template(game, jax.random.key(0), data)
    program = jax.jit(partial(play.step, game)).lower(state, data).compile()
    planned: Any = program.memory_analysis()
    return (planned.temp_size_in_bytes + planned.argument_size_in_bytes) / 1e6


def peer(data: dict[str, np.ndarray], params: Any) -> Callable[..., float]:
    """A step of the same in PyTorch, from these parameters; it returns the loss before the step."""
    import torch
    from torch import nn

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    units = len(params["BidirectionalLSTM_0"]["forward"]["state"])
    lstm = nn.LSTM(STRIDE * BANDS, units, batch_first=True, bidirectional=True)
    score = nn.Linear(2 * units, CLASSES)

    def ours(array: Any) -> torch.Tensor:
        """A kernel [in, 4 units], or a bias, in PyTorch's layout and order of gates."""
        parts = np.split(np.asarray(array).T, 4)
        return torch.tensor(np.concatenate([parts[i] for i in GATES]))

    with torch.no_grad():
        for way, end in (("forward", ""), ("backward", "_reverse")):
            own = params["BidirectionalLSTM_0"][way]
            getattr(lstm, f"weight_ih_l0{end}").copy_(ours(own["input"]["kernel"]))
            getattr(lstm, f"bias_ih_l0{end}").copy_(ours(own["input"]["bias"]))
            getattr(lstm, f"weight_hh_l0{end}").copy_(ours(own["state"]))
            getattr(lstm, f"bias_hh_l0{end}").zero_()
        score.weight.copy_(torch.tensor(np.asarray(params["score"]["kernel"]).T))
        score.bias.copy_(torch.tensor(np.asarray(params["score"]["bias"])))
    adam = torch.optim.Adam([*lstm.parameters(), *score.parameters()], LR, fused=True)
    arrays = {name: torch.tensor(a) for name, a in data.items()}
    T = data["x"].shape[1]
    kept = T // STRIDE * STRIDE

    def step(rows: torch.Tensor | None = None) -> float:
        rows = torch.randint(len(arrays["x"]), (BATCH,)) if rows is None else rows
        x = arrays["x"][rows][:, :kept].reshape(BATCH, kept // STRIDE, STRIDE * BANDS)
        log_p = score(lstm(x)[0]).log_softmax(-1).transpose(0, 1)
        frames = torch.full((BATCH,), kept // STRIDE)
        y, letters = arrays["y"][rows], arrays["letters"][rows]
        loss = nn.functional.ctc_loss(log_p, y, frames, letters, reduction="sum") / BATCH
        adam.zero_grad()
        loss.backward()
        adam.step()
        return loss.item()

    return step


def main(argv: Sequence[str]) -> None:
    """Times both sides at one length, then plans the memory of several."""
    parser = timing.options(__doc__, blocks=5)
    parser.add_argument("--frames", type=integer(30), default=399, help="of a timed row (399)")
    parser.add_argument("--units", type=integer(1), default=128, help="of each direction (128)")
    how = "frames of which the memory is planned (300 600 1200)"
    parser.add_argument(
        "--lengths", type=integer(30), nargs="+", default=[300, 600, 1200], help=how
    )
    args = parser.parse(argv)
    cli.start(cache=False, fast=True)
    game, data = case(args.frames // STRIDE * STRIDE, args.units)
    device_data = jax.device_put(data)
    variants: dict[str, timing.Variant] = {
        "ganjax": timing.played(game, jax.random.key(0), device_data)
    }
    facts: dict[str, Any] = {}
    try:
        params = play.init(game, jax.random.key(0), device_data).params["R"]
        step = peer(data, params)
    except ImportError:
        facts["left out"] = "PyTorch is not installed"
    else:
        batch = {name: a[:BATCH] for name, a in data.items()}
        ours = float(losses(batch, jax.random.key(0), R=game.players["R"].bind(params))["R"])
        import torch

        theirs = step(torch.arange(BATCH))
        if abs(ours - theirs) > 1e-3 * abs(ours):
            raise ValueError(f"both sides play another game: a loss of {ours} and of {theirs}")

        def steps(n: int) -> None:
            for _ in range(n):
                step()

        variants["PyTorch"] = steps
    times = timing.interleaved(variants, args.blocks, args.block_s)
    rows = [
        {
            "what": side,
            "frames": args.frames,
            **took.row(),
            "times ganjax": timing.ratio(took.blocks, times["ganjax"].blocks)["median"],
        }
        for side, took in times.items()
    ]
    rows += [
        {"what": "memory", "frames": T, "MB": megabytes(*case(T, args.units))} for T in args.lengths
    ]
    timing.report(__doc__, rows, args, **facts)


if __name__ == "__main__":
    timing.script(main)
