"""Two domains, pools of old fakes, and what pairs measure: closed forms and identities."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import random

from ganjax import image_pool
from ganjax.data import transforms
from ganjax.data.domains import (
    domains_of,
    domains_of_two,
    match_channels,
    require_sides,
    unpaired,
)
from ganjax.figures.strips import pyramid_strips, strips
from ganjax.game import Bound, Player
from ganjax.metrics import pairs as image_pairs
from ganjax.metrics.parzen import log_density
from ganjax.nets import MLP, lapgan
from ganjax.nets.cogan import WithDomain, apply_pair
from ganjax.protocols import laplacian, translation


def images(n: int, side: int = 12, seed: int = 0, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, side, side, channels), np.uint8)


def rows(x: np.ndarray) -> set[bytes]:
    return {row.tobytes() for row in x}


def test_derived_domains_come_from_disjoint_halves_and_pairs_are_held_out():
    found = domains_of("digits", "negative")
    x, y, held = found.train["x"], 255 - found.train["y"], found.test["x"]
    assert abs(len(x) - len(y)) <= 1
    assert len(x) + len(y) + len(held) == 1797
    assert not rows(x) & rows(y)
    assert not (rows(x) | rows(y)) & rows(held)
    np.testing.assert_array_equal(found.test["y"], 255 - held)


def test_together_every_image_has_its_partner_in_the_same_row():
    found = domains_of("digits", "negative", together=True)
    apart = domains_of("digits", "negative")
    np.testing.assert_array_equal(found.train["y"], 255 - found.train["x"])
    np.testing.assert_array_equal(found.test["x"], apart.test["x"])
    assert len(found.train["x"]) == len(apart.train["x"]) + len(apart.train["y"])


def test_domains_are_drawn_apart_and_labels_stay_with_x():
    x = images(30)
    data = {"x": x, "y": images(40, seed=1), "label": x[:, 0, 0, 0].astype(np.int32)}
    batch = unpaired(data, random.key(0), 16, 0.0, 255.0)
    np.testing.assert_array_equal(batch["x"][:, 0, 0, 0], batch["label"])
    assert "label" not in unpaired({name: data[name] for name in "xy"}, random.key(0), 16)


def test_edges_are_those_of_the_other_half():
    found = domains_of("digits", "edge")
    plain = domains_of("digits", "negative")
    np.testing.assert_array_equal(
        found.train["y"], transforms.edge(jnp.asarray(255 - plain.train["y"]))
    )


def test_two_sets_of_ones_own_need_one_size_and_share_their_channels(tmp_path):
    for name, x in (
        ("grey", images(14)),
        ("colour", images(20, channels=3)),
        ("small", images(14, 8)),
        ("few", images(5)),
    ):
        np.savez(tmp_path / f"{name}.npz", x=x)
    path = {name: str(tmp_path / f"{name}.npz") for name in ("grey", "colour", "small", "few")}
    found = domains_of_two(path["grey"], path["colour"])
    assert not found.paired
    assert (found.train["x"].shape, found.train["y"].shape) == ((14, 12, 12, 3), (20, 12, 12, 3))
    np.testing.assert_array_equal(found.train["x"][..., 2], images(14)[..., 0])
    wrong: list[tuple[Callable[..., object], tuple, str]] = [
        (domains_of_two, (path["grey"], path["small"]), "ask for one size"),
        (domains_of_two, (path["grey"], None), "together"),
        (domains_of, (path["grey"],), "is one domain"),
        (domains_of, (path["few"], "edge"), "12 or more"),
        (domains_of, ("ring", "edge"), "images of 1 or 3 channels"),
        (require_sides, (domains_of("digits", "edge"), 5), "multiples of 5"),
    ]
    for function, arguments, message in wrong:
        with pytest.raises(ValueError, match=message) as caught:
            function(*arguments)
        assert "\n" not in str(caught.value)


def test_domains_are_read_as_they_are_asked_for(tmp_path):
    np.savez(tmp_path / "a.npz", x=images(14, 12, channels=3))
    found = domains_of(str(tmp_path / "a.npz"), "negative", size=6, channels=1, crop=True)
    assert found.shape == (6, 6, 1)
    assert require_sides(found, 3) is found


def test_unpaired_draws_are_independent_rows_of_each_domain():
    data = match_channels(
        np.arange(30, dtype=np.uint8).reshape(30, 1, 1, 1),
        100 + np.arange(50, dtype=np.uint8).reshape(50, 1, 1, 1),
    )
    batch = jax.jit(partial(unpaired, n=4000, low=0.0, high=255.0))(data, random.key(0))
    x, y = (np.rint(batch[name].ravel()) for name in ("x", "y"))
    assert set(x) == set(range(30))
    assert set(y) == set(range(100, 150))
    assert abs(np.corrcoef(x, y)[0, 1]) < 0.08


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**16))
def test_a_pool_loses_and_doubles_nothing(n, B, seed):
    if n < B:
        with pytest.raises(ValueError, match="does not fit"):
            image_pool.exchange(image_pool.empty(n, (), ("x",)), {"x": jnp.zeros(B)}, random.key(0))
        return
    pool = image_pool.empty(n, (), ("x",))
    came, went = 0, []
    for step in range(8):
        fake = 1.0 + came + np.arange(B)
        before = np.asarray(pool["x"][0])
        full = int(pool["x"][1]) == n
        fakes = {"x": jnp.asarray(fake, jnp.float32)}
        given, pool = image_pool.exchange(pool, fakes, random.key(seed + step))
        came += B
        seen, after = np.asarray(given["x"]), np.asarray(pool["x"][0])
        if full:  # what was there or came is now seen or kept, once
            assert sorted([*before, *fake]) == sorted([*after, *seen])
            assert all(a in (f, *before) for a, f in zip(seen, fake))
        else:
            np.testing.assert_array_equal(seen, fake)
        assert int(pool["x"][1]) == min(came, n)
        went.append(seen)
    assert set(np.concatenate(went)) <= set(range(1, came + 1))


def test_a_full_pool_keeps_half_of_what_comes():
    pool = {"x": (jnp.zeros(400), jnp.int32(400))}
    seen, _ = image_pool.exchange(pool, {"x": jnp.ones(400)}, random.key(0))
    assert 150 < float(seen["x"].sum()) < 250  # five SDs


def test_perfect_and_empty_pairs():
    x = (np.random.default_rng(0).random((6, 12, 12, 1)) > 0.7).astype(np.float32)
    pairs = jnp.asarray(np.stack([x, 1 - x], 1))
    found = image_pairs.agreement_ratios(pairs, transforms.negative, background=1.0)
    assert all(float(found[name]) == 1 for name in ("par", "par_foreground", "par_tolerance"))
    np.testing.assert_allclose(float(found["ink_1"] + found["ink_2"]), 1, rtol=1e-6)
    wrong = image_pairs.agreement_ratios(pairs, lambda x: x, background=0.0)
    assert float(wrong["par"]) == float(wrong["par_foreground"]) == 0
    blank = image_pairs.agreement_ratios(jnp.zeros((2, 2, 8, 8, 1)), transforms.edge)
    assert float(blank["par"]) == 1
    assert float(blank["ink_1"]) == 0


def test_translations_of_known_quality():
    x, y = images(20, 16), images(20, 16, seed=1)
    perfect = translation.scores_both_ways(y, x, x, y)
    assert perfect["l1_y"] == perfect["l1_inside_x"] == 0
    assert perfect["top1_y"] == perfect["rank_x"] == 1
    assert perfect["ssim_x"] == pytest.approx(1, abs=1e-5)
    identity = translation.baselines(x, y)["identity"]
    assert (
        identity["l1_x"]
        == identity["l1_y"]
        == pytest.approx(np.abs(x / 255 - y / 255).mean(), rel=1e-5)
    )
    assert translation.evaluate(lambda v: v, lambda v: -v, x, 255 - x) == pytest.approx(
        translation.scores_both_ways(x, x, x, 255 - x), abs=1e-4
    )


def test_only_the_inside_counts_on_white_and_on_black():
    true = np.full((3, 8, 8, 1), 255, np.uint8)
    true[:, 2:4, 2:4] = 0
    made = true.copy()
    made[:, 0] = 0  # all of it outside
    assert (
        translation.scores(made, true)["l1_inside"]
        == translation.scores(255 - made, 255 - true)["l1_inside"]
        == 0
    )
    assert translation.scores(made, true)["l1"] == pytest.approx(8 / 64)


def test_a_single_player_is_told_the_domain_in_one_batch():
    net = WithDomain(MLP((8,), ()))
    P = Player(net, optax.identity(), ((3,), (2,)))
    bound = P.bind(P.init(random.key(0))[0])
    x, y = random.normal(random.key(1), (2, 5, 3))
    got = apply_pair(bound, x, y)  # [B, 2]
    flags = jnp.broadcast_to(jnp.eye(2)[:, None], (2, 5, 2))
    np.testing.assert_allclose(
        got, jnp.stack([bound(x, flags[0]), bound(y, flags[1])], 1), rtol=1e-5
    )
    team = Player(MLP((8,), ()), optax.identity(), (3,), n=2)
    pair = team.bind(team.init(random.key(0))[0])
    np.testing.assert_allclose(apply_pair(pair, x, y)[:, 1], pair(y)[:, 1], rtol=1e-5)


def test_the_levels_of_a_pyramid_add_up():
    rng = np.random.default_rng(0)
    a, b = (
        [rng.random((m, *rest, 4)) for m, rest in ((3, ()), (3, (7,)), (5, ()), (5, (7,)))]
        for _ in range(2)
    )
    one, other = laplacian.Level(*a), laplacian.Level(*b)
    together = laplacian.log_likelihood([one, other], [0.3])["parzen_levels"]
    alone = (
        sum(
            log_density(lv.test[i : i + 1], lv.of_test[i], [0.3]).item()
            for lv in (one, other)
            for i in range(5)
        )
        / 5
    )
    assert together == pytest.approx(alone)


def test_the_nearest_sample():
    real = jnp.asarray(images(4)) / 255
    assert float(laplacian.nearest_distance(real, real[::-1])) == pytest.approx(0, abs=1e-2)
    assert float(
        laplacian.nearest_distance(jnp.zeros((3, 4)), jnp.array([[3.0, 4, 0, 0], [10.0, 0, 0, 0]]))
    ) == pytest.approx(5)


class NoDetail(nn.Module):
    """The residual 0, whatever it sees."""

    @nn.compact
    def __call__(self, z, l):
        return jnp.zeros_like(l)


def flat_pyramid() -> list[Bound]:
    G = Player(NoDetail(), optax.identity(), ((12, 12, 1), (12, 12, 2)))
    coarse = Player(MLP((), (6, 6, 2)), optax.identity(), (3,))
    return [G.bind({}), coarse.bind(coarse.init(random.key(0))[0])]


def test_without_detail_the_nearest_sample_lacks_the_whole_band():
    x = jnp.asarray(images(5, channels=2)) / 127.5 - 1
    found = laplacian.nearest_detail(x, [], flat_pyramid(), random.key(0), samples=3)
    h = np.asarray(transforms.band(x, 6)[0]).reshape(5, -1)
    assert set(found) == {"nearest_0"}
    assert float(found["nearest_0"]) == pytest.approx(
        np.linalg.norm(h, axis=1).mean() / 2, rel=1e-5
    )


def test_each_image_has_samples_given_its_own_coarse_image():
    net = lapgan.Generator(width=2)
    x = jnp.asarray(images(2, channels=2)) / 127.5 - 1
    y = jnp.eye(2)
    G = Player(net, optax.identity(), ((12, 12, 1), (12, 12, 2), (2,)))
    finer = G.bind(G.init(random.key(0))[0])
    levels = [finer, flat_pyramid()[1]]
    h, l, _ = transforms.band(x, 6)
    least = []
    for i in range(2):
        z = finer.noise(random.fold_in(random.key(3), i), 3)
        made = [finer(z[j : j + 1], l[i : i + 1], y[i : i + 1]) for j in range(3)]
        least.append(min(np.linalg.norm(np.asarray(one[0] - h[i])) for one in made))
    found = laplacian.nearest_detail(x, [y], levels, random.key(3), samples=3)
    assert float(found["nearest_0"]) == pytest.approx(np.mean(least) / 2, rel=1e-5)


def test_strips_have_a_row_for_each_name():
    x = np.random.default_rng(0).random((5, 3, 8, 8, 1))
    figure = strips(x, ["a", "b", "c"])
    assert [text.get_text() for text in figure.axes[0].texts] == ["a", "b", "c"]
    chain = pyramid_strips(x)
    assert [text.get_text() for text in chain.axes[0].texts] == ["I2", "h1", "I1", "h0", "I0"]
    sheet = np.asarray(chain.axes[0].images[0].get_array())
    height, scale = len(sheet) // 5, 960 // 40
    at = [sheet[i * height + 1, 1, 0] for i in range(5)]
    np.testing.assert_allclose(
        at[1], np.clip(0.5 + x[0, 1, 0, 0, 0] - x[0, 0, 0, 0, 0], 0, 1), rtol=1e-5
    )
    np.testing.assert_allclose([at[0], at[4]], x[0, [0, 2], 0, 0, 0], rtol=1e-5)
    assert height == 8 * scale + 2
