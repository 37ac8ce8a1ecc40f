"""What remains when a result is degraded again and compared with what was measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.scale import Scale
from napari_mrisr.core.volume import Volume
from napari_mrisr.operators.degrade import degrade


@dataclass(frozen=True, eq=False)
class Residual:
    """Degraded minus measured.

    Attributes
    ----------
    volume : Volume
        On the measured grid, in the scan's intensities.
    rmse : float
        Root mean square over all voxels.
    degradation : str
        The forward model.
    """

    volume: Volume
    rmse: float
    degradation: str


def residual(
    result: Volume,
    measured: Volume,
    scale: Scale,
    degradation: str,
    progress: Progress | None = None,
) -> Residual:
    """Degrade a result and subtract the measured volume.

    Parameters
    ----------
    result, measured : Volume
        In the scan's intensities; the result's grid is the measured one's times ``scale``.
    scale : Scale
    degradation : str
        Forward model, such as ``standard``.
    progress : Progress, optional
        Reports and cancels.
    """
    low = degrade(result, scale, degradation, progress=progress)
    data = low.data - measured.data
    rmse = float(np.sqrt(np.mean(np.square(data), dtype=np.float64)))
    return Residual(Volume(data, measured.grid), rmse, degradation)
