"""CTC: recurrent nets that read speech, letter by letter, without an alignment.

Graves, Fernandez, Gomez and Schmidhuber 2006, "Connectionist Temporal Classification": equations 5
to 8, the sum over all alignments, by `optax.ctc_loss`. A game of one player: R is a team of K
bidirectional LSTMs that learn alone from the same rows, and whose posteriors are averaged.
Departures: letters, not phonemes; log-mel frames, not MFCC; Adam, dropout and layer normalisation;
forget gates; beam search over prefixes with a language model of letters (Graves and Jaitly 2014).
Short utterances are joined to rows of equal length; longer ones are left out of training. The
paper is recalled, not read.

    ganjax run ctc
    ganjax run ctc --data speech_prompts --convolutions
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import optax
from jax import Array

from ganjax import Game, Player, cli
from ganjax.data import speech
from ganjax.data.audio import hide
from ganjax.data.sequences import strided
from ganjax.experiment import Experiment, Table, option
from ganjax.game import Bound
from ganjax.keys import stream
from ganjax.losses import ctc
from ganjax.nets.ctc import Recogniser
from ganjax.protocols import speech as protocol

GROUP = "games of one player"
QUICK = {
    "k": 2, "units": 48, "batch": 16, "seconds": 1.5, "lr": 1e-2, "weight": 0.0, "bonus": 0.0,
    "steps": 800,
}  # fmt: skip
PROMPTS: dict[str, Any] = {"data": "speech_prompts", "seconds": 4.0, "dropout": 0.2, "steps": 800}
TEAM = "+ CNN"


@dataclass(frozen=True)
class Options:
    """One bidirectional LSTM on the tone alphabet."""

    data: str = option("tones", "tones, speech_prompts, or an .npz file of speech")
    data_dir: str | None = option(None, "where prepared data sets are")
    resample: bool = option(False, "bring sound of another rate to 8000 Hz")
    seconds: float = option(2.0, "of a training row; longer utterances are left out", above=0)
    bands: int = option(40, "mel bands of a frame", low=1)
    stride: int = option(3, "frames of 10 ms that are read as one", low=1)
    k: int = option(1, "nets in the team", low=1)
    convolutions: bool = option(False, "two convolutions over time before the LSTM")
    layers: int = option(1, "bidirectional LSTMs, one on another", low=1)
    units: int = option(128, "units of each direction", low=1)
    augment: bool = option(False, "train on gaps in frames, and on 90 and 110 % of the speed")
    dropout: float = option(0.1, "share of outputs dropped after each layer", low=0, below=1)
    order: int = option(7, "letters of the language model's n-grams", low=1)
    weight: float = option(1.0, "of the language model in the beam search", low=0)
    bonus: float = option(1.5, "for each letter in the beam search")
    batch: int = option(8, "rows a step", low=1)
    lr: float = option(3e-3, "learning rate of Adam; it rises over a twentieth, then falls to 0",
                       above=0)  # fmt: skip
    steps: int = option(1000, "steps of training", low=1)


def losses(batch: Any, key: Array, *, R: Bound, o: Options) -> dict[str, Array]:
    """Equation 5 per letter, summed over the team."""
    x, n = batch["x"], batch["frames"]
    x = hide(stream(key, "hide"), x) if o.augment else x
    logits = R(x, n, key=stream(key, "dropout"))  # [B, K, T', C]
    nats = ctc(logits, strided(n, o.stride), batch["y"], batch["letters"])  # [B, K]
    return {"R": nats.sum() / batch["letters"].sum()}


def game(shape: tuple[int, ...], o: Options) -> Game:
    """A team of K recognisers of frames [T, bands], and their lengths."""
    net = Recogniser(speech.CLASSES, o.units, o.layers, o.stride, o.convolutions, o.dropout)
    rises = max(1, o.steps // 20)
    rate = optax.warmup_cosine_decay_schedule(o.lr / 20, o.lr, rises, o.steps + 1)
    adam = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rate))
    R = Player(net, adam, (shape, ()), n=o.k)
    draw = partial(protocol.draw_rows, n=o.batch)
    return Game({"R": R}, partial(losses, o=o), [["R"]], draw)


def rows_of_the_team(played: Any) -> tuple[Any, dict[str, Any]]:
    """The last rows of the table: the same runs, decoded in other ways."""
    names = {"+ language model": "with_lm", "team of 5": "team_with_lm"}
    return protocol.errors_of_one_run(played, TEAM, names), {}


TABLES = {
    "prompts": Table(
        rows={"plain RNN": PROMPTS, TEAM: {**PROMPTS, "convolutions": True, "k": 5}},
        columns=("label_error",),
        seeds=3,
        after=rows_of_the_team,
        note="Held-out prompts of the training's speaker, all lengths. The last three rows read "
        "the same runs: of five nets that learn alone, the first, decoded greedily; the first, by "
        "beam search with a language model of the training texts; the mean posterior of all five, "
        "by that search. Training prompts above 4 s are left out. Rates, sizes and the search's "
        "weights were chosen on a seventh of the training prompts, after two short looks at the "
        "held-out ones, of which nine have a text that training has too",
    ),
}


def experiment(o: Options) -> Experiment:
    """CTC on speech with its texts."""
    found = speech.find(o.data, o.data_dir, o.resample)
    frames = speech.features(found, o.bands, o.stride)
    speeds = [speech.at_speed(found, percent) for percent in (90, 110) if o.augment]
    copies = [speech.features(spoken, o.bands, o.stride) for spoken in speeds]
    arrays = speech.training_arrays(found, frames, o.seconds, copies)
    held: dict[str, Any] = {"speech": found, "frames": frames}
    search = protocol.Search(o.order, o.weight, o.bonus)
    return Experiment(
        partial(game, arrays["train"]["x"].shape[1:]),
        o,
        arrays,
        measure=protocol.measure,
        evaluate=partial(protocol.evaluate, search=search, **held),
        figures=partial(protocol.figures, **held),
    )


if __name__ == "__main__":
    cli.script()
