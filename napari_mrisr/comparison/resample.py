"""A volume's values at another volume's voxels, any box of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.comparison.scene import same_grid
from napari_mrisr.core.volume import FloatArray, Region, Volume
from napari_mrisr.kernels.pixels import sample_pixels

SAME_VOXELS = "the same voxels"
TRILINEAR = "trilinear at the truth's voxel centers"


@dataclass(frozen=True, eq=False)
class Reader:
    """How a volume is read at a truth's voxels.

    Attributes
    ----------
    read : callable
        Region of the truth's grid to (x, y, z) values, float32; NaN outside
        the volume's field of view.
    how : str
        In words.
    """

    read: Callable[[Region], FloatArray]
    how: str


def reader(volume: Volume, truth: Volume) -> Reader:
    """Read a volume at the voxel centers of a truth.

    The voxels themselves where the two grids are the same; otherwise trilinear
    interpolation, as :func:`~napari_mrisr.comparison.slices.values_at` of order 1.
    """
    if same_grid(volume, truth):
        return Reader(lambda region: volume.data[region.slices], SAME_VOXELS)
    to_index = np.linalg.inv(volume.grid.affine) @ truth.grid.affine
    return Reader(lambda region: _sampled(volume.data, to_index, region), TRILINEAR)


def _sampled(data: FloatArray, to_index: NDArray[np.float64], region: Region) -> FloatArray:
    found = np.empty(region.shape, np.float32)
    first = to_index[:3, :3] @ region.start + to_index[:3, 3]
    x, y, z = to_index[:3, :3].T
    for place, plane in enumerate(found):
        plane[:] = sample_pixels(
            data, first + place * x, z.copy(), y.copy(), (plane.shape[0], plane.shape[1]), order=1
        )
    return found
