"""Perceptron: one neuron learns a truth table from its mistakes, or, of XOR, cannot.

The neuron of McCulloch and Pitts 1943 fires where b + w · x > 0. Rosenblatt 1958, "The
Perceptron", learns its weights: at each mistake they move by the example, towards it or away. That
is stochastic gradient descent at rate 1 on the loss max(0, -y s), s the score, one example a step;
a score of 0 counts as a mistake, so that weights of 0 begin to move. If a plane separates the
classes, the mistakes are at most (R / γ)² in number, however long it learns (Novikoff 1962). XOR
has no such plane (Minsky and Papert 1969). With `--hidden` two layers learn by the gradient of
log(1 + e^-ys). Rosenblatt's machine had fixed random units before the neuron; here it sees the
inputs. Digits have a neuron for each class; the largest score decides.

    ganjax run perceptron --task or
    ganjax run perceptron --task xor --hidden 8 --lr 0.5 --batch 4
    ganjax reproduce perceptron/logic
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax.numpy as jnp
import optax
from flax.linen import initializers as inits
from flax.linen import tanh
from jax import Array
from jax.nn import softplus as sp

from ganjax import Game, Player, cli, data
from ganjax.data.truth_tables import one_against_rest, truth_table
from ganjax.experiment import Experiment, Table, option
from ganjax.game import Bound
from ganjax.nets import MLP
from ganjax.protocols import neurons

GROUP = "games of one player"
QUICK = TWO_LAYERS = {"task": "xor", "hidden": 8, "lr": 0.5, "batch": 4, "steps": 2000}
TABLES = {
    "logic": Table(
        rows={
            **{task.upper(): {"task": task} for task in ("and", "or", "not", "xor")},
            "XOR, two layers": TWO_LAYERS,
            "digits": {"task": "digits", "steps": 20_000},
        },
        columns=("error", "mistakes", "bound"), seeds=5, after=neurons.lines_of_rows,
        note="bound: Novikoff's, on the mistakes of the perceptron's rule; none where no plane "
        "separates the classes, as in XOR and of the digit 8 from the others. Mistakes of digits "
        "are those of ten neurons. Error of digits: on a sixth held out",
    ),
    "xor": Table(
        rows={f"{n} hidden": {**TWO_LAYERS, "hidden": n} for n in (2, 3, 4, 8)},
        columns=("error",), seeds=32, note="Two layers, 32 seeds; an error of 0 is XOR learnt",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Options:
    """One neuron, and what it is to learn."""

    task: Literal["and", "or", "not", "xor", "digits"] = option("and", "what is learnt")
    hidden: int = option(0, "hidden units; 0: the perceptron's rule", low=0)
    lr: float = option(1.0, "rate of gradient descent", above=0)
    batch: int = option(1, "examples a step", above=0)
    steps: int = option(500, "steps of training", above=0)


def losses(batch: Any, key: Array, *, P: Bound, memory: Any, hidden: int) -> dict[str, Any]:
    """The perceptron's loss, or, of two layers, the logistic one; beside it all mistakes so far."""
    s, y = P(batch["x"]), batch["y"]  # [B, K]
    wrong = neurons.mistaken(s, y)
    loss = sp(-y * s) if hidden else jnp.where(wrong, -y * s, 0)
    mistakes = memory + wrong.sum()
    return {"P": loss.sum(-1).mean(), "mistakes": mistakes, "memory": mistakes}


def game(shape: tuple[int, ...], K: int, o: Options) -> Game:
    """K neurons, which begin at 0, or two layers, which begin at random."""
    net = MLP((o.hidden,), (K,), tanh) if o.hidden else MLP((), (K,), kernel_init=inits.zeros)
    return Game(
        {"P": Player(net, optax.sgd(o.lr), shape)}, partial(losses, hidden=o.hidden), [["P"]],
        partial(neurons.draw, n=o.batch), memory=lambda: jnp.int32(0),
    )  # fmt: skip


def experiment(o: Options) -> Experiment:
    """A truth table, or scikit-learn's digits."""
    if o.task == "digits":
        arrays = one_against_rest(*data.train_and_test(data.find("digits")), 10)
    else:
        arrays = truth_table(o.task)
    this = partial(game, arrays["x"].shape[1:], arrays["y"].shape[1])
    return Experiment(
        this, o, arrays, measure=neurons.measure, evaluate=neurons.evaluate, figures=neurons.figures
    )


if __name__ == "__main__":
    cli.script()
