"""Seconds that a run takes: measured, or estimated from a run on a small part."""

from __future__ import annotations

import math
import time

import numpy as np

from napari_mrisr.core.progress import InnerProgress, Progress
from napari_mrisr.core.volume import Grid, Shape, Volume
from napari_mrisr.methods import Method
from napari_mrisr.run.upscale import UpscaleParameters, check_parameters, run

# Of the part: large enough to fill the blocks and tiles, small enough to take a second.
_PART_VOXELS = 300_000


def timed_run(
    parameters: UpscaleParameters, volume: Volume, progress: Progress
) -> tuple[Volume, float]:
    """Run a method, and return its result and the seconds without compiling."""
    method = check_parameters(parameters)
    _warm_up(method, parameters, InnerProgress(progress))
    start = time.perf_counter()
    result = run(method, volume, parameters, progress=progress)
    return result, time.perf_counter() - start


def seconds_per_voxel(volume: Volume, parameters: UpscaleParameters, progress: Progress) -> float:
    """Measure the seconds per low-resolution voxel of a run on the middle of a volume.

    Parameters
    ----------
    volume : Volume
        Low resolution.
    parameters : UpscaleParameters
    progress : Progress
        Cancels.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_mrisr as sr
    >>> from napari_mrisr.run.timing import seconds_per_voxel
    >>> scan = sr.Volume(np.random.rand(20, 24, 28).astype("f4"), sr.Grid((20, 24, 28), np.eye(4)))
    >>> seconds_per_voxel(scan, sr.UpscaleParameters((2, 2, 2), "tricubic"), sr.Progress()) > 0
    True
    """
    part = _middle(volume, parameters)
    seconds = timed_run(parameters, part, progress)[1]
    return seconds / math.prod(part.grid.shape)


def _middle(volume: Volume, parameters: UpscaleParameters) -> Volume:
    shape = volume.grid.shape
    output = math.prod(volume.grid.upsampled(parameters.scale).shape)
    share = min(1.0, (_PART_VOXELS / output) ** (1 / 3))
    x, y, z = (min(n, max(8, round(share * n))) for n in shape)
    start: Shape = ((shape[0] - x) // 2, (shape[1] - y) // 2, (shape[2] - z) // 2)
    return volume.cropped(start, (x, y, z))


def _warm_up(method: Method, parameters: UpscaleParameters, progress: Progress) -> None:
    """Compile the kernels before the timed run."""
    shape = (9, 10, 11)
    data = np.linspace(0.0, 1.0, 990, dtype=np.float32).reshape(shape)
    run(method, Volume(data, Grid(shape, np.eye(4))), parameters, progress=progress)
