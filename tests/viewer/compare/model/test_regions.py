"""Drawing and dragging regions, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_mrisr.core.frames import AXIAL, CORONAL, SAGITTAL, Frame
from napari_mrisr.viewer.compare.model.regions import MIN_SIZE_MM, dragged, drawn, grabbed

UP = Frame(np.eye(3))
TURNED = Frame(Rotation.from_euler("xyz", (20, -10, 30), degrees=True).as_matrix())


@pytest.mark.parametrize("frame", [UP, TURNED])
@pytest.mark.parametrize(("plane", "order"), [(AXIAL, 0), (SAGITTAL, 1), (CORONAL, 2)])
def test_drawn_between_corners_through_the_plane(frame, plane, order):
    roi = drawn("r", "box", frame, plane, ((5.0, -2.0), (1.0, 8.0)), (7.0, 12.0))
    center = frame.from_world(roi.center)
    assert center[plane.across] == pytest.approx(3.0)
    assert center[plane.upward] == pytest.approx(3.0)
    assert center[plane.normal] == pytest.approx(7.0)
    assert roi.size[plane.across] == pytest.approx(4.0)
    assert roi.size[plane.upward] == pytest.approx(10.0)
    assert roi.size[plane.normal] == pytest.approx(12.0)
    np.testing.assert_allclose(np.reshape(roi.axes, (3, 3)), frame.rotation)


@pytest.fixture
def box():
    return drawn("r", "box", UP, AXIAL, ((-10.0, -20.0), (10.0, 20.0)), (0.0, 8.0))


@pytest.mark.parametrize(
    ("at", "sides"),
    [
        ((10.5, 19.5), (1, 1)),
        ((-10.0, 20.0), (-1, 1)),
        ((10.0, 0.5), (1, 0)),
        ((0.0, -20.5), (0, -1)),
        ((-10.0, 12.0), (0, 0)),
    ],
)
def test_what_the_pointer_holds(box, at, sides):
    grip = grabbed([box], UP, AXIAL, 3.9, at, 1.0)
    assert grip is not None
    assert grip.sides == sides


def test_what_it_does_not_hold(box):
    assert grabbed([box], UP, AXIAL, 4.1, (10.0, 0.0), 1.0) is None  # beyond the depth
    assert grabbed([box], UP, AXIAL, 0.0, (0.0, 5.0), 1.0) is None  # inside
    assert grabbed([box], UP, AXIAL, 0.0, (0.0, 5.0), 1.0, inside=True).sides == (0, 0)
    assert grabbed([box], UP, AXIAL, 0.0, (12.0, 0.0), 1.0, inside=True) is None


def test_the_one_on_top_is_held(box):
    other = drawn("top", "box", UP, AXIAL, ((-10.0, -20.0), (10.0, 20.0)), (0.0, 8.0))
    assert grabbed([box, other], UP, AXIAL, 0.0, (10.0, 0.0), 1.0).roi.name == "top"


def test_an_ellipse_is_held_on_its_line():
    oval = drawn("r", "ellipsoid", UP, AXIAL, ((-10.0, -20.0), (10.0, 20.0)), (0.0, 8.0))
    angle = 0.6
    on = (10 * np.cos(angle), 20 * np.sin(angle))
    assert grabbed([oval], UP, AXIAL, 0.0, on, 1.0).sides == (0, 0)
    assert grabbed([oval], UP, AXIAL, 0.0, (0.6 * on[0], 0.6 * on[1]), 1.0) is None


@pytest.mark.parametrize("frame", [UP, TURNED])
def test_moved_and_resized(frame):
    roi = drawn("r", "box", frame, AXIAL, ((-10.0, -20.0), (10.0, 20.0)), (0.0, 8.0))
    edge = grabbed([roi], frame, AXIAL, 0.0, (-10.0, 12.0), 1.0)
    moved = dragged(edge, frame, (-7.0, 14.0))
    assert frame.from_world(moved.center)[:2] == pytest.approx((3.0, 2.0))
    assert moved.size == roi.size
    corner = grabbed([roi], frame, AXIAL, 0.0, (10.0, -20.0), 1.0)
    smaller = dragged(corner, frame, (6.0, -25.0))
    assert smaller.size == pytest.approx((16.0, 45.0, 8.0))
    assert frame.from_world(smaller.center)[:2] == pytest.approx((-2.0, -2.5))
    # Pulled past the other side it stops there; the other side stays.
    gone = dragged(corner, frame, (-90.0, 90.0))
    assert gone.size[:2] == (MIN_SIZE_MM, MIN_SIZE_MM)
    assert frame.from_world(gone.center)[0] == pytest.approx(-10.0 + MIN_SIZE_MM / 2)
