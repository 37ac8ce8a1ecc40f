"""Panels with real mouse and key events; no napari viewer."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent, QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_mrisr.comparison.opening import opening_state
from napari_mrisr.core.frames import AXIAL, CORONAL, SAGITTAL
from napari_mrisr.viewer.compare.model.controller import Controller
from napari_mrisr.viewer.compare.view import CompareView

LEFT, MIDDLE, RIGHT = (
    Qt.MouseButton.LeftButton,
    Qt.MouseButton.MiddleButton,
    Qt.MouseButton.RightButton,
)
NONE = Qt.KeyboardModifier.NoModifier
CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


class Room:
    """A view on screen, with its mouse and keyboard."""

    def __init__(self, volumes) -> None:
        self.controller = Controller(volumes)
        columns = ("truth", "tricubic", "hashed")
        self.controller.restore(opening_state(volumes, columns, "truth", "LR"))
        self.view = CompareView(self.controller)
        self.view.resize(900, 640)
        self.view.show()
        QTest.qWaitForWindowExposed(self.view)
        self.turn()

    @property
    def state(self):
        return self.controller.state

    @property
    def native(self):
        return self.view.canvas

    def turn(self) -> None:
        for _ in range(3):
            QApplication.processEvents()

    def pixel(self, row: int, column: int, across: float, upward: float) -> QPoint:
        x, y = self.view.canvas.to_pixels(row, column, across, upward)
        return QPoint(round(x), round(y))

    def drag(self, start: QPoint, stop: QPoint, button=LEFT, keys=NONE) -> None:
        QTest.mousePress(self.native, button, keys, start)
        for part in (0.5, 1.0):
            way = (stop - start) * part
            self.move(start + way, button, keys)
        QTest.mouseRelease(self.native, button, keys, stop)
        self.turn()

    def move(self, at: QPoint, button=Qt.MouseButton.NoButton, keys=NONE) -> None:
        """Send the event to the widget: the pointer of the screen is elsewhere."""
        place, world = QPointF(at), QPointF(self.native.mapToGlobal(at))
        kind, no_button = QEvent.Type.MouseMove, Qt.MouseButton.NoButton
        QApplication.sendEvent(
            self.native, QMouseEvent(kind, place, world, no_button, button, keys)
        )
        self.turn()

    def wheel(self, at: QPoint, notches: int, keys=NONE) -> None:
        where, delta = QPointF(at), QPoint(0, 120 * notches)
        event = QWheelEvent(
            where,
            QPointF(self.native.mapToGlobal(at)),
            QPoint(),
            delta,
            Qt.MouseButton.NoButton,
            keys,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(self.native, event)
        self.turn()

    def key(self, key, keys=NONE) -> None:
        QTest.keyClick(self.native, key, keys)
        self.turn()


@pytest.fixture
def room(volumes, qtbot):
    made = Room(volumes)
    yield made
    made.view.close_view()
    made.view.close()
    made.view.deleteLater()
    made.__dict__.clear()


def test_left_drag_moves_the_crosshair(room):
    start, stop = room.pixel(0, 1, -3.0, 2.0), room.pixel(0, 1, 5.0, -8.0)
    room.drag(start, stop)
    mm = room.view.canvas.scene.span_mm / 150
    assert room.state.crosshair[:2] == pytest.approx((5.0, -8.0), abs=mm)
    # The lines cross there, in every column of that plane.
    picture = room.view.canvas.image()
    for column in range(3):
        x, y = room.view.canvas.to_pixels(0, column, *room.state.crosshair[:2])
        for at in ((round(y) + 30, round(x)), (round(y), round(x) + 30)):
            box = picture[at[0] - 1 : at[0] + 2, at[1] - 1 : at[1] + 2, :3].astype(int)
            green = box[..., 1] - box[..., [0, 2]].max(axis=-1)
            assert green.max() > 50


def test_wheel_steps_and_zooms(room):
    at = room.pixel(2, 0, 4.0, 3.0)
    y = room.state.crosshair[1]
    room.wheel(at, 1)
    assert room.state.crosshair[1] == pytest.approx(y + 1.1, abs=0.6)
    span = room.state.span_mm
    before = room.view.canvas.to_mm(2, 0, at.x(), at.y())
    room.wheel(at, 2, CONTROL)
    assert room.state.span_mm < span
    assert room.view.canvas.to_mm(2, 0, at.x(), at.y()) == pytest.approx(before, abs=1e-6)


@pytest.mark.parametrize(("button", "keys"), [(MIDDLE, NONE), (LEFT, SHIFT)])
def test_pan_keeps_the_anatomy_under_the_pointer(room, button, keys):
    start = room.pixel(1, 1, 0.0, 0.0)
    stop = start + QPoint(25, -14)
    crosshair = room.state.crosshair
    room.drag(start, stop, button, keys)
    after = room.view.canvas.to_mm(1, 1, stop.x(), stop.y())
    assert after == pytest.approx((0.0, 0.0), abs=0.5)
    assert room.state.crosshair == crosshair


def test_right_drag_windows_all_columns(room):
    before = room.state.looks
    start = room.pixel(0, 0, 0.0, 0.0)
    room.drag(start, start + QPoint(60, 0), RIGHT)
    for key in room.state.columns:
        low, high = room.state.looks[key].limits
        was = before[key].limits[1] - before[key].limits[0]
        assert high - low == pytest.approx(was * np.exp(0.2), rel=1e-3)
    level = sum(room.state.looks["truth"].limits)
    room.drag(start, start + QPoint(0, -30), RIGHT)
    assert sum(room.state.looks["truth"].limits) < level  # up is brighter


def test_double_click_maximizes_and_escape_leads_back(room):
    QTest.mouseDClick(room.native, LEFT, NONE, room.pixel(2, 1, 0.0, 0.0))
    room.turn()
    assert room.state.maximized == ("coronal", 1)
    assert [len(row) for row in room.view.canvas.scene.panels] == [1]
    room.key(Qt.Key.Key_Escape)
    assert room.state.maximized == ("coronal", 1)  # the owner decides what Esc does
    assert room.view.step_back()
    assert room.state.maximized is None
    assert not room.view.step_back()


def test_keys(room):
    z = room.state.crosshair[2]
    room.move(room.pixel(0, 0, 0.0, 0.0))
    room.key(Qt.Key.Key_PageUp)
    assert room.state.crosshair[2] == pytest.approx(z + 0.9, abs=0.5)
    x = room.state.crosshair[0]
    room.key(Qt.Key.Key_Right)
    assert room.state.crosshair[0] < x
    room.key(Qt.Key.Key_2)
    assert room.state.mode == "swipe"
    room.key(Qt.Key.Key_Space)
    room.key(Qt.Key.Key_Space)
    assert (room.state.mode, room.state.flicker_second) == ("flicker", True)
    room.key(Qt.Key.Key_4)
    assert room.state.mode == "checkerboard"
    room.key(Qt.Key.Key_1)
    room.key(Qt.Key.Key_P)
    assert room.state.pair == (0, 2)
    room.key(Qt.Key.Key_P, SHIFT)
    assert room.state.pair == (0, 1)
    room.key(Qt.Key.Key_D)
    room.key(Qt.Key.Key_A)
    assert [d.absolute for d in room.state.differences] == [False, True]
    for key, name in ((Qt.Key.Key_R, "radiological"), (Qt.Key.Key_I, "smooth")):
        before = getattr(room.state, name)
        room.key(key)
        assert getattr(room.state, name) is not before
    room.key(Qt.Key.Key_H)
    assert room.view.help_shown
    room.key(Qt.Key.Key_Question, SHIFT)
    assert not room.view.help_shown
    span = room.state.span_mm
    room.key(Qt.Key.Key_Plus, SHIFT)
    assert room.state.span_mm < span


def test_unknown_keys_are_left_to_others(room):
    heard = []
    room.view.acted.connect(heard.append)
    room.key(Qt.Key.Key_Z)
    room.key(Qt.Key.Key_R, CONTROL)
    assert heard == []
    room.key(Qt.Key.Key_F11)
    assert heard == ["full_screen"]


def test_the_curtain_is_dragged_across_each_plane(room):
    room.key(Qt.Key.Key_2)
    rect = room.view.canvas.panel_rect(0, 1)
    y = int(rect.center[1]) - 60
    start = QPoint(round(rect.left + rect.width * 0.5), y)
    stop = QPoint(round(rect.left + rect.width * 0.7), y)
    crosshair = room.state.crosshair
    room.drag(start, stop)
    assert room.state.swipe == pytest.approx(0.7, abs=0.01)
    assert room.state.crosshair == crosshair
    # Left of it the first image, right of it the second, to a pixel.
    row = room.view.canvas.image()[y, :, :3].astype(int)
    curtain = np.flatnonzero((row[:, 0] > 200) & (row[:, 2] < 160))
    assert np.abs(curtain - stop.x()).min() <= 1


def test_draw_move_resize_and_delete_a_region(room):
    room.key(Qt.Key.Key_B)
    assert room.view.pointing.tool == "box"
    room.view.pointing.depth_mm = 10.0
    room.drag(room.pixel(0, 0, -8.0, -6.0), room.pixel(0, 0, 6.0, 9.0))
    (roi,) = room.state.rois
    mm = 1.0
    assert roi.shape == "box"
    assert roi.size == pytest.approx((14.0, 15.0, 10.0), abs=mm)
    assert roi.center[:2] == pytest.approx((-1.0, 1.5), abs=mm)
    assert roi.center[2] == room.state.crosshair[2]
    assert room.view.pointing.tool == ""
    # By its outline it moves; the depth stays. In the coronal plane it is seen from the side.
    room.drag(room.pixel(0, 1, -8.0, -2.0), room.pixel(0, 1, -4.0, -2.0))
    (moved,) = room.state.rois
    assert moved.center[0] == pytest.approx(roi.center[0] + 4.0, abs=mm)
    assert moved.size == pytest.approx(roi.size)
    room.controller.point_at(AXIAL, moved.center[0], moved.center[1])
    room.turn()
    top = moved.center[2] + 5.0
    room.drag(room.pixel(2, 2, moved.center[0], top), room.pixel(2, 2, moved.center[0], top + 4.0))
    (deep,) = room.state.rois
    assert deep.size[2] == pytest.approx(14.0, abs=mm)
    assert deep.center[2] == pytest.approx(moved.center[2] + 2.0, abs=mm)
    room.key(Qt.Key.Key_Delete)
    assert room.state.rois == ()


def test_a_click_draws_no_region(room):
    room.key(Qt.Key.Key_E)
    QTest.mouseClick(room.native, LEFT, NONE, room.pixel(0, 0, 0.0, 0.0))
    assert room.state.rois == ()
    assert room.view.pointing.tool == "ellipsoid"


def test_values_and_position_under_the_pointer(room, volumes):
    at = (-4.0, 7.0)
    room.move(room.pixel(0, 1, *at))
    assert room.view.line.text().split("pointer")[1].split()[:1] == ["L"]
    assert "voxel" in room.view.line.text()
    assert room.view.line.text().count("mm") == 2  # the crosshair, and the pointer
    world = room.view._world()
    assert world[:2] == pytest.approx(at, abs=0.5)
    found = room.view._notes(room.controller.scene())
    index = np.round((np.array(world) - (-20, -30, -25)) / (1.0, 1.1, 0.9)).astype(int)
    for column, key in enumerate(room.state.columns):
        shown = float(found[0, column].replace("−", "-"))
        assert shown == pytest.approx(volumes[key].data[tuple(index)], abs=0.06)
    assert found[0, 0] == found[1, 0] == found[2, 0]


def test_a_ruler_an_angle_and_undo(room):
    room.key(Qt.Key.Key_K)
    room.drag(room.pixel(0, 0, -8.0, -6.0), room.pixel(0, 0, 4.0, 3.0))
    assert room.view.pointing.tool == ""
    (ruler,) = room.state.measurements
    assert ruler.value == pytest.approx(15.0, abs=0.6)
    # The value is at the line, in every column of that plane only.
    lines = [[len(panel.lines) for panel in row] for row in room.view.canvas.scene.panels]
    assert lines == [[1, 1, 1], [0, 0, 0], [0, 0, 0]]
    room.key(Qt.Key.Key_J)
    room.drag(room.pixel(0, 1, -9.0, 0.0), room.pixel(0, 1, 0.0, 0.0))
    assert room.view.pointing.tool == "angle"
    QTest.mouseClick(room.native, LEFT, NONE, room.pixel(0, 1, 0.0, 9.0))
    room.turn()
    assert room.view.pointing.tool == ""
    assert room.state.measurements[1].value == pytest.approx(90.0, abs=3)
    assert room.state.measurements[1].text.endswith("°")
    room.key(Qt.Key.Key_Delete)
    assert room.state.measurements == (ruler,)
    room.key(Qt.Key.Key_Z, CONTROL)
    assert len(room.state.measurements) == 2
    room.key(Qt.Key.Key_Z, CONTROL)
    room.key(Qt.Key.Key_Z, CONTROL)
    assert room.state.measurements == ()
    room.key(Qt.Key.Key_Z, CONTROL | SHIFT)
    assert room.state.measurements == (ruler,)


def test_a_click_measures_nothing(room):
    room.key(Qt.Key.Key_K)
    QTest.mouseClick(room.native, LEFT, NONE, room.pixel(0, 0, 0.0, 0.0))
    assert room.state.measurements == ()
    assert room.view.pointing.tool == "ruler"


def test_window_and_level_are_shown_while_they_are_dragged(room):
    start = room.pixel(0, 0, 0.0, 0.0)
    QTest.mousePress(room.native, RIGHT, NONE, start)
    room.move(start + QPoint(20, 5), RIGHT)
    notes = room.view._notes(room.controller.scene())
    low, high = room.state.looks["truth"].limits
    assert notes[0, 0].startswith("W ")
    assert float(notes[0, 0].split()[1]) == pytest.approx(high - low, rel=1e-3)
    QTest.mouseRelease(room.native, RIGHT, NONE, start)
    assert not room.view._notes(room.controller.scene())[0, 0].startswith("W ")


def test_a_mosaic_is_read_like_the_planes(room):
    room.key(Qt.Key.Key_5)
    panels = [panel for row in room.view.canvas.scene.panels for panel in row]
    assert len(panels) > 10
    assert {panel.plane for panel in panels} == {AXIAL}
    marked = [panel for panel in panels if panel.crosshair is not None]
    assert len(marked) == 1
    last = panels[-2]
    row, column = divmod(len(panels) - 2, len(room.view.canvas.scene.panels[0]))
    rect = room.view.canvas.panel_rect(row, column)
    QTest.mouseClick(room.native, LEFT, NONE, QPoint(round(rect.center[0]), round(rect.center[1])))
    assert room.state.crosshair[2] == pytest.approx(last.position, abs=0.6)


def test_many_moves_are_one_frame(room, monkeypatch):
    drawn = []
    with monkeypatch.context() as patch:
        patch.setattr(room.view.canvas, "draw", lambda *args, **keywords: drawn.append(1))
        for i in range(20):
            room.controller.point_at(SAGITTAL, float(i) / 2, 0.0)
            room.controller.step(CORONAL, 1)
        room.turn()
    assert len(drawn) == 1


def test_flicker_at_a_rate(room, qtbot):
    room.key(Qt.Key.Key_3)
    room.controller.change(flicker_hz=10.0)
    seen = set()
    qtbot.waitUntil(lambda: seen.add(room.state.flicker_second) or len(seen) == 2)
    room.key(Qt.Key.Key_1)
    assert not room.view._flicker_timer.isActive()


def test_the_convention_mirrors_and_moves_the_letters(room):
    room.controller.point_at(CORONAL, room.state.crosshair[0], 0.0)
    room.key(Qt.Key.Key_X)
    before = room.view.canvas.image()
    room.key(Qt.Key.Key_R)
    after = room.view.canvas.image()
    rect = room.view.canvas.panel_rect(2, 0)
    box = np.s_[int(rect.top) + 40 : int(rect.bottom) - 40, int(rect.left) : int(rect.right)]
    middle = room.state.center[0]
    mirrored = after[box][:, ::-1, :3].astype(int)
    assert middle == pytest.approx(0.0, abs=2.0)
    inner = np.s_[:, 60:-60]
    difference = np.abs(before[box][..., :3].astype(int)[inner] - mirrored[inner])
    assert np.median(difference) < 12


def test_the_whole_title_as_a_tooltip(room):
    rect = room.view.canvas.panel_rect(0, 2)
    assert room.view.title_at(rect.center[0], rect.top - 5) == "hashed"
    room.controller.titles = {"hashed": "hashed 2×"}
    room.view.draw()
    assert room.view.title_at(rect.center[0], rect.top - 5) == "hashed 2×\nhashed"
    assert room.view.title_at(*rect.center) == ""
