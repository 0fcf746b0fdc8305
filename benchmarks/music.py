"""How long is a step of C-RNN-GAN, at several lengths, beside PyTorch's?

    python benchmarks/music.py --cells 25 50 100 --units 350 --out music.json

First PyTorch gets the same parameters, windows and noise, without dropout: the losses must agree
to 1e-4. Then both play whole steps, D's turn and G's, without a rule of rest. G feeds its own tone
back, so it is a loop of two LSTMCells in PyTorch; D's directions are an nn.LSTM each. "MiB" is what
our compiled step takes, parameters and all, and "compile s" how long it took to trace and compile.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
import timing

from ganjax import cli, play
from ganjax.keys import stream
from ganjax.runs.arguments import integer
from ganjax.runs.discovery import experiment_file

try:
    import torch
    from torch import nn
except ImportError as missing:
    raise SystemExit(f"music needs PyTorch: {missing}") from missing

Leaf = dict[str, Any]
NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")  # PyTorch's


class Writer(nn.Module):
    """G: z [B, 1 + T, k] -> [B, T, k]."""

    def __init__(self, k: int, units: int, rate: float) -> None:
        super().__init__()
        self.dense, self.tone = nn.Linear(2 * k, units), nn.Linear(units, k)
        self.cells = nn.ModuleList([nn.LSTMCell(units, units) for _ in range(2)])
        self.drop = nn.Dropout(rate)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        zeros = z.new_zeros(len(z), self.dense.out_features)
        states, last, tones = [(zeros, zeros)] * 2, z[:, 0], []
        for u in z[:, 1:].unbind(1):
            x = torch.relu(self.dense(torch.cat([u, last], -1)))
            for i, cell in enumerate(self.cells):
                states[i] = cell(x, states[i])
                x = self.drop(states[i][0])
            last = self.tone(x)
            tones.append(last)
        return torch.stack(tones, 1)


class Listener(nn.Module):
    """D: tones [B, T, k] -> features [B, T, 2 units], logits [B, T]."""

    def __init__(self, k: int, units: int, rate: float) -> None:
        super().__init__()
        self.ways = nn.ModuleList(
            [nn.LSTM(k, units, 2, batch_first=True, dropout=rate) for _ in range(2)]
        )
        self.score, self.drop = nn.Linear(2 * units, 1), nn.Dropout(rate)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.drop(x)
        there, back = self.ways[0](x)[0], self.ways[1](x.flip(1))[0].flip(1)
        R = torch.cat([self.drop(there), self.drop(back)], -1)
        return R, self.score(R)[..., 0]


def losses(G: Writer, D: Listener, x: torch.Tensor, z: torch.Tensor) -> dict[str, torch.Tensor]:
    """As in experiments/c_rnn_gan.py."""
    R, score = D(torch.cat([x, G(z)]))
    (real, made), p = R.chunk(2), torch.sigmoid(score).mean(1)
    d = -torch.log(p[: len(x)]).mean() - torch.log(1 - p[len(x) :]).mean()
    return {"D": d, "G": ((real - made) ** 2).sum((1, 2)).mean()}


def given(G: Writer, D: Listener, params: dict[str, Leaf]) -> None:
    """Gives PyTorch our parameters; of its two biases a layer the second is 0."""
    step = params["G"]["step"]
    _dense(G.dense, step["Dense_0"])
    _dense(G.tone, step["tone"])
    _dense(D.score, params["D"]["score"])
    for i, cell in enumerate(G.cells):
        ours = step[f"OptimizedLSTMCell_{i}"]
        w, R = (np.concatenate([ours[a + b]["kernel"] for b in "ifgo"], 1) for a in "ih")
        bias = np.concatenate([ours["h" + b]["bias"] for b in "ifgo"])
        _lstm([getattr(cell, name) for name in NAMES], w, R, bias)
    for i, way in enumerate(D.ways):
        for layer in range(2):
            ours = params["D"][f"LSTM_{2 * i + layer}"]
            w, R, bias = (
                _gates(np.asarray(a))
                for a in (ours["input"]["kernel"], ours["state"], ours["input"]["bias"])
            )
            _lstm([getattr(way, f"{name}_l{layer}") for name in NAMES], w, R, bias)


def _gates(a: np.ndarray) -> np.ndarray:
    """From input, forget, output, candidate to PyTorch's order, on the last axis."""
    i, f, o, g = np.split(a, 4, -1)
    return np.concatenate([i, f, g, o], -1)


def _dense(layer: nn.Linear, ours: Leaf) -> None:
    layer.weight.data = torch.tensor(np.asarray(ours["kernel"]).T.copy())
    layer.bias.data = torch.tensor(np.asarray(ours["bias"]))


def _lstm(theirs: Sequence[nn.Parameter], w: np.ndarray, R: np.ndarray, b: np.ndarray) -> None:
    for parameter, array in zip(theirs, (w.T, R.T, b, np.zeros_like(b))):
        parameter.data = torch.tensor(np.ascontiguousarray(array))


def peer(o: Any, k: int, params: dict[str, Leaf], batch: np.ndarray) -> Callable[[int], None]:
    """PyTorch's steps: D's turn, then G's, with noise of their own."""
    G, D = Writer(k, o.units, o.dropout), Listener(k, o.units, o.dropout)
    given(G, D, params)
    x = torch.tensor(batch)
    movers = {
        "D": torch.optim.SGD(D.parameters(), o.lr / 2, weight_decay=o.l2),
        "G": torch.optim.SGD(G.parameters(), o.lr, weight_decay=o.l2),
    }

    def steps(n: int) -> None:
        for _ in range(n):
            for name, player in (("D", D), ("G", G)):
                z = torch.rand(len(x), 1 + o.cells, k)
                parameters = list(player.parameters())
                grads = torch.autograd.grad(losses(G, D, x, z)[name], parameters)
                for parameter, grad in zip(parameters, grads):
                    parameter.grad = grad
                nn.utils.clip_grad_norm_(parameters, 5.0)
                movers[name].step()

    return steps


def agreement(game: play.Game, o: Any, k: int, state: play.State, batch: Any) -> dict[str, float]:
    """How far the losses are apart, relatively. Raises ValueError where it is more than 1e-4."""
    key = jax.random.key(1)
    ours = game.apply(state.params, batch, key, aux=state.aux)
    z = game.players["G"].bind(state.params["G"], name="G").noise(key, len(batch["x"]))
    G, D = Writer(k, o.units, 0.0), Listener(k, o.units, 0.0)
    given(G, D, state.params)
    theirs = losses(G, D, *(torch.tensor(np.asarray(a)) for a in (batch["x"], z)))
    found = {n: abs(float(v.detach()) / float(ours[n]) - 1) for n, v in theirs.items()}
    if max(found.values()) > 1e-4:
        raise ValueError(f"both sides play another game: {found}")
    return found


def main(argv: Sequence[str]) -> None:
    """Times both sides in turns at every length."""
    parser = timing.options(__doc__, blocks=5)
    parser.add_argument("--cells", nargs="+", type=integer(2), default=[25, 50, 100])
    parser.add_argument("--units", type=integer(1), default=350)
    args = parser.parse(argv)
    cli.start(cache=False, fast=True)
    rows = []
    for cells in args.cells:
        file = experiment_file("c_rnn_gan")
        how = {"cells": cells, "units": args.units, "pretrain": 0, "freeze": 0.0}
        if cells > 50:
            how["data"] = "bach_chorales"
        still = file.build({**how, "dropout": 0.0})
        built = file.build(how)
        key, data = jax.random.key(0), built.data
        state = play.init(built.played, key, data)
        batch = built.played.draw(data, stream(key, "draw"))
        k = batch["x"].shape[-1]
        apart = agreement(still.played, still.options, k, state, batch)
        began = time.perf_counter()
        stepped = jax.jit(partial(play.step, built.played), donate_argnums=0)
        compiled = stepped.lower(state, data).compile()
        took_s = time.perf_counter() - began
        memory: Any = compiled.memory_analysis()
        taken = memory.argument_size_in_bytes + memory.temp_size_in_bytes
        variants = {
            "ganjax": timing.played(built.played, key, data),
            "PyTorch": peer(built.options, k, state.params, np.asarray(batch["x"])),
        }
        times = timing.interleaved(variants, args.blocks, args.block_s)
        for name, took in times.items():
            own = {"MiB": taken / 2**20, "compile s": took_s} if name == "ganjax" else {}
            rows.append(
                {"cells": cells, "who": name, **took.row(), **own, "apart": max(apart.values())}
            )
        ratio = timing.ratio(times["PyTorch"].blocks, times["ganjax"].blocks)
        rows[-1]["times ganjax"] = ratio["median"]
    timing.report(__doc__, rows, args)


if __name__ == "__main__":
    timing.script(main)
