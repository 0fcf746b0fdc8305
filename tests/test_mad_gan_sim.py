"""MAD-GAN-Sim: the similarity, what a generator falls short of its rivals, and the losses made of
both.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import mad_gan_sim
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import random
from runs import build
from scipy.special import expit

from ganjax import play
from ganjax.nets import mad_gan

AXES = jnp.eye(3)  # three orthogonal features


def test_equal_generators_are_alike_and_orthogonal_ones_are_not():
    f = jnp.stack([AXES[0], 7 * AXES[0], AXES[1], -AXES[1]])[None]  # [1, 4, 3]
    expected = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, -1], [0, 0, -1, 1]])
    np.testing.assert_allclose(mad_gan_sim.similarity(f)[0], expected, atol=1e-6)
    maps = jnp.broadcast_to(f.reshape(1, 4, 3, 1, 1), (2, 4, 3, 2, 2))
    np.testing.assert_allclose(mad_gan_sim.similarity(maps)[1], expected, atol=1e-6)


def test_features_that_vanish_are_alike_to_none_and_have_a_gradient():
    f = jnp.zeros((1, 2, 3)).at[0, 0, 0].set(1.0)
    value, slope = jax.value_and_grad(lambda f: mad_gan_sim.similarity(f)[0, 1, 0])(f)
    assert value == 0
    assert np.isfinite(slope).all()


def test_a_rival_is_a_constant():
    f = random.normal(random.key(0), (1, 3, 5))
    slope = jax.grad(lambda f: mad_gan_sim.similarity(f)[0, 0].sum())(f)
    assert np.abs(slope[0, 0]).max() > 0.01
    np.testing.assert_array_equal(slope[0, 1:], 0)
    slope = jax.grad(lambda p: mad_gan_sim.shortfall(p, jnp.ones((1, 3, 3)))[0, 0])(
        jnp.array([[0.5, 0.4, 0.3]])
    )
    np.testing.assert_allclose(slope, [[-1, 0, 0]])


scores = st.lists(st.floats(0, 1, width=32), min_size=2, max_size=5)


@settings(deadline=None)
@given(p=scores, alike=st.floats(-1, 1, width=32))
def test_a_generator_falls_short_of_its_rivals_mean_score_and_the_similarity(p, alike):
    k, p = len(p), np.array(p, np.float32)
    short = mad_gan_sim.shortfall(p[None], jnp.full((1, k, k), alike))[0]
    mean = (p.sum() - p) / (k - 1)
    np.testing.assert_allclose(short, np.maximum(0, mean + alike - p), atol=1e-5)
    satisfied = p >= p.max() + alike + 1e-5  # then against each rival, so also on average
    np.testing.assert_array_equal(np.asarray(short)[satisfied], 0)


def test_alike_generators_with_equal_scores_fall_short_by_one_and_apart_by_nothing():
    p = jnp.full((1, 3), 0.25)
    np.testing.assert_array_equal(mad_gan_sim.shortfall(p, jnp.ones((1, 3, 3))), 1)
    np.testing.assert_array_equal(mad_gan_sim.shortfall(p, jnp.eye(3)[None]), 0)


@pytest.mark.parametrize("lam", [0.0, 3.0])
def test_the_losses_by_hand(lam):
    """A binary GAN against k generators (at lam 0 MA-GAN), and what each lacks."""
    options = {**mad_gan_sim.QUICK, "k": 3, "lam": lam, "width": 8, "batch": 4}
    experiment = build(mad_gan_sim, **options)
    game = experiment.played
    state = play.init(game, random.key(0), experiment.data)
    batch = game.draw(experiment.data, random.key(1))
    losses = jax.jit(partial(game.apply, aux={}))(state.params, batch, random.key(2))
    G, D = (game.players[name].bind(state.params[name], name=name) for name in "GD")
    fake = G(G.noise(random.key(2), 4, each=False))
    real, p, f = expit(D(batch["x"])), expit(D(fake)), np.asarray(D(fake, method="features")[-1])
    np.testing.assert_allclose(losses["D"], -np.log(real).mean() - np.log(1 - p).mean(), rtol=1e-5)
    lacks = np.zeros((4, 3))
    for b, i in np.ndindex(4, 3):
        cosine = [
            f[b, i] @ f[b, j] / np.linalg.norm(f[b, i]) / np.linalg.norm(f[b, j]) for j in range(3)
        ]
        lacks[b, i] = max(0, np.mean([p[b, j] + cosine[j] - p[b, i] for j in range(3) if j != i]))
    assert lacks.max() > 0
    np.testing.assert_allclose(losses["G"], (-np.log(p) + lam * lacks).mean(0).sum(), rtol=1e-4)
    np.testing.assert_allclose(losses["short"], lacks.mean(), rtol=1e-4)


def test_an_undecided_discriminator_weighs_real_and_generated_samples_alike():
    experiment = build(mad_gan_sim, **{**mad_gan_sim.QUICK, "k": 3, "width": 8, "batch": 4})
    game = experiment.played
    params = jax.tree.map(jnp.zeros_like, play.init(game, random.key(0), experiment.data).params)
    grads, out = play.field(game, params, {"x": jnp.ones((4, 2))}, random.key(0), ("D",))
    np.testing.assert_allclose(out["D"], 2 * np.log(2), rtol=1e-6)
    np.testing.assert_allclose(grads["D"]["score"]["bias"], 0, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "features"), [((2,), [(8,)]), ((32, 32, 3), [(16, 16, 8), (8, 8, 16), (4, 4, 32)])]
)
def test_the_critic_scores_and_shows_its_features(shape, features):
    net, x = mad_gan.critic(shape, 8), jnp.zeros((5, *shape))
    variables = jax.eval_shape(net.init, random.key(0), x)
    assert jax.eval_shape(net.apply, variables, x).shape == (5,)
    seen = jax.eval_shape(partial(net.apply, method="features"), variables, x)
    assert [maps.shape for maps in seen] == [(5, *shape) for shape in features]


def test_images_are_played():
    o = mad_gan_sim.Options(k=2, width=8, z=5, batch=4, lr=1e-3)
    game = mad_gan_sim.game((32, 32, 1), o)
    data = {"x": np.zeros((8, 32, 32, 1), np.uint8)}
    state = play.template(game, random.key(0), data)
    batch = jax.eval_shape(lambda key: game.draw(data, key), random.key(0))
    losses = jax.eval_shape(partial(game.apply, aux={}), state.params, batch, random.key(0))
    assert {name: loss.shape for name, loss in losses.items()} == dict.fromkeys(
        ("D", "G", "similarity", "short"), ()
    )


def test_one_generator_has_no_rival():
    with pytest.raises(ValueError, match="k must be 2 or more; got 1"):
        build(mad_gan_sim, data="ring", k=1)
