"""Volumes of a series: order by position, voxels in their place."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pydicom")

from helpers import dicoms

import napari_mrisr as sr

PLANES = {
    "axial": dicoms.AXIAL,
    "coronal": dicoms.CORONAL,
    "sagittal": dicoms.SAGITTAL,
    "oblique": dicoms.OBLIQUE,
    "feet first": (-1, 0, 0, 0, 1, 0),
    "decubitus": (0, -1, 0, 1, 0, 0),
}


def index_of(volume, place):
    """Return the voxel at a world position."""
    index = np.linalg.solve(volume.grid.affine, [*place, 1.0])[:3]
    np.testing.assert_allclose(index, index.round(), atol=1e-6)
    return tuple(index.round().astype(int))


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("distance", [3.5, -3.5])
def test_every_voxel_lies_where_its_slice_says(tmp_path, plane, distance):
    data = dicoms.voxels()
    slices = dicoms.classic(data, orientation=PLANES[plane], distance=distance)
    volume = sr.read_volume(dicoms.save(slices, tmp_path))
    assert sorted(volume.grid.shape) == sorted(data.shape)
    for column, row, k in [(0, 0, 0), (13, 0, 0), (0, 11, 0), (0, 0, 9), (5, 7, 3), (13, 11, 9)]:
        place = dicoms.world(slices[k], column, row)
        assert volume.data[index_of(volume, place)] == data[column, row, k]
