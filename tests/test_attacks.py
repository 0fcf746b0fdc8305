"""Attacks: closed forms on a linear classifier, an independent implementation, bad input."""

from __future__ import annotations

import functools
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import Array, random

from ganjax import Game, Player, attacks, play
from ganjax.data import draw
from ganjax.losses import ce
from ganjax.nets import MLP
from ganjax.protocols import robustness

SHAPE, K, B = (4, 4, 1), 3, 24


def linear() -> tuple[Any, Array, Array]:
    """A linear classifier, images near grey, so that no small change is clipped, and the labels
    that it reads.
    """
    W = random.normal(random.key(0), (16, K))
    x = 0.5 + 0.05 * random.normal(random.key(1), (B, *SHAPE))

    def logits(x: Array) -> Array:
        return x.reshape(len(x), -1) @ W

    return logits, x, logits(x).argmax(-1)


def to_boundary(x: Array, y: Array) -> np.ndarray:
    """The exact L2 distance of each image to the nearest other class of `linear`."""
    W = np.asarray(random.normal(random.key(0), (16, K)), np.float64)
    z = np.asarray(x, np.float64).reshape(len(x), -1) @ W
    far = np.full((len(x), K), np.inf)
    for i, own in enumerate(np.asarray(y)):
        for k in set(range(K)) - {int(own)}:
            far[i, k] = (z[i, own] - z[i, k]) / np.linalg.norm(W[:, own] - W[:, k])
    return far.min(1)


def test_deepfool_steps_just_over_the_nearest_boundary_of_a_linear_classifier() -> None:
    logits, x, y = linear()
    new = attacks.deepfool(logits, x)
    np.testing.assert_allclose(attacks.distance(new, x), 1.02 * to_boundary(x, y), rtol=1e-3)
    assert (logits(new).argmax(-1) != y).all()


def test_carlini_and_wagner_find_the_nearest_boundary_of_a_linear_classifier() -> None:
    logits, x, y = linear()
    new = attacks.carlini_wagner(logits, x, y, steps=300, searches=9)
    far, least = np.asarray(attacks.distance(new, x)), to_boundary(x, y)
    assert (logits(new).argmax(-1) != y).all()
    assert (far > 0.999 * least).all()
    assert far.mean() < 1.03 * least.mean()


def test_pgd_on_two_classes_ends_where_fgsm_does() -> None:
    """With two classes the gradient of a linear classifier has one direction everywhere."""
    logits, x, _ = linear()
    y = jnp.arange(B) % 2

    def two(x: Array) -> Array:
        return logits(x)[:, :2]

    near = attacks.fgsm(two, x, y, 0.1)
    np.testing.assert_allclose(attacks.pgd(two, x, y, 0.1, 0.01, 40), near, atol=1e-6)
    started = attacks.pgd(two, x, y, 0.1, 0.01, 40, random.key(2))
    np.testing.assert_allclose(started, near, atol=1e-6)
    ball = x + random.uniform(random.key(3), (200, *x.shape), minval=-0.1, maxval=0.1)
    assert (jax.vmap(lambda x: ce(two(x), y))(ball).max(0) <= ce(two(near), y) + 1e-6).all()


def test_pgd_stays_in_the_ball_and_more_restarts_never_help_the_classifier() -> None:
    logits, y = digit_classifier()
    images, key = test_images()[0][:50], random.key(4)
    one, many = (
        attacks.pgd(logits, images, y[:50], 0.1, 0.03, 10, key, restarts) for restarts in (1, 5)
    )
    for new in (one, many):
        assert float(jnp.abs(new - images).max()) <= 0.1 + 1e-6
        assert 0 <= new.min() <= new.max() <= 1
    margins = [attacks.margin(logits(new), y[:50]) for new in (one, many)]
    assert margins[1].mean() >= margins[0].mean()
    assert (margins[1] > 0).sum() >= (margins[0] > 0).sum()


def test_noise_is_as_far_as_asked_after_the_clip() -> None:
    x = jnp.round(random.uniform(random.key(5), (B, *SHAPE)))  # all pixels at an end
    norm = jnp.linspace(0.01, 1.5, B)
    new = attacks.random_noise(random.key(6), x, norm)
    np.testing.assert_allclose(attacks.distance(new, x), norm, rtol=1e-4)
    assert 0 <= new.min() <= new.max() <= 1


def test_images() -> tuple[Array, np.ndarray]:
    """A thousand 8x8 digits in 0..1, and their labels."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return jnp.asarray(found.images[:1000, ..., None] / 16, jnp.float32), found.target[:1000]


test_images.__test__ = False  # type: ignore[attr-defined]


@functools.cache
def digit_classifier() -> tuple[Any, Array]:
    """A dense classifier of 8x8 digits after 300 steps, and all labels."""
    x, label = test_images()
    data = {"x": x, "label": jnp.asarray(label, jnp.int32)}

    def losses(batch: Any, key: Array, *, C: Any) -> dict[str, Array]:
        return {"C": ce(C(batch["x"]), batch["label"]).mean()}

    player = Player(MLP((32,), (10,)), optax.adam(3e-3), (8, 8, 1))
    game = Game({"C": player}, losses, [["C"]], partial(draw, n=64))
    state, _ = play.run(game, play.init(game, random.key(0), data), data, 300)
    return play.bound(game, state)["C"], data["label"]


def test_attacks_agree_with_foolbox_on_the_same_weights() -> None:
    foolbox = pytest.importorskip("foolbox")
    C, label = digit_classifier()
    images, y = test_images()[0][:100], label[:100]
    right = C(images).argmax(-1) == y
    images, y = images[right], y[right]
    model = foolbox.JAXModel(C, bounds=(0, 1), data_format="channels_last")

    def theirs(attack: Any, eps: float | None) -> Array:
        return attack(model, images, y, epsilons=eps)[1]

    fgsm = theirs(foolbox.attacks.LinfFastGradientAttack(), 0.2)
    np.testing.assert_allclose(attacks.fgsm(C, images, y, 0.2), fgsm, atol=1e-5)
    pgd = foolbox.attacks.LinfPGD(abs_stepsize=0.02, steps=15, random_start=False)
    new = attacks.pgd(C, images, y, 0.2, 0.02, 15)
    np.testing.assert_allclose(new, theirs(pgd, 0.2), atol=1e-5)
    deepfool = theirs(foolbox.attacks.L2DeepFoolAttack(candidates=None), None)
    ours, far = attacks.deepfool(C, images), attacks.distance(deepfool, images).mean()
    np.testing.assert_allclose(attacks.distance(ours, images).mean(), far, rtol=0.05)


@pytest.mark.slow
def test_carlini_and_wagner_agree_with_foolbox_on_the_same_weights() -> None:
    foolbox = pytest.importorskip("foolbox")
    C, label = digit_classifier()
    images, y = test_images()[0][:60], label[:60]
    model = foolbox.JAXModel(C, bounds=(0, 1), data_format="channels_last")
    theirs = foolbox.attacks.L2CarliniWagnerAttack(
        binary_search_steps=7, steps=200, stepsize=0.01, initial_const=1e-2, abort_early=False
    )(model, images, y, epsilons=None)[1]
    ours = attacks.carlini_wagner(C, images, y, steps=200, searches=7, c=1e-2)
    both = (C(ours).argmax(-1) != y) & (C(theirs).argmax(-1) != y)
    assert both.mean() > 0.95
    far = attacks.distance(ours, images)[both].mean()
    np.testing.assert_allclose(far, attacks.distance(theirs, images)[both].mean(), rtol=0.05)


def test_a_ball_without_bound_fools_every_image_and_pgd_is_no_weaker_than_fgsm() -> None:
    C, label = digit_classifier()
    images, y = test_images()[0][:200], label[:200]

    def error(new: Array) -> float:
        return float((C(new).argmax(-1) != y).mean())

    assert error(attacks.pgd(C, images, y, 1.0, 0.1, 40)) == 1.0
    for eps in (0.05, 0.1, 0.2):
        assert error(attacks.pgd(C, images, y, eps, eps / 10, 40)) >= error(
            attacks.fgsm(C, images, y, eps)
        )
    assert error(attacks.fgsm(C, images, y, 0.0)) == error(images)


def test_attacks_compile_and_need_no_ganjax_net() -> None:
    W = random.normal(random.key(7), (16, K))

    def plain(x: Array) -> Array:
        return jnp.tanh(x.reshape(len(x), -1)) @ W

    _, x, y = linear()
    for attack in (
        lambda x: attacks.fgsm(plain, x, y, 0.1),
        lambda x: attacks.pgd(plain, x, y, 0.1, key=random.key(0), restarts=2),
        lambda x: attacks.deepfool(plain, x),
        lambda x: attacks.carlini_wagner(plain, x, y, 20, 2),
    ):
        np.testing.assert_allclose(jax.jit(attack)(x), attack(x), atol=1e-4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"eps": -0.1}, "eps is a finite number, 0 or more; got -0.1"),
        ({"eps": np.inf}, "eps is a finite number, 0 or more; got inf"),
        ({"x": jnp.full((2, 4), 2.0)}, "an attack takes images in 0..1; these go from 2 to 2"),
        ({"y": jnp.array([0, 3])}, "labels are classes 0 … 2; these go from 0 to 3"),
        ({"y": jnp.array([0])}, r"2 images have a label each, not labels \[1\]"),
        ({"logits": lambda x: x.sum()}, r"a classifier returns logits \[B, K\]"),
    ],
)
def test_what_no_attack_can_take_is_said_in_one_line(change: dict[str, Any], said: str) -> None:
    asked = {
        "logits": lambda x: x[:, :3],
        "x": jnp.zeros((2, 4)),
        "y": jnp.array([0, 1]),
        "eps": 0.1,
        **change,
    }
    with pytest.raises(ValueError, match=said) as error:
        attacks.fgsm(**asked)
    assert "\n" not in str(error.value)


def test_a_row_of_the_table_counts_what_was_attacked() -> None:
    C, label = digit_classifier()
    x, y = test_images()
    arrays = {"test_x": np.asarray(x[:250]), "test_label": np.asarray(label[:250])}
    p = robustness.Protocol(0.1, 0.1, pgd_steps=20, cw_images=5, cw_steps=20, cw_searches=2)
    row = robustness.evaluate(arrays, random.key(0), C=C, p=p)
    new = attacks.fgsm(C, x[:250], label[:250], 0.1)
    assert row["clean"] == pytest.approx(float((C(x[:250]).argmax(-1) != y[:250]).mean()))
    assert row["fgsm"] == pytest.approx(float((C(new).argmax(-1) != y[:250]).mean()))
    assert row["clean"] <= row["noise"] <= row["fgsm"] <= row["pgd"]
