"""Payoffs and penalties against their formulas."""

from __future__ import annotations

import flax.linen as nn
import games
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import random

from ganjax.game import Bound, Player
from ganjax.losses import PAYOFFS, ce, l1, log_sigmoid
from ganjax.nets import MLP
from ganjax.penalties import gradient, squared_norm, wgan_gp

SGD = optax.sgd(0.1)


def D(r):
    return 1 / (1 + np.exp(-r))


# What is minimised, from the discriminator's probability D where the paper has one: (of D, of G).
FORMULAS = {
    "minimax": (lambda r, f: -np.log(D(r)) - np.log(1 - D(f)), lambda f, r: np.log(1 - D(f))),
    "non-saturating": (lambda r, f: -np.log(D(r)) - np.log(1 - D(f)), lambda f, r: -np.log(D(f))),
    "least-squares": (lambda r, f: ((r - 1) ** 2 + f**2) / 2, lambda f, r: (f - 1) ** 2 / 2),
    "hinge": (lambda r, f: np.maximum(0, 1 - r) + np.maximum(0, 1 + f), lambda f, r: -f),
    "wasserstein": (lambda r, f: f - r, lambda f, r: -f),
    "relativistic": (lambda r, f: -np.log(D(r - f)), lambda f, r: -np.log(D(f - r))),
}


@pytest.mark.parametrize("name", PAYOFFS)
def test_a_payoff_is_its_formula(name):
    r, f = np.random.default_rng(0).normal(0, 3, (2, 50))
    payoff, (of_d, of_g) = PAYOFFS[name], FORMULAS[name]
    np.testing.assert_allclose(
        payoff.d(jnp.float32(r), jnp.float32(f)), of_d(r, f), rtol=1e-5, atol=1e-5
    )
    np.testing.assert_allclose(
        payoff.g(jnp.float32(f), jnp.float32(r)), of_g(f, r), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("name", PAYOFFS)
def test_scores_broadcast_and_are_not_reduced(name):
    r, f = jnp.ones((5, 1)), jnp.zeros((5, 3))
    assert PAYOFFS[name].d(r, f).shape == PAYOFFS[name].g(f, r).shape in [(5, 3)]


@pytest.mark.parametrize("name", PAYOFFS)
def test_gradients_are_finite_at_large_logits(name):
    far = jnp.float32([-1e4, -100.0, 100.0, 1e4])
    r, f = (a.ravel() for a in jnp.meshgrid(far, far))
    for loss in (
        lambda r, f: PAYOFFS[name].d(r, f).sum(),
        lambda r, f: PAYOFFS[name].g(f, r).sum(),
    ):
        value, grads = jax.value_and_grad(loss, (0, 1))(r, f)
        assert np.isfinite(value)
        assert np.isfinite(grads).all()


def test_where_the_saturating_game_saturates():
    """Goodfellow et al. 2014, section 3: where D rejects a sample, G's own gradient is D, so 0, and
    the other one's is 1.
    """
    s = jnp.float32(-20)
    np.testing.assert_allclose(jax.grad(PAYOFFS["minimax"].g)(s), -D(-20.0), rtol=1e-5)
    np.testing.assert_allclose(jax.grad(PAYOFFS["non-saturating"].g)(s), -1, rtol=1e-5)


def test_cross_entropy_is_minus_the_log_probability_of_the_label():
    logits = np.random.default_rng(0).normal(size=(4, 2, 3))
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    label = np.array([0, 2, 1, 1])
    picked = np.take_along_axis(log_p, np.broadcast_to(label[:, None, None], (4, 2, 1)), -1)[..., 0]
    np.testing.assert_allclose(ce(jnp.float32(logits), label[:, None]), -picked, rtol=1e-5)
    np.testing.assert_allclose(ce(jnp.float32(logits), 2), -log_p[..., 2], rtol=1e-5)


@pytest.mark.parametrize("squash", [0.0, 0.01, 0.2])
def test_a_squashed_probability(squash):
    s = np.linspace(-8, 8, 33)
    np.testing.assert_allclose(
        log_sigmoid(jnp.float32(s), squash),
        np.log(squash + (1 - 2 * squash) * D(s)),
        rtol=1e-5,
        atol=1e-6,
    )


def test_a_squashed_log_has_a_floor():
    far = jnp.float32([-1e4, 1e4])
    np.testing.assert_allclose(log_sigmoid(far, 0.01), np.log([0.01, 0.99]), rtol=1e-5)
    assert np.isfinite(jax.vmap(jax.grad(lambda s: log_sigmoid(s, 0.01)))(far)).all()


def test_l1_is_the_mean_absolute_difference():
    assert l1(jnp.array([[1.0, 2.0]]), jnp.array([[-1.0, 2.5]])) == 1.25


def critic(net: nn.Module, sees, n=None, key=1) -> Bound:
    player = Player(net, SGD, sees, n=n)
    return player.bind(player.init(random.key(key))[0])


def member(D: Bound, i: int) -> Bound:
    return Player(D.player.net, SGD, D.player.sees).bind(
        jax.tree.map(lambda leaf: leaf[i], D.params)
    )


class Smooth(nn.Module):
    """A convolution and a dense layer, twice differentiable: [B, 4, 4, 1] -> [B]."""

    @nn.compact
    def __call__(self, x):
        x = nn.tanh(nn.Conv(3, (3, 3))(x))
        return nn.Dense(1)(x.reshape(len(x), -1))[..., 0]


def test_of_a_linear_critic_every_slope_is_its_weights():
    D, (x, y) = critic(MLP(()), (5,)), random.normal(random.key(0), (2, 7, 5))
    w = D.params["out"]["kernel"][:, 0]
    slope, r1, gp = jax.jit(
        lambda D: (gradient(D, x), squared_norm(D, x), wgan_gp(D, x, y, random.key(2)))
    )(D)
    np.testing.assert_allclose(slope, np.broadcast_to(w, (7, 5)), rtol=1e-5)
    np.testing.assert_allclose(r1, [(w**2).sum()] * 7, rtol=1e-5)
    np.testing.assert_allclose(gp, [(np.linalg.norm(w) - 1) ** 2] * 7, rtol=1e-4)


def test_the_point_between_is_drawn_for_each_pair():
    """D(x) = x²/2 has the slope x, so the penalty names the point: between the pair, and not at one
    share for all.
    """

    class Half(nn.Module):
        @nn.compact
        def __call__(self, x):
            return self.param("half", nn.initializers.constant(0.5), ()) * (x**2).sum(-1)

    D = critic(Half(), (1,))
    real, fake = jnp.full((200, 1), 2.0), jnp.full((200, 1), 4.0)
    point = 1 + np.sqrt(jax.jit(wgan_gp)(D, real, fake, random.key(0)))  # [B]
    share = (4 - point) / 2
    assert ((share >= -1e-5) & (share <= 1 + 1e-5)).all()
    assert abs(share.mean() - 0.5) < 5 / np.sqrt(12 * 200)
    np.testing.assert_allclose(share.std(), 1 / np.sqrt(12), rtol=0.2)


def test_a_zero_slope_has_a_finite_gradient():
    D = critic(MLP(()), (3,))
    flat = D.replace(variables=jax.tree.map(jnp.zeros_like, D.variables))
    x = jnp.ones((2, 3))
    grads = jax.jit(jax.grad(lambda D: wgan_gp(D, x, -x, random.key(0)).sum()))(flat)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grads))


@pytest.mark.parametrize("n", [None, 3])
def test_samples_do_not_touch_each_other(n):
    D = critic(Smooth(), (4, 4, 1), n)
    x = random.normal(random.key(0), (5, 4, 4, 1))
    penalty = jax.jit(squared_norm)
    np.testing.assert_allclose(penalty(D, x.at[1:].set(7.0))[0], penalty(D, x)[0], rtol=1e-5)
    np.testing.assert_allclose(penalty(D, x[::-1]), penalty(D, x)[::-1], rtol=1e-5)


def test_a_team_is_penalised_member_by_member():
    D = critic(Smooth(), (4, 4, 1), 3)
    x, y = random.normal(random.key(0), (2, 5, 4, 4, 1))
    alone = [member(D, i) for i in range(3)]
    penalties = jax.jit(
        lambda D: (squared_norm(D, x), wgan_gp(D, x, y, random.key(2)))
    )  # [B, n] each, or [B]
    for team, single in zip(penalties(D), zip(*map(penalties, alone))):
        np.testing.assert_allclose(team, np.stack(single, 1), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("n", [None, 2])
def test_the_slope_of_a_conditional_critic_is_in_its_first_input(n):
    D = critic(games.dense(), ((4,), (3,)), n)
    x, y = random.normal(random.key(0), (6, 4)), random.normal(random.key(1), (6, 3))
    critics = [D] if n is None else [member(D, i) for i in range(n)]
    slope = jax.jit(jax.grad(lambda x, d: d(x, y).sum()))
    expected = np.stack([(slope(x, d) ** 2).sum(-1) for d in critics], 1)
    np.testing.assert_allclose(jax.jit(squared_norm)(D, x, y).reshape(6, -1), expected, rtol=1e-4)


@pytest.mark.parametrize("penalty", ["r1", "gp"])
def test_the_gradient_of_a_penalty_through_a_convolution_is_that_of_differences(penalty):
    D = critic(Smooth(), (4, 4, 1))
    x, y = random.normal(random.key(0), (2, 5, 4, 4, 1))

    @jax.jit
    def loss(D):
        return (squared_norm(D, x) if penalty == "r1" else wgan_gp(D, x, y, random.key(2))).mean()

    grads, h = jax.jit(jax.grad(loss))(D), 1e-2
    keys = jax.tree.unflatten(
        jax.tree.structure(D),
        [random.fold_in(random.key(3), i) for i in range(len(jax.tree.leaves(D)))],
    )
    way = jax.tree.map(lambda leaf, key: random.normal(key, leaf.shape), D, keys)
    ahead, behind = (loss(jax.tree.map(lambda p, w, s=s: p + s * w, D, way)) for s in (h, -h))
    along = sum(jnp.vdot(g, w) for g, w in zip(jax.tree.leaves(grads), jax.tree.leaves(way)))
    np.testing.assert_allclose(along, (ahead - behind) / (2 * h), rtol=1e-2)
