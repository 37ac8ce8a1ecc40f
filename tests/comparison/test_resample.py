"""Reading one volume at another's voxels: equal to the sampling of points."""

from __future__ import annotations

import numpy as np
import pytest
from nibabel.affines import apply_affine
from scipy.spatial.transform import Rotation

from napari_mrisr.comparison.resample import SAME_VOXELS, TRILINEAR, reader
from napari_mrisr.comparison.slices import values_at
from napari_mrisr.core.volume import Grid, Region, Volume

TURN = Rotation.from_euler("xyz", [12, -8, 20], degrees=True).as_matrix()


def volume_on(matrix, shape, rng):
    affine = np.eye(4)
    affine[:3, :3] = matrix
    affine[:3, 3] = -matrix @ ((np.array(shape) - 1) / 2)
    return Volume(rng.normal(100, 20, shape).astype(np.float32), Grid(shape, affine))


@pytest.fixture
def truth(rng):
    return volume_on(np.diag([1.0, 1.2, 0.8]), (17, 15, 19), rng)


@pytest.mark.parametrize(
    "matrix", [np.diag([2.0, 2.4, 3.1]), np.diag([-1.1, 1.3, -0.9]), TURN @ np.diag([1.1, 1, 1.4])]
)
def test_other_voxels_are_interpolated_and_nan_outside(truth, matrix, rng):
    other = volume_on(matrix, (7, 9, 6), rng)
    found = reader(other, truth)
    assert found.how == TRILINEAR
    region = Region((2, 0, 5), (16, 13, 19))
    index = np.moveaxis(np.indices(truth.grid.shape)[(slice(None), *region.slices)], 0, -1)
    expected = values_at(other, apply_affine(truth.grid.affine, index), order=1)
    values = found.read(region)
    assert values.dtype == np.float32
    assert values == pytest.approx(expected, rel=1e-5, nan_ok=True)
    assert np.isnan(values).any()
    assert np.isfinite(values).sum() > 200


def test_the_same_voxels_are_not_copied(truth, rng):
    other = Volume(rng.random(truth.grid.shape).astype(np.float32), truth.grid)
    found = reader(other, truth)
    assert found.how == SAME_VOXELS
    assert np.shares_memory(found.read(Region((1, 2, 3), (5, 6, 7))), other.data)
