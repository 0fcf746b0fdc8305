"""Samples of one class, walks between noises, and a run loaded in Python."""

import dataclasses
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random
from PIL import Image
from runs import EXPERIMENTS

from ganjax import play
from ganjax.experiment import Experiment
from ganjax.game import Bound
from ganjax.runs import sampling, written

KEY = random.key(5)


@pytest.fixture(scope="module")
def cgan() -> tuple[Experiment, dict[str, Bound]]:
    """A conditional G whose samples do not depend on each other; its noise is uniform."""
    file = EXPERIMENTS["cgan.py"]
    experiment = file.build({**file.quick, "noisy": False, "width": 12})
    state = play.init(experiment.played, random.key(0), experiment.data)
    return experiment, play.bound(experiment.played, state)


def test_samples_of_a_class_are_those_of_its_turns(
    cgan: tuple[Experiment, dict[str, Bound]],
) -> None:
    every = sampling.draw(*cgan, KEY, 100)
    for n in (1, 10):
        assert (sampling.draw(*cgan, KEY, n, label=7) == every[7::10][:n]).all()
    with pytest.raises(ValueError, match=r"no samples of class 10: classes are 0 to 9$"):
        sampling.draw(*cgan, KEY, 1, label=10)


@pytest.mark.parametrize("label", [2, None])
def test_a_walk_is_what_the_player_makes_of_its_noises(
    cgan: tuple[Experiment, dict[str, Bound]], label: int | None
) -> None:
    x = sampling.draw(*cgan, KEY, 64 * 5 // 4, label, walk=4)
    assert (x[:10] == sampling.draw(*cgan, KEY, 10, label, walk=4)).all()
    G = cgan[1]["G"]
    walking = partial(sampling.path, G.player.prior, 64, 4)
    z = G.replace(player=dataclasses.replace(G.player, prior=walking)).noise(KEY, 64)
    classes = jnp.arange(64) // 4 % 10 if label is None else jnp.full(64, label)
    expected = jax.jit(lambda G: G(z, jax.nn.one_hot(classes, 10)))(G)
    np.testing.assert_allclose(x[:64], expected, rtol=1e-5, atol=1e-6)
    assert not np.allclose(x[64:], x[:16])  # another block, other noises


def test_normal_noise_walks_on_the_sphere_and_other_noise_straight() -> None:
    z = np.asarray(sampling.path(random.normal, 12, 6, KEY, (24, 3, 4))).reshape(24, 12)
    assert (z[::2] == z[1::2]).all()  # both classes of a point have its noise
    for walk in z[::2].reshape(2, 6, 12).astype(np.float64):
        a, b = walk[0], walk[-1]
        angle = np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
        for t, point in zip(np.linspace(0, 1, 6), walk):
            arc = (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)
            np.testing.assert_allclose(point, arc, rtol=1e-4, atol=1e-5)
    x = np.asarray(sampling.path(random.uniform, 12, 6, KEY, (12, 3))).reshape(2, 6, 3)
    np.testing.assert_allclose(np.diff(x, n=2, axis=1), 0, atol=1e-6)
    assert x.min() >= 0
    assert x.max() <= 1
    ends = x[:, [0, -1]].reshape(4, 3)
    assert len(np.unique(ends, axis=0)) == 4
    same = sampling.spherical(jnp.ones(3), jnp.ones(3), jnp.float32(0.3))
    np.testing.assert_allclose(same, np.ones(3), rtol=1e-6)


def test_what_draws_no_noise_does_not_walk_and_what_has_no_class_has_none() -> None:
    experiment = EXPERIMENTS["boltzmann.py"].build(EXPERIMENTS["boltzmann.py"].quick)
    state = play.init(experiment.played, random.key(0), experiment.data)
    players = play.bound(experiment.played, state)
    with pytest.raises(ValueError, match=r"come from no noise that one could walk$"):
        sampling.draw(experiment, players, KEY, 8, walk=4)
    with pytest.raises(ValueError, match=r"no samples of class 0: its samples are of no class$"):
        sampling.draw(experiment, players, KEY, 8, label=0)


def test_images_are_written_one_by_one_and_walks_as_rows(
    cgan: tuple[Experiment, dict[str, Bound]], tmp_path: Path
) -> None:
    x = np.linspace(0, 1, 6 * 64, dtype=np.float32).reshape(6, 8, 8, 1)
    assert written.number_of_samples(cgan[0], f"{tmp_path}/new/", 6) == 6
    assert written.write(cgan[0], x, f"{tmp_path}/new/") is None
    names = [f"000{i}.png" for i in range(6)]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == names
    for i, name in enumerate(names):
        with Image.open(tmp_path / "new" / name) as image:
            np.testing.assert_allclose(np.asarray(image), x[i, ..., 0] * 255, atol=0.51)
    written.write_image(np.stack([x[0], x[5]]), tmp_path / "two.png")
    with Image.open(tmp_path / "two.png") as image:
        assert image.size == (16, 8)
    sizes = []
    for columns in (3, 2):
        assert written.write(cgan[0], x, f"{tmp_path}/{columns}.png", columns=columns) is None
        with Image.open(tmp_path / f"{columns}.png") as image:
            sizes.append(image.width > image.height)
    assert sizes == [True, False]
