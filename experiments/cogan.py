"""CoGAN: two generators that share layers against two discriminators that share layers, a pair for
each of two domains.

Liu and Tuzel 2016, "Coupled Generative Adversarial Networks": equation 3, with the nets and rates
of the authors' PyTorch code. The generators see the same noise and share their first layers; the
discriminators share their last. No pair is ever shown: each domain comes from its own half of a
dataset. The measure is the pixel agreement of section 4: is g_2(z) the edge image of g_1(z)? The
baseline is the conditional GAN there.

    ganjax run cogan --data mnist --width 16 --lr 1e-3 --steps 2000
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from ganjax import cli
from ganjax.data.domains import DERIVED, domains_of, unpaired
from ganjax.experiment import Experiment, ImageOptions, Table, option
from ganjax.figures.strips import strips
from ganjax.game import Bound, Game, Player
from ganjax.losses import non_saturating
from ganjax.metrics.pairs import agreement_ratios
from ganjax.nets import cogan
from ganjax.protocols import standard

# At the paper's rate D is ahead of G for the first hundreds of steps; the edges of digits enlarged
# from 8 pixels are too faint to be seen.
SMALL = {"width": 8, "width_d": 15, "batch": 32, "lr": 1e-3}
QUICK = {"data": "digits", "derive": "negative", "size": 28, **SMALL, "steps": 400}
SIZES: dict[str, dict[str, Any]] = {
    "par": {"width": 32, "steps": 3000},
    "small": {**SMALL, "steps": 1200},
}
TABLES = {
    name: Table(
        rows={f"{n} shared": {"shared_g": n, **size} for n in (0, 2, 4)}
        | {"conditional GAN": {"conditional": True, **size}},
        columns=("par", "par_foreground", "par_tolerance", "ink_1", "ink_2"),
        seeds=3,
        paper={"4 shared": {"par": 0.952}, "conditional GAN": {"par": 0.909}},
        note="par: pixels agree if both are above 1/2 or neither is. par_foreground: where one at "
        "least is. ink: the mean pixel. The paper's numbers are recalled, not read. G is 4 times "
        "narrower than the authors' (par), or 16 times, and D 3.3 times (small).",
    )
    for name, size in SIZES.items()
}


@dataclass(frozen=True)
class Options:
    """Digits and their edge images; all layers are shared but G's last and D's first."""

    images: ImageOptions = ImageOptions("mnist")
    derive: Literal["edge", "negative"] = option("edge", "what the second domain is made of")
    conditional: bool = option(False, "play the baseline: one G and one D that see the domain")
    shared_g: int = option(4, "first layers that the generators share", low=0, high=4)
    shared_d: int = option(3, "last layers that the discriminators share", low=0, high=3)
    width: int = option(128, "channels of G's last hidden layer; each before has twice", above=0)
    width_d: int = option(50, "channels of D's second convolution; others in proportion", above=0)
    batch: int = option(64, "real images of each domain a turn", above=0)
    lr: float = option(2e-4, "learning rate of Adam, beta1 .5", above=0)
    steps: int = option(25_000, "steps of training", above=0)


def losses(batch: Any, key: Array, *, G: Bound, D: Bound) -> dict[str, Array]:
    """Equation 3, G non-saturating; a cross entropy is one mean over both domains, as theirs."""
    z = G.noise(key, len(batch["x"]), each=False)  # [B, Z]
    fake = cogan.apply_pair(G, z, z)  # [B, 2, H, W, C]
    real_score = cogan.apply_pair(D, batch["x"], batch["y"])  # [B, 2]
    fake_score = cogan.apply_pair(D, fake[:, 0], fake[:, 1])
    return {
        "D": non_saturating.d(real_score, fake_score).mean(),
        "G": non_saturating.g(fake_score).mean(),
    }


def game(shape: tuple[int, ...], o: Options) -> Game:
    """Two teams of two that share layers, or, conditional, two players that see the domain."""
    adam = optax.chain(optax.add_decayed_weights(5e-4), optax.adam(o.lr, b1=0.5))
    generator = cogan.Generator(shape[-1], o.width)
    critic = cogan.Discriminator(widths=cogan.widths(o.width_d))
    if o.conditional:
        G = Player(cogan.WithDomain(generator), adam, ((100,), (2,)))
        D = Player(cogan.WithDomain(critic), adam, (shape, (2,)))
    else:
        first = tuple(f"layer{i}" for i in range(o.shared_g))
        last = ("score", "layer2", "layer1")[: o.shared_d]
        G = Player(generator, adam, (100,), n=2, shared=first)
        D = Player(critic, adam, shape, n=2, shared=last)
    draw = partial(unpaired, n=o.batch, low=0.0)
    return Game({"G": G, "D": D}, losses, [["D"], ["G"]], draw, fresh="turn")


def sample(key: Array, n: int, *, G: Bound) -> Array:
    """n pairs, [n, 2, H, W, C]."""
    z = G.noise(key, n, each=False)
    return cogan.apply_pair(G, z, z)


def measure(data: Any, key: Array, *, G: Bound, derive: str) -> dict[str, Array]:
    """The agreement of 256 pairs."""
    return agreement(sample(key, 256, G=G), derive)


def evaluate(data: Any, key: Array, *, G: Bound, derive: str) -> dict[str, float]:
    """The agreement of 10 000 pairs, as the authors have it."""
    pairs = jnp.asarray(standard.draw_samples(sample, key, 10_000, G=G))
    return {name: float(value) for name, value in agreement(pairs, derive).items()}


def agreement(pairs: Array, derive: str) -> dict[str, Array]:
    """Pairs [n, 2, H, W, C] by `agreement_ratios`; a negative has a white background."""
    return agreement_ratios(pairs, DERIVED[derive], float(derive == "negative"))


def figures(data: Any, x: np.ndarray, rows: Any, derive: str) -> dict[str, Any]:
    """Sixteen pairs, and between them what the second image should be."""
    first, second = x[:16, 0], x[:16, 1]
    true = np.asarray(DERIVED[derive](jnp.asarray(first)))
    return {"pairs": strips(np.stack([first, true, second], 1), ["G1", "true", "G2"])}


def experiment(o: Options) -> Experiment:
    """CoGAN on a dataset of 28 pixels and what is derived from it."""
    found = domains_of(o.images.data, o.derive, **o.images.how)
    height, width = found.shape[:2]
    if (height, width) != (28, 28):
        raise ValueError(
            f"the nets are for 28 x 28 pixels, and {o.images.data} has {height} x {width}: "
            "say --size 28"
        )
    return Experiment(
        partial(game, found.shape),
        o,
        found.train,
        sample,
        partial(measure, derive=o.derive),
        partial(evaluate, derive=o.derive),
        partial(figures, derive=o.derive),
    )


if __name__ == "__main__":
    cli.script()
