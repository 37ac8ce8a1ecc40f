"""A volume's values at another volume's voxels, any box of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.reading.scene import same_grid
from napari_mrisr.reading.slices import values_at
from napari_mrisr.volume import FloatArray, Region, Volume

# Part of a voxel by which axes may be askew over their whole length.
_ASKEW_VOXELS = 1e-4

SAME_VOXELS = "the same voxels"
TRILINEAR = "trilinear at the reference's voxel centers"


@dataclass(frozen=True, eq=False)
class Reader:
    """How a volume is read at a reference's voxels.

    Attributes
    ----------
    read : callable
        Region of the reference's grid to (x, y, z) values, float32; NaN outside
        the volume's field of view.
    how : str
        In words.
    """

    read: Callable[[Region], FloatArray]
    how: str


def reader(volume: Volume, reference: Volume) -> Reader:
    """Read a volume at the voxel centers of a reference.

    The voxels themselves where the two grids are the same; otherwise trilinear
    interpolation, as :func:`~napari_mrisr.reading.slices.values_at` of order 1.
    """
    if same_grid(volume, reference):
        return Reader(lambda region: volume.data[region.slices], SAME_VOXELS)
    to_index = np.linalg.inv(volume.grid.affine) @ reference.grid.affine
    slopes = np.diag(np.diag(to_index)[:3])
    askew = np.abs(to_index[:3, :3] - slopes) * np.array(reference.grid.shape)
    if askew.max() < _ASKEW_VOXELS:
        return Reader(lambda region: _along_axes(volume, to_index, region), TRILINEAR)
    return Reader(lambda region: _anywhere(volume, reference, region), TRILINEAR)


def _along_axes(volume: Volume, to_index: NDArray[np.float64], region: Region) -> FloatArray:
    """Interpolate axis by axis: an eighth of the reads, and no list of points."""
    lower, weight, outside = [], [], []
    for axis, n in enumerate(volume.grid.shape):
        voxels = np.arange(region.start[axis], region.stop[axis])
        at = np.round(to_index[axis, axis] * voxels + to_index[axis, 3], 9)
        outside.append((at < -0.5) | (at >= n - 0.5))
        at = np.clip(at, 0, n - 1)
        lower.append(np.minimum(at.astype(np.int64), max(n - 2, 0)))
        weight.append(at - lower[-1])
    box = tuple(slice(int(at.min()), int(at.max()) + 2) for at in lower)
    values: NDArray[np.floating] = volume.data[box]
    for axis in range(3):
        at = lower[axis] - box[axis].start
        beyond = np.minimum(at + 1, values.shape[axis] - 1)
        part = weight[axis].reshape([-1 if a == axis else 1 for a in range(3)])
        values = values.take(at, axis) * (1.0 - part) + values.take(beyond, axis) * part
    found = values.astype(np.float32)
    x, y, z = outside
    found[x] = np.nan
    found[:, y] = np.nan
    found[:, :, z] = np.nan
    return found


def _anywhere(volume: Volume, reference: Volume, region: Region) -> FloatArray:
    affine = reference.grid.affine
    found = np.empty(region.shape, np.float32)
    i, j, k = np.ogrid[region.slices]
    plane = np.stack(np.broadcast_arrays(0, j, k), axis=-1)[0] @ affine[:3, :3].T + affine[:3, 3]
    # Plane by plane: positions take six times the memory of values.
    for place, x in enumerate(i.ravel()):
        found[place] = values_at(volume, plane + x * affine[:3, 0], order=1)
    return found
