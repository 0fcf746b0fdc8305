"""Datasets in three splits, and the protocols that evaluate a generator by them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from data_files import loaded, uci_folder

from ganjax import data
from ganjax.data import Dataset, Splits
from ganjax.data.splits import hold_out
from ganjax.metrics import classifiers, parzen
from ganjax.protocols import standard


@pytest.fixture(autouse=True)
def _small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(standard, "THOUSAND", 40)


def digits() -> Splits:
    """scikit-learn's digits in three equal parts, as if they were held out."""
    whole = loaded("digits")

    def third(i: int) -> Dataset:
        return Dataset(
            f"digits {i}",
            (8, 8, 1),
            lambda: {name: values[i::3] for name, values in whole.items()},
            10,
            599,
        )

    return Splits(third(0), third(1), third(2))


def read(part: Dataset | None) -> dict[str, np.ndarray]:
    """The arrays of a part, its images in 0..1."""
    assert part is not None
    arrays: Any = part.read()
    return {**arrays, "x": arrays["x"] / np.float32(255)}


def replayed(x: np.ndarray, label: np.ndarray, lie: int = 0) -> Callable[..., jax.Array]:
    """A generator that returns real images: sample i is a random one of class (i + lie) mod 10."""
    few = min(np.bincount(label))
    real = jnp.stack([jnp.asarray(x[label == c][:few]) for c in range(10)])  # [10, few, ...]

    def sample(key: jax.Array, n: int) -> jax.Array:
        return real[(jnp.arange(n) + lie) % 10, jax.random.randint(key, (n,), 0, few)]

    return sample


def noise(key: jax.Array, n: int) -> jax.Array:
    return jax.random.uniform(key, (n, 8, 8, 1))


def test_a_prepared_set_with_a_test_split_comes_in_three_disjoint_parts(tmp_path: Path) -> None:
    data.prepare("optdigits/uci", str(uci_folder(tmp_path / "uci")))
    found = data.find_splits("optdigits/uci")
    train, valid, test = map(read, found)
    assert (
        [part.examples for part in found if part]
        == [len(train["x"]), len(valid["x"]), len(test["x"])]
        == [20, 3, 11]
    )
    everything = loaded("optdigits/uci")
    kept, held = hold_out(23)
    for rows, part in ((kept, train), (held, valid)):
        np.testing.assert_array_equal(part["label"], everything["label"][rows])
        np.testing.assert_array_equal(part["x"], everything["x"][rows] / np.float32(255))
    np.testing.assert_array_equal(test["label"], loaded("optdigits/uci", "test")["label"])
    resized = data.find_splits("optdigits/uci", size=4)
    assert [part.shape for part in resized if part] == [(4, 4, 1)] * 3


def test_a_set_without_held_out_examples_is_one_part(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.zeros((30, 4, 4, 1), np.uint8))
    for name in ("digits", "ring", str(tmp_path / "x.npz")):
        found, whole = data.find_splits(name), data.find(name)
        assert (found.train.name, found.train.examples, found.valid, found.test) == (
            whole.name,
            whole.examples,
            None,
            None,
        )
        assert standard.parzen_likelihood(noise, jax.random.key(0), found) == {}
        assert standard.conditional_scores(noise, jax.random.key(0), found, 10) == {}
        assert standard.parzen_baselines(found) == {}


def test_what_is_not_there_or_does_not_fit_is_refused_as_it_is_of_a_whole_set(
    tmp_path: Path,
) -> None:
    with pytest.raises(
        ValueError, match=r"\Amnist is not prepared in [^\n]+: run `ganjax data prepare mnist`\Z"
    ):
        data.find_splits("mnist")
    np.savez(tmp_path / "x.npz", x=np.zeros((30, 4, 4, 4), np.uint8))
    with pytest.raises(
        ValueError, match=r"this game plays on points, or images of 1 or 3 channels"
    ):
        data.find_splits(str(tmp_path / "x.npz"))


def test_fewer_samples_are_the_first_of_more_and_none_comes_twice() -> None:
    key = jax.random.key(0)
    more = standard.draw_samples(noise, key, 100)
    np.testing.assert_array_equal(more[:50], standard.draw_samples(noise, key, 50))
    assert more.dtype == np.float32
    assert more.shape == (100, 8, 8, 1)
    assert len(np.unique(more.reshape(100, -1), axis=0)) == 100
    assert not np.isin(
        standard.draw_samples(noise, jax.random.key(1), 100)[:, 0, 0], more[:, 0, 0]
    ).any()


def test_the_likelihood_is_parzens_of_400_samples_on_pixels_in_0_to_1() -> None:
    parts, key = digits(), jax.random.key(0)
    train, valid, test = map(read, parts)
    sample = replayed(train["x"], train["label"])
    found = standard.parzen_likelihood(sample, key, parts)
    assert found == parzen.log_likelihood(
        standard.draw_samples(sample, key, 400), valid["x"][:40], test["x"]
    )
    assert found["parzen"] > standard.parzen_likelihood(noise, key, parts)["parzen"] + 10


def test_a_generator_that_returns_real_images_serves_a_nearest_neighbour_as_real_images_do() -> (
    None
):
    parts, key = digits(), jax.random.key(0)
    train, _, test = map(read, parts)
    sample = replayed(train["x"], train["label"])
    found = standard.conditional_scores(sample, key, parts, 10)
    real = classifiers.one_nn(train["x"], train["label"], test["x"], test["label"])
    assert found["one_nn_50k"] == pytest.approx(real, abs=0.01)
    assert found["one_nn_50k"] <= found["one_nn_10k"] < found["one_nn_1k"] < 0.5
    assert {
        name: value for name, value in found.items() if name.startswith("parzen")
    } == standard.parzen_likelihood(sample, key, parts)
    lied = standard.conditional_scores(replayed(train["x"], train["label"], lie=1), key, parts, 10)
    assert lied["one_nn_50k"] > 0.9


def test_parzen_baselines_are_training_images_and_the_centroids_that_beat_them() -> None:
    parts = digits()
    train, valid, test = map(read, parts)
    found = standard.parzen_baselines(parts)
    assert list(found) == ["training images", "k-means centroids"]
    assert found["training images"] == pytest.approx(
        parzen.log_likelihood(train["x"][:400], valid["x"][:40], test["x"])
    )
    assert (
        found["k-means centroids"]["parzen"] > found["training images"]["parzen"]
    )  # Theis et al. 2016, table 1
    assert found == standard.parzen_baselines(parts)
