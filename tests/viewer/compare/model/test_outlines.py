"""Where planes cut shapes and labels."""

from __future__ import annotations

import numpy as np
import pytest

from napari_mrisr.comparison.roi import LabelRoi, PrismRoi
from napari_mrisr.core.frames import AXIAL, CORONAL, SAGITTAL, Frame
from napari_mrisr.core.volume import Grid
from napari_mrisr.viewer.compare.model.outlines import RegionOutlines

UP = Frame(np.eye(3))


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
