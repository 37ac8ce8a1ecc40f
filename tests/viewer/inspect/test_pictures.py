"""Pictures of planes: colors by value, on the screen where they belong."""

from __future__ import annotations

import numpy as np
import pytest

from napari_mrisr.viewer.inspect.pictures import (
    DIVERGING,
    SEQUENTIAL,
    PlanePictures,
    PlaneSet,
    bar_text,
    painted,
    symmetric_limits,
)


def about(*color):
    """Screens may have 16 bits."""
    return pytest.approx(color, abs=8)


def planes(*images, limits=(-1.0, 1.0)):
    return PlaneSet(images, ("a", "b", "c"), limits, DIVERGING, "caption")


def test_colors():
    assert tuple(DIVERGING[0]) == (33, 102, 172, 255)
    assert tuple(DIVERGING[255]) == (178, 24, 43, 255)
    # Zero is white, between the two middle entries.
    assert DIVERGING[127:129, :3].min() > 240
    brightness = SEQUENTIAL[:, :3].astype(int).sum(axis=1)
    assert (np.diff(brightness) >= -1).all()  # rounding
    image = np.array([[-2.0, -1.0], [0.0, 3.0]])
    colors = painted(image, planes(image))
    assert tuple(colors[0, 0]) == tuple(colors[0, 1]) == tuple(DIVERGING[0])
    assert tuple(colors[1, 1]) == tuple(DIVERGING[255])


def test_limits():
    assert symmetric_limits([np.array([0.1, -0.4]), np.array([0.2])]) == (-0.4, 0.4)
    assert symmetric_limits([np.zeros(3)]) == (-1.0, 1.0)


@pytest.mark.parametrize(("value", "text"), [(0.0, "0"), (-0.123, "−0.12"), (2.0, "2")])
def test_bar_text(value, text):
    assert bar_text(value) == text


@pytest.mark.parametrize("width", [300, 380, 900])
def test_on_screen(qtbot, width):
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

    assert color(first, quarter, quarter) == about(178, 24, 43)
    assert color(first, 3 * quarter, quarter) == about(33, 102, 172)
    assert color(second, quarter, quarter) == about(33, 102, 172)
    assert min(color(third, quarter, 3 * quarter)) > 240


def test_without_planes_there_is_a_line(qtbot):
    widget = PlanePictures()
    qtbot.addWidget(widget)
    widget.resize(widget.sizeHint())
    blank = widget.grab().toImage()
    widget.show_planes(None, "nothing here")
    assert widget.grab().toImage() != blank
