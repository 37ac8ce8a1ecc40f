"""Drawing, dragging and outlining regions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_mrisr.comparison.roi import LabelRoi, PrismRoi
from napari_mrisr.core.frames import AXIAL, CORONAL, SAGITTAL, Frame
from napari_mrisr.core.volume import Grid
from napari_mrisr.viewer.compare.model.regions import (
    MIN_SIZE_MM,
    RegionOutlines,
    dragged,
    drawn,
    grabbed,
)

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


def extent(line) -> tuple[float, ...]:
    low, high = line.points.min(axis=0), line.points.max(axis=0)
    return tuple(float(v) for v in (low[0], high[0], low[1], high[1]))


def test_a_prism_from_above_and_from_the_side():
    triangle = np.array([(0.0, 0.0), (8.0, 0.0), (0.0, 4.0)])
    seen = RegionOutlines([PrismRoi("p", AXIAL, triangle, 10.0, 6.0, np.eye(3))], UP)
    (line,) = seen.at(AXIAL, 12.9)
    assert extent(line) == (0.0, 8.0, 0.0, 4.0)
    np.testing.assert_array_equal(line.points[0], line.points[-1])
    assert seen.at(AXIAL, 13.1) == ()
    # At x = 2 the triangle reaches from y = 0 to 3; at y = 1 from x = 0 to 6.
    (line,) = seen.at(SAGITTAL, 2.0)
    assert extent(line) == pytest.approx((0.0, 3.0, 7.0, 13.0))
    (line,) = seen.at(CORONAL, 1.0)
    assert extent(line) == pytest.approx((0.0, 6.0, 7.0, 13.0))
    assert seen.at(SAGITTAL, 9.0) == ()


def test_a_label_is_outlined_at_its_voxels_borders():
    mask = np.zeros((6, 7, 8), bool)
    mask[1:3, 2:6, 3:4] = True
    affine = np.diag([2.0, 1.0, 1.5, 1.0])
    affine[:3, 3] = (10.0, 20.0, 30.0)
    seen = RegionOutlines([LabelRoi("l", mask, Grid(mask.shape, affine))], UP)
    (line,) = seen.at(AXIAL, 34.5)
    # Voxels 1 and 2 along x: from 11 to 15 mm; 2 to 5 along y: from 21.5 to 25.5 mm.
    assert extent(line) == pytest.approx((11.0, 15.0, 21.5, 25.5))
    assert seen.at(AXIAL, 37.0) == ()
    (line,) = seen.at(CORONAL, 23.0)
    assert extent(line) == pytest.approx((11.0, 15.0, 33.75, 35.25))
    assert seen.at(CORONAL, 23.0)[0] is line
