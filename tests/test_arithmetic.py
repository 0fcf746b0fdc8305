"""Sums of z: a generator in which they hold, one in which they do not, and what is drawn."""

import dcgan
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from data_files import loaded
from matplotlib.figure import Figure
from PIL import Image
from runs import build

from ganjax.figures.strips import nearest_strips
from ganjax.figures.style import save
from ganjax.game import Player
from ganjax.metrics import neighbours
from ganjax.nets import MLP
from ganjax.protocols import latent_arithmetic

C, N = 4, 400
RNG = np.random.default_rng(0)
Z = np.concatenate(
    [np.eye(C)[np.arange(N) % C], np.arange(N)[:, None] // C % 2, 0.05 * RNG.normal(size=(N, 5))], 1
).astype(np.float32)


def line(z: np.ndarray) -> np.ndarray:
    """A class is a row of a 4 x 4 image, ink its level: both linear in z."""
    image = np.zeros((len(z), C, 4, 1), np.float32)
    image += (
        z[:, :C, None, None] + z[:, C, None, None, None] / 2 + z[:, C + 1, None, None, None] / 10
    )
    return image


def of(
    make: latent_arithmetic.Generate, z: np.ndarray = Z, label: np.ndarray | None = None
) -> latent_arithmetic.Sums:
    x = make(z)
    return latent_arithmetic.sums(
        make, z, x, latent_arithmetic.cells(x, z[:, :C].argmax(1) if label is None else label), C
    )


def test_ink_is_bold_above_the_median_of_its_own_class() -> None:
    x = np.array([1.0, 2, 3, 10, 20, 30, 40])[:, None, None] * np.ones((7, 2, 2))
    np.testing.assert_array_equal(
        latent_arithmetic.cells(x, np.array([0, 0, 0, 2, 2, 2, 2])), [0, 0, 1, 4, 4, 5, 5]
    )


def test_where_z_is_linear_every_sum_is_right_and_its_last_term_alone_is_not() -> None:
    found = of(line)
    assert len(found.wanted) == C * (C - 1) * latent_arithmetic.ROUNDS
    assert latent_arithmetic.score(found) == {
        "arithmetic": 1.0,
        "arithmetic_plain": 0.0,
        "arithmetic_chance": 1 / (2 * C),
    }
    np.testing.assert_allclose(
        found.terms[:, 0] - found.terms[:, 1] + found.terms[:, 2], found.results, atol=1e-5
    )


def test_a_generator_that_scrambles_z_is_right_by_chance() -> None:
    def scrambled(z: np.ndarray) -> np.ndarray:
        return np.stack(
            [
                line(Z[[int(abs(row.astype(np.float64) @ np.arange(1, 11)) * 1e6) % N]])[0]
                for row in z
            ]
        )

    found = of(scrambled, label=scrambled(Z)[:, :, 0, 0].argmax(1))
    score = latent_arithmetic.score(found)
    assert score["arithmetic"] == pytest.approx(score["arithmetic_chance"], abs=0.12)


def test_classes_that_are_not_made_are_not_asked_for() -> None:
    kept = Z[Z[:, 0] == 0]
    found = of(line, kept)
    assert set(found.wanted) == {2 * c + 1 for c in range(1, C)}
    assert latent_arithmetic.score(found)["arithmetic_chance"] == 1 / (2 * (C - 1))
    one = Z[Z[:, 0] == 1]
    lonely = latent_arithmetic.score(of(line, one))
    assert np.isnan([lonely["arithmetic"], lonely["arithmetic_plain"]]).all()


def test_the_nearest_row_is_found() -> None:
    x = RNG.normal(size=(50, 3, 3, 1))
    order = RNG.permutation(50)
    np.testing.assert_array_equal(neighbours.nearest_rows(x[order] + 1e-3, x), order)
    with pytest.raises(
        ValueError, match=r"\Asamples of shape \[3, 3, 1\] are wanted, not an array \[2, 4\]\Z"
    ):
        neighbours.nearest_rows(np.zeros((2, 4)), x)


def test_a_game_on_digits_is_evaluated_by_sums_and_draws_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(latent_arithmetic, "POOL", 400)
    monkeypatch.setattr(latent_arithmetic, "REAL", 200)
    digits = loaded("digits")
    player = build(dcgan, width=2, kernel=4, z=3, batch=4).played.players["G"]
    G = player.bind(player.init(jax.random.key(0))[0], name="G")
    found = latent_arithmetic.evaluate(digits, jax.random.key(1), G)
    np.testing.assert_equal(latent_arithmetic.evaluate(digits, jax.random.key(1), G), found)
    assert all(0 <= value <= 1 or np.isnan(value) for value in found.values())
    assert latent_arithmetic.evaluate({"x": digits["x"]}, jax.random.key(1), G) == {}
    assert (
        latent_arithmetic.evaluate({**digits, "x": digits["x"].repeat(3, -1)}, jax.random.key(1), G)
        == {}
    )
    assert latent_arithmetic.examples({"x": digits["x"]}, G) is None
    monkeypatch.setattr(latent_arithmetic, "sums_of", lambda *_: of(line))
    shown = latent_arithmetic.examples(digits, G)
    assert shown is not None
    assert shown.shape == (12, 5, 4, 4, 1)
    np.testing.assert_allclose(shown[:, 0] - shown[:, 1] + shown[:, 2], shown[:, 3], atol=1e-5)
    assert set(dcgan.figures(digits, None, [], G=G)) == {"walk", "arithmetic"}


def pixels(figure: Figure, path) -> np.ndarray:
    save(figure, path)
    return np.asarray(Image.open(path).convert("L"))


def test_samples_stand_above_the_nearest_training_image(tmp_path) -> None:
    images = RNG.integers(0, 256, (30, 8, 8, 1), np.uint8)
    sheet = pixels(nearest_strips(images[5:25] / 255.0, images), tmp_path / "x.png")
    upper, lower = np.split(sheet[:, 50:], 2)  # without the names
    np.testing.assert_array_equal(upper, lower)
    assert upper.std() > 50


def test_an_interpolation_is_straight_from_one_z_to_another() -> None:
    player = Player(MLP((), (8, 8, 1)), optax.sgd(1.0), (3,))
    G = player.bind(player.init(jax.random.key(0))[0], name="G")
    a, b = (
        G(G.noise(jax.random.key(i), 4)) for i in range(2)
    )  # a linear G: lines of z are lines of images
    t = jnp.linspace(0, 1, 5)[:, None, None, None]
    expected = (a[:, None] + t * (b - a)[:, None]).reshape(20, 8, 8, 1)
    walk = latent_arithmetic.interpolation(G, lines=4, points=5)
    np.testing.assert_allclose(walk, expected, atol=1e-4)
