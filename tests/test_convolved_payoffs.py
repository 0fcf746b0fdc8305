"""Payoffs on images: penalties through convolutions, and tables that are too long to play here."""

from functools import partial
from typing import Any

import dcgan
import jax
import jax.numpy as jnp
import numpy as np
import optax
import payoffs
import pytest
from runs import build

from ganjax import data, experiment, penalties, play
from ganjax.data import Dataset
from ganjax.experiment import ImageForm, ImageOptions
from ganjax.game import Player
from ganjax.metrics import imagenet
from ganjax.nets import MLP
from ganjax.nets import dcgan as nets
from ganjax.protocols import classifier, standard

SHAPES = {"stacked_mnist": (28, 28, 3), "cifar10": (32, 32, 3), "emoji_styles": (64, 64, 3)}


@pytest.fixture
def _stood_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of sets that are not here: twenty random images of their shape, with labels."""

    def found(name: str, data_dir: str | None = None, size: int | None = None, **_: Any) -> Dataset:
        shape = SHAPES[name] if size is None else (size, size, SHAPES[name][-1])
        x = np.random.default_rng(0).integers(0, 256, (20, *shape), np.uint8)
        return Dataset(
            name, shape, lambda: {"x": x, "label": np.arange(20, dtype=np.int32) % 10}, 10, 20
        )

    for module in (experiment, data.registry):
        monkeypatch.setattr(module, "points_or_images", found)


KINDS = (
    "hinge",
    "wasserstein",
    "relativistic",
    "non-saturating, R1",
)  # the other rows differ by the payoff alone
ROWS = [(payoffs, payoffs.TABLES["stacked"].rows[row]) for row in KINDS]
ROWS += [(dcgan, dcgan.TABLES[name].rows["DCGAN"]) for name in ("cifar10", "emoji")]


@pytest.mark.usefixtures("_stood_in")
@pytest.mark.parametrize(
    ("file", "row"),
    ROWS,
    ids=lambda value: value.get("payoff", value["data"]) if isinstance(value, dict) else "",
)
def test_a_step_of_a_tables_row_has_the_shapes_of_the_state(file: Any, row: dict[str, Any]) -> None:
    built = build(file, **row)
    game = built.played
    state = play.template(game, jax.random.key(0), built.data)
    after, log = jax.eval_shape(partial(play.step, game), state, built.data)
    assert jax.tree.map(lambda leaf: leaf.shape, after) == jax.tree.map(
        lambda leaf: leaf.shape, state
    )
    assert all(value.shape == () for value in log.values())
    assert built.sample is not None
    sample = built.sample
    made = jax.eval_shape(
        lambda key, state: sample(key, 2, G=play.bound(game, state)["G"]),
        jax.random.key(0),
        state,
    )
    assert made.shape == (2, row["size"], row["size"], 3)


def test_the_stacked_table_has_every_payoff_at_equal_sizes() -> None:
    rows = payoffs.TABLES["stacked"].rows
    assert {row["payoff"] for row in rows.values()} == set(payoffs.PAYOFFS)
    assert (
        len(
            {
                tuple(row[name] for name in ("data", "size", "width", "steps"))
                for row in rows.values()
            }
        )
        == 1
    )


def critic(norm: bool) -> tuple[Any, jax.Array]:
    player = Player(nets.Discriminator(4, 4, norm=norm), optax.sgd(1.0), (16, 16, 3))
    x = jax.random.normal(jax.random.key(1), (5, 16, 16, 3))
    return player.bind(jax.tree.map(lambda leaf: 20 * leaf, player.init(jax.random.key(0))[0])), x


def test_without_batch_norm_no_sample_enters_anothers_score_or_penalty() -> None:
    for norm in (False, True):
        D, x = critic(norm)
        alone = jnp.stack([D(x[i : i + 1])[0] for i in range(5)])
        assert np.allclose(alone, D(x), rtol=1e-4) is not norm
    D, x = critic(norm=False)
    slope = jax.grad(lambda x: D(x).sum())(x)
    np.testing.assert_allclose(penalties.squared_norm(D, x), (slope**2).sum((1, 2, 3)), rtol=1e-4)


def test_images_of_three_digits_are_named_by_the_classifier_and_others_by_neighbours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    G = build(payoffs, data="digits", width=2, z=3).played.players["G"]
    bound = G.bind(G.init(jax.random.key(0))[0], name="G")
    seen = []

    def mode_coverage(name: str, at: str | None, x: np.ndarray) -> dict[str, float]:
        seen.append((name, at, x.shape))
        return {"modes": 1.0}

    monkeypatch.setattr(classifier, "mode_coverage", mode_coverage)
    monkeypatch.setattr(payoffs.stacked_mnist, "MADGAN_SAMPLES", 30)
    monkeypatch.setattr(standard, "THOUSAND", 10)
    assert payoffs.evaluate(
        {}, jax.random.key(0), G=bound, images=ImageOptions("stacked_mnist", ImageForm("there"))
    ) == {"modes": 1.0}
    assert seen == [("stacked_mnist", "there", (30, 8, 8, 1))]
    real = {
        "x": np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), np.uint8),
        "label": np.arange(20) % 2,
    }
    assert set(
        payoffs.evaluate(real, jax.random.key(0), G=bound, images=ImageOptions("digits"))
    ) == {
        "modes",
        "quality",
    }


def test_sides_that_do_not_halve_to_4_are_refused_in_one_line(tmp_path: Any) -> None:
    np.savez(tmp_path / "x.npz", x=np.zeros((30, 12, 12, 1), np.uint8))
    with pytest.raises(
        ValueError, match=r"\ADCGAN's nets take sides of 8, 16, 32, [^\n]*got \(12, 12\)\Z"
    ):
        build(payoffs, data=str(tmp_path / "x.npz"))


def test_the_distance_of_photographs_needs_colour_and_the_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = np.random.default_rng(0).integers(0, 256, (40, 2, 2, 3), np.uint8)

    def same(key: jax.Array, n: int) -> jax.Array:
        return jnp.asarray(real[:n] / np.float32(255))

    monkeypatch.setattr(standard, "THOUSAND", 40)
    monkeypatch.setattr(imagenet, "PACKAGE", "no_such_package")
    assert standard.imagenet_distance({"x": real}, same, jax.random.key(0)) == {}
    monkeypatch.setattr(imagenet, "PACKAGE", "json")
    monkeypatch.setattr(imagenet, "load", dict)
    monkeypatch.setattr(
        imagenet,
        "features",
        lambda params, x: np.asarray(data.scaled(jnp.asarray(x), 0.0)).reshape(len(x), -1),
    )
    assert standard.imagenet_distance({"x": real}, same, jax.random.key(0)) == {
        "frechet_imagenet": pytest.approx(0, abs=1e-5)
    }
    assert standard.imagenet_distance(
        {"x": real}, lambda key, n: 1 + same(key, n), jax.random.key(0)
    ) == {"frechet_imagenet": pytest.approx(12)}
    assert standard.imagenet_distance({"x": real[..., :1]}, same, jax.random.key(0)) == {}


def test_a_class_with_fewer_than_100_examples_has_no_svm_of_few_labels() -> None:
    labels = np.arange(300) % 4
    part = Dataset(
        "small",
        (8, 8, 1),
        lambda: {"x": np.zeros((300, 8, 8, 1), np.uint8), "label": labels},
        4,
        300,
    )
    splits = data.Splits(part, part, part)
    D = Player(MLP((), ()), optax.sgd(1.0), (8, 8, 1)).bind({})
    assert standard.few_label_errors(jax.random.key(0), part.read(), splits, D) == {}
