"""Small games in the form of the papers' hard ones, (game, data) each, on which laws are tested."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import optax
from jax import nn as fn
from jax import random
from jax.nn import softplus as sp

from ganjax import aggregates
from ganjax.data import draw
from ganjax.game import Game, Player, Turn
from ganjax.losses import (
    ce,
    hinge,
    l1,
    least_squares,
    log_sigmoid,
    minimax,
    non_saturating,
    wasserstein,
)
from ganjax.nets import MLP, TrunkAndHead
from ganjax.nets.layers import BatchNorm, SpectralNorm
from ganjax.penalties import squared_norm, wgan_gp

B, Z, CLASSES, SHAPE = 4, 3, 3, (8, 8, 1)
ADAM = optax.adam(1e-3, b1=0.5)
X = np.random.default_rng(0).integers(0, 256, (32, *SHAPE), np.uint8)
DATA = {"x": X, "y": 255 - X, "label": np.arange(32, dtype=np.int32) % CLASSES}
DRAW = partial(draw, n=B)


def dense(out: tuple[int, ...] = (), **rest: Any) -> MLP:
    """One hidden layer of 8."""
    return MLP((8,), out, nn.tanh, **rest)


class Critic(nn.Module):
    """A strided convolution in 2-D or 3-D, then scores: [B, *grid, C] -> [B, *out]."""

    out: tuple[int, ...] = ()
    spectral: bool = False
    norm: bool = False

    @nn.compact
    def __call__(self, x):
        wrap = SpectralNorm if self.spectral else lambda layer: layer
        x = wrap(nn.Conv(8, (3,) * (x.ndim - 2), 2, use_bias=not self.norm))(x)
        x = nn.leaky_relu(BatchNorm()(x) if self.norm else x).reshape(len(x), -1)
        return wrap(nn.Dense(math.prod(self.out)))(x).reshape(len(x), *self.out)


class Generator(nn.Module):
    """A dense layer to half the grid, then a transposed convolution: [B, Z] -> [B, *grid, 1]."""

    grid: tuple[int, ...] = (8, 8)

    @nn.compact
    def __call__(self, z):
        half = tuple(side // 2 for side in self.grid)
        x = nn.Dense(4 * math.prod(half), use_bias=False, name="trunk")(z).reshape(-1, *half, 4)
        return nn.tanh(
            nn.ConvTranspose(1, (4,) * len(half), (2,) * len(half), name="head")(
                nn.relu(BatchNorm()(x))
            )
        )


class Logits(nn.Module):
    """n numbers: a player of parameters only."""

    n: int

    @nn.compact
    def __call__(self):
        return self.param("logits", nn.initializers.normal(), (self.n,))


# Triple-GAN: Li et al. 2017, equations 2 and 4; R_P joins late, C's label is its likeliest one.
def triple_gan_losses(batch, key, *, G, D, C, step, alpha=0.5, alpha_P=0.1, late=2):
    x, y, x_u = batch["x"], fn.one_hot(batch["label"], CLASSES), batch["y"]
    x_g = G(G.noise(key, len(x)), y)  # [B, H, W, 1]
    p = fn.softmax(C(x_u))  # [B, classes]
    p_c, y_c = p.max(-1), fn.one_hot(p.argmax(-1), CLASSES)
    real, by_g, by_c = D(x, y), D(x_g, y), D(x_u, y_c)  # [B]
    R_L, R_P = ce(C(x), batch["label"]).mean(), ce(C(x_g), batch["label"]).mean()
    return {
        "D": (sp(-real) + alpha * sp(by_c) + (1 - alpha) * sp(by_g)).mean(),
        "G": (1 - alpha) * sp(-by_g).mean(),
        "C": alpha * (p_c * sp(-by_c)).mean() + R_L + jnp.where(step >= late, alpha_P, 0) * R_P,
    }


def triple_gan():
    G = Player(dense(SHAPE), ADAM, ((Z,), (CLASSES,)), prior=random.uniform)
    D, C = (
        Player(dense(), ADAM, (SHAPE, (CLASSES,))),
        Player(dense((CLASSES,)), ADAM, SHAPE, ema=0.99),
    )
    return Game({"G": G, "D": D, "C": C}, triple_gan_losses, [["D"], ["G"], ["C"]], DRAW), DATA


# CycleGAN: Zhu et al. 2017, equations 1 to 3, least squares, D's halved; fakes reach D through
# pools of old ones.
def pooled(pool, fake, key):
    """What D sees for the fakes, and the next pool: once full, half of them stay in the pool and
    old ones come out.
    """
    images, count = pool
    row_key, coin_key = random.split(key)
    full = count >= len(images)
    rows = jnp.where(
        full, random.permutation(row_key, len(images))[: len(fake)], count + jnp.arange(len(fake))
    )
    swap = (full & random.bernoulli(coin_key, 0.5, (len(fake),)))[:, None, None, None]
    return jnp.where(swap, images[rows], fake), (
        images.at[rows].set(jnp.where(swap | ~full, fake, images[rows])),
        count + len(fake),
    )


def cyclegan_losses(batch, key, *, G, F, D_X, D_Y, memory, lam=10.0):
    x, y = batch["x"], batch["y"]
    fake_y, fake_x = G(x), F(y)
    old_x, pool_x = pooled(memory["x"], fake_x, random.fold_in(key, 0))
    old_y, pool_y = pooled(memory["y"], fake_y, random.fold_in(key, 1))
    cycle = l1(F(fake_y), x) + l1(G(fake_x), y)
    return {
        "G": least_squares.g(D_Y(fake_y)).mean() + lam * cycle,
        "F": least_squares.g(D_X(fake_x)).mean() + lam * cycle,
        "D_X": least_squares.d(D_X(x), D_X(old_x)).mean(),
        "D_Y": least_squares.d(D_Y(y), D_Y(old_y)).mean(),
        "cycle": cycle,
        "memory": {"x": pool_x, "y": pool_y},
    }


def cyclegan():
    players = {name: Player(dense(SHAPE), ADAM, SHAPE) for name in ("G", "F")}
    players |= {name: Player(dense((2, 2, 1)), ADAM, SHAPE) for name in ("D_X", "D_Y")}
    memory = lambda: {name: (jnp.zeros((2 * B, *SHAPE)), jnp.int32(0)) for name in ("x", "y")}  # noqa: E731
    return Game(players, cyclegan_losses, [["G", "F"], ["D_X", "D_Y"]], DRAW, memory), DATA


# GMAN: Durugkar et al. 2017, section 3; each critic has a dropout rate and a part of the minibatch
# of its own.
def gman_dropout_losses(batch, key, *, G, D, lam=1.0):
    x = batch["x"].reshape(-1, D.n, *SHAPE)  # [B, N, H, W, 1]
    noise_key, real_key, fake_key = random.split(key, 3)
    z = G.noise(noise_key, B).reshape(-1, D.n, Z)  # [B, N, Z]
    real, fake = D.each(x, key=real_key), D.each(G(z), key=fake_key)  # [B, N]
    V = (log_sigmoid(real, 0.01) + log_sigmoid(-fake, 0.01)).mean(0)  # [N]
    return {"D": -V.sum(), "G": aggregates.arithmetic(V, lam)}


def gman_dropout():
    D = Player(dense(), ADAM, SHAPE, n=2, per={"rate": np.array([0.3, 0.6])})
    return Game(
        {"G": Player(dense(SHAPE), ADAM, (Z,)), "D": D}, gman_dropout_losses, [["G", "D"]], DRAW
    ), DATA


# SN-GAN's hinge (Miyato et al. 2018) with a team of critics.
def sn_team_losses(batch, key, *, G, D):
    real, fake = D(batch["x"]), D(G(G.noise(key, B)))  # [B, N]
    return {
        "D": hinge.d(real, fake).mean(0).sum(),
        "G": aggregates.arithmetic(hinge.g(fake).mean(0)),
    }


def sn_team():
    G, D = Player(Generator(), ADAM, (Z,)), Player(Critic(spectral=True), ADAM, SHAPE, n=2)
    return Game({"G": G, "D": D}, sn_team_losses, [["D"], ["G"]], DRAW), DATA


# MAD-GAN: Ghosh et al. 2018, equations 1 and 2, with batch normalisation on both sides.
def bn_team_losses(batch, key, *, G, D):
    named = D(G.each(G.noise(key, B)))  # [B, K, K+1]
    return {
        "D": ce(D(batch["x"]), G.n).mean() + ce(named, jnp.arange(G.n)).mean(0).sum(),
        "G": ce(named, G.n).mean(0).sum(),
    }


def bn_team():
    G = Player(Generator(), ADAM, (Z,), n=2, shared=("trunk",))
    return Game(
        {"G": G, "D": Player(Critic((3,), norm=True), ADAM, SHAPE)},
        bn_team_losses,
        [["D"], ["G"]],
        DRAW,
    ), DATA


# CGAN: Mirza and Osindero 2014, equation 2.
def cgan_losses(batch, key, *, G, D):
    x, y = batch["x"], fn.one_hot(batch["label"], CLASSES)
    fake = D(G(G.noise(key, len(x)), y), y)  # [B]
    return {"D": minimax.d(D(x, y), fake).mean(), "G": minimax.g(fake).mean()}


def cgan():
    G, D = (
        Player(dense(SHAPE), ADAM, ((Z,), (CLASSES,))),
        Player(dense(), ADAM, (SHAPE, (CLASSES,))),
    )
    return Game({"G": G, "D": D}, cgan_losses, [["G", "D"]], DRAW), DATA


# 3D-GAN: Wu et al. 2016, equation 2; D waits while it is right more often than in 4 of 5 cases.
def gan3d_losses(batch, key, *, G, D):
    real, fake = D(batch["x"]), D(G(G.noise(key, B)))  # [B]
    accuracy = ((real > 0).mean() + (fake < 0).mean()) / 2
    return {
        "D": non_saturating.d(real, fake).mean(),
        "G": non_saturating.g(fake).mean(),
        "accuracy": accuracy,
    }


def gan3d():
    grid = (4, 4, 4)
    voxels = {"x": np.random.default_rng(1).integers(0, 2, (32, *grid, 1)).astype(np.float32)}
    G, D = Player(Generator(grid), ADAM, (Z,)), Player(Critic(), ADAM, (*grid, 1))
    turns = [Turn(("D",), when=lambda step, log: log["accuracy"] <= 0.8), Turn(("G",))]
    return Game({"G": G, "D": D}, gan3d_losses, turns, DRAW), voxels


# LAPGAN: Denton et al. 2015; one GAN a level of the pyramid, conditional on the coarser image, all
# at once.
def down(x):
    return nn.avg_pool(x, (2, 2), (2, 2))


def up(x):
    return x.repeat(2, 1).repeat(2, 2)


def lapgan_losses(batch, key, *, G_0, D_0, G_1, D_1):
    I_0 = batch["x"]
    I_1 = down(I_0)
    l_0 = up(I_1)
    h_0 = I_0 - l_0
    fake_0 = G_0(G_0.noise(key, B), l_0)
    fake_1 = G_1(G_1.noise(key, B))
    scores = {
        0: (D_0(l_0 + h_0, l_0), D_0(l_0 + fake_0, l_0)),
        1: (D_1(I_1), D_1(fake_1)),
    }  # (real, fake), [B] each
    of_d = {f"D_{k}": non_saturating.d(real, fake).mean() for k, (real, fake) in scores.items()}
    return of_d | {f"G_{k}": non_saturating.g(fake).mean() for k, (_, fake) in scores.items()}


def lapgan():
    coarse = (4, 4, 1)
    players = {
        "G_0": Player(dense(SHAPE), ADAM, ((Z,), SHAPE)),
        "D_0": Player(dense(), ADAM, (SHAPE, SHAPE)),
        "G_1": Player(dense(coarse), ADAM, (Z,)),
        "D_1": Player(dense(), ADAM, coarse),
    }
    return Game(players, lapgan_losses, [list(players)], DRAW), DATA


# WGAN-GP: Gulrajani et al. 2017, equation 3 and algorithm 1 with two critic steps.
def wgan_gp_losses(batch, key, *, G, D, lam=10.0):
    x, fake = batch["x"], G(G.noise(key, B))
    loss = wasserstein.d(D(x), D(fake)) + lam * wgan_gp(D, x, fake, random.fold_in(key, 1))  # [B]
    return {"D": loss.mean(), "G": wasserstein.g(D(fake)).mean()}


def wgan_gp_game():
    G, D = Player(Generator(), ADAM, (Z,)), Player(Critic(), ADAM, SHAPE)
    return Game({"G": G, "D": D}, wgan_gp_losses, [["D"]] * 2 + [["G"]], DRAW, fresh="turn"), DATA


# R1: Mescheder et al. 2018, equation 9, on the non-saturating game, G averaged.
def r1_losses(batch, key, *, G, D, gamma=10.0):
    x, fake = batch["x"], G(G.noise(key, B))
    R_1 = squared_norm(D, x).mean()
    return {
        "D": non_saturating.d(D(x), D(fake)).mean() + gamma / 2 * R_1,
        "G": non_saturating.g(D(fake)).mean(),
        "R_1": R_1,
    }


def r1():
    G, D = Player(dense(SHAPE), ADAM, (Z,), ema=0.9), Player(dense(), ADAM, SHAPE)
    return Game({"G": G, "D": D}, r1_losses, [["D"], ["G"]], DRAW), DATA


# CoGAN: Liu and Tuzel 2016, equation 3; the generators share their first layers, the critics their
# last, the noise is one.
def cogan_losses(batch, key, *, G, D):
    x = jnp.stack([batch["x"], batch["y"]], 1)  # [B, 2, H, W, 1]
    fake = D.each(G(G.noise(key, B, each=False)))  # [B, 2]
    return {"D": minimax.d(D.each(x), fake).mean(), "G": minimax.g(fake).mean()}


def cogan():
    G = Player(TrunkAndHead((8, 8), (), SHAPE), ADAM, (Z,), n=2, shared=("trunk",))
    D = Player(TrunkAndHead((8,), (), ()), ADAM, SHAPE, n=2, shared=("head",))
    return Game({"G": G, "D": D}, cogan_losses, [["D"], ["G"]], DRAW), DATA


# MIX+GAN: Arora et al. 2017, section 4; K generators and N critics with learned mixtures U and W of
# them.
def mix_losses(batch, key, *, G, D, U, W, lam=1e-2):
    real, fake = D(batch["x"]), D(G.each(G.noise(key, B)))  # [B, N], [B, K, N]
    V = (fn.log_sigmoid(real)[:, None] + fn.log_sigmoid(-fake)).mean(0)  # [K, N]
    u, w = fn.softmax(U()), fn.softmax(W())  # [K], [N]
    value, R = u @ V @ w, -jnp.log(u).sum() - jnp.log(w).sum()
    return {"G": value, "U": value + lam * R, "D": -value, "W": -value + lam * R}


def mix():
    G, D = Player(dense(SHAPE), ADAM, (Z,), n=2), Player(dense(), ADAM, SHAPE, n=3)
    players = {
        "G": G,
        "D": D,
        "U": Player(Logits(2), ADAM, None),
        "W": Player(Logits(3), ADAM, None),
    }
    return Game(players, mix_losses, [list(players)], DRAW), DATA


DENSE = {f.__name__: f for f in (triple_gan, cyclegan, gman_dropout, cgan, lapgan, r1, cogan, mix)}
CONVOLUTIONAL = {"sn_team": sn_team, "bn_team": bn_team, "gan3d": gan3d, "wgan_gp": wgan_gp_game}
