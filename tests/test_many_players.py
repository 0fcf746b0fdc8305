"""Triple-GAN, GMAN and the grid of teams: identities of their losses, and the pieces that they are
played and measured with.
"""

from __future__ import annotations

from functools import partial

import flax.linen as nn
import gman
import grid
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import triple_gan
from jax import random
from runs import build

from ganjax import data, play
from ganjax.data.splits import read_arrays
from ganjax.figures.heat import heat_map
from ganjax.game import Player
from ganjax.metrics import convergence
from ganjax.nets.layers import BatchNorm
from ganjax.nets.triple_gan import Discriminator
from ganjax.protocols import semi_supervised


def test_the_spread_of_a_value_is_that_of_its_last_steps_and_it_rests_once():
    """A random walk of falling steps, against NumPy on the whole sequence."""
    rng = np.random.default_rng(0)
    values = np.cumsum(rng.normal(size=1200) * 0.05 * np.exp(-np.arange(1200) / 200)).astype(
        np.float32
    )
    log = jax.jit(partial(jax.lax.scan, lambda memory, at: convergence.update(memory, *at)))
    _, found = log(convergence.init(), (jnp.asarray(values), jnp.arange(len(values))))
    padded = np.concatenate([np.full(500, values[0]), values[1:]])
    sd = np.array([padded[i : i + 500].reshape(10, 50).mean(1).std() for i in range(len(values))])
    np.testing.assert_allclose(found["sd"], sd, rtol=1e-3, atol=1e-6)
    first = next(i for i in range(499, len(values)) if sd[i] < convergence.LIMIT)
    assert 499 < first < 1199
    np.testing.assert_array_equal(found["steady"], np.minimum(np.arange(len(values)), first))


def test_known_labels_are_as_many_of_each_class_and_a_draw_of_the_seed():
    label = np.random.default_rng(0).integers(0, 4, 200)
    L = semi_supervised.known_labels(label, 20, 4)
    drawn = [np.asarray(L.bind(*L.init(random.key(seed)))()) for seed in (0, 0, 1)]
    for rows in drawn:
        assert len(set(rows)) == 20
        np.testing.assert_array_equal(np.bincount(label[rows]), [5] * 4)
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert set(drawn[0]) != set(drawn[2])
    with pytest.raises(ValueError, match="the smallest class has"):
        semi_supervised.known_labels(label, 400, 4)
    with pytest.raises(ValueError, match="a multiple of the number of classes, 4; got 10"):
        semi_supervised.known_labels(label, 10, 4)


def test_digits_are_held_out_by_a_fixed_permutation():
    found = data.find("digits")
    one, again = (semi_supervised.labelled_examples(found) for _ in range(2))
    all_of_it = read_arrays(found)
    assert (len(one["x"]), len(one["test_x"])) == (1498, 299)
    assert all(np.array_equal(one[name], again[name]) for name in one)
    both = np.concatenate([one["x"], one["test_x"]]).reshape(1797, -1)
    np.testing.assert_array_equal(np.sort(both, 0), np.sort(all_of_it["x"].reshape(1797, -1), 0))


class Brightness(nn.Module):
    """Class 1 where an image is brighter than the mean of the batch norm's statistics."""

    @nn.compact
    def __call__(self, x):
        bright = BatchNorm()(x.mean((1, 2)))  # [B, 1]
        return jnp.concatenate([-bright, bright], -1)


def test_the_test_error_is_of_the_training_images_statistics():
    """Training images are half black, half white; all test images are white: their own statistics
    would tell nothing.
    """
    x = np.repeat(np.array([0, 255], np.uint8), 50)[:, None, None, None] * np.ones(
        (1, 4, 4, 1), np.uint8
    )
    arrays = {
        "x": x,
        "label": None,
        "test_x": x[50:],
        "test_label": np.r_[np.ones(40, np.int32), np.zeros(10, np.int32)],
    }
    C = Player(Brightness(), semi_supervised.optax.identity(), (4, 4, 1))
    error = jax.jit(semi_supervised.error_rate, static_argnums=3)(
        arrays, random.key(0), C.bind(*C.init(random.key(0))), 400
    )
    assert error == pytest.approx(0.2)


def state_of(experiment):
    """Its game, and the parameters that it starts with."""
    game = experiment.played
    return game, play.init(game, random.key(0), experiment.data).params


def test_before_anything_comes_late_c_learns_as_if_alone():
    """Until C's adversarial and pseudo-discriminative losses come in, its loss is the lone
    classifier's; then it is another.
    """
    losses = []
    for is_alone in (True, False):
        experiment = build(triple_gan, **{**triple_gan.QUICK, "steps": 1000, "alone": is_alone})
        game, params = state_of(experiment)
        batch = game.draw(experiment.data, random.key(1))
        evaluate = jax.jit(partial(game.apply, params, batch, random.key(2), aux={}))
        losses.append([float(evaluate(step=step)["C"]) for step in (0, 99, 500)])
    (alone, before, after), (first, until, late) = losses
    assert first == pytest.approx(alone, rel=1e-5)
    assert until == pytest.approx(before, rel=1e-5)
    assert late > after + 0.1


def test_the_noise_of_triple_gans_d_is_scaled():
    x, y = random.uniform(random.key(0), (64, 8, 8, 1)), jax.nn.one_hot(jnp.arange(64) % 10, 10)
    params = Discriminator((16, 8)).init(random.key(1), x, y)
    clean = jnp.asarray(Discriminator((16, 8)).apply(params, x, y))
    rngs = {"dropout": random.key(2)}
    moved = [
        float(jnp.abs(jnp.asarray(D.apply(params, x, y, rngs=rngs)) - clean).mean())
        for D in (Discriminator((16, 8), noise) for noise in (0.0, 0.01, 0.1))
    ]
    assert moved[0] == 0 < moved[1]
    assert moved[2] / moved[1] == pytest.approx(10, rel=0.3)


class Stub:
    """A player that is a function of its inputs, with the parameters that weight decay needs."""

    def __init__(self, f):
        self.f, self.params = f, {"out": {"kernel": jnp.zeros((1, 1))}}

    def __call__(self, *xs, key=None):
        return self.f(*xs)

    def noise(self, key, B):
        return random.uniform(key, (B, 1))


K, B = 4, 8
BY_PIXEL = Stub(lambda x: 2 * jax.nn.one_hot(label_of(x), K))  # C names an image by its only pixel


def label_of(x):
    return jnp.round((K - 1) * x.reshape(-1)).astype(int)


def of_pixels(D, C=BY_PIXEL, seed=0, **how):
    """Triple-GAN's losses where an image of class k is one pixel k / (K - 1), and G makes any class
    for any label.
    """
    label = np.arange(40) % K
    x = (label[:, None, None, None] * (255 // (K - 1))).astype(np.uint8)
    u, d = (
        random.permutation(random.key(seed + i), jnp.asarray(x / 255, jnp.float32))[:n]
        for i, n in enumerate((B, 3 * B))
    )
    batch = {"x_u": u, "x_d": d, "all": {"x": jnp.asarray(x), "label": jnp.asarray(label)}}
    G, L = (
        Stub(lambda z, y: jnp.round((K - 1) * z)[..., None, None] / (K - 1)),
        Stub(lambda: jnp.arange(2 * B)),
    )
    o = triple_gan.Options(batch=B, steps=50, late=0.4, **how)
    return triple_gan.losses(batch, random.key(1), G=G, D=D, C=C, L=L, step=10, K=K, o=o)


@pytest.mark.parametrize("centred", [False, True])
def test_a_d_that_says_the_same_of_all_pairs_moves_a_centred_c_nowhere(centred):
    """Uncentred it costs C half its certainty times -log D, whatever the label."""
    D, p = Stub(lambda x, y: jnp.full(len(x), 0.3)), jax.nn.softmax(jnp.array([2.0, 0, 0, 0])).max()
    cost = of_pixels(D, centred=centred)["C"] - of_pixels(D, alone=True)["C"]
    assert cost == pytest.approx(0 if centred else float(0.5 * p * jax.nn.softplus(-0.3)), abs=1e-6)


def test_the_adversarial_loss_of_c_is_of_each_example():
    """The mean of p cost; the authors' code, by its broadcast, has mean(p) mean(cost)."""
    C = Stub(lambda x: (1 + label_of(x))[:, None] * jax.nn.one_hot(label_of(x), K))
    D = Stub(lambda x, y: label_of(x) - 1.0)
    pixels = jnp.tile(jnp.arange(K) / (K - 1), 10)  # of all examples
    k = label_of(random.permutation(random.key(0), pixels)[:B])  # of the unlabelled batch
    certainty = np.exp(1 + k) / (np.exp(1 + k) + K - 1)
    cost = np.log1p(np.exp(1.0 - k))
    found = 2 * (of_pixels(D, C)["C"] - of_pixels(D, C, alone=True)["C"])
    assert found == pytest.approx(float((certainty * cost).mean()), abs=1e-5)
    assert abs(found - certainty.mean() * cost.mean()) > 0.05


def test_mismatched_pairs_are_real_images_whose_label_is_never_right():
    """They cost a D that knows the labels nothing, and one that takes all for real half of softplus
    of its logit.
    """
    knows = Stub(lambda x, y: jnp.where(y.argmax(-1) == label_of(x), 50.0, -50.0))
    assert of_pixels(knows, mismatched=True)["D"] == of_pixels(knows)["D"]
    fooled = Stub(lambda x, y: jnp.full(len(x), 1.5))
    more = of_pixels(fooled, mismatched=True)["D"] - of_pixels(fooled)["D"]
    assert more == pytest.approx(float(0.5 * jax.nn.softplus(1.5)), abs=1e-6)


def test_a_supervised_c_learns_nothing_of_unlabelled_images():
    """Where C names images by chance, its own losses differ between two draws of them; a supervised
    C's does not.
    """
    names = Stub(
        lambda x: jnp.stack(
            [x.reshape(-1), 3 * x.reshape(-1) ** 2, 0 * x.reshape(-1), x.reshape(-1) - 1], -1
        )
    )
    for supervised in (False, True):
        one, other = (
            of_pixels(None, names, seed, alone=True, supervised=supervised)["C"] for seed in (0, 5)
        )
        assert (one == other) == supervised


@pytest.mark.parametrize("without", ["alone", "supervised"])
@pytest.mark.parametrize("how", ["centred", "mismatched"])
def test_what_is_about_d_is_refused_where_d_does_not_play(without, how):
    with pytest.raises(ValueError, match="which neither alone nor supervised plays"):
        build(triple_gan, **{without: True, how: True})


def test_a_grid_of_equals_is_one_pair():
    """K equal generators with the same noise and N equal discriminators: whatever the weights,
    every loss is that of one pair.
    """
    experiment = build(grid, k=2, n=3, width=8, batch=16, lam=0.0)
    game, params = state_of(experiment)
    params = {**params, "G": one_for_all(params["G"]), "D": one_for_all(params["D"])}
    batch = {"x": experiment.data.draw(random.key(1), 16)}
    bound = {name: player.bind(params[name], name=name) for name, player in game.players.items()}
    z = bound["G"].noise(random.key(2), 16, each=False)
    payoff = grid.PAYOFFS["non-saturating"]
    same = {**bound, "G": Same(bound["G"], z)}
    out = grid.losses(batch, random.key(3), **same, o=experiment.options)
    real, fake = bound["D"](batch["x"])[:, 0], bound["D"](bound["G"](z))[:, 0, 0]
    for names, value in (
        (("D", "W"), payoff.d(real, fake).mean()),
        (("G", "U"), payoff.g(fake).mean()),
    ):
        for name in names:
            assert out[name] == pytest.approx(float(value), rel=1e-5)


class Same:
    """A team whose members all see the same noise."""

    def __init__(self, G, z):
        self.G, self.z = G, z

    def noise(self, key, B):
        return self.z

    def each(self, z):
        return self.G(z)


def one_for_all(params):
    """The first member's parameters for every member."""
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[:1], leaf.shape), params)


def test_the_larger_grid_has_no_more_parameters():
    sizes = {}
    for row, options in grid.TABLES["ring"].rows.items():
        experiment = build(grid, **options)
        params = play.template(experiment.played, random.key(0), experiment.data).params
        sizes[row] = sum(leaf.size for leaf in jax.tree.leaves((params["G"], params["D"])))
    assert 0.98 * sizes["1 x 1"] < sizes["3 x 3"] <= sizes["1 x 1"]


def test_gman_pads_with_black_and_then_has_the_papers_nets():
    experiment = build(gman, data="digits", pad=32, width=16, n=2)
    assert experiment.data["x"].shape[1:] == (32, 32, 1)
    assert not experiment.data["x"][:, :12].any()
    assert experiment.played.convolves
    with pytest.raises(ValueError, match="ring has points of 2 numbers"):
        build(gman, data="ring", pad=32)


def test_a_table_of_numbers_is_drawn_or_refused():
    figure = heat_map([[1.0, 2.0]], ["a"], ["b", "c"])
    assert [text.get_text() for text in figure.axes[0].texts] == ["1.00", "2.00"]
    with pytest.raises(ValueError, match="2 rows and 1 columns"):
        heat_map([[1.0, 2.0]], ["a", "b"], ["c"])
