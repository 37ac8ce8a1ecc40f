"""Painted widgets: texts, planes with colors by value, a filter in 3D."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QObject, QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QVBoxLayout, QWidget

from napari_mrisr.inspection.texts import Fact
from napari_mrisr.viewer.inspect.painted import (
    DIVERGING,
    FilterBalls,
    Lines,
    PlanePictures,
    PlaneSet,
    Readout,
    bar_text,
    painted,
    rotation,
    symmetric_limits,
)


class Watch(QObject):
    def __init__(self):
        super().__init__()
        self.count = 0

    def eventFilter(self, watched, event):
        self.count += event.type() == QEvent.Type.LayoutRequest
        return False


def test_new_facts_need_no_new_layout(qtbot):
    window = QWidget()
    qtbot.addWidget(window)
    readout, line = Readout(4, window), Lines(1, window)
    layout = QVBoxLayout(window)
    layout.addWidget(readout)
    layout.addWidget(line)
    window.show()
    QApplication.processEvents()
    watch = Watch()
    window.installEventFilter(watch)
    blank = readout.grab().toImage()
    readout.show_facts("Voxel 1", [Fact("gain", "1.50 dB", "over tricubic"), Fact("x", "2")])
    line.setText("a line that is much longer than the window is wide " * 5)
    QApplication.processEvents()
    assert readout.grab().toImage() != blank
    assert watch.count == 0
    assert readout.value("gain") == "1.50 dB"
    assert readout.value("other") == ""
    assert "gain: 1.50 dB  over tricubic" in readout.accessibleDescription()
    assert line.toolTip() == line.text()
    window.removeEventFilter(watch)


def test_size_holds_all_lines(qtbot):
    readout = Readout(14)
    qtbot.addWidget(readout)
    assert readout.sizeHint().height() >= 15 * readout.fontMetrics().height()
    assert Lines(3).sizeHint().height() >= 3 * readout.fontMetrics().height()


def about(color):
    """Allow for screens with 16 bits."""
    return pytest.approx(tuple(int(c) for c in color[:3]), abs=8)


def planes(*images, limits=(-1.0, 1.0)):
    return PlaneSet(images, ("a", "b", "c"), limits, DIVERGING, "caption")


def test_colors_follow_values():
    # Zero is white, between the two middle entries.
    assert DIVERGING[127:129, :3].min() > 240
    image = np.array([[-2.0, -1.0], [0.0, 3.0]])
    colors = painted(image, planes(image))
    assert tuple(colors[0, 0]) == tuple(colors[0, 1]) == tuple(DIVERGING[0])
    assert tuple(colors[1, 1]) == tuple(DIVERGING[255])


def test_limits_are_symmetric():
    assert symmetric_limits([np.array([0.1, -0.4]), np.array([0.2])]) == (-0.4, 0.4)
    assert symmetric_limits([np.zeros(3)]) == (-1.0, 1.0)


@pytest.mark.parametrize(("value", "text"), [(0.0, "0"), (-0.123, "−0.12"), (2.0, "2")])
def test_bar_text(value, text):
    assert bar_text(value) == text


@pytest.mark.parametrize("width", [300, 380, 900])
def test_planes_are_painted_in_their_colors(qtbot, width):
    widget = PlanePictures()
    qtbot.addWidget(widget)
    widget.resize(width, widget.sizeHint().height())
    image = np.array([[1.0, -1.0], [-1.0, -1.0]])
    widget.show_planes(planes(image, -image, np.zeros((2, 2))))
    picture = widget.grab().toImage()
    squares = widget.squares()
    assert all(square.right() < width and square.bottom() < widget.height() for square in squares)
    first, second, third = squares
    quarter = first.width() // 4

    def color(square, right, down):
        c = picture.pixelColor(square.left() + right, square.top() + down)
        return c.red(), c.green(), c.blue()

    assert color(first, quarter, quarter) == about(DIVERGING[255])
    assert color(first, 3 * quarter, quarter) == about(DIVERGING[0])
    assert color(second, quarter, quarter) == about(DIVERGING[0])
    assert min(color(third, quarter, 3 * quarter)) > 240


def test_without_planes_a_message_is_painted(qtbot):
    widget = PlanePictures()
    qtbot.addWidget(widget)
    widget.resize(widget.sizeHint())
    blank = widget.grab().toImage()
    widget.show_planes(None, "nothing here")
    assert widget.grab().toImage() != blank


@pytest.fixture
def balls(qtbot):
    widget = FilterBalls()
    qtbot.addWidget(widget)
    widget.resize(200, 220)
    return widget


def test_rotation():
    """Seen from the front, the third axis points up; from above, the second."""
    for turn, tilt in ((0, 0), (-30, 20), (200, 90)):
        matrix = rotation(turn, tilt)
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(matrix) == pytest.approx(1)
    np.testing.assert_allclose(rotation(0, 0), [[1, 0, 0], [0, 0, 1], [0, -1, 0]], atol=1e-12)
    np.testing.assert_allclose(rotation(0, 90), np.eye(3), atol=1e-12)


def test_ball_size_follows_weights_and_the_nearest_is_last(balls):
    cube = np.zeros((3, 3, 3))
    cube[1, 0, 1], cube[1, 2, 1], cube[1, 1, 1], cube[2, 1, 1] = 0.1, -0.8, 0.4, 0.001
    balls.turn = balls.tilt = 0.0
    balls.show_cube(cube, ("R", "A", "S"))
    found = balls.balls()
    # Seen along axis two: the farthest first; the smallest is left out.
    assert [weight for *_, weight in found] == [-0.8, 0.4, 0.1]
    sizes = {weight: radius for _, _, radius, weight in found}
    assert sizes[-0.8] / sizes[0.1] == pytest.approx(2.0)
    balls.show_cube(np.zeros((3, 3, 3)), ("1", "2", "3"))
    assert balls.balls() == []
    balls.show_cube(None, ("", "", ""))
    assert balls.balls() == []
    balls.grab()


def test_dragging_turns_the_cube(balls):
    cube = np.zeros((3, 3, 3))
    cube[2, 1, 1] = 1.0
    balls.show_cube(cube, ("R", "A", "S"))
    before, picture = (balls.turn, balls.tilt), balls.grab().toImage()
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    QTest.mousePress(balls, left, none, QPoint(50, 50))
    QTest.mouseMove(balls, QPoint(90, 70))
    QTest.mouseRelease(balls, left, none, QPoint(90, 70))
    assert balls.turn == pytest.approx(before[0] + 24)
    assert balls.tilt == pytest.approx(before[1] + 12)
    assert balls.grab().toImage() != picture
    QTest.mouseMove(balls, QPoint(10, 10))
    assert balls.turn == pytest.approx(before[0] + 24)
