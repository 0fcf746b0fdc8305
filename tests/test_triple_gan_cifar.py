"""Triple-GAN on whitened images: ZCA, mean-only batch norm, the losses of C, its schedules."""

from __future__ import annotations

from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import triple_gan_cifar
from jax import random
from runs import build

from ganjax import play
from ganjax.data import scaled, whitening
from ganjax.game import Player
from ganjax.nets.layers import standing
from ganjax.nets.triple_gan import MeanOnly
from ganjax.protocols import semi_supervised

QUICK = triple_gan_cifar.QUICK


@pytest.fixture(autouse=True)
def _cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def photographs(n: int = 400) -> np.ndarray:
    """Images whose neighbouring pixels go together, uint8 [n, 4, 4, 3]."""
    rng = np.random.default_rng(0)
    rough = rng.normal(size=(n, 2, 2, 3)).repeat(2, 1).repeat(2, 2) + 0.3 * rng.normal(
        size=(n, 4, 4, 3)
    )
    return np.clip(128 + 30 * rough, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("eps", [1e-5, 1e-2])
def test_whitened_training_images_have_the_identity_as_covariance_up_to_eps(eps: float) -> None:
    x = photographs()
    white = np.asarray(
        whitening.whiten(scaled(jnp.asarray(x)), **whitening.fit_zca(x, eps)), np.float64
    ).reshape(len(x), -1)
    S, U = np.linalg.eigh(np.cov(x.reshape(len(x), -1).T / 127.5, bias=True))
    np.testing.assert_allclose(white.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(np.cov(white.T, bias=True), U * (S / (S + eps)) @ U.T, atol=2e-4)
    if eps < 1e-3 * S.min():
        np.testing.assert_allclose(np.cov(white.T, bias=True), np.eye(48), atol=2e-3)


def test_whitening_is_symmetric_and_is_read_again_from_the_cache_of_these_images_alone(
    tmp_path: Path,
) -> None:
    x = photographs(100)
    first, again, other = whitening.fit_zca(x), whitening.fit_zca(x), whitening.fit_zca(x[:90])
    np.testing.assert_allclose(first["zca"], first["zca"].T, rtol=1e-5, atol=1e-5)
    assert all(np.array_equal(first[name], again[name]) for name in ("mean", "zca"))
    assert not np.allclose(first["mean"], other["mean"])
    assert len(list((tmp_path / "ganjax").glob("zca-*.npz"))) == 2


def test_axes_before_the_image_are_whitened_apart() -> None:
    x = photographs(60)
    how, images = whitening.fit_zca(x), scaled(jnp.asarray(x))
    together = whitening.whiten(images.reshape(20, 3, 4, 4, 3), **how)
    np.testing.assert_allclose(
        together.reshape(60, 4, 4, 3), whitening.whiten(images, **how), rtol=1e-4, atol=1e-4
    )


def test_mean_only_batch_norm_keeps_the_variance_and_forgets_the_mean() -> None:
    x = random.normal(random.key(0), (8, 3, 3, 2)) * jnp.array([1.0, 5.0])
    player = Player(MeanOnly(), optax.identity(), (3, 3, 2))
    params, shift = player.init(random.key(1))[0], jnp.array([2.0, -1.0])
    out = player.bind({"bias": shift})(x + jnp.array([10.0, -3.0]))
    np.testing.assert_allclose(out.mean((0, 1, 2)), shift, atol=1e-5)
    np.testing.assert_allclose(out.var((0, 1, 2)), x.var((0, 1, 2)), rtol=1e-4)
    stats = standing(player, params, None, x[None])
    np.testing.assert_allclose(stats["mean"], x.mean((0, 1, 2)), atol=1e-6)
    np.testing.assert_allclose(
        player.bind(params, stats=stats)(x[:1]), x[:1] - x.mean((0, 1, 2)), atol=1e-5
    )


class Mean(nn.Module):
    """Class 1 where an image is brighter than the training images are on average: [B, 4, 4, 3] ->
    [B, 2].
    """

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return MeanOnly()(x.mean((1, 2, 3))[:, None] * jnp.array([-1.0, 1.0]))


def test_the_test_error_is_the_same_in_parts() -> None:
    x = photographs(30)
    arrays = {"x": x, "test_x": x, "test_label": np.arange(30) % 2}
    player = Player(Mean(), optax.identity(), (4, 4, 3))
    C = player.bind(*player.init(random.key(0)))
    whole, parts = (
        semi_supervised.error_rate(arrays, random.key(1), C, 50, -1.0, lambda x: 2 * x, at_once)
        for at_once in (None, 8)
    )
    assert whole == pytest.approx(float(parts))
    assert 0 < whole < 1


def test_c_alone_minimises_the_cross_entropy_and_the_consistency_as_it_ramps_up() -> None:
    steps = 2000
    options = {**QUICK, "alone": True, "width": 2, "consistency": 100.0, "steps": steps}
    experiment = build(triple_gan_cifar, **options)
    game = experiment.played
    params = play.init(game, random.key(0), experiment.data).params
    evaluate = jax.jit(
        lambda step: game.apply(
            params, game.draw(experiment.data, random.key(1)), random.key(2), aux={}, step=step
        )
    )
    for epoch, weight in ((0, 0.0), (40, 100 * np.exp(-1.25)), (80, 100.0), (999, 100.0)):
        out = evaluate(epoch * steps // 1000)
        assert out["R_U"] > 0
        assert out["C"] == pytest.approx(float(out["R_L"] + weight * out["R_U"]), rel=1e-5)


def test_the_rates_fall_after_three_tenths_and_c_forgets_its_momentum_before() -> None:
    experiment = build(triple_gan_cifar, **{**QUICK, "lr": 1e-3, "steps": 1000})
    tx, params = experiment.played.players["C"].tx, {"w": jnp.ones(2)}
    first = tx.init(params)
    for epoch, rate, beta in (
        (0, 1e-2, 0.9),
        (250, 1e-2, 0.9),
        (260, 1e-2, 0.5 + 0.4 * np.exp(-0.5)),
        (1000, 1e-2 * 0.99**700, 0.5),
    ):
        counts = jax.tree.map(
            lambda count, epoch=epoch: jnp.full_like(count, epoch), first.hyperparams_states
        )
        at = tx.update(params, first._replace(hyperparams_states=counts), params)[1].hyperparams
        assert at["learning_rate"] == pytest.approx(rate, rel=1e-4)
        assert at["b1"] == pytest.approx(beta, rel=1e-4)


@pytest.mark.parametrize(
    ("options", "channels"), [({}, 4), ({"width": 2}, 1), ({"width": 2, "d_width": 6}, 6)]
)
def test_d_has_a_quarter_of_the_width_unless_its_own_is_given(options: dict, channels: int) -> None:
    given = {**QUICK, "width": 16, "d_width": None, **options}
    D = build(triple_gan_cifar, **given).played.players["D"].net
    assert D.width == channels


def test_whitening_divides_by_the_variances_and_eps() -> None:
    x = build(triple_gan_cifar, **QUICK).data["x"]
    for eps in (1e-5, 1e-2):
        data = build(triple_gan_cifar, **{**QUICK, "eps": eps}).data
        np.testing.assert_array_equal(data["zca"], whitening.fit_zca(x, eps)["zca"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"size": 20}, "images of 20 x 20; the sides are 24, 32, 40"),
        ({"size": None}, "images of 8 x 8"),
        ({"labels": 55}, "labels is a multiple of the number of classes, 10; got 55"),
        ({"width": 0}, "width must be above 0"),
        ({"d_width": 0}, "d_width must be above 0"),
        ({"eps": 0.0}, "eps must be above 0"),
        ({"consistency": -1.0}, "consistency must be 0 or more"),
        ({"labels": 5000}, "500 labelled examples of each class"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        build(triple_gan_cifar, **{**QUICK, **options})
