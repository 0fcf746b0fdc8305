"""Games whose course, value or equilibrium is known exactly."""

from __future__ import annotations

from functools import partial

import flax.linen as nn
import games
import jax
import jax.numpy as jnp
import mad_gan
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jax import random
from jax.nn import log_sigmoid, sigmoid
from scipy.spatial.distance import jensenshannon
from scipy.special import logsumexp

from ganjax import aggregates, play
from ganjax.game import Game, Player
from ganjax.losses import minimax, non_saturating, relativistic, wasserstein

SGD = optax.sgd(0.1)
field = jax.jit(play.field, static_argnums=(0, 4))
NOTHING = lambda data, key: data  # noqa: E731


class Number(nn.Module):
    """One number."""

    first: float

    @nn.compact
    def __call__(self):
        return self.param("value", nn.initializers.constant(self.first), ())


def xy(batch, key, *, X, Y):
    """min over x, max over y of xy."""
    return {"X": X() * Y(), "Y": -X() * Y()}


@pytest.mark.parametrize(("turns", "radius"), [([["X", "Y"]], 17.0160), ([["X"], ["Y"]], 1.4103)])
def test_the_bilinear_game(turns, radius):
    """At once each step multiplies the radius by sqrt(1 + 0.1²), so it ends at sqrt(2) 1.01^250; in
    turn it circles.
    """
    players = {"X": Player(Number(1.0), SGD, None), "Y": Player(Number(1.0), SGD, None)}
    game = Game(players, xy, turns, NOTHING)
    state, _ = play.run(game, play.init(game, random.key(0), {}), {}, 500)
    np.testing.assert_allclose(np.hypot(*jax.tree.leaves(state.params)), radius, rtol=1e-3)


# Teams.
VALUES = arrays(np.float32, 4, elements=st.floats(-5, -0.125, width=32))
MEANS = [aggregates.arithmetic, aggregates.geometric, aggregates.harmonic]
softness = st.floats(0, 10)


@jax.jit
def means(V, lam):
    """The three soft means."""
    return [mean(V, lam) for mean in MEANS]


@jax.jit
def slope(V, lam):
    """d/dλ of the arithmetic one, and the weights."""
    return jax.grad(aggregates.arithmetic, 1)(V, lam), aggregates.weights(V, lam)


@settings(max_examples=50, deadline=None)
@given(VALUES)
def test_softness_zero_is_the_plain_mean(V):
    expected = [V.mean(), -np.exp(np.log(-V).mean()), 1 / (1 / V).mean()]
    np.testing.assert_allclose(means(V, 0.0), expected, rtol=1e-5)


@pytest.mark.parametrize("mean", MEANS)
def test_a_large_softness_is_the_largest_value(mean):
    V = jnp.array([[-3.0, -1.0, -2.0], [-0.5, -0.75, -4.0]])
    np.testing.assert_allclose(mean(V, 1e3), [-1, -0.5], rtol=1e-5)
    np.testing.assert_array_equal(aggregates.largest(V), [-1, -0.5])


@settings(max_examples=50, deadline=None)
@given(VALUES, softness)
def test_soft_means_are_ordered_and_between_the_extremes(V, lam):
    """By Jensen's inequality, as all weigh the members alike."""
    assert (np.diff([V.min(), *means(V, lam), V.max()]) >= -1e-4).all()


@settings(max_examples=50, deadline=None)
@given(VALUES, softness, softness)
def test_a_larger_softness_asks_for_more(V, a, b):
    """dAM/dλ is the variance of V under the weights, so it is 0 or more."""
    low, high = sorted((a, b))
    assert means(V, low)[0] <= means(V, high)[0] + 1e-4
    along, w = map(np.asarray, slope(V, a))
    np.testing.assert_allclose(along, w @ (V - w @ V) ** 2, rtol=1e-3, atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(VALUES, softness, st.randoms())
def test_the_order_of_members_is_nothing(V, lam, chance):
    mixed = np.array(chance.sample(list(V), len(V)), np.float32)
    np.testing.assert_allclose(means(V, lam), means(mixed, lam), rtol=1e-4)


@pytest.mark.parametrize("mean", MEANS)
def test_equal_critics_are_one_critic(mean):
    def losses(batch, key, *, G, D):
        real, fake = D(batch), D(G(G.noise(key, 6)))  # [B, N]
        V = (log_sigmoid(real) + log_sigmoid(-fake)).mean(0).reshape(-1)  # [N]
        return {"G": mean(V, 2.0), "D": -V.sum()}

    G = Player(games.dense((2,)), SGD, (3,))
    one, many = (Player(games.dense(), SGD, (2,), n=n) for n in (None, 3))
    params = {"G": G.init(random.key(0))[0], "D": one.init(random.key(1))[0]}
    copies = {**params, "D": jax.tree.map(lambda leaf: jnp.stack([leaf] * 3), params["D"])}
    x = random.normal(random.key(2), (6, 2))
    fields = []
    for D, point in ((one, params), (many, copies)):
        game = Game({"G": G, "D": D}, losses, [["G", "D"]], NOTHING)
        fields.append(field(game, point, x, random.key(3), ("G", "D"))[0])
    jax.tree.map(
        partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), fields[0]["G"], fields[1]["G"]
    )
    for i in range(3):
        jax.tree.map(
            lambda a, b, i=i: np.testing.assert_allclose(a, b[i], rtol=1e-4, atol=1e-6),
            fields[0]["D"],
            fields[1]["D"],
        )


# Optimal discriminators, on densities known exactly: those of samples in M cells.
class Table(nn.Module):
    """A row of scores for each cell, [B] cells -> [B, *out]."""

    cells: int
    out: tuple[int, ...] = ()

    @nn.compact
    def __call__(self, x):
        return self.param("rows", nn.initializers.zeros, (self.cells, *self.out))[x.astype(int)]


M = 8
REAL, FAKE = (
    np.clip(np.random.default_rng(i).normal(3 + i, 1 + i, 1000), 0, M - 1)
    .astype(np.float32)
    .round()
    for i in (0, 1)
)
P, Q = (np.bincount(cells.astype(int), minlength=M) / 1000 for cells in (REAL, FAKE))


def cells_losses(batch, key, *, D):
    return {"D": minimax.d(D(batch["real"]), D(batch["fake"])).mean()}


CELLS = Game({"D": Player(Table(M), optax.sgd(5.0), ())}, cells_losses, [["D"]], NOTHING)
BOTH = {"real": REAL, "fake": FAKE}


def test_the_optimal_discriminator_and_its_value():
    """D = p / (p + q), and V there is -log 4 + 2 JSD (Goodfellow et al. 2014, proposition 1 and
    theorem 1).
    """
    params = {"D": {"rows": jnp.log(P) - jnp.log(Q)}}
    grads, out = field(CELLS, params, BOTH, random.key(0), ("D",))
    np.testing.assert_allclose(grads["D"]["rows"], 0, atol=1e-6)
    np.testing.assert_allclose(-out["D"], -np.log(4) + 2 * jensenshannon(P, Q) ** 2, rtol=1e-5)


def test_a_discriminator_that_plays_alone_becomes_optimal():
    state, log = play.run(CELLS, play.init(CELLS, random.key(0), BOTH), BOTH, 1000)
    seen = P + Q > 0.02
    np.testing.assert_allclose(
        sigmoid(state.params["D"]["rows"])[seen], (P / (P + Q))[seen], atol=0.01
    )
    np.testing.assert_allclose(-log["D"][0], -np.log(4), rtol=1e-5)  # D = 1/2
    np.testing.assert_allclose(-log["D"][-1], -np.log(4) + 2 * jensenshannon(P, Q) ** 2, atol=1e-3)


class Shift(nn.Module):
    """z moved by a number: [B] -> [B]."""

    @nn.compact
    def __call__(self, z):
        return z + self.param("by", nn.initializers.zeros, ())


def mad(k, cells=3):
    """k generators, each on cells of its own; together they make the data."""
    players = {
        "G": Player(Shift(), SGD, (), n=k, prior=lambda key, shape: jnp.arange(shape[0]) % cells),
        "D": Player(Table(cells * k, (k + 1,)), SGD, ()),
    }
    game = Game(players, mad_gan.losses, [["D"], ["G"]], NOTHING)
    return (
        game,
        {"x": jnp.arange(cells * k, dtype=jnp.float32)},
        {"by": cells * jnp.arange(k, dtype=jnp.float32)},
    )


@pytest.mark.parametrize("k", [1, 4])
def test_the_equilibrium_of_mad_gan(k):
    """Ghosh et al. 2018: D_j = p_j / Σ p there, and the value is -(k+1) log(k+1) + k log k."""
    game, batch, G = mad(k)
    mine = jnp.arange(3 * k) // 3  # the generator of each cell
    odds = (
        jnp.full((3 * k, k + 1), -1e4)
        .at[jnp.arange(3 * k), mine]
        .set(jnp.log(float(k)))
        .at[:, k]
        .set(0.0)
    )
    grads, out = field(game, {"G": G, "D": {"rows": odds}}, batch, random.key(0), ("D",))
    np.testing.assert_allclose(grads["D"]["rows"], 0, atol=1e-6)
    value = -(k + 1) * np.log(k + 1) + k * np.log(k)
    np.testing.assert_allclose(-out["D"], value, rtol=1e-5)
    if k == 1:
        np.testing.assert_allclose(value, -np.log(4))


def test_any_generators_of_mad_gan():
    """Where all make the data, D's optimum is even, and the value -(k+1) log(k+1)."""
    game, *_ = mad(4)
    alike = {"G": {"by": jnp.zeros(4)}, "D": {"rows": jnp.zeros((12, 5))}}
    grads, out = field(game, alike, {"x": jnp.tile(jnp.arange(3.0), 4)}, random.key(0), ("D",))
    np.testing.assert_allclose(grads["D"]["rows"], 0, atol=1e-6)
    np.testing.assert_allclose(-out["D"], -5 * logsumexp(np.zeros(5)), rtol=1e-5)


@pytest.mark.parametrize("payoff", [minimax, non_saturating, wasserstein, relativistic])
def test_the_field_vanishes_at_the_equilibrium_of_the_dirac_gan(payoff):
    """Mescheder et al. 2018, section 2: real data at 0, a generator at θ, D(x) = ψx; it stands
    still at θ = ψ = 0 alone.
    """

    class Line(nn.Module):
        @nn.compact
        def __call__(self, x):
            return self.param("slope", nn.initializers.zeros, ()) * x

    def losses(batch, key, *, G, D):
        real, fake = D(jnp.zeros(1)), D(G()[None])
        return {"D": payoff.d(real, fake).mean(), "G": payoff.g(fake, real).mean()}

    game = Game(
        {"G": Player(Number(0.0), SGD, None), "D": Player(Line(), SGD, ())},
        losses,
        [["G", "D"]],
        NOTHING,
    )

    def at(theta, psi):
        params = {"G": {"value": jnp.float32(theta)}, "D": {"slope": jnp.float32(psi)}}
        return np.array(jax.tree.leaves(field(game, params, {}, random.key(0), ("G", "D"))[0]))

    np.testing.assert_array_equal(at(0, 0), 0)
    assert np.abs(at(0.5, 0)).max() > 0.1
    assert np.abs(at(0, 0.5)).max() > 0.1
