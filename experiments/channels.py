"""Channels: discriminators that divide the channels of a sequence among them.

One generator of sequences of two channels plays against one D that hears both, against two that
hear one each, or against three: each, and both. The question is ours: does dividing the work help
each channel, and does it lose what binds them unless one D hears both? All rows have discriminators
of as many parameters in sum, whose mean G minimises; payoffs non-saturating, Adam, D with R1
(Mescheder et al. 2018). "stereo" is a wave whose right channel lags a quarter of a cycle behind the
left; "voices" are soprano and bass of Bach's chorales in eighths. Numbers: `metrics.stereo`.

    ganjax run channels --hears three
    ganjax reproduce channels/stereo
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax.numpy as jnp
import optax
from jax import Array

from ganjax import Game, Player, cli
from ganjax.data import Dataset, draw, find
from ganjax.data import stereo as two
from ganjax.experiment import Experiment, Table, option
from ganjax.figures.stereo import two_lines
from ganjax.game import Bound
from ganjax.losses import non_saturating
from ganjax.metrics import stereo as heard
from ganjax.nets import MLP
from ganjax.penalties import squared_norm

QUICK = {"hears": "three", "width": 64, "batch": 64, "lr": 1e-3, "steps": 4000}
HEARD = {"L": slice(0, 1), "R": slice(1, 2), "B": slice(0, 2)}  # the channels of each D
SHARES = {  # of the parameters
    "one": {"B": 1.0}, "two": {"L": 0.5, "R": 0.5}, "three": {"L": 0.25, "R": 0.25, "B": 0.5},
}  # fmt: skip
COLUMNS = {
    "stereo": (
        "tone_left", "tone_right", "cycles_left", "cycles_right", "same_cycles", "phase_error",
    ),
    "voices": (
        "pitch_left", "pitch_right", "steps_left", "steps_right", "intervals", "consonant",
    ),
}  # fmt: skip
TABLES = {
    data: Table(
        {
            f"D hears {what}": {"data": data, "hears": hears}
            for hears, what in zip(SHARES, ("both", "one each", "one each, and both"))
        },
        columns, seeds=5,
        anchors=lambda data_dir, data=data: data_row(data_dir, data),  # type: ignore[misc]
        note="Equal numbers of parameters of the discriminators in sum. The row data: half of the "
        "sequences, for voices against the other half.",
    )
    for data, columns in COLUMNS.items()
}  # fmt: skip


@dataclass(frozen=True)
class Options:
    """Dense nets on sequences of two channels."""

    data: Literal["stereo", "voices"] = option("stereo", "the sequences")
    data_dir: str | None = option(None, "where prepared data sets are")
    hears: Literal["one", "two", "three"] = option(
        "one", "one D of both channels, two of one each, or all three"
    )
    width: int = option(128, "units of a hidden layer of G, and of D where it is alone", low=8)
    z: int = option(32, "entries of the noise", above=0)
    batch: int = option(128, "real sequences a step", above=0)
    r1: float = option(0.1, "weight of the gradient penalty at real sequences", low=0)
    lr: float = option(5e-4, "learning rate of Adam, beta1 .5", above=0)
    steps: int = option(10_000, "steps of training", above=0)


def losses(batch: Any, key: Array, *, G: Bound, o: Options, **D: Bound) -> dict[str, Array]:
    """Each discriminator hears its channels of real and made sequences; G minimises their mean."""
    x = batch["x"]  # [B, T, 2]
    fake = G(G.noise(key, len(x)))
    out, fooled = {}, []
    for name, player in D.items():
        real = x[..., HEARD[name]]
        score = player(fake[..., HEARD[name]])
        penalty = squared_norm(player, real).mean()
        out[name] = non_saturating.d(player(real), score).mean() + o.r1 / 2 * penalty
        fooled.append(non_saturating.g(score).mean())
    return {**out, "G": jnp.stack(fooled).mean()}


def game(shape: tuple[int, ...], o: Options) -> Game:
    """Two hidden layers in each player."""
    adam = optax.adam(o.lr, b1=0.5)
    players = {"G": Player(MLP((o.width,) * 2, shape, last=jnp.tanh), adam, (o.z,), ema=0.99)}
    for name in SHARES[o.hears]:
        sees = (shape[0], shape[1] if name == "B" else 1)
        share = SHARES[o.hears][name] * parameters(2 * shape[0], o.width)
        players[name] = Player(MLP((width_of(sees[0] * sees[1], share),) * 2), adam, sees)
    turns = [[*SHARES[o.hears]], ["G"]]
    return Game(players, partial(losses, o=o), turns, partial(draw, n=o.batch))


def parameters(inputs: int, width: int) -> int:
    """The parameters of a discriminator of two hidden layers."""
    return (inputs + 1) * width + (width + 1) * width + width + 1


def width_of(inputs: int, budget: float) -> int:
    """The width of the largest such discriminator within a budget of parameters."""
    return next(w for w in range(1, 10_000) if parameters(inputs, w + 1) > budget)


def sample(key: Array, n: int, *, G: Bound) -> Array:
    """Sequences in -1..1, [n, T, 2]."""
    return G(G.noise(key, n))


def measure(data: Any, key: Array, *, G: Bound, o: Options) -> dict[str, Array]:
    """What 2,048 samples are like, each channel and both together."""
    x = sample(key, 2048, G=G)
    return heard.of_waves(x) if o.data == "stereo" else heard.of_voices(x, data["x"])


def dataset(name: str, data_dir: str | None) -> Dataset:
    """The sequences."""
    return two.waves() if name == "stereo" else two.voices(find("bach_chorales", data_dir))


def data_row(data_dir: str | None, name: str) -> dict[str, dict[str, float]]:
    """What the data itself is like: half of it, voices against the other half."""
    arrays: Any = dataset(name, data_dir).read()
    x = jnp.asarray(arrays["x"])
    found = heard.of_waves(x) if name == "stereo" else heard.of_voices(x[::2], x[1::2])
    return {"data": {metric: float(value) for metric, value in found.items()}}


def experiment(o: Options) -> Experiment:
    """The game of one, two or three discriminators."""
    found = dataset(o.data, o.data_dir)
    names = ("left", "right") if o.data == "stereo" else ("soprano", "bass")
    return Experiment(
        partial(game, found.shape), o, found.load(), sample, partial(measure, o=o), pictured=12,
        picture=lambda _, x: two_lines(x, names, steps=o.data == "voices"),
        files={".wav": two.write_wav} if o.data == "stereo" else {".mid": two.write_mid},
    )  # fmt: skip


if __name__ == "__main__":
    cli.script()
