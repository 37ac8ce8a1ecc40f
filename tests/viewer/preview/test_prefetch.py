"""Neighbors of the plane on screen."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import Dims

from napari_mrisr.core.volume import Grid
from napari_mrisr.viewer.preview.prefetch import planes_at, planes_beside


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ((2, 9), [11, 12, 13, 9]),  # upward
        ((2, 40), [9, 8, 7, 11]),  # downward
        ((2, 10), [11, 9, 12, 8]),  # nobody has moved
        ((0, 9), [11, 9, 12, 8]),  # along another axis
    ],
)
def test_in_the_direction_of_the_last_move_first(before, expected):
    assert planes_beside((2, 10), before, 50) == [(2, index) for index in expected]


def test_none_beyond_the_volume():
    assert planes_beside((1, 0), (1, 0), 2) == [(1, 1)]
    assert planes_beside((1, 4), (1, 3), 5) == [(1, 3)]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ((0, 1, 2), [(2, 9), (1, 3), (0, 6)]),  # axial: napari cuts along z
        ((1, 0, 2), [(1, 3), (2, 9), (0, 6)]),
        ((2, 1, 0), [(0, 6), (2, 9), (1, 3)]),
    ],
)
def test_planes_at_the_sliders_those_on_screen_first(order, expected):
    grid = Grid((8, 12, 20), np.diag([2.0, 1.0, 0.5, 1.0]))
    # World axes are inferior, posterior, left: minus z, y and x in mm.
    dims = Dims(ndim=3, order=order, range=((-9.5, 0, 0.5), (-11, 0, 1), (-14, 0, 2)))
    dims.point = (-9 * 0.5, -3 * 1.0, -6 * 2.0)
    assert planes_at(dims, grid) == expected


def test_sliders_beyond_the_volume_show_its_ends():
    grid = Grid((8, 12, 20), np.eye(4))
    dims = Dims(ndim=4, range=((0, 3, 1), (-50, 50, 1), (-50, 50, 1), (-50, 50, 1)))
    dims.point = (1, 40, -40, -3)
    assert planes_at(dims, grid) == [(2, 0), (1, 11), (0, 3)]


def test_no_planes_of_a_flat_viewer():
    assert planes_at(Dims(ndim=2), Grid((8, 12, 20), np.eye(4))) == []
