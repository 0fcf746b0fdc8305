"""Layers: what they compute, and that they change nothing while a game is played."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import random

from ganjax.game import Player
from ganjax.nets import MLP
from ganjax.nets.layers import BatchNorm, Dropout, Maxout, SpectralNorm, max_pool, standing

SGD = optax.sgd(0.1)


def settled(net: nn.Module, variables, *xs, times: int = 100):
    """The variables after so many power iterations."""

    def once(_, variables):
        return variables | net.apply(variables, *xs, mutable=["aux"])[1]

    return jax.jit(lambda v: jax.lax.fori_loop(0, times, once, v))(variables)


class Inside(nn.Module):
    """A layer as it stands in a net, with the spectral norm 1."""

    layer: Callable[[], nn.Dense | nn.Conv]

    @nn.compact
    def __call__(self, x):
        return SpectralNorm(self.layer())(x)


def kernel_of(variables):
    """The only leaf of more than one axis."""
    (kernel,) = (leaf for leaf in jax.tree.leaves(variables["params"]) if leaf.ndim > 1)
    return kernel


def with_kernel(variables, W):
    return variables | {
        "params": jax.tree.map(lambda leaf: W if leaf.ndim > 1 else leaf, variables["params"])
    }


def test_the_norm_may_be_the_whole_net():
    net = SpectralNorm(nn.Dense(4))
    x = jnp.ones((2, 6))
    assert jnp.asarray(net.apply(net.init(random.key(1), x), x)).shape == (2, 4)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (partial(nn.Dense, 4), (2, 6)),
        (partial(nn.Conv, 4, (3, 3), 2), (2, 6, 6, 2)),
        (partial(nn.Conv, 3, (2, 2, 2)), (1, 3, 3, 3, 2)),
    ],
)
def test_the_kernel_in_use_has_the_spectral_norm_one(layer, shape):
    net, x = Inside(layer), random.normal(random.key(0), shape)
    variables = settled(net, net.init(random.key(1), x), x)
    W = np.asarray(kernel_of(variables))
    sigma = np.linalg.svd(W.reshape(-1, W.shape[-1]), compute_uv=False)[0]
    used = {"params": {"kernel": W / sigma, "bias": np.zeros(W.shape[-1])}}
    got, wanted = (np.asarray(y) for y in (net.apply(variables, x), layer().apply(used, x)))
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def test_the_vector_moves_only_where_it_may():
    net, x = Inside(partial(nn.Dense, 4)), random.normal(random.key(0), (2, 6))
    variables = net.init(random.key(1), x)
    once = net.apply(variables, x, mutable=["aux"])[1]["aux"]
    (got,), (u,) = jax.tree.leaves(once), jax.tree.leaves(variables["aux"])
    W = np.asarray(kernel_of(variables))
    moved = W.T @ (W @ np.asarray(u))
    np.testing.assert_allclose(got, moved / np.linalg.norm(moved), rtol=1e-5)


def test_the_gradient_flows_through_sigma():
    """Miyato et al. 2018, equations 10 to 12: dL/dW = (dL/dW̄ - <dL/dW̄, W̄> v u') / σ; so it is
    orthogonal to W.
    """
    net, (x, y) = (
        Inside(partial(nn.Dense, 4, use_bias=False)),
        random.normal(random.key(0), (2, 5, 6)),
    )
    variables = settled(net, net.init(random.key(1), x), x)
    W = kernel_of(variables)
    grads = jax.grad(lambda W: (net.apply(with_kernel(variables, W), x) * y[:, :4]).sum())(W)
    left, (sigma, *_), right = np.linalg.svd(np.asarray(W), full_matrices=False)
    bar, plain = np.asarray(W) / sigma, np.asarray(x).T @ np.asarray(y)[:, :4]
    expected = (plain - (plain * bar).sum() * np.outer(left[:, 0], right[0])) / sigma
    np.testing.assert_allclose(grads, expected, rtol=1e-3, atol=1e-3)
    assert abs((expected * bar).sum()) < 1e-3 < np.abs(expected).max()
    np.testing.assert_allclose((np.asarray(grads) * bar).sum(), 0, atol=1e-3)


X = 3 + 2 * np.random.default_rng(0).normal(size=(8, 4, 4, 3)).astype(np.float32)


def test_a_normalised_batch_has_mean_zero_and_variance_one():
    y = np.asarray(BatchNorm(scale=None, shift=False).apply({}, X))
    np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(y.var((0, 1, 2)), 1, rtol=1e-4)


def test_batch_normalisation_is_that_of_flax():
    params = {"scale": jnp.array([1.0, 2.0, -1.0]), "bias": jnp.array([0.0, 1.0, 5.0])}
    flax, _ = nn.BatchNorm(use_running_average=False).init_with_output(random.key(0), X)
    np.testing.assert_allclose(
        BatchNorm().init_with_output(random.key(0), X)[0], flax, rtol=1e-4, atol=1e-5
    )
    flax, _ = nn.BatchNorm(use_running_average=False).apply(
        {"params": params, "batch_stats": {}}, X, mutable=["batch_stats"]
    )
    ours = np.asarray(BatchNorm().apply({"params": params}, X))
    np.testing.assert_allclose(ours, flax, rtol=1e-4, atol=1e-5)


class Normalised(nn.Module):
    """[B, 4, 4, 3] -> [B]."""

    @nn.compact
    def __call__(self, x):
        return BatchNorm()(nn.Dense(2)(BatchNorm()(x).reshape(len(x), -1))).sum(-1)


@pytest.mark.parametrize("n", [None, 2])
def test_standing_statistics_give_each_sample_what_its_batch_gave_it(n):
    player = Player(Normalised(), SGD, X.shape[1:], n=n)
    params, _ = player.init(random.key(0))
    stats = jax.jit(lambda params: standing(player, params, None, X[None]))(params)
    score = jax.jit(lambda x: player.bind(params, stats=stats)(x))
    np.testing.assert_allclose(score(X), player.bind(params)(X), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(score(X[:2]), score(X)[:2], rtol=1e-5, atol=1e-5)


def test_standing_statistics_are_a_mean_over_batches():
    player = Player(BatchNorm(), SGD, (3,))
    params, _ = player.init(random.key(0))
    batches = X.reshape(4, -1, 3)
    stats = standing(player, params, None, batches)
    np.testing.assert_allclose(stats["mean"], batches.mean((0, 1)), rtol=1e-5)
    np.testing.assert_allclose(stats["var"], batches.var(1).mean(0), rtol=1e-4)


@jax.jit
def dropped(rate, key):
    return Dropout().apply({}, jnp.ones(10_000), rate, rngs={"dropout": key})


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5, 0.9])
def test_dropout_at_a_traced_rate(rate):
    y = np.asarray(dropped(rate, random.key(0)))
    kept = y[y != 0]
    assert abs(len(kept) - 10_000 * (1 - rate)) <= 5 * np.sqrt(10_000 * rate * (1 - rate))
    np.testing.assert_allclose(kept, 1 / (1 - rate), rtol=1e-5)


def test_without_a_key_dropout_passes():
    x = jnp.arange(4.0)
    np.testing.assert_array_equal(Dropout().apply({}, x, 0.5), x)


class Drawn(nn.Module):
    """Which entries of x the key of Dropout keeps at rate .3, drawn in x's own shape."""

    @nn.compact
    def __call__(self, x):
        return random.bernoulli(self.make_rng("dropout"), 0.7, x.shape)


def test_dropout_draws_the_bits_of_its_inputs_own_shape():
    x, rngs = jnp.ones((3, 4, 5, 2)), {"dropout": random.key(0)}
    y = Dropout().apply({}, x, 0.3, rngs=rngs)
    np.testing.assert_array_equal(y != 0, Drawn().apply({}, x, rngs=rngs))


class Dropped(nn.Module):
    """[B, 1000] -> [B, 1000]."""

    @nn.compact
    def __call__(self, x, rate):
        return Dropout()(x, rate)


def test_each_member_drops_out_at_its_own_rate_and_apart():
    rates = np.array([0.1, 0.6, 0.6])
    D = Player(Dropped(), SGD, (1000,), n=3, per={"rate": rates}).bind({}, name="D")
    y = np.asarray(
        jax.jit(lambda key: D(jnp.ones((8, 1000)), key=key))(random.key(0))
    )  # [B, n, 1000]
    np.testing.assert_allclose((y == 0).mean((0, 2)), rates, atol=0.03)
    assert (y[:, 1] != y[:, 2]).any()
    np.testing.assert_array_equal(D(jnp.ones((2, 1000))), 1)


def test_maxout_is_the_largest_of_affine_maps():
    net, x = Maxout(4, 3), random.normal(random.key(0), (5, 6))
    variables = net.init(random.key(1), x)
    dense = variables["params"]["Dense_0"]
    W, b = np.asarray(dense["kernel"]).reshape(6, 4, 3), np.linspace(-1, 1, 12)
    y = np.asarray(net.apply({"params": {"Dense_0": {**dense, "bias": jnp.float32(b)}}}, x))
    maps = [np.asarray(x) @ W[..., i] + b.reshape(4, 3)[:, i] for i in range(3)]
    np.testing.assert_allclose(y, np.max(maps, 0), rtol=1e-4, atol=1e-5)


class Everything(nn.Module):
    """[B, 4, 4, 3] -> [B]: each layer once."""

    @nn.compact
    def __call__(self, x):
        x = Maxout(4, 2)(BatchNorm()(SpectralNorm(nn.Conv(4, (3, 3)))(x)))
        return Dropout()(nn.Dense(1)(x.reshape(len(x), -1)), 0.5)[..., 0]


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.dtype("bfloat16"), "bfloat16"])
def test_half_precision_is_near_and_comes_back_in_float32(dtype):
    full, half = (Player(Everything(), SGD, X.shape[1:], dtype=d) for d in (None, dtype))
    params, aux = full.init(random.key(0))
    exact, near = (
        jax.jit(lambda params, p=p: p.bind(params, aux)(X))(params) for p in (full, half)
    )
    assert near.dtype == exact.dtype == jnp.float32
    error = np.linalg.norm(near - exact) / np.linalg.norm(exact)
    assert 0 < error < 0.05
    grads = jax.eval_shape(jax.grad(lambda params: half.bind(params, aux)(X).sum()), params)
    assert {leaf.dtype for leaf in jax.tree.leaves(grads)} == {jnp.dtype("float32")}


def test_a_net_of_dense_layers_in_half_precision():
    full, half = (Player(MLP((16, 16)), SGD, (4,), dtype=d) for d in (None, "bfloat16"))
    params, _ = full.init(random.key(0))
    x = random.normal(random.key(1), (8, 4))
    np.testing.assert_allclose(half.bind(params)(x), full.bind(params)(x), atol=0.05)


def test_standing_statistics_of_a_shared_layer_are_each_members_own():
    class Critic(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(1, name="last")(BatchNorm(name="norm")(nn.Dense(3, name="own")(x)))[
                ..., 0
            ]

    team = Player(Critic(), optax.sgd(0.1), (2,), n=2, shared=("norm", "last"))
    params, aux = team.init(random.key(0))
    x = random.normal(random.key(1), (64, 2))
    stats = standing(team, params, aux, x[None])
    assert stats["norm"]["mean"].shape == (2, 3)
    np.testing.assert_allclose(
        team.bind(params, aux, stats)(x), team.bind(params, aux)(x), atol=1e-5
    )


def test_dropping_everything_has_a_finite_gradient():
    def loss(x):
        y = Dropout().apply({}, x, 1.0, rngs={"dropout": random.key(0)})
        return jnp.asarray(y).sum()

    np.testing.assert_array_equal(jax.grad(loss)(jnp.ones(5)), jnp.zeros(5))


@pytest.mark.parametrize("shape", [(2, 6, 4, 3), (1, 5, 7, 2)])
def test_max_pool_and_its_gradient_are_those_of_a_window_reduction_ties_and_all(shape):
    x = random.randint(random.key(0), shape, 0, 4).astype(
        jnp.float32
    )  # so few values that most windows have ties

    def reduced(x):
        return nn.max_pool(x, (2, 2), (2, 2))

    y, back = jax.vjp(max_pool, x)
    other, other_back = jax.vjp(reduced, x)
    g = random.normal(random.key(1), y.shape)
    np.testing.assert_array_equal(y, other)
    np.testing.assert_array_equal(*(b(g)[0] for b in (back, other_back)))


@pytest.mark.parametrize("corner", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_max_pool_hides_no_nan(corner):
    x = jnp.ones((1, 2, 2, 1)).at[0, corner[0], corner[1], 0].set(jnp.nan)
    assert jnp.isnan(max_pool(x)).all()
