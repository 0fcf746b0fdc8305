"""How long is a step of the same game in PyTorch, on the same device in the same run?

    python benchmarks/peers.py dcgan64 --torch eager graph compile --out peers.json

First both sides are given the same parameters, batch and noise: parameter counts, outputs, losses
and their gradients must agree. "graph" is a whole step captured as one CUDA graph, "compile" is
torch.compile of every net; both run on a GPU. On CPU both sides have the same cores; "core ms" is
the time that they kept one busy, which other programs on the machine change less than the time on
the clock.
"""

import dataclasses
import os
from collections.abc import Callable, Sequence
from functools import partial

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # two frameworks share the memory
os.environ.setdefault(
    "OMP_WAIT_POLICY", "passive"
)  # PyTorch's threads that wait leave their cores to others, as JAX's do
os.environ.setdefault("GOMP_SPINCOUNT", "0")

import cases
import jax
import jax.numpy as jnp
import numpy as np
import timing

from ganjax import cli, play
from ganjax.game import Player
from ganjax.runs.arguments import integer

try:
    import torch
    import torch_games
except ImportError as missing:
    raise SystemExit(f"peers needs PyTorch: {missing}") from missing

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """‖a - b‖ / ‖b‖."""
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def agreement(case: cases.Case, params: play.Tree) -> dict[str, float]:
    """How far both sides are apart, relative to the norm, in full float32: losses and gradients of
    each player.

    Raises ValueError where they are further apart than 1e-4 (losses) or 3e-3 (gradients: sums of
    many cancelling terms).
    """
    players = {name: without_dropout(player) for name, player in case.game.players.items()}
    case = case._replace(game=dataclasses.replace(case.game, players=players))
    key = jax.random.key(1)
    batch = case.game.draw(case.data, key)
    with jax.default_matmul_precision("float32"):
        grads, out = jax.jit(partial(play.field, case.game, movers=list(players)))(
            params, batch, key
        )
    given = {name: np.asarray(values) for name, values in batch.items()}
    given = {
        name: np.moveaxis(values, -1, 1) if values.ndim > 2 else values
        for name, values in given.items()
    }
    G, team = players["G"].bind(params["G"], name="G"), players["G"].n is not None
    given["z"] = np.asarray(G.noise(key, case.batch, each=not team))
    if torch_games.mirrored(players["G"].net):
        given["x"] = np.ascontiguousarray(given["x"][..., ::-1, ::-1])
    nets = torch_games.peer(case, params, DEVICE, "float32").nets
    for net in nets.values():
        net.eval()
    losses = torch_games.losses(
        nets, {name: torch.tensor(values, device=DEVICE) for name, values in given.items()}
    )
    found = {}
    for name, player in players.items():
        ours = torch_games.leaves(player, grads[name])
        theirs = torch.autograd.grad(losses[name], list(nets[name].parameters()), retain_graph=True)
        if any(a.shape != b.shape for a, b in zip(ours, theirs, strict=True)) or sum(
            a.size for a in ours
        ) != count(params[name]):
            raise ValueError(f"{name} has other parameters in PyTorch")
        flat = [
            np.concatenate([np.ravel(a) for a in arrays])
            for arrays in (ours, [t.cpu().numpy() for t in theirs])
        ]
        found[f"loss of {name}"] = difference(
            np.asarray(out[name]), losses[name].detach().cpu().numpy()
        )
        found[f"gradient of {name}"] = difference(*flat)
        if found[f"loss of {name}"] > 1e-4 or found[f"gradient of {name}"] > 3e-3:
            raise ValueError(f"both sides play another game: {found}")
    return found


def without_dropout(player: Player) -> Player:
    """The player with a rate of 0, where it has one."""
    rates = {name: jnp.zeros_like(rate) for name, rate in player.per.items() if name == "rate"}
    return dataclasses.replace(player, per={**player.per, **rates})


def count(tree: play.Tree) -> int:
    """Numbers in a tree."""
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def played(step: Callable[[], None], graph: bool) -> timing.Variant:
    """Steps of PyTorch as a variant, waited for."""
    if graph:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                step()
        torch.cuda.current_stream().wait_stream(side)
        captured = torch.cuda.CUDAGraph()
        with torch.cuda.graph(captured):
            step()
        step = captured.replay

    def steps(n: int) -> None:
        for _ in range(n):
            step()
        if DEVICE == "cuda":
            torch.cuda.synchronize()

    return steps


def main(argv: Sequence[str]) -> None:
    """Checks each case, then times both sides in turns."""
    parser = timing.options(__doc__, blocks=5)
    parser.add_argument(
        "cases", nargs="*", metavar="CASE", help="as in step.py (dcgan32 on CPU, else dcgan64)"
    )
    parser.add_argument(
        "--precision", nargs="+", choices=("float32", "bfloat16"), help="both, on CPU float32"
    )
    parser.add_argument(
        "--torch", nargs="+", choices=("eager", "compile", "graph"), help="eager, on GPU also graph"
    )
    parser.add_argument("--batch", type=integer(1), help="instead of each game's own")
    args = parser.parse(argv)
    cli.start(cache=False, fast=True)
    gpu, batch = DEVICE == "cuda", {} if args.batch is None else {"batch": args.batch}
    if gpu == (jax.default_backend() == "cpu"):
        raise ValueError("peers needs JAX and PyTorch on the same device")
    if not gpu:
        torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.backends.cudnn.benchmark = True
    rows, facts = [], {"torch": torch.__version__, "agreement": {}, "failed": {}}
    for name in args.cases or ["dcgan64" if gpu else "dcgan32"]:
        case = cases.named(name)(**batch)
        params = play.init(case.game, jax.random.key(0), case.data).params
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        facts["agreement"][name] = agreement(case, params)
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        for precision in args.precision or ["float32"] + ["bfloat16"] * gpu:
            ours = case.at(precision)
            variants = {"ganjax": timing.played(ours.game, jax.random.key(0), ours.data)}
            for form in args.torch or ["eager"] + ["graph"] * gpu:
                try:
                    peer = torch_games.peer(
                        case, params, DEVICE, precision, compiled=form == "compile"
                    )
                    variants[f"PyTorch {form}"] = played(peer.step, form == "graph")
                    variants[f"PyTorch {form}"](1)
                except Exception as error:  # a form that does not run is a result
                    variants.pop(f"PyTorch {form}", None)
                    facts["failed"][f"{name} {precision} {form}"] = " ".join(str(error).split())[
                        :300
                    ]
            times = timing.interleaved(variants, args.blocks, args.block_s)
            for side, took in times.items():
                row = {
                    "case": name,
                    "precision": precision,
                    "side": side,
                    **took.row(),
                    "images/s": case.batch / took.median,
                }
                row["times ganjax"] = timing.ratio(took.blocks, times["ganjax"].blocks)["median"]
                if not gpu:
                    row["core times"] = timing.ratio(took.work, times["ganjax"].work)["median"]
                rows.append(row)
    for name, found in facts["agreement"].items():
        print(f"{name}: " + ", ".join(f"{what} {apart:.0e}" for what, apart in found.items()))
    for what, why in facts["failed"].items():
        print(f"{what} failed: {why}")
    timing.report(__doc__, rows, args, **facts)


if __name__ == "__main__":
    timing.script(main)
