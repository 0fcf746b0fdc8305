"""A trained player on a user's images: sizes kept, values scaled, labels as a table."""

import csv
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from runs import EXPERIMENTS, call, unmeasured

from ganjax import attacks
from ganjax.runs.loading import load

SIZES = {"a": (16, 16), "sub/b": (13, 22), "sub/c": (20, 17)}  # height, width


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("runs")
    how = ("--quick", "--steps=2", "--every=2", "--quiet", "--no-cache")
    small = ("--blocks=1", "--width=4")
    few = ("--train=clean", "--pgd-steps=1", "--cw-images=1", "--cw-steps=1")
    with pytest.MonkeyPatch.context() as patch:
        unmeasured(patch)
        for name, more in {"cyclegan": small, "adversarial": few}.items():
            path = EXPERIMENTS[f"{name}.py"].path
            assert call("run", path, *how, *more, "--out", place / name) == (0, "", "")
    return place


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name, size in SIZES.items():
        path = Path("photos", "class" if "/" not in name else "", f"{name}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, size, np.uint8)).save(path)


def test_a_translator_keeps_sizes_and_gives_the_numbers_of_the_player(runs: Path) -> None:
    args = ("apply", runs / "cyclegan", "--player", "G", "--input", "photos")
    status, out, err = call(*args, "--out", "made")
    assert (status, out, err) == (0, "made: 3 images by G at step 2\n", "")
    made = {path.relative_to("made") for path in Path("made").rglob("*.png")}
    assert made == {Path("class/a.png"), Path("sub/b.png"), Path("sub/c.png")}
    for name in ("sub/b", "sub/c"):
        with Image.open(f"made/{name}.png") as image:
            assert (image.height, image.width) == SIZES[name]
    with Image.open("photos/class/a.png") as image:
        x = np.asarray(image, np.float32)[None, ..., None] / 127.5 - 1
    G = load(runs / "cyclegan").players["G"]
    y = np.asarray(jax.jit(lambda G: G(x))(G))[0, ..., 0]
    with Image.open("made/class/a.png") as image:
        np.testing.assert_allclose(np.asarray(image), (y + 1) * 127.5, atol=0.51)
    assert call(*args, "--out", "made")[2] == "ganjax: made is not empty: choose another --out\n"
    status, out, _ = call(*args, "--size", 16, "--crop", "--out", "all.npz")
    assert np.load("all.npz")["x"].shape == (3, 16, 16, 1)


def test_a_classifier_writes_labels_of_images_of_its_size(runs: Path) -> None:
    args = ("apply", runs / "adversarial", "--input", "photos")
    status, _, err = call(*args, "--out", "labels.csv")
    assert status == 2
    assert "--size 8 brings images to that" in err
    assert call(*args, "--size", 8, "--crop", "--out", "labels.csv")[0] == 0
    with Path("labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == ["class/a", "sub/b", "sub/c"]
    assert all(0 <= int(row["label"]) < 10 and 0.1 <= float(row["confidence"]) <= 1 for row in rows)


def test_an_attacker_writes_images_that_differ_by_its_size(runs: Path) -> None:
    x = np.random.default_rng(1).integers(0, 256, (20, 8, 8, 1), np.uint8)
    run = load(runs / "adversarial")
    C, eps = run.players["C"], run.options.fgsm_eps
    read = np.asarray(jax.jit(lambda C: C(x / np.float32(255)))(C)).argmax(-1)
    for label in (None, (read + 1) % 10):
        np.savez("x.npz", x=x, **({} if label is None else {"label": label}))
        args = ("apply", runs / "adversarial", "--player", "FGSM", "--input", "x.npz")
        status, out, err = call(*args, "--out", "made.npz")
        assert (status, out, err) == (0, "made.npz: 20 images by FGSM at step 2\n", "")
        made = np.load("made.npz")["x"]
        Path("made.npz").unlink()
        y = jnp.asarray(read if label is None else label)
        near = attacks.fgsm(C, jnp.asarray(x / np.float32(255)), y, eps)
        np.testing.assert_allclose(made, 255 * near, atol=0.51)
    np.savez("x.npz", x=x, label=np.full(20, 10))
    told = "ganjax: x.npz has labels 10 to 10: classes are 0 to 9\n"
    assert call(*args, "--out", "made.npz") == (2, "", told)


@pytest.mark.parametrize(
    ("run", "more", "said"),
    [
        ("cyclegan", "--input photos --out m", "say --player: of G, F, D_X, D_Y, G, F, D_X, D_Y"),
        ("cyclegan", "--player X --input photos --out m", "there is no player X: there are G, F"),
        (
            "adversarial",
            "--player X --input photos --out m",
            "there are C, FGSM, PGD, CW, DeepFool",
        ),
        ("adversarial", "--player PGD --input photos --out m", "--size 8 brings images to that"),
        ("cyclegan", "--player D_X --input photos --out m", "D_X makes neither an image nor"),
        ("cyclegan", "--player G --input photos --out m.csv", "this player makes images: --out is"),
        ("cyclegan", "--player G --input photos --out m.npz", "an .npz holds images of one size"),
        ("cyclegan", "--player G --input none --out m", "none is neither a folder of images nor"),
        ("cyclegan", "--player G --input photos --step 7 --out m", "keeps no step 7: it keeps 2"),
        ("cyclegan", "--player G --input photos --step best --out m", "keeps no best step"),
        ("cyclegan", "--player G --input photos --lane 4 --out m", "has no seed 4: there are 0"),
        (
            "adversarial",
            "--input photos --size 8 --crop --out m",
            "this player makes labels: --o",
        ),
    ],
)
def test_a_wrong_request_is_one_line_and_writes_nothing(
    runs: Path, run: str, more: str, said: str
) -> None:
    status, out, err = call("apply", runs / run, *more.split())
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert not list(Path().glob("m*"))
