"""The games that are timed, each with data on the device and the operations that one step needs by
hand count.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import flops
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from ganjax import data
from ganjax.data.mixtures import MIXTURES
from ganjax.game import Bound, Game, Player
from ganjax.keys import stream
from ganjax.losses import ce, l1, least_squares, non_saturating
from ganjax.nets import MLP, cyclegan, dcgan, gman, mad_gan, voxels

Losses = Callable[..., dict[str, Array]]


class Case(NamedTuple):
    """A game and what a step of it is."""

    game: Game
    data: Any
    batch: int  # real examples (or pairs) that a step sees
    needed: float  # operations of the products and convolutions of a step
    lr: float  # of Adam, b1 = .5

    def at(self, precision: str) -> Case:
        """The same, computed in "float32" or "bfloat16"."""
        dtype = None if precision == "float32" else jnp.dtype(precision)
        players = {
            name: dataclasses.replace(player, dtype=dtype)
            for name, player in self.game.players.items()
        }
        return self._replace(game=dataclasses.replace(self.game, players=players))


def losses(batch: Mapping[str, Array], key: Array, *, G: Bound, D: Bound) -> dict[str, Array]:
    """Goodfellow et al. 2014, section 3; a team of critics is summed."""
    real, fake = D(batch["x"]), D(G(G.noise(key, len(batch["x"]))))  # [B, (N)]
    return {
        "D": non_saturating.d(real, fake).mean(0).sum(),
        "G": non_saturating.g(fake).mean(0).sum(),
    }


def adversarial(G: list[int], D: list[int], members: int = 1) -> int:
    """Operations per example of a D move, then a G move on the same fakes: 11 passes where G is as
    large as D.

    D sees real and fake and gets both gradients; then the new D sees the fake again and hands its
    gradient on to G. The gradient to the input of a first layer is nobody's.
    """
    return 3 * sum(G) - G[0] + members * (8 * sum(D) - 2 * D[0])


def alternating(
    G: nn.Module,
    D: nn.Module,
    z: int,
    batch: int,
    arrays: Any,
    shape: tuple[int, ...],
    lr: float,
    **team: Any,
) -> Case:
    """D moves, then G, on the same batch."""
    adam = optax.adam(lr, b1=0.5)
    players = {"G": Player(G, adam, (z,)), "D": Player(D, adam, shape, **team)}
    needed = batch * adversarial(flops.needed(G, (z,)), flops.needed(D, shape), team.get("n") or 1)
    return Case(
        Game(players, losses, [["D"], ["G"]], partial(data.draw, n=batch)),
        jax.device_put(arrays),
        batch,
        needed,
        lr,
    )


def ring(batch: int = 256, width: int = 256, **team: Any) -> Case:
    """Dense nets with two hidden layers on a ring of Gaussians."""
    return alternating(
        MLP((width, width), (2,)),
        MLP((width, width)),
        2,
        batch,
        MIXTURES["ring"](),
        (2,),
        1e-3,
        **team,
    )


def pixels(*shape: int, seed: int = 0) -> np.ndarray:
    """Images of noise, uint8."""
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def images(side: int, channels: int, width: int, batch: int, z: int = 100, **team: Any) -> Case:
    """DCGAN (Radford et al. 2016) with kernels of 4, on 1024 images of noise."""
    shape = (side, side, channels)
    G, D = dcgan.Generator(shape, width, kernel=4), dcgan.Discriminator(width, kernel=4)
    return alternating(G, D, z, batch, {"x": pixels(1024, *shape)}, shape, 2e-4, **team)


def solids(side: int, width: int, batch: int, z: int = 200) -> Case:
    """3D-GAN (Wu et al. 2016) without its gate, on 64 cubes of noise."""
    shape = (side, side, side, 1)
    G, D = voxels.generator(side, width), voxels.discriminator(width)
    return alternating(G, D, z, batch, {"x": pixels(64, *shape)}, shape, 2e-4)


def cyclegan_losses(
    batch: Mapping[str, Array], key: Array, *, G: Bound, F: Bound, D_X: Bound, D_Y: Bound
) -> dict[str, Array]:
    """Zhu et al. 2017, equations 1 to 3 and the identity term of section 5.2; least squares; no
    pool of old fakes.
    """
    x, y = batch["x"], batch["y"]
    fake_y, fake_x = G(x), F(y)
    cycle = 10 * (l1(F(fake_y), x) + l1(G(fake_x), y))
    return {
        "G": 2 * least_squares.g(D_Y(fake_y)).mean() + cycle + 5 * l1(G(y), y),
        "F": 2 * least_squares.g(D_X(fake_x)).mean() + cycle + 5 * l1(F(x), x),
        "D_X": least_squares.d(D_X(x), D_X(fake_x)).mean(),
        "D_Y": least_squares.d(D_Y(y), D_Y(fake_y)).mean(),
    }


def translators(side: int, blocks: int, batch: int, width: int = 64) -> Case:
    """Two translators and two critics that all move at once, on 64 pairs of noise."""
    shape, lr = (side, side, 3), 2e-4
    adam = optax.adam(lr, b1=0.5)
    T, P = cyclegan.ResNet(blocks, width=width), cyclegan.PatchGAN(width=width)
    players = {name: Player(T, adam, shape) for name in ("G", "F")} | {
        name: Player(P, adam, shape) for name in ("D_X", "D_Y")
    }
    t, p = flops.needed(T, shape), flops.needed(P, shape)
    # Six translations, each forward, to the weights and, but for the four of real images, to the
    # input; each critic sees real and fake with their gradients to the weights, and hands the
    # translator's gradient on.
    needed = batch * (18 * sum(t) - 4 * t[0] + 2 * (7 * sum(p) - 2 * p[0]))
    arrays = jax.device_put({"x": pixels(64, *shape), "y": pixels(64, *shape, seed=1)})
    return Case(
        Game(players, cyclegan_losses, [list(players)], partial(data.draw, n=batch)),
        arrays,
        batch,
        needed,
        lr,
    )


def named_losses(batch: Mapping[str, Array], key: Array, *, G: Bound, D: Bound) -> dict[str, Array]:
    """Ghosh et al. 2018: D names the generator of a sample; the last class is that of real ones."""
    x = batch["x"]
    named = D(G(G.noise(key, len(x), each=False)))  # [B, k, k + 1]
    told = ce(named, jnp.arange(G.n)).mean(0).sum()
    return {"D": ce(D(x), G.n).mean() + told, "G": ce(named, G.n).mean(0).sum()}


def generators(k: int = 8, batch: int = 128, width: int = 128, z: int = 64) -> Case:
    """MAD-GAN's nets of its toy, on a ring of Gaussians: k generators share their trunk."""
    G, shared, prior = mad_gan.generator((2,), width)
    D, lr = mad_gan.discriminator((2,), width, k + 1), 1e-3
    adam = optax.adam(lr, b1=0.5)
    players = {
        "G": Player(G, adam, (z,), n=k, shared=shared, prior=prior),
        "D": Player(D, adam, (2,)),
    }
    (*trunk, head), d = flops.needed(G, (z,)), flops.needed(D, (2,))
    seen = (1 + k) * (3 * sum(d) - d[0]) + 2 * k * sum(d)
    needed = batch * (3 * sum(trunk) - trunk[0] + 3 * k * head + seen)
    game = Game(players, named_losses, [["D"], ["G"]], partial(data.draw, n=batch))
    return Case(game, jax.device_put(MIXTURES["ring"]()), batch, needed, lr)


def team_losses(batch: Mapping[str, Array], key: Array, *, G: Bound, D: Bound) -> dict[str, Array]:
    """Durugkar et al. 2017: each discriminator has its own part of the batch; G has their mean."""
    x = batch["x"]
    part = (-1, D.n, *x.shape[1:])
    fake_x = G(G.noise(key, len(x))).reshape(part)
    real = D.each(x.reshape(part), key=stream(key, "real"))  # [B, N]
    fake = D.each(fake_x, key=stream(key, "fake"))
    return {
        "D": non_saturating.d(real, fake).mean(0).sum(),
        "G": non_saturating.g(fake).mean(),
    }


def discriminators(n: int = 5, batch: int = 32, width: int = 64, side: int = 32) -> Case:
    """GMAN's nets of images: n discriminators with dropout, all players move at once."""
    shape, lr = (side, side, 1), 2e-4
    G, D = gman.pair(shape, width)
    adam = optax.adam(lr, b1=0.5)
    players = {
        "G": Player(G, adam, (100,)),
        "D": Player(D, adam, shape, n=n, per={"rate": gman.rates(n)}),
    }
    g, d = flops.needed(G, (100,)), flops.needed(D, shape)
    needed = n * batch * (3 * sum(g) - g[0] + 7 * sum(d) - 2 * d[0])
    arrays = jax.device_put({"x": pixels(1024, *shape)})
    game = Game(players, team_losses, [["G", "D"]], partial(data.draw, n=n * batch))
    return Case(game, arrays, n * batch, needed, lr)


CASES: dict[str, Callable[..., Case]] = {
    "ring": ring,
    "mad_gan": generators,
    "gman32": discriminators,
    "dcgan32": partial(images, 32, 1, 64, batch=64),
    "dcgan64": partial(images, 64, 3, 128, batch=128),
    "narrow64": partial(images, 64, 3, 16, batch=64),
    "gan3d32": partial(solids, 32, 16, batch=16),
    "gan3d64": partial(solids, 64, 64, batch=100),
    "cyclegan64": partial(translators, 64, 6, batch=16),
    "cyclegan256": partial(translators, 256, 9, batch=1),
}


def named(name: str) -> Callable[..., Case]:
    """A case's function of its options. Raises ValueError for an unknown name."""
    if name not in CASES:
        raise ValueError(f"there is no case {name}; there are {', '.join(CASES)}")
    return CASES[name]


def defaults() -> list[str]:
    """The cases that this device plays in a short time."""
    return (
        ["ring", "dcgan32"] if jax.default_backend() == "cpu" else ["ring", "dcgan64", "narrow64"]
    )
