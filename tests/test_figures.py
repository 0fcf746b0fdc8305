"""Figures: what is drawn where, equal bytes from equal arrays, whole files."""

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch
from PIL import Image

from ganjax.data.mixtures import mixture1d, ring
from ganjax.figures.curves import curves
from ganjax.figures.named import named_images
from ganjax.figures.samples import histogram, image_grid, marginals, sample_figure, scatter
from ganjax.figures.states import shares_of_states
from ganjax.figures.style import save

ROWS: list[dict[str, float]] = [
    {"step": s, "seed": q, "time": 1.0, "kl": s + q, "modes": 8}
    for s in (0, 10, 20)
    for q in (1, 2, 3)
]


def drawn(name: str) -> Figure:
    """One of the figures, from arrays made anew."""
    rng = np.random.default_rng(0)
    return {
        "scatter": lambda: scatter(ring(), rng.normal(size=(100, 4, 2))),
        "points": lambda: scatter(rng.normal(size=(100, 2)), rng.normal(size=(100, 2))),
        "histogram": lambda: histogram(mixture1d(), rng.uniform(0, 120, (50, 8, 1))),
        "counts": lambda: histogram(rng.normal(size=(100, 1)), rng.normal(size=(100, 1))),
        "grid": lambda: image_grid(rng.normal(size=(20, 3, 8, 8, 1))),
        "curves": lambda: curves(ROWS),
    }[name]()


@pytest.mark.parametrize("name", ["scatter", "points", "histogram", "counts", "grid", "curves"])
def test_the_same_arrays_give_the_same_bytes(name, tmp_path):
    for part in "ab":
        save(drawn(name), tmp_path / "deep" / f"{part}.png")
    first, second = ((tmp_path / "deep" / f"{part}.png").read_bytes() for part in "ab")
    assert first == second
    assert b"Matplotlib" not in first
    assert np.asarray(Image.open(tmp_path / "deep" / "a.png").convert("L")).std() > 1


def test_wrong_names_are_told_apart():
    figure = named_images(np.zeros((3, 4, 4, 1)), [7, "a", 9], [True, False, True], columns=2)
    titles = [axes.title for axes in figure.axes]
    assert [title.get_text() for title in titles] == ["7", "a", "9"]
    colours = [title.get_color() for title in titles]
    assert colours[0] == colours[2] != colours[1]


def test_shares_of_states_stand_above_their_images():
    images = np.random.default_rng(0).integers(0, 2, (3, 2, 2, 1))
    figure = shares_of_states(images, {"data": [0.5, 0.3, 0.2], "model": [0.1, 0.2, 0.7]})
    (axes,) = figure.axes
    assert [np.asarray(line.get_ydata()).tolist() for line in axes.lines] == [
        [50, 30, 20],
        [10, 20, 70],
    ]
    drawn = [inset.images[0].get_array() for inset in axes.child_axes]
    np.testing.assert_array_equal(drawn, 1 - images[..., 0])  # 1 is black


def test_pyplot_is_never_imported(tmp_path):
    code = (
        "import sys; from ganjax.figures import curves, heat, samples, strips, style; "
        "style.save(samples.image_grid([[[0.0]]]), sys.argv[1]); "
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x.png")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"


def sheet(figure: Figure, path) -> np.ndarray:
    save(figure, path)
    return np.asarray(Image.open(path).convert("RGB"))


@pytest.mark.parametrize("n", [1, 5, 16])
@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 3), (7, 13, 1)])
def test_a_contact_sheet_holds_every_pixel(n, shape, tmp_path):
    levels = np.random.default_rng(0).integers(0, 256, (n, *shape))
    picture = sheet(image_grid(levels / 255), tmp_path / "x.png")
    columns = int(np.ceil(np.sqrt(n)))
    scale = 640 // (columns * shape[1])
    cell = scale * shape[0] + 2, scale * shape[1] + 2
    for i in range(n):
        top, left = i // columns * cell[0] + 2, i % columns * cell[1] + 2
        tile = picture[top : top + cell[0] - 2, left : left + cell[1] - 2][
            scale // 2 :: scale, scale // 2 :: scale
        ]
        np.testing.assert_allclose(
            tile, np.broadcast_to(levels[i].reshape(*shape[:2], -1), tile.shape), atol=1
        )


def test_generators_have_a_row_each(tmp_path):
    images = np.broadcast_to(np.linspace(0, 1, 3)[:, None, None], (4, 3, 8, 8))
    picture = sheet(image_grid(images), tmp_path / "x.png")
    height = picture.shape[0]
    for k, level in enumerate([0, 128, 255]):
        assert abs(int(picture[int((k + 0.5) / 3 * height), -10, 0]) - level) <= 1


def test_low_and_high_are_black_and_white_and_what_lies_beyond_is_clipped(tmp_path):
    images = np.array([-5, 0, 0.5, 1, 5, np.nan])[:, None, None] * np.ones((6, 4, 4))
    picture = sheet(image_grid(images), tmp_path / "x.png")
    np.testing.assert_array_equal(
        sheet(image_grid(2 * images - 1, -1.0, 1.0), tmp_path / "x.png"), picture
    )
    height, width = picture.shape[:2]
    levels = [
        int(picture[height * (2 * r + 1) // 4, width * (2 * c + 1) // 6, 0])
        for r in range(2)
        for c in range(3)
    ]
    assert levels == [0, 0, pytest.approx(128, abs=1), 255, 255, 0]


def test_curves_are_means_with_a_band_of_one_sd():
    axes = curves(ROWS, ["kl"]).axes
    assert len(axes) == 1
    mean = np.asarray(axes[0].lines[0].get_xydata())
    np.testing.assert_allclose(mean, [[0, 2], [10, 12], [20, 22]])
    band = np.asarray(axes[0].collections[0].get_paths()[0].vertices)
    np.testing.assert_allclose([band[:, 1].min(), band[:, 1].max()], [1, 23])


def test_curves_leave_out_what_is_not_finite_and_take_a_single_step():
    rows: list[dict[str, float | None]] = [
        {"step": 0, "seed": 0, "G": float("inf"), "D": 1.0},
        {"step": 0, "seed": 1, "G": 2.0},
        {"step": 5, "seed": 0, "G": None},
    ]
    g, d = curves(rows, ["G", "D"]).axes
    np.testing.assert_allclose(np.asarray(g.lines[0].get_xydata()), [[0, 2]])
    np.testing.assert_allclose(np.asarray(d.lines[0].get_xydata()), [[0, 1]])
    assert curves(rows[:1], ["D"]).axes[0].get_title(loc="left") == "D"
    assert [axes.get_title(loc="left") for axes in curves(rows).axes] == ["G"]
    assert [axes.get_title(loc="left") for axes in curves(rows[:1]).axes] == ["G", "D"]


@pytest.mark.parametrize(
    ("rows", "names"), [([], None), (ROWS, ["k"]), ([{"step": 1, "seed": 0}], None)]
)
def test_curves_of_nothing_are_refused(rows, names):
    with pytest.raises(
        ValueError,
        match=r"^(no measure named k; known are kl, modes|there are no measures to draw)$",
    ):
        curves(rows, names)


def test_bars_have_the_mass_inside_and_the_rest_is_counted():
    axes = histogram(mixture1d(), np.array([50.0, 50, 70, 1e6])[:, None]).axes[0]
    (patch,) = axes.patches
    assert isinstance(patch, StepPatch)
    values, edges, _ = patch.get_data()
    assert (values * np.diff(edges)).sum() == pytest.approx(0.75)
    assert [text.get_text() for text in axes.texts] == ["25.0% outside"]


def test_points_of_many_numbers_are_drawn_number_by_number():
    real = np.array([[0.0, 0, 10], [1, 4, 10], [1, 4, 10]])
    figure = marginals(real, np.stack([real, real + [0, 100, 0]], 1))
    for i, axes in enumerate(figure.axes):
        mass = []
        for patch in axes.patches:
            assert isinstance(patch, StepPatch)
            values, edges, _ = patch.get_data()
            mass.append((values * np.diff(edges)).sum())
        assert mass == pytest.approx([1, 1, 0 if i == 1 else 1])  # real, G1, G2
    low, high = figure.axes[2].get_xlim()
    assert low < 10 < high


def test_the_scatters_frame_does_not_move_with_the_samples(tmp_path):
    near, far = (scatter(ring(), np.full((10, 2), value)).axes[0] for value in (0.0, np.nan))
    assert near.get_xlim() == far.get_xlim()
    assert near.get_ylim() == far.get_ylim()
    assert [text.get_text() for text in far.texts] == ["100.0% outside"]
    assert not near.texts


@pytest.mark.parametrize(
    ("data", "shape", "panels"),
    [
        (ring(), (9, 2), 1),
        (ring(), (9, 3, 2), 1),
        (mixture1d(), (9, 1), 1),
        (mixture1d(), (9, 12, 1), 1),
        ({"x": np.zeros((5, 2))}, (9, 2), 1),
        ({"x": np.zeros((5, 7))}, (9, 7), 7),
        ({"x": np.zeros((5, 30))}, (9, 2, 30), 12),
        ({"x": np.zeros((5, 8, 8, 1), np.uint8)}, (9, 8, 8, 1), 1),
        ({"x": np.zeros((5, 8, 8), np.uint8)}, (9, 3, 8, 8), 1),
        ({"x": np.zeros((5, 8, 8, 3), np.uint8)}, (9, 3, 8, 8, 3), 1),
    ],
)
def test_samples_choose_the_figure_by_the_data(data, shape, panels, tmp_path):
    figure = sample_figure(data, np.zeros(shape))
    assert len(figure.axes) == panels
    save(figure, tmp_path / "x.png")


def test_of_many_images_the_first_are_shown(tmp_path):
    data, images = (
        {"x": np.zeros((5, 8, 8, 1), np.uint8)},
        np.random.default_rng(0).random((500, 3, 8, 8, 1)),
    )
    for part, first in ((images, images[:32]), (images[:, 0], images[:64, 0])):
        shown, expected = (
            sheet(figure, tmp_path / "x.png")
            for figure in (sample_figure(data, part), image_grid(first))
        )
        np.testing.assert_array_equal(shown, expected)


@pytest.mark.parametrize(
    ("data", "shape"),
    [
        (ring(), (9, 3)),
        (ring(), (2,)),
        (ring(), (9, 2, 2, 2)),
        ({"x": np.zeros((5, 7))}, (9, 8)),
        ({"x": np.zeros((5, 8, 8, 2))}, (9, 8, 8, 2)),
        ({"x": np.zeros((5, 8, 8))}, (9, 8)),
    ],
)
def test_samples_without_a_figure_are_refused_in_one_line(data, shape):
    with pytest.raises(ValueError, match=r"^[^\n]*are wanted[^\n]*$"):
        sample_figure(data, np.zeros(shape))


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "x.png"
    save(drawn("curves"), path)
    before = path.read_bytes()

    def torn(figure, part, **options):
        part.write_bytes(before[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", torn)
    with pytest.raises(ValueError, match="No space left on device"):
        save(drawn("grid"), path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["x.png"]


def test_only_png_is_written_and_a_bad_place_is_one_line(tmp_path):
    with pytest.raises(ValueError, match=r"should end in \.png"):
        save(drawn("curves"), tmp_path / "x.pdf")
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot be written"):
        save(drawn("curves"), tmp_path / "file" / "x.png")
