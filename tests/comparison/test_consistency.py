"""When one grid nests in another."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_mrisr.comparison.consistency import nesting
from napari_mrisr.core.volume import Grid

TURN = Rotation.from_euler("xyz", [12, -8, 20], degrees=True).as_matrix()
AFFINE = np.eye(4)
AFFINE[:3, :3] = TURN @ np.diag([0.8, 0.9, 1.1])
AFFINE[:3, 3] = 4.0, -30.0, 12.0
FINE = Grid((25, 24, 19), AFFINE)


@pytest.mark.parametrize("scale", [(1, 1, 1), (2, 2, 2), (3, 1, 4)])
def test_a_degraded_grid_nests_by_its_scale(scale):
    shape = tuple(n // s * s for n, s in zip(FINE.shape, scale, strict=True))
    whole = FINE.cropped((0, 0, 0), shape)
    assert nesting(FINE, whole.degraded(scale)) == scale


def moved(grid, by):
    affine = grid.affine.copy()
    affine[:3, 3] += by
    return Grid(grid.shape, affine)


def test_grids_that_do_not_nest():
    lr = FINE.cropped((0, 0, 0), (24, 24, 18)).degraded((2, 2, 2))
    assert nesting(FINE, moved(lr, (0, 0.005, 0))) == (2, 2, 2)
    assert nesting(FINE, moved(lr, (0, 0.1, 0))) is None
    assert nesting(FINE, lr.cropped((0, 0, 0), (11, 12, 9))) is None
    assert nesting(lr, FINE) is None
    askew = Grid(lr.shape, np.diag([1.6, 1.8, 2.2, 1.0]))
    assert nesting(FINE, askew) is None
    stretched = lr.affine.copy()
    stretched[:3, 0] *= 1.3
    assert nesting(FINE, Grid(lr.shape, stretched)) is None
