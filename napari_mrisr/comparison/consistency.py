"""Whether a volume, degraded, gives the low-resolution volume that was measured."""

from __future__ import annotations

import numpy as np

from napari_mrisr.comparison.measures import measure_region
from napari_mrisr.comparison.resample import reader
from napari_mrisr.comparison.roi import Selection
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.scale import Scale
from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.operators.degrade import degrade

LARGEST_FACTOR = 8
# How far field-of-view corners may lie apart, in low-resolution voxels.
_APART_VOXELS = 0.01


def nesting(fine: Grid, coarse: Grid) -> Scale | None:
    """The scale at which a grid degrades to another; None where none does.

    The coarse grid must hold a whole number of fine voxels along each axis and
    begin where the fine one begins; at the far end the fine one may have a rest.
    """
    ratio = np.array(coarse.voxel_size) / np.array(fine.voxel_size)
    x, y, z = (round(float(r)) for r in ratio)
    scale = (x, y, z)
    if min(scale) < 1 or max(scale) > LARGEST_FACTOR:
        return None
    shape = tuple(n // s for n, s in zip(fine.shape, scale, strict=True))
    if shape != coarse.shape:
        return None
    whole = fine.cropped((0, 0, 0), (shape[0] * x, shape[1] * y, shape[2] * z))
    apart = np.abs(whole.corners() - coarse.corners()).max()
    return scale if apart <= _APART_VOXELS * min(coarse.voxel_size) else None


def consistency(
    volume: Volume,
    measured: Volume,
    scale: Scale,
    degradation: str,
    selection: Selection,
    progress: Progress | None = None,
) -> float:
    """RMSE of the degraded volume against the measured one, in intensities.

    Parameters
    ----------
    volume, measured : Volume
        In the scan's intensities; their grids nest by ``scale``.
    scale : Scale
        See :func:`nesting`.
    degradation : str
        Forward model, such as ``standard``.
    selection : Selection
        Low-resolution voxels to count.
    progress : Progress, optional
        Reports and cancels.
    """
    low = degrade(volume, scale, degradation, progress=progress)
    readers = [reader(measured, measured), reader(low, measured)]
    return measure_region(readers, selection, None, progress)[1].rmse
