"""The classifier that is trained here: deterministic, kept, honest about its error; and what it
says of sets of images.
"""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_digits

from ganjax import data
from ganjax.data.splits import read_arrays
from ganjax.metrics import frechet, stacked_mnist
from ganjax.protocols import classifier as protocol

STEPS = 100


def sets():
    """scikit-learn's digits three times as large, uint8 [N, 24, 24, 1], halved by turns."""
    found = load_digits()
    x = np.round(found.images[..., None] * (255 / 16)).astype(np.uint8).repeat(3, 1).repeat(3, 2)
    # As tests are compiled, convolutions of the small images would be slower.
    return [{"x": x[i::2], "label": found.target[i::2]} for i in range(2)]


@pytest.fixture(scope="module")
def classifier():
    train, test = sets()
    return protocol.trained(train, test, "digits", steps=STEPS, cached=False)


def test_it_learns_and_states_its_error_on_what_it_has_not_seen(classifier):
    _, test = sets()
    assert classifier.error == (protocol.predict(classifier, test["x"]) != test["label"]).mean()
    assert classifier.error < 0.1
    assert classifier.name == "convolutions 16-32-128 of digits, seed 0"


def test_it_is_kept_under_all_that_it_is_a_function_of(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    learnt, test = sets()
    first = protocol.trained(learnt, test, "digits", steps=3)
    (kept,) = tmp_path.rglob("*.npz")
    written = kept.stat().st_mtime_ns
    again = protocol.trained(learnt, test, "digits", steps=3)
    assert kept.stat().st_mtime_ns == written
    kept.write_bytes(b"damaged")
    anew = protocol.trained(learnt, test, "digits", steps=3)
    for one in (again, anew):
        jax.tree.map(np.testing.assert_array_equal, one.C.params, first.C.params)
        assert one.error == first.error
    other = protocol.trained(learnt, test, "digits", seed=1, steps=3)
    assert not np.array_equal(other.C.params["dense"]["kernel"], first.C.params["dense"]["kernel"])
    protocol.trained(learnt, test, "digits", steps=2)
    protocol.trained({**learnt, "label": 9 - learnt["label"]}, test, "digits", steps=3)
    protocol.trained(learnt, {**test, "label": 9 - test["label"]}, "digits", steps=3)
    assert len(list(tmp_path.rglob("*.npz"))) == 5


def test_features_do_not_depend_on_the_other_images_or_on_the_dtype(classifier):
    x = sets()[1]["x"][:530]  # more than a block
    found = protocol.features(classifier, x)
    assert found.shape == (530, 128)
    assert found.dtype == np.float32
    np.testing.assert_allclose(
        protocol.features(classifier, x[520:]), found[520:], rtol=1e-5, atol=1e-5
    )
    np.testing.assert_allclose(protocol.features(classifier, x / 255), found, rtol=1e-5, atol=1e-5)
    W, b = (classifier.C.params["logits"][name] for name in ("kernel", "bias"))
    np.testing.assert_array_equal((found @ W + b).argmax(-1), protocol.predict(classifier, x))


def test_a_broken_image_has_no_class(classifier):
    x = sets()[1]["x"][:4] / 255
    x[1, 3, 3] = np.nan
    x[2, 0, 0] = np.inf
    found = protocol.predict(classifier, x)
    np.testing.assert_array_equal(found == -1, [False, True, True, False])


def test_every_distance_puts_fresh_images_before_noisy_ones(classifier):
    real, fresh = (each["x"][:250] for each in sets())
    noisy = np.clip(fresh / 255 + np.random.default_rng(0).normal(0, 0.5, fresh.shape), 0, 1)
    x, *others = (protocol.features(classifier, images) for images in (real, fresh, noisy, real))

    def measured(y):
        return {
            "frechet": frechet.frechet(frechet.moments([x]), frechet.moments([y])),
            **frechet.kernel_distance(x, y, jax.random.key(0)),
            **frechet.precision_recall(x, y),
            **frechet.density_coverage(x, y),
        }

    good, worse, same = map(measured, others)
    for name in ("frechet", "kernel"):
        assert good[name] < worse[name]
    for name in ("precision", "recall", "density", "coverage"):
        assert good[name] > worse[name]
    assert same["frechet"] == pytest.approx(0, abs=1e-6)
    assert same["precision"] == same["recall"] == same["coverage"] == 1


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (np.zeros((3, 8, 8)), r"\[n, H, W, C\]"),
        (np.zeros((3, 9, 8, 1)), r"sees images \[24, 24, 1\]"),
        (np.full((3, 24, 24, 1), -1.0), "floats in 0..1"),
        (np.full((3, 24, 24, 1), 200), "floats in 0..1"),
        (np.zeros((0, 8, 8, 1)), r"\[n, H, W, C\]"),
    ],
)
def test_images_of_another_kind_are_refused(classifier, x, said):
    with pytest.raises(ValueError, match=said):
        protocol.predict(classifier, x)


def test_training_wants_labelled_images():
    learnt, test = sets()
    with pytest.raises(ValueError, match="labelled images"):
        protocol.trained(learnt | {"label": learnt["label"][1:]}, test, "digits")
    with pytest.raises(ValueError, match="labelled images"):
        protocol.trained(learnt, test | {"x": test["x"][:, :6]}, "digits")


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("GANJAX_TEST_DATA"),
    reason="set GANJAX_TEST_DATA to a folder that holds the real sets",
)
def test_mnist_is_learnt_well_enough_to_count_the_modes_of_stacked_digits(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    where = os.path.join(os.environ["GANJAX_TEST_DATA"], "tfds")
    classifier = protocol.of_dataset("mnist", where)
    assert classifier.error < 0.015
    arrays = read_arrays(data.find("stacked_mnist", where))
    x, wanted = jnp.asarray(arrays["x"]), jnp.asarray(arrays["label"])

    def predict(images):
        return jnp.asarray(protocol.predict(classifier, images))

    label = stacked_mnist.stacked_labels(predict, x)
    assert (label == wanted).mean() > 0.98
    found = stacked_mnist.coverage(label)
    assert found["modes"] == 1000
    assert found["kl"] == pytest.approx(float(stacked_mnist.coverage(wanted)["kl"]), rel=0.05)
    dropped = stacked_mnist.coverage(label[wanted // 100 != 7])
    assert 900 <= dropped["modes"] <= 1000  # beyond 900 are errors of the classifier
    assert dropped["kl"] == pytest.approx(np.log(10 / 9) + found["kl"], abs=0.02)
