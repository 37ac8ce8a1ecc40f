"""Figure of a scene: panels, colors, readable texts."""

from __future__ import annotations

import getpass
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pypdf
import pytest
from helpers.figures import assert_texts_apart

from napari_mrisr.comparison.scene import Cutter, build_scene
from napari_mrisr.comparison.state import CompareState, Difference, Display, RoiBox
from napari_mrisr.core.frames import PLANES, Frame
from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.errors import ParameterError
from napari_mrisr.figures.figure import ColumnText, scene_figure
from napari_mrisr.figures.page import save_figure

SHAPE, VOXEL = (40, 52, 30), (1.0, 1.25, 2.0)
START = (-20.0, -30.0, -25.0)
CROSS = (-7.0, -5.0, -7.0)
TITLES = {"a": "reference", "b": "hashed 2×"}
CURTAIN = "#ffd640"


def volume(value, rng=None):
    affine = np.diag([*VOXEL, 1.0])
    affine[:3, 3] = START
    data = np.full(SHAPE, value, np.float32)
    if rng is not None:
        data += rng.normal(0, 5, SHAPE).astype(np.float32)
    return Volume(data, Grid(SHAPE, affine))


STATE = CompareState(
    ("a", "b"),
    looks={"a": Display("gray", (0.0, 100.0)), "b": Display("gray", (0.0, 100.0))},
    crosshair=CROSS,
    center=(-0.5, 1.875, 4.0),
    span_mm=70.0,
    checker_mm=10.0,
)


@pytest.fixture
def textured(rng):
    return {"a": volume(40, rng), "b": volume(60, rng)}


def figure_of(state, volumes=None, titles=TITLES, **options):
    volumes = volumes or {"a": volume(0), "b": volume(100)}
    scene = build_scene(state, Cutter(volumes, Frame(np.eye(3))), titles)
    figure = scene_figure(scene, **options)
    figure.set_dpi(100)  # quicker to draw, all else equal
    return figure


def grid_of(figure):
    """Panels in rows, top to bottom, each from left to right."""
    axes = [a for a in figure.axes if not a.get_xlabel()]
    rows = sorted({round(a.get_position().y0, 4) for a in axes}, reverse=True)
    return [
        sorted(
            (a for a in axes if round(a.get_position().y0, 4) == row),
            key=lambda a: a.get_position().x0,
        )
        for row in rows
    ]


def bars_of(figure):
    return [a for a in figure.axes if a.get_xlabel()]


def words_of(figure):
    return " ".join(" ".join(text.get_text().split()) for text in figure.texts)


def gray_at(figure, axes, x, y):
    """The gray level drawn at a place of a panel, data coordinates; drawn once."""
    if figure.stale:
        figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())
    column, row = axes.transData.transform((x, y))
    return int(pixels[pixels.shape[0] - 1 - int(row), int(column), :3].mean())


def test_rows_are_planes_and_columns_volumes_and_differences(textured):
    state = replace(STATE, differences=(Difference("b", "a", limit=30.0),))
    figure = figure_of(state, textured)
    rows = grid_of(figure)
    assert [len(row) for row in rows] == [3, 3, 3]
    assert [a.get_title() for a in rows[0]] == ["reference", "hashed 2×", "hashed 2× − reference"]
    assert [row[0].get_ylabel() for row in rows] == [
        "axial, I 7.0 mm",
        "sagittal, L 7.0 mm",
        "coronal, P 5.0 mm",
    ]
    a, b = textured["a"].data, textured["b"].data
    cuts = [a[:, :, 9], a[13], a[:, 20]]
    others = [b[:, :, 9], b[13], b[:, 20]]
    for row, cut, other in zip(rows, cuts, others, strict=True):
        np.testing.assert_array_equal(row[0].images[0].get_array(), cut.T)
        np.testing.assert_array_equal(row[2].images[0].get_array(), (other - cut).T)
        assert row[0].images[0].get_clim() == (0.0, 100.0)
        assert row[2].images[0].get_clim() == (-30.0, 30.0)


@pytest.mark.parametrize("radiological", [True, False])
def test_right_is_where_the_convention_says(radiological):
    figure = figure_of(replace(STATE, radiological=radiological))
    rows = grid_of(figure)
    for row, plane in zip(rows, PLANES, strict=True):
        left, right = row[0].get_xlim()
        assert (right > left) == plane.grows_rightward(radiological)
        texts = {t.get_text(): t.get_position() for t in row[0].texts}
        letters = [texts[letter] for letter in plane.letters(radiological)]
        assert letters[0][0] < 0.5 < letters[1][0]
        assert letters[3][1] < 0.5 < letters[2][1]
    convention = "Radiological" if radiological else "Neurological"
    side = "left" if radiological else "right"
    assert f"{convention} convention: the patient's right is on the image's {side}." in words_of(
        figure
    )


def test_panels_show_what_volumes_cover_at_one_scale(textured):
    figure = figure_of(STATE, textured)
    per_inch = set()
    for axes in (a for row in grid_of(figure) for a in row):
        box = axes.get_position()
        width, height = figure.get_size_inches() * (box.width, box.height)
        per_inch.add(round(abs(np.diff(axes.get_xlim())[0]) / width, 3))
        per_inch.add(round(abs(np.diff(axes.get_ylim())[0]) / height, 3))
    assert len(per_inch) == 1
    assert figure.get_size_inches()[0] <= 7.2
    axial = grid_of(figure)[0][0]
    assert sorted(axial.get_ylim()) == pytest.approx((-30.625, 34.375))  # all 52 rows
    zoomed = grid_of(figure_of(replace(STATE, span_mm=20.0), textured))[0][0]
    assert sorted(zoomed.get_xlim()) == pytest.approx((-10.5, 9.5))
    assert sorted(zoomed.get_ylim()) == pytest.approx((-8.125, 11.875))


def test_scale_bars_are_as_long_as_they_say(textured):
    roi = RoiBox("inset", "box", CROSS, (10.0, 10.0, 10.0))
    for row in grid_of(figure_of(replace(STATE, inset=roi), textured)):
        bar = next(line for line in row[0].lines if line.get_solid_capstyle() == "butt")
        label = next(t.get_text() for t in row[0].texts if t.get_text().endswith("mm"))
        assert abs(np.diff(bar.get_xdata())[0]) == pytest.approx(float(label.split()[0]))


@pytest.mark.parametrize("swipe", [0.3, 0.8])
def test_the_curtain_stands_where_the_state_says(swipe):
    figure = figure_of(replace(STATE, mode="swipe", swipe=swipe))
    ((axial, sagittal, coronal),) = grid_of(figure)
    assert [a.get_title().split(",")[0] for a in (axial, sagittal, coronal)] == [
        plane.name for plane in PLANES
    ]
    for axes in (axial, sagittal, coronal):
        left, right = axes.get_xlim()
        y = np.mean(axes.get_ylim()) + 3
        seen = [
            gray_at(figure, axes, left + (swipe + off) * (right - left), y) for off in (-0.05, 0.05)
        ]
        assert seen == [0, 255]  # the first of the pair is on the left
    assert "reference | hashed 2×" in words_of(figure)
    assert "Left of the line reference, right of it hashed 2×." in words_of(figure)


def test_fields_of_the_checkerboard_lie_on_multiples_of_their_edge():
    figure = figure_of(replace(STATE, mode="checkerboard"))
    ((axial, _, _),) = grid_of(figure)
    for i, j in ((-2, -2), (-1, -2), (0, 0), (1, 0), (0, 1), (1, 1), (-1, 0)):
        expected = 0 if (i + j) % 2 == 0 else 255
        assert gray_at(figure, axial, 10 * i + 6, 10 * j + 3) == expected
    assert "10 mm squares" in words_of(figure)


def test_flicker_shows_one_volume_under_its_name():
    figure = figure_of(replace(STATE, mode="flicker", flicker_second=True))
    ((axial, _, _),) = grid_of(figure)
    assert gray_at(figure, axial, 5, 5) == 255
    assert "hashed 2×" in words_of(figure)


def test_the_inset_is_outlined_and_magnified_below(textured):
    inset = RoiBox("inset", "box", (-6.0, -4.0, -8.0), (8.0, 10.0, 6.0))
    figure = figure_of(replace(STATE, inset=inset), textured)
    rows = grid_of(figure)
    assert len(rows) == 6
    for k, plane in enumerate(PLANES):
        panel, magnified = rows[2 * k][1], rows[2 * k + 1][1]
        (box,) = (line for line in panel.lines if line.get_color() == CURTAIN)
        (a, u), size = np.array(inset.center)[[plane.across, plane.upward]], np.array(inset.size)
        assert np.ptp(box.get_xdata()) == pytest.approx(size[plane.across])
        assert np.ptp(box.get_ydata()) == pytest.approx(size[plane.upward])
        for middle, limits, full in (
            (a, magnified.get_xlim(), size[plane.across]),
            (u, magnified.get_ylim(), size[plane.upward]),
        ):
            assert np.mean(limits) == pytest.approx(middle)
            assert abs(np.diff(limits)[0]) >= full - 1e-9
        image = magnified.get_window_extent()
        scales = (
            image.width / abs(np.diff(magnified.get_xlim())[0]),
            image.height / abs(np.diff(magnified.get_ylim())[0]),
        )
        assert scales[0] == pytest.approx(scales[1])
    assert "Yellow boxes are magnified" in words_of(figure)


def test_an_inset_that_the_planes_miss_adds_no_row(textured):
    inset = RoiBox("inset", "box", (15.0, 20.0, 25.0), (4.0, 4.0, 4.0))
    assert len(grid_of(figure_of(replace(STATE, inset=inset), textured))) == 3


def test_color_bars_one_for_each_look(textured):
    state = replace(
        STATE, differences=(Difference("b", "a", limit=30.0), Difference("b", "a", True, 25.0))
    )
    bars = bars_of(figure_of(state, textured))
    assert [re.sub(r" \(.*", "", bar.get_xlabel()) for bar in bars] == [
        "intensity",
        "difference",
        "|difference|",
    ]
    assert bars[1].get_xlim() == (-30.0, 30.0)
    assert bars[2].get_xlim() == (0.0, 25.0)
    own = {**STATE.looks, "b": Display("viridis", (0.0, 50.0), 0.5)}
    assert len(bars_of(figure_of(replace(STATE, looks=own), textured))) == 2
    swipe = bars_of(figure_of(replace(STATE, looks=own, mode="swipe"), textured))
    assert [bar.get_xlabel().split(":")[0] for bar in swipe] == ["reference", "hashed 2×"]
    assert len(bars_of(figure_of(replace(STATE, mode="swipe"), textured))) == 1


def test_columns_have_captions_bar_labels_and_legends(textured):
    looks = {"a": Display("gray", (0.0, 100.0)), "b": Display("classes", (-0.5, 1.5))}
    texts = {
        "reference": ColumnText("30 dB", "signal"),
        "hashed 2×": ColumnText(classes=("good", "bad")),
    }
    tables = {"classes": np.array([[0, 0, 1], [1, 0, 0]])}
    figure = figure_of(replace(STATE, looks=looks), textured, columns=texts, colormaps=tables)
    assert "30 dB" in [text.get_text() for text in grid_of(figure)[0][0].texts]
    (bar,) = bars_of(figure)
    assert bar.get_xlabel() == "signal (scan's units)"
    marks = {t.get_text(): t for t in figure.texts}
    assert {"good", "bad"} <= set(marks)
    assert marks["■"].get_color() == pytest.approx((1, 0, 0, 1))  # the last, "bad"


def test_gamma_and_unknown_colormaps(textured):
    red = np.linspace([0, 0, 0], [1, 0, 0], 256)
    looks = {"a": Display("own red", (0.0, 100.0), 2.0), "b": Display("green", (0.0, 100.0))}
    figure = figure_of(replace(STATE, looks=looks), textured, colormaps={"own red": red})
    first, second = (axes.images[0] for axes in grid_of(figure)[0])
    assert first.to_rgba(np.array([50.0]))[0, :3] == pytest.approx((0.25, 0, 0), abs=0.01)
    assert second.to_rgba(np.array([100.0]))[0, :3] == pytest.approx((0, 0.5, 0), abs=0.01)


def test_regions_are_outlined_and_named_once_a_row_apart(textured):
    rois = tuple(
        RoiBox(name, shape, (x, -5.0, -7.0), (8.0, 8.0, 8.0))
        for name, shape, x in (("left one", "box", -7.0), ("right one", "ellipsoid", -5.0))
    )
    figure = figure_of(replace(STATE, rois=rois), textured)
    figure.canvas.draw()
    for row in grid_of(figure):
        names = [[t for t in axes.texts if t.get_text().endswith("one")] for axes in row]
        assert names[1] == []
        boxes = [t.get_window_extent() for t in names[0]]
        assert len(boxes) == 2
        assert not boxes[0].overlaps(boxes[1])
        assert len(row[1].lines) == 2


def test_the_crosshair_is_drawn_when_asked():
    figure = figure_of(STATE, crosshair=True)
    axial = grid_of(figure)[0][1]
    places = {tuple(np.ravel(line.get_xdata())) for line in axial.lines}
    assert (CROSS[0], CROSS[0]) in places
    assert not list(grid_of(figure_of(STATE))[0][1].lines)


def test_a_plane_outside_a_volume_says_so(textured):
    small = textured["b"].cropped((0, 0, 0), (40, 52, 5))
    figure = figure_of(STATE, {"a": textured["a"], "b": small})
    axial = grid_of(figure)[0][1]
    assert [t.get_text() for t in axial.texts] == ["outside the volume"]


def test_no_panel_is_an_error():
    with pytest.raises(ParameterError, match="no panel"):
        figure_of(CompareState())


def test_one_maximized_panel_is_a_figure(textured):
    (row,) = grid_of(figure_of(replace(STATE, maximized=("coronal", 1)), textured))
    assert [axes.get_title() for axes in row] == ["hashed 2×"]


LONG = {
    "a": "original_scan_of_the_first_visit_before_anything",
    "b": "a name with many short words",
}


@pytest.mark.parametrize("titles", [TITLES, LONG], ids=["short", "long"])
@pytest.mark.parametrize(
    "change",
    [
        {"differences": (Difference("b", "a", limit=9.0), Difference("b", "a", True, 9.0))},
        {"columns": ("a", "b", "a", "b")},
        {"mode": "swipe", "looks": {"a": Display("gray", (0, 10000.0))}},
        {"planes": ("sagittal",), "columns": ("a",), "mode": "side-by-side"},
        {"inset": RoiBox("i", "box", CROSS, (6.0, 20.0, 4.0))},
    ],
)
def test_no_two_texts_overlap_and_none_leaves_the_page(textured, change, titles):
    figure = figure_of(
        replace(STATE, **change),
        textured,
        titles,
        title="Title",
        notes=["word " * 40],
        columns={title: ColumnText("30.12 dB / 0.9876") for title in titles.values()},
    )
    assert_texts_apart(figure)


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_files_say_nothing_of_who_when_and_where(textured, tmp_path, suffix):
    state = replace(STATE, mode="checkerboard")  # with clip paths, which SVG gives names
    contents = []
    for folder in ("one", "two"):
        path = tmp_path / folder / f"figure{suffix}"
        path.parent.mkdir()
        save_figure(figure_of(state, textured), path, dpi=50)
        contents.append(path.read_bytes())
    assert contents[0] == contents[1]
    assert b"not for diagnosis" in contents[0]
    for private in (str(tmp_path), str(Path.home()), getpass.getuser() + "@"):
        assert private.encode() not in contents[0]
    assert not re.search(rb"20\d\d-\d\d-\d\d|CreationDate|ModDate|tIME", contents[0])


def test_the_words_of_a_pdf_are_those_of_the_figure(textured, tmp_path):
    state = replace(STATE, differences=(Difference("b", "a", limit=30.0),))
    figure = figure_of(state, textured, {"a": "different filters 2×", "b": "affine"})
    wanted = words_of(figure).split()
    save_figure(figure, tmp_path / "figure.pdf", dpi=50)
    found = pypdf.PdfReader(tmp_path / "figure.pdf").pages[0].extract_text().split()
    assert set(wanted) <= set(found)
    assert {"different", "filters", "affine"} <= set(found)


def test_each_tile_of_a_mosaic_names_its_position(textured):
    state = replace(STATE, mode="mosaic", mosaic_step=6, planes=("axial",), slab_mm=4.0)
    figure = figure_of(state, textured, columns={"reference": ColumnText("PSNR 31 dB")})
    rows = [[a for a in row if a.texts] for row in grid_of(figure)]
    texts = [text.get_text() for row in rows for axes in row for text in axes.texts]
    found = [text for text in texts if re.fullmatch(r"[IS] [\d.]+ mm", text)]
    # Every sixth of 30 slices of 2 mm from −25 mm on; three in the first row.
    assert found == ["I 21.0 mm", "I 9.0 mm", "S 3.0 mm", "S 15.0 mm", "S 27.0 mm"]
    assert "reference, PSNR 31 dB, axial, maximum of 4 mm" in words_of(figure)
    assert not any(axes.get_title() or axes.get_ylabel() for row in rows for axes in row)
    assert_texts_apart(figure)
