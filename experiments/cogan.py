"""CoGAN: a team of two generators against a team of two discriminators, one of each for a domain,
that share layers.

Liu and Tuzel 2016, "Coupled Generative Adversarial Networks": equation 3, the nets and rates of the
authors' PyTorch code. The generators see the same noise and share their first layers, the
discriminators their last. No pair is ever shown: the two domains are made from two halves of a set.
Judged by the pixel agreement of section 4: is g_2(z) the edge image of g_1(z)? The baseline is the
conditional GAN there.

    ganjax run cogan --data mnist --width 16 --lr 1e-3 --steps 2000
"""

from functools import partial
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from ganjax import cli
from ganjax import experiment as ex
from ganjax.data.domains import DERIVED, domains_of, unpaired
from ganjax.experiment import Experiment, Table
from ganjax.figures.strips import strips
from ganjax.game import Bound, Game, Player
from ganjax.losses import non_saturating
from ganjax.metrics import pairs
from ganjax.nets import cogan
from ganjax.protocols import standard

# At the paper's rate D is ahead of G for the first hundreds of steps; the edges of digits enlarged
# from 8 pixels are too faint to be seen.
QUICK = {
    "data": "digits",
    "derive": "negative",
    "size": 28,
    "width": 8,
    "width_d": 15,
    "batch": 32,
    "lr": 1e-3,
    "steps": 400,
}
SIZES: dict[str, dict[str, Any]] = {
    "par": {"width": 32, "steps": 3000},
    "small": {"width": 8, "width_d": 15, "batch": 32, "lr": 1e-3, "steps": 1200},
}
TABLES = {
    # The paper's numbers are recalled, not read, and of nets four times as wide and more.
    name: Table(
        rows={f"{n} shared": {"shared_g": n, **of} for n in (0, 2, 4)}
        | {"conditional GAN": {"conditional": True, **of}},
        columns=("par", "par_foreground", "par_tolerance", "ink_1", "ink_2"),
        seeds=3,
        paper={"4 shared": {"par": 0.952}, "conditional GAN": {"par": 0.909}},
        note="par: pixels agree if both are above 1/2 or neither is. par_foreground: where one at least is. ink: the mean pixel.",
    )
    for name, of in SIZES.items()
}


def losses(batch: Any, key: Array, *, G: Bound, D: Bound) -> dict[str, Array]:
    """Equation 3, G non-saturating as in the authors' code."""
    z = G.noise(key, len(batch["x"]), each=False)  # [B, Z]
    fake = cogan.apply_pair(G, z, z)  # [B, 2, H, W, C]
    real_score, fake_score = (
        cogan.apply_pair(D, batch["x"], batch["y"]),
        cogan.apply_pair(D, fake[:, 0], fake[:, 1]),
    )  # [B, 2]
    return {
        "D": non_saturating.d(real_score, fake_score).mean(0).sum(),
        "G": non_saturating.g(fake_score).mean(0).sum(),
    }


def game(
    channels: int,
    conditional: bool,
    shared_g: int,
    shared_d: int,
    width: int,
    width_d: int,
    batch: int,
    lr: float,
) -> Game:
    """The first `shared_g` layers of the generators are shared, the last `shared_d` of the
    discriminators.
    """
    shape = (28, 28, channels)
    adam = optax.chain(optax.add_decayed_weights(5e-4), optax.adam(lr, b1=0.5))
    generator, critic = (
        cogan.Generator(channels, width),
        cogan.Discriminator(widths=cogan.widths(width_d)),
    )
    if conditional:
        G, D = (
            Player(cogan.WithDomain(generator), adam, ((100,), (2,))),
            Player(cogan.WithDomain(critic), adam, (shape, (2,))),
        )
    else:
        G = Player(generator, adam, (100,), n=2, shared=tuple(f"layer{i}" for i in range(shared_g)))
        D = Player(critic, adam, shape, n=2, shared=("score", "layer2", "layer1")[:shared_d])
    return Game(
        {"G": G, "D": D}, losses, [["D"], ["G"]], partial(unpaired, n=batch, low=0.0), fresh="turn"
    )


def sample(key: Array, n: int, *, G: Bound) -> Array:
    """n pairs, [n, 2, H, W, C]."""
    z = G.noise(key, n, each=False)
    return cogan.apply_pair(G, z, z)


def measure(data: Any, key: Array, *, G: Bound, derive: str) -> dict[str, Array]:
    """The agreement of 256 pairs."""
    return pairs.agreement_ratios(sample(key, 256, G=G), DERIVED[derive], derive == "negative")


def evaluate(data: Any, key: Array, *, G: Bound, derive: str) -> dict[str, float]:
    """The agreement of 10 000 pairs, as the authors have it."""
    found = pairs.agreement_ratios(
        jnp.asarray(standard.draw_samples(sample, key, 10_000, G=G)),
        DERIVED[derive],
        derive == "negative",
    )
    return {name: float(value) for name, value in found.items()}


def figures(data: Any, x: np.ndarray, rows: Any, derive: str) -> dict[str, Any]:
    """Sixteen pairs, and between them what the second image should be."""
    x = x[:16]
    return {
        "pairs": strips(
            np.stack([x[:, 0], np.asarray(DERIVED[derive](jnp.asarray(x[:, 0]))), x[:, 1]], 1),
            ["G1", "true", "G2"],
        )
    }


def experiment(
    data: str = "mnist",
    derive: Literal["edge", "negative"] = "edge",
    data_dir: str | None = None,
    size: int | None = None,
    conditional: bool = False,
    shared_g: int = 4,
    shared_d: int = 3,
    width: int = 128,
    width_d: int = 50,
    batch: int = 64,
    lr: float = 2e-4,
    steps: int = 25_000,
) -> Experiment:
    """Digits and their edge images, all layers shared but the generators' last and the
    discriminators' first.

    data: a set of images of 28 pixels, or a path
    derive: what the second domain is made of
    data_dir: where prepared sets are
    size: pixels of a side that images are resized to: 28 for a set of others
    conditional: play the baseline, a single pair of players that see the domain
    shared_g: first layers that the generators share, of 4
    shared_d: last layers that the discriminators share, of 3
    width: channels of the generators' last hidden layer; each one before has twice as many
    width_d: channels of the discriminators' second convolution; the other layers are in proportion
    batch: real images of each domain a turn
    lr: learning rate of Adam, its beta1 .5
    steps: steps of training
    """
    ex.positive(width=width, width_d=width_d, batch=batch, lr=lr, steps=steps)
    if not (0 <= shared_g <= 4 and 0 <= shared_d <= 3):
        raise ValueError(f"shared_g is 0 to 4, shared_d 0 to 3; got {shared_g} and {shared_d}")
    found = domains_of(data, derive, data_dir=data_dir, size=size)
    if found.shape[:2] != (28, 28):
        raise ValueError(
            f"the nets are for 28 x 28 pixels, and {data} has {found.shape[0]} x {found.shape[1]}: say --size 28"
        )
    played = game(found.shape[-1], conditional, shared_g, shared_d, width, width_d, batch, lr)
    by = partial(partial, derive=derive)
    return Experiment(played, found.train, steps, sample, by(measure), by(evaluate), by(figures))


if __name__ == "__main__":
    cli.script()
