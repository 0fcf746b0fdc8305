"""How long is a step of C-RNN-GAN, at several lengths, beside PyTorch's?

    python benchmarks/music.py --cells 25 50 100 --units 350 --out music.json

First PyTorch gets the same parameters, windows and noise, without dropout: the losses must agree
to 1e-4. Then both play whole steps, D's turn and G's, without a rule of rest. G feeds its own tone
back, so it is a loop of two LSTMCells in PyTorch; D's directions are an nn.LSTM each. "MiB" is what
our compiled step takes, parameters and all, and "compile s" how long it took to trace and compile.
"""

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
import timing

from ganjax import cli, play
from ganjax.keys import stream
from ganjax.runs.arguments import integer
from ganjax.runs.discovery import experiment_file


def main(argv: Sequence[str]) -> None:
    """Times both sides in turns at every length."""
    parser = timing.options(__doc__, blocks=5)
    parser.add_argument("--cells", nargs="+", type=integer(2), default=[25, 50, 100])
    parser.add_argument("--units", type=integer(1), default=350)
    args = parser.parse(argv)
    try:
        import torch_music
    except ImportError as missing:
        raise SystemExit(f"music needs PyTorch: {missing}") from missing
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
        apart = torch_music.agreement(still.played, still.options, k, state, batch)
        began = time.perf_counter()
        stepped = jax.jit(partial(play.step, built.played), donate_argnums=0)
        compiled = stepped.lower(state, data).compile()
        took_s = time.perf_counter() - began
        memory: Any = compiled.memory_analysis()
        taken = memory.argument_size_in_bytes + memory.temp_size_in_bytes
        variants = {
            "ganjax": timing.played(built.played, key, data),
            "PyTorch": torch_music.peer(built.options, k, state.params, np.asarray(batch["x"])),
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
