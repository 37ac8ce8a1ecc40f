"""What the figure shows: planes, orientation, millimeters, shared ranges."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from matplotlib.image import imread

from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.errors import OutputError, ParameterError
from napari_mrisr.evaluation.figure import check_figure_path, comparison_figure, save_figure

SHAPE = (40, 52, 30)
VOXEL = (1.0, 1.25, 2.0)


@pytest.fixture
def truth(rng):
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij")
    inside = sum(a**2 for a in axes) < 0.7
    data = np.where(inside, 100 + 20 * rng.random(SHAPE), 0.0)
    affine = np.diag([*VOXEL, 1.0])
    affine[:3, 3] = -20, -30, -25
    return Volume(data.astype(np.float32), Grid(SHAPE, affine))


@pytest.fixture
def volumes(truth):
    blurred = Volume(truth.data + np.float32(3.0), truth.grid)
    sharp = Volume(truth.data - np.float32(1.0), truth.grid)
    return {"truth": truth, "tricubic": blurred, "hashed": sharp}


def panels(figure):
    """Rows of image panels, top to bottom, each from left to right."""
    axes = [a for a in figure.axes if a.images]
    rows = sorted({round(a.get_position().y1, 4) for a in axes}, reverse=True)
    return [
        sorted(
            (a for a in axes if round(a.get_position().y1, 4) == row),
            key=lambda a: a.get_position().x0,
        )
        for row in rows
    ]


def texts(axes):
    return [text.get_text() for text in axes.texts]


def color_at(figure, axes, x, y):
    """The pixel drawn at a panel's data coordinates."""
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())
    column, row = axes.transData.transform((x, y))
    return pixels[pixels.shape[0] - 1 - int(row), int(column), :3].astype(int)


def test_rows_are_planes_and_columns_truth_others_and_differences(volumes):
    grid = panels(comparison_figure(volumes))
    assert [len(row) for row in grid] == [5, 5, 5]
    assert [a.get_title() for a in grid[0]] == [
        "truth",
        "tricubic",
        "hashed",
        "tricubic − truth",
        "hashed − truth",
    ]
    names = [row[0].get_ylabel().split(",")[0] for row in grid]
    assert names == ["axial", "sagittal", "coronal"]


def test_panels_show_the_cut_asked_for(volumes):
    position = (11, 20, 9)
    grid = panels(comparison_figure(volumes, position=position))
    data = volumes["truth"].data
    cuts = [data[:, :, 9], data[11], data[:, 20]]
    for row, cut in zip(grid, cuts, strict=True):
        np.testing.assert_array_equal(row[0].images[0].get_array(), cut.T)
        np.testing.assert_allclose(row[3].images[0].get_array(), 3.0, rtol=1e-4)
        np.testing.assert_allclose(row[4].images[0].get_array(), -1.0, rtol=1e-4)
    assert grid[0][0].get_ylabel() == "axial, z = −7 mm"
    assert grid[1][0].get_ylabel() == "sagittal, x = −9 mm"
    assert grid[2][0].get_ylabel() == "coronal, y = −5 mm"


def test_the_patient_s_right_is_on_the_left_and_up_is_up(truth):
    """A bright voxel far to the right, back and top is drawn where it belongs."""
    data = truth.data.copy()
    data[:] = np.where(data > 0, 50, 0)
    data[30:34, 10:14, 20:23] = 1000.0  # right, posterior, superior
    marked = Volume(data, truth.grid)
    figure = comparison_figure({"truth": marked, "other": truth}, position=(32, 12, 21))
    places = {0: "left bottom", 1: "right top", 2: "left top"}  # axial, sagittal, coronal
    for row, axes_row in enumerate(panels(figure)):
        axes = axes_row[0]
        image = axes.images[0]
        array = np.asarray(image.get_array())
        rows, columns = np.nonzero(array > 500)
        left, right, bottom, top = image.get_extent()
        x = left + (columns.mean() + 0.5) / array.shape[1] * (right - left)
        y = bottom + (rows.mean() + 0.5) / array.shape[0] * (top - bottom)
        assert color_at(figure, axes, x, y).min() > 250
        across, up = axes.transAxes.inverted().transform(axes.transData.transform((x, y)))
        found = f"{'left' if across < 0.5 else 'right'} {'top' if up > 0.5 else 'bottom'}"
        assert found == places[row]


def test_letters_name_the_edges(volumes):
    expected = ["RLAP", "APSI", "RLSI"]
    for row, letters in zip(panels(comparison_figure(volumes)), expected, strict=True):
        found = {text.get_text(): text.get_position() for text in row[0].texts}
        left, right, top, bottom = (found[letter] for letter in letters)
        assert left[0] < 0.5 < right[0]
        assert top[1] > 0.5 > bottom[1]


def test_millimeters_are_the_same_across_and_up_in_every_panel(volumes):
    figure = comparison_figure(volumes)
    per_inch = set()
    for axes in (a for row in panels(figure) for a in row):
        box = axes.get_position()
        width, height = figure.get_size_inches() * (box.width, box.height)
        per_inch.add(round(abs(np.diff(axes.get_xlim())[0]) / width, 3))
        per_inch.add(round(abs(np.diff(axes.get_ylim())[0]) / height, 3))
        assert axes.get_aspect() == "auto"
    assert len(per_inch) == 1
    extent = panels(figure)[1][0].images[0].get_extent()  # sagittal: y across, z up
    assert extent[1] == pytest.approx(52 * 1.25)
    assert extent[3] == pytest.approx(30 * 2.0)


def test_the_scale_bar_is_as_long_as_it_says(volumes):
    for row in panels(comparison_figure(volumes)):
        (bar,) = row[0].lines
        label = next(text for text in texts(row[0]) if text.endswith("mm"))
        assert abs(np.diff(bar.get_xdata())[0]) == pytest.approx(float(label.split()[0]))


def test_differences_share_a_range_that_is_symmetric_about_zero(volumes):
    grid = panels(comparison_figure(volumes))
    ranges = {axes.images[0].get_clim() for row in grid for axes in row[3:]}
    assert len(ranges) == 1
    low, high = ranges.pop()
    assert low == -high
    assert high == pytest.approx(3.0, rel=0.01)
    assert len({axes.images[0].get_clim() for row in grid for axes in row[:3]}) == 1


def test_signs_have_colors(volumes):
    figure = comparison_figure(volumes)
    row = panels(figure)[0]
    middle = [np.mean(row[3].get_xlim()), np.mean(row[3].get_ylim())]
    red, _, blue = color_at(figure, row[3], *middle)
    assert red > blue  # brighter than the truth
    red, _, blue = color_at(figure, row[4], *middle)
    assert blue > red


def test_equal_volumes_are_drawn(truth):
    figure = comparison_figure({"truth": truth, "same": truth})
    assert panels(figure)[0][2].images[0].get_clim() == (-1.0, 1.0)


def test_words_are_there(volumes):
    figure = comparison_figure(
        volumes, captions={"hashed": "30.12 dB"}, title="sub-01, 2×", footnote="Protocol standard."
    )
    words = "\n".join(text.get_text() for text in figure.texts)
    for part in ("sub-01, 2×", "Protocol standard.", "Radiological", "not for diagnosis"):
        assert part in words
    assert "30.12 dB" in texts(panels(figure)[0][2])
    bars = [a.get_xlabel() for a in figure.axes if not a.images and a.get_xlabel()]
    assert bars == ["intensity (scan's units)", "difference (scan's units)"]


@pytest.mark.parametrize("shape", [(40, 52, 30), (60, 50, 4), (4, 50, 60), (50, 4, 60)])
def test_no_two_texts_overlap_and_none_leaves_the_page(shape, rng):
    truth = Volume(100 * rng.random(shape, dtype=np.float32), Grid(shape, np.eye(4)))
    volumes = {"truth": truth, "tricubic": truth, "hashed": truth}
    captions = dict.fromkeys(volumes, "30.12 dB / 0.9876")
    figure = comparison_figure(volumes, captions=captions, title="t", footnote="word " * 60)
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    found = list(figure.texts)
    for axes in figure.axes:
        found += [axes.title, axes.yaxis.label, axes.xaxis.label]
        found += [text for text in axes.texts if not text.get_text().endswith("mm")]
    boxes = [(t.get_text(), t.get_window_extent(renderer)) for t in found if t.get_text()]
    page = figure.bbox
    for text, box in boxes:
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= page.width, text
        assert box.y1 <= page.height, text
    for (one, a), (other, b) in combinations(boxes, 2):
        assert not (a.x0 < b.x1 and b.x0 < a.x1 and a.y0 < b.y1 and b.y0 < a.y1), (one, other)


def test_a_png_is_written_whole_and_says_what_it_is(volumes, tmp_path):
    path = tmp_path / "figure.png"
    path.write_bytes(b"old")
    save_figure(comparison_figure(volumes), path, dpi=100)
    assert imread(path).shape[1] == 720
    assert b"not for diagnosis" in path.read_bytes()
    assert [p.name for p in tmp_path.iterdir()] == ["figure.png"]


@pytest.mark.parametrize("suffix", [".pdf", ".svg", ".tif"])
def test_other_formats(volumes, tmp_path, suffix):
    path = tmp_path / f"figure{suffix}"
    save_figure(comparison_figure(volumes), path, dpi=50)
    magic = {".pdf": b"%PDF", ".svg": b"<?xml", ".tif": b"II*\x00"}[suffix]
    assert path.read_bytes().startswith(magic)


def test_a_file_that_cannot_be_written_is_named(volumes, tmp_path):
    figure = comparison_figure(volumes)
    with pytest.raises(OutputError, match=r"'.doc'"):
        check_figure_path(tmp_path / "a.doc")
    with pytest.raises(OutputError, match=r"missing.a\.png"):
        save_figure(figure, tmp_path / "missing" / "a.png")


def test_drawing_leaves_pyplot_alone(volumes):
    import subprocess
    import sys

    code = (
        "import sys, napari_mrisr.evaluation.figure; sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_volumes_must_be_on_one_grid(truth):
    other = Volume(np.zeros((3, 4, 5), np.float32), Grid((3, 4, 5), np.eye(4)))
    with pytest.raises(ParameterError, match=r"other of shape \(3, 4, 5\)"):
        comparison_figure({"truth": truth, "other": other})
    with pytest.raises(ParameterError, match="1 volumes"):
        comparison_figure({"truth": truth})
