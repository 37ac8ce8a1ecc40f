"""A filter in 3D."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_mrisr.viewer.inspect.balls import FilterBalls, rotation


@pytest.fixture
def balls(qtbot):
    widget = FilterBalls()
    qtbot.addWidget(widget)
    widget.resize(200, 220)
    return widget


def test_rotation():
    """From the front: the first axis to the right, the third up; from above: the second up."""
    for turn, tilt in ((0, 0), (-30, 20), (200, 90)):
        matrix = rotation(turn, tilt)
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(matrix) == pytest.approx(1)
    np.testing.assert_allclose(rotation(0, 0), [[1, 0, 0], [0, 0, 1], [0, -1, 0]], atol=1e-12)
    np.testing.assert_allclose(rotation(0, 90), np.eye(3), atol=1e-12)


def test_balls_are_as_large_as_weights_and_the_nearest_last(balls):
    cube = np.zeros((3, 3, 3))
    cube[1, 0, 1], cube[1, 2, 1], cube[1, 1, 1], cube[2, 1, 1] = 0.1, -0.8, 0.4, 0.001
    balls.turn = balls.tilt = 0.0
    balls.show_cube(cube, ("R", "A", "S"))
    found = balls.balls()
    # Seen from the front of axis two: the far one first; the tiny one is left out.
    assert [weight for *_, weight in found] == [-0.8, 0.4, 0.1]
    sizes = {weight: radius for _, _, radius, weight in found}
    assert sizes[-0.8] / sizes[0.1] == pytest.approx(2.0)
    balls.show_cube(np.zeros((3, 3, 3)), ("1", "2", "3"))
    assert balls.balls() == []
    balls.show_cube(None, ("", "", ""))
    assert balls.balls() == []
    balls.grab()


def test_dragging_turns(balls):
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
