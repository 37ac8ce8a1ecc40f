"""The canvas, checked pixel by pixel."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from helpers.scenes import AXIAL, CORONAL, PLANES, SAGITTAL, cut, picture, scene, view
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QWidget

from napari_mrisr.comparison.scene import Outline, PanelImage, Scene
from napari_mrisr.comparison.state import Display
from napari_mrisr.viewer.compare.canvas import images
from napari_mrisr.viewer.compare.canvas.canvas import EMPTY, CompareCanvas
from napari_mrisr.viewer.compare.canvas.images import covered, fields, patches_of
from napari_mrisr.viewer.compare.canvas.layout import Layout, Rect

GREEN = np.array([77, 230, 89])
BACKGROUND = [images.BACKGROUND >> shift & 255 for shift in (16, 8, 0)]
LETTER = np.array([255, 214, 102])
CURTAIN = LETTER

LAYOUT = Layout(width=300, height=124, rows=1, columns=1, header=24, gap=2)


@pytest.fixture
def canvas(qtbot) -> Iterator[CompareCanvas]:
    made = CompareCanvas()
    made.resize(640, 500)
    made.show()
    qtbot.waitExposed(made)
    yield made
    made.close()


def shown(canvas: CompareCanvas, what: Scene, **texts: object) -> np.ndarray:
    """Return the image, (height, width, 3)."""
    canvas.draw(what, **texts)  # type: ignore[arg-type]
    return canvas.image().astype(int)


def inside(canvas: CompareCanvas, image: np.ndarray, row: int = 0, column: int = 0) -> np.ndarray:
    rect = canvas.panel_rect(row, column)
    return image[int(rect.top) : int(rect.bottom), int(rect.left) : int(rect.right)]


def at(canvas: CompareCanvas, image: np.ndarray, across: float, upward: float, *panel: int):
    x, y = canvas.to_pixels(*(panel or (0, 0)), across, upward)
    return image[int(y), int(x)]


def is_color(image: np.ndarray, color: np.ndarray, tolerance: int = 12) -> np.ndarray:
    return (np.abs(image - color) <= tolerance).all(axis=-1)


def grid_scene(bright: tuple[float, float], **settings: object) -> Scene:
    """3 planes × 4 volumes on different grids, with one bright voxel at the same place."""
    steps = [(1.0, 1.0), (2.0, 2.5), (0.5, 0.5), (1.0, 3.0)]
    shapes = [(41, 53), (21, 26), (80, 90), (15, 50)]
    rows = [
        tuple(
            view(picture(cut(shape, step, bright=bright)), plane=plane, column=i)
            for i, (shape, step) in enumerate(zip(shapes, steps, strict=True))
        )
        for plane in PLANES
    ]
    return scene(*rows, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("radiological", [True, False])
def test_one_millimeter_lies_under_one_pixel_in_all_panels(
    canvas: CompareCanvas, radiological: bool
) -> None:
    bright = (7.3, -5.1)
    image = shown(canvas, grid_scene(bright, radiological=radiological))
    for row, plane in enumerate(PLANES):
        for column in range(4):
            rect = canvas.panel_rect(row, column)
            per_mm = min(rect.width, rect.height) / 40.0
            # By hand: left of the patient is at the right of the screen, unless neurological.
            right = 1 if plane is not SAGITTAL and not radiological else -1
            x = (rect.left + rect.right) / 2 + right * bright[0] * per_mm
            y = (rect.top + rect.bottom) / 2 - bright[1] * per_mm
            assert (image[int(y), int(x)] == 255).all(), (plane.name, column)
            # Its mirror image is not bright.
            assert (image[int(y), int(2 * rect.center[0] - x)] == 51).all()


def test_pixels_are_voxels_unless_smooth(canvas: CompareCanvas) -> None:
    values = np.random.default_rng(1).choice([0.2, 0.4, 0.6], (8, 11)).astype(np.float32)
    coarse = cut((8, 11), (5.0, 6.0))
    coarse.values[:] = values
    image = shown(canvas, scene((view(picture(coarse)),)))
    for row in range(2, 6):
        for column in range(4, 7):
            low, high = (column - 5.5) * 5.0, (column - 4.5) * 5.0
            bottom, top = (row - 4.0) * 6.0, (row - 3.0) * 6.0
            x1, y0 = canvas.to_pixels(0, 0, low, top)
            x0, y1 = canvas.to_pixels(0, 0, high, bottom)
            # Pixels whose centers are inside.
            block = image[round(y0) : round(y1), round(x0) : round(x1)]
            gray = is_color(block, np.full(3, round(255 * values[row, column])), 1)
            # Letters of the panel's edges are elsewhere.
            assert gray.all()
    smooth = shown(canvas, scene((view(picture(coarse)),), smooth=True))
    assert len(np.unique(inside(canvas, smooth)[200:260, 200:400])) > 20


def test_smooth_images_do_not_see_their_neighbors(canvas: CompareCanvas) -> None:
    pair = (view(picture(cut(value=0.2))), view(picture(cut(value=1.0))))
    image = shown(canvas, scene(pair, smooth=True, span_mm=80))
    x, y = (int(v) for v in canvas.to_pixels(0, 0, 9, 9))
    outside = BACKGROUND
    gap = range(86, 98)
    assert set(np.unique(image[y])) <= {51, 255, *outside, *gap}
    # Panels are higher than the cut; the header and letters are elsewhere.
    assert set(np.unique(image[60:440, x])) <= {51, *outside}


def test_window_and_colormap(canvas: CompareCanvas) -> None:
    looks = [Display("gray", (-100.0, 300.0)), Display("magma", (-100.0, 300.0), gamma=0.5)]
    panels = tuple(view(picture(cut(value=120.0), look)) for look in looks)
    image = shown(canvas, scene(panels))
    gray, colored = (at(canvas, image, 3, 4, 0, column) for column in range(2))
    np.testing.assert_allclose(gray, 255 * 220 / 400, atol=1)
    expected = 255 * np.array(matplotlib.colormaps["magma"](0.55**0.5))[:3]
    np.testing.assert_allclose(colored, expected, atol=3)


def test_outside_the_field_of_view_is_background(canvas: CompareCanvas) -> None:
    holed = cut()
    holed.values[:, :30] = np.nan
    for smooth in (False, True):
        image = shown(canvas, scene((view(picture(holed)),), smooth=smooth))
        expected = BACKGROUND
        np.testing.assert_allclose(at(canvas, image, -4, 3), expected, atol=1)
        np.testing.assert_allclose(at(canvas, image, 4, 3), 51, atol=1)
    image = shown(canvas, scene((view(picture(None)),)))
    np.testing.assert_allclose(at(canvas, image, 4, 3), expected, atol=1)


def test_an_overlay_is_mixed_in_from_its_threshold(canvas: CompareCanvas) -> None:
    above = cut(value=0.0)
    above.values[:, 30:] = 0.5
    look = Display("magma", (0.0, 1.0))
    over = PanelImage(above, look, opacity=0.25, lowest=0.25)
    image = shown(canvas, scene((view(picture(cut()), over=over),)))
    np.testing.assert_allclose(at(canvas, image, -4, 5), 51)
    color = 255 * np.array(matplotlib.colormaps["magma"](0.5))[:3]
    np.testing.assert_allclose(at(canvas, image, 4, 5), 0.75 * 51 + 0.25 * color, atol=2)


def test_letters_stand_at_their_sides(canvas: CompareCanvas) -> None:
    row = tuple(view(picture(cut()), plane=plane) for plane in (AXIAL, SAGITTAL, CORONAL))

    def sides(image: np.ndarray, column: int) -> list[np.ndarray]:
        panel = inside(canvas, image, 0, column)
        height, width = panel.shape[:2]
        x, y = width // 2, height // 2
        boxes = (
            panel[y - 12 : y + 12, :22],
            panel[y - 12 : y + 12, -22:],
            panel[:22, x - 12 : x + 12],
            panel[-22:, x - 12 : x + 12],
        )
        return [is_color(box, LETTER) for box in boxes]

    image = shown(canvas, scene(row))
    axial, sagittal, coronal = (sides(image, i) for i in range(3))
    assert all(side.sum() > 8 for side in (*axial, *sagittal, *coronal))
    # R is R in the axial and coronal planes; in the sagittal, A is there; S is S.
    assert (axial[0] == coronal[0]).all()
    assert (axial[0] != sagittal[0]).any()
    assert (sagittal[2] == coronal[2]).all()
    assert (axial[2] != coronal[2]).any()
    turned = sides(shown(canvas, scene(row, radiological=False)), 0)
    assert (turned[0] != axial[0]).any()
    assert turned[0].sum() == axial[1].sum()
    assert turned[1].sum() == axial[0].sum()
    assert (turned[2] == axial[2]).all()


def test_crosshair_crosses_at_its_place_and_spares_the_voxel(canvas: CompareCanvas) -> None:
    panels = tuple(view(picture(cut()), crosshair=(6.2, -3.7), plane=p) for p in PLANES)
    what = scene(panels, crosshair_shown=True)
    image = shown(canvas, what)
    for column in range(3):
        rect = canvas.panel_rect(0, column)
        x, y = (int(v) for v in canvas.to_pixels(0, column, 6.2, -3.7))
        green = is_color(inside(canvas, image, 0, column), GREEN, 40)
        x, y = x - int(rect.left), y - int(rect.top)
        assert np.flatnonzero(green[y - 60]).tolist() == [x]
        assert np.flatnonzero(green[:, x - 30]).tolist() == [y]
        assert not green[y - 5 : y + 6, x - 5 : x + 6].any()
    assert not is_color(shown(canvas, scene(panels)), GREEN, 40).any()


@pytest.mark.parametrize("swipe", [0.0, 0.37, 1.0])
def test_swipe_shows_the_first_left_of_the_curtain(canvas: CompareCanvas, swipe: float) -> None:
    both = (picture(cut(value=0.2)), picture(cut(value=0.8)))
    image = shown(canvas, scene((view(*both, blend="swipe"),), swipe=swipe))
    rect = canvas.panel_rect(0, 0)
    edge = rect.left + round(swipe * rect.width)
    # Above the letters and the grip, within the cut.
    row = image[int(canvas.to_pixels(0, 0, 0, 12)[1])]
    left, right = (round(canvas.to_pixels(0, 0, a, 0)[0]) for a in (30, -30))
    for x in range(max(left, 0) + 1, min(right, 640) - 1):
        if x < edge - 1:
            assert (row[x] == 51).all(), x
        elif x >= edge + 1:
            assert (row[x] == 204).all(), x
        else:
            assert is_color(row[x], CURTAIN), x


def test_checkerboard_is_anchored_in_millimeters(canvas: CompareCanvas) -> None:
    both = (picture(cut(value=0.2)), picture(cut((30, 20), (2.0, 2.0), value=0.8)))
    panel = view(*both, blend="checkerboard", center=(3.0, -2.0))
    image = shown(canvas, scene((panel,), checker_mm=7.0))
    for across in np.arange(-17.5, 18, 3.5):
        for upward in np.arange(-15.75, 12, 3.5):
            second = (np.floor(across / 7.0 + 1e-9) + np.floor(upward / 7.0)) % 2
            pixel = at(canvas, image, across + 0.7, upward)
            assert (pixel == (204 if second else 51)).all(), (across, upward)


def test_zero_difference_is_the_middle_of_the_colors(canvas: CompareCanvas) -> None:
    look = Display("RdBu_r", (-50.0, 50.0))
    values = {3.0: 0.0, 9.0: 50.0, -9.0: -50.0, -3.0: 12.0}
    signed = cut(value=0.0)
    for across, value in values.items():
        signed.values[:, int(across) + 30] = value
    panel = view(picture(signed, look, "signed"))
    image = shown(canvas, scene((panel,)))
    colors = matplotlib.colormaps["RdBu_r"]
    for across, value in values.items():
        expected = 255 * np.array(colors((value + 50.0) / 100.0))[:3]
        pixel = at(canvas, image, int(across) + 0.5, 4)
        np.testing.assert_allclose(pixel, expected, atol=4, err_msg=str(value))
    # The color bar: highest on top, zero in its middle.
    rect = canvas.panel_rect(0, 0)
    column = image[int(rect.top) : int(rect.bottom), int(rect.right) - 14]
    top, height = 8, (rect.height / 2 - 24) // 1
    for fraction in (0.02, 0.5, 0.98):
        expected = 255 * np.array(colors(1 - fraction))[:3]
        np.testing.assert_allclose(column[int(top + fraction * height)], expected, atol=8)


def test_outline_is_drawn_and_stays_in_its_panel(canvas: CompareCanvas) -> None:
    square = np.array([(-8, -5), (8, -5), (8, 60), (-8, 60), (-8, -5)], dtype=float)
    panels = (view(picture(cut()), outlines=(Outline("lesion", square),)), view(picture(cut())))
    what = scene(panels, panels)
    difference = shown(canvas, what) - shown(canvas, scene(*(2 * [(panels[1], panels[1])])))
    changed = np.abs(difference).sum(axis=-1) > 0
    for row in range(2):
        assert inside(canvas, changed, row, 0).any()
        assert not inside(canvas, changed, row, 1).any()
        x, y = canvas.to_pixels(row, 0, 8, 0)
        assert changed[int(y), int(x)]
    header = changed[: int(canvas.panel_rect(0, 0).top)]
    assert not header.any()
    active = shown(canvas, what, active=(1, 0))
    handle = canvas.to_pixels(1, 0, 8, -5)
    box = active[int(handle[1]) - 2 : int(handle[1]) + 2, int(handle[0]) - 2 : int(handle[0]) + 2]
    assert len(np.unique(box.reshape(-1, 3), axis=0)) == 1


def test_texts_appear_where_they_belong(canvas: CompareCanvas) -> None:
    plain = scene((view(picture(cut())), view(picture(cut()))))
    before = shown(canvas, plain)

    def changed(**texts: object) -> np.ndarray:
        return np.abs(shown(canvas, plain, **texts) - before).sum(axis=-1) > 60

    note = changed(notes={(0, 1): "431.7"})
    assert not inside(canvas, note, 0, 0).any()
    rows, columns = np.nonzero(inside(canvas, note, 0, 1))
    height, width = inside(canvas, note, 0, 1).shape
    assert rows.min() > height - 30
    assert columns.max() < width / 2
    placed = scene((view(picture(cut()), place="S 12.3 mm"), view(picture(cut()))))
    place = np.abs(shown(canvas, placed) - before).sum(axis=-1) > 60
    rows, columns = np.nonzero(inside(canvas, place, 0, 0))
    assert rows.max() < 30
    message = changed(message="Choose two volumes")
    rows, columns = np.nonzero(message)
    assert abs(rows.mean() - 250) < 12
    assert abs(columns.mean() - 320) < 12
    assert changed(help_text="H\tthis help").mean() > 0.5


def test_pixels_to_millimeters_and_back(canvas: CompareCanvas) -> None:
    canvas.draw(grid_scene((0, 0), radiological=False))
    for row, column in ((0, 0), (1, 2), (2, 3)):
        for across, upward in ((0.0, 0.0), (7.25, -3.5)):
            x, y = canvas.to_pixels(row, column, across, upward)
            assert canvas.panel_at(x, y) == (row, column)
            assert canvas.to_mm(row, column, x, y) == pytest.approx((across, upward))
    assert canvas.panel_at(5, 3) is None


def test_any_number_of_panels_one_after_the_other(canvas: CompareCanvas) -> None:
    def many(rows: int, columns: int) -> Scene:
        panels = [
            tuple(
                view(picture(cut((30 + 5 * r, 40 + 3 * c), value=0.1 * (c + 1))), column=c)
                for c in range(columns)
            )
            for r in range(rows)
        ]
        return scene(*panels)

    for rows, columns in ((0, 0), (3, 6), (1, 1), (3, 4), (1, 3)):
        what = many(rows, columns) if rows else EMPTY
        image = shown(canvas, what)
        for row in range(rows):
            for column in range(columns):
                pixel = at(canvas, image, 3.0, 4.0, row, column)
                np.testing.assert_allclose(pixel, 25.5 * (column + 1), atol=1)
    assert canvas.panel_at(10, 100) == (0, 0)


def test_only_panels_that_changed_are_painted(canvas: CompareCanvas, monkeypatch) -> None:
    painted: list[np.ndarray] = []
    real = images.paint_pixels

    def spy(values: np.ndarray, *args: object, **keywords: object) -> None:
        painted.append(values)
        real(values, *args, **keywords)  # type: ignore[arg-type]

    first, second = cut((20, 30)), cut((21, 31))
    monkeypatch.setattr(images, "paint_pixels", spy)
    shown(canvas, scene((view(picture(first)), view(picture(second)))))
    assert len(painted) == 2
    shown(canvas, scene((view(picture(first)), view(picture(second))), crosshair_shown=True))
    assert len(painted) == 2
    darker = picture(second, Display("gray", (0.0, 2.0)))
    image = shown(canvas, scene((view(picture(first)), view(darker))))
    assert [len(values) for values in painted[2:]] == [21]
    np.testing.assert_allclose(at(canvas, image, 2, 2, 0, 1), 25, atol=1)
    # A panel that lost its slice is empty again.
    image = shown(canvas, scene((view(picture(None)), view(darker))))
    np.testing.assert_allclose(at(canvas, image, 2, 2, 0, 0), BACKGROUND)
    assert len(painted) == 3


def test_slices_are_not_kept(canvas: CompareCanvas) -> None:
    kept = []
    for i in range(20):
        made = cut((30 + i % 3, 40 + i % 5))
        kept.append(weakref.ref(made))
        shown(canvas, scene((view(picture(made)),)), notes={(0, 0): str(i)})
        del made
    shown(canvas, EMPTY)
    gc.collect()
    assert not [ref for ref in kept if ref() is not None]


def test_pixels_equal_an_independent_rendering_of_the_slice(canvas: CompareCanvas, rng) -> None:
    values = rng.uniform(0.0, 1.0, (23, 31)).astype(np.float32)
    values[3:6, 4:9] = np.nan
    made = replace(cut((23, 31), (1.3, 1.7)), values=values)
    look = Display("magma", (0.2, 0.7), 0.8)
    image = shown(canvas, scene((view(picture(made, look), center=(1.1, -0.7)),)))
    rect = canvas.panel_rect(0, 0)
    y, x = np.mgrid[int(rect.top) : int(rect.bottom), int(rect.left) : int(rect.right)]
    per_mm = min(rect.width, rect.height) / 40.0
    across = 1.1 - (x + 0.5 - rect.center[0]) / per_mm
    upward = -0.7 - (y + 0.5 - rect.center[1]) / per_mm
    column = np.floor((across - made.origin[0]) / 1.3).astype(int)
    row = np.floor((upward - made.origin[1]) / 1.7).astype(int)
    inside = (column >= 0) & (column < 31) & (row >= 0) & (row < 23)
    found = values[np.clip(row, 0, 22), np.clip(column, 0, 30)]
    shade = np.clip((found - 0.2) / 0.5, 0, 1) ** 0.8
    expected = 255 * matplotlib.colormaps["magma"](shade)[..., :3]
    expected[~inside | np.isnan(found)] = BACKGROUND
    off = np.abs(inside_of(image, rect) - expected).max(axis=-1)
    # The texts and the scale bar are elsewhere.
    assert (off <= 3).mean() > 0.97
    assert (off[60:-60, 60:-60] <= 3).all()


def inside_of(image: np.ndarray, rect: Rect) -> np.ndarray:
    return image[int(rect.top) : int(rect.bottom), int(rect.left) : int(rect.right)]


def test_one_or_two_columns_have_their_planes_side_by_side(canvas: CompareCanvas) -> None:
    def titled(count: int) -> Scene:
        return scene(
            *(
                tuple(view(picture(cut()), plane=p, title=f"c{i}", column=i) for i in range(count))
                for p in PLANES
            )
        )

    for count in (1, 2):
        canvas.draw(titled(count))
        rects = [[canvas.panel_rect(r, c) for c in range(count)] for r in range(3)]
        assert rects[0][0].left < rects[1][0].left < rects[2][0].left
        assert len({rect.top for row in rects for rect in row}) == count
        assert canvas.panel_at(*rects[2][count - 1].center) == (2, count - 1)
        titles = [canvas.title_rect(0, c) for c in range(count)]
        assert [title.bottom for title in titles] == [row.top for row in rects[0]]
        assert canvas.title_rect(1, 0) is None
    canvas.draw(titled(3))
    assert canvas.panel_rect(0, 0).top < canvas.panel_rect(1, 0).top


def test_keys_go_to_the_widget_around(canvas: CompareCanvas, qtbot) -> None:
    class Around(QWidget):
        heard: list[int]

        def keyPressEvent(self, event) -> None:
            self.heard.append(event.key())

    around = Around()
    around.heard = []
    canvas.setParent(around)
    around.show()
    qtbot.waitExposed(around)
    for key in (Qt.Key.Key_Escape, Qt.Key.Key_Space, Qt.Key.Key_F11):
        QTest.keyClick(canvas, key)
    assert around.heard == [Qt.Key.Key_Escape, Qt.Key.Key_Space, Qt.Key.Key_F11]
    canvas.close()
    around.close()
    around.deleteLater()


def test_a_cut_covers_its_extent_within_the_panel() -> None:
    place = LAYOUT.place(scene((view(),), span_mm=50.0), 0, 0)
    # 2 pixels a mm, panel's middle at (150, 74); across grows to the left.
    small = cut((10, 20), (1.0, 2.0), origin=(3.0, -8.0))
    assert covered(small, place) == Rect(104.0, 50.0, 144.0, 90.0)
    assert covered(cut((100, 400)), place) == Rect(0, 24, 300, 124)
    away = covered(cut((5, 5), origin=(900.0, 0.0)), place)
    assert away.width <= 0


def test_no_patch_without_pixels() -> None:
    away = cut((5, 5), origin=(900.0, 0.0))
    what = scene((view(picture(None), picture(away)),))
    assert patches_of(what.panels[0][0], what, LAYOUT.place(what, 0, 0)) == []
    what = scene((view(picture(cut()), picture(cut()), blend="swipe"),), swipe=0.0)
    assert len(patches_of(what.panels[0][0], what, LAYOUT.place(what, 0, 0))) == 1


def test_fields_tile_the_panel_once() -> None:
    place = LAYOUT.place(scene((view(center=(3.3, 1.7)),), span_mm=50.0), 0, 0)
    shown = Rect(10.0, 30.0, 250.0, 110.0)
    count = np.zeros((124, 300), int)
    for parity in (0, 1):
        for left, top, right, bottom in fields(shown, place, 7.0, parity):
            x, y = np.arange(300) + 0.5, np.arange(124) + 0.5
            inside = ((y >= top) & (y < bottom))[:, None] & (x >= left) & (x < right)
            across, upward = place.to_mm(x, y)
            number = np.floor(across / 7.0)[None, :] + np.floor(upward / 7.0)[:, None]
            assert (number[inside] % 2 == parity).all()
            count += inside
    assert (count[30:110, 10:250] == 1).all()
    assert count.sum() == 80 * 240


def test_tiny_fields_stay_visible() -> None:
    place = LAYOUT.place(scene((view(),), span_mm=50.0), 0, 0)
    rects = fields(place.rect, place, 1e-6, 0)
    assert len(rects) <= 300 * 100 / 36
