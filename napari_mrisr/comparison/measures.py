"""The numbers of one region, without words: those are the readouts'."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.comparison.resample import Reader
from napari_mrisr.comparison.roi import Selection
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import FloatArray, Region, Volume
from napari_mrisr.kernels.cpu_regions import (
    ABSOLUTE_ERRORS,
    COUNT,
    ERRORS,
    HIGHEST,
    LOWEST,
    SQUARED_ERRORS,
    SQUARES,
    SUM,
    WINDOW,
    SimilaritySum,
    add_gradients,
    add_moments,
    empty_moments,
)

# Voxels between two questions whether to stop: 50 ms.
_SLAB_VOXELS = 1_000_000


@dataclass(frozen=True)
class Numbers:
    """What was found for one volume in a region; NaN where there was nothing to count.

    Attributes
    ----------
    voxels : int
        Counted: inside, with a finite value in this volume and in the truth.
    missing : int
        Inside, but not counted.
    mean, sd : float
        Of the volume; sd with n − 1.
    rmse, mae, bias : float
        Of volume minus truth.
    ssim : float
        Mean over ``windows`` voxels.
    windows : int
        Voxels whose SSIM window lies inside the region's box and has values only.
    constant : bool
        All counted voxels have the same value.
    """

    voxels: int
    missing: int
    mean: float = math.nan
    sd: float = math.nan
    rmse: float = math.nan
    mae: float = math.nan
    bias: float = math.nan
    ssim: float = math.nan
    windows: int = 0
    constant: bool = False


def measure_region(
    readers: Sequence[Reader],
    selection: Selection,
    data_range: float | None,
    progress: Progress | None = None,
) -> list[Numbers]:
    """Measure volumes in a region.

    Parameters
    ----------
    readers : sequence of Reader
        All at the voxels of one grid, the truth first.
    selection : Selection
        The voxels, not none.
    data_range : float or None
        Of the SSIM; without it the SSIM is left out.
    progress : Progress, optional
        Asked every 50 ms or so.

    Returns
    -------
    list of Numbers
        For each reader.

    Raises
    ------
    Cancelled
        When asked to stop.
    """
    progress = progress or Progress()
    shape = selection.region.shape
    planes = max(1, _SLAB_VOXELS // (shape[1] * shape[2]))
    sums = empty_moments(len(readers))
    shift: NDArray[np.float64] | None = None
    similar = None
    if data_range is not None and len(readers) > 1 and min(shape) >= WINDOW:
        similar = SimilaritySum(selection.mask, len(readers) - 1, data_range)
    progress.begin("measuring", math.ceil(shape[0] / planes))
    for start in range(0, shape[0], planes):
        stop = min(shape[0], start + planes)
        slab, mask = _read(readers, selection.region, start, stop), selection.mask[start:stop]
        if shift is None:
            first = slab.reshape(len(readers), -1)[:, int(mask.argmax())]
            shift = np.nan_to_num(first.astype(np.float64), posinf=0.0, neginf=0.0)
        add_moments(slab, mask, shift, sums)
        if similar is not None:
            similar.add(slab)
        progress.advance()
    assert shift is not None, "a selection without voxels"
    found = [
        _numbers(row, away, selection.count) for row, away in zip(sums.tolist(), shift, strict=True)
    ]
    if similar is not None:
        pairs = zip(similar.sums.tolist(), similar.counts.tolist(), strict=True)
        for place, (total, windows) in enumerate(pairs, start=1):
            mean = total / windows if windows else math.nan
            found[place] = replace(found[place], ssim=mean, windows=windows)
    return found


def sharpness(volume: Volume, selection: Selection, progress: Progress | None = None) -> float:
    """Mean gradient magnitude of a region relative to its mean intensity.

    A gradient-based focus measure (Pertuz 2013, doi 10.1016/j.patcog.2012.11.011),
    by central differences in mm, over voxels whose neighbors are in the region's box.

    Parameters
    ----------
    volume : Volume
        In the scan's intensities.
    selection : Selection
        On the volume's own grid.
    progress : Progress, optional
        Asked every 50 ms or so.

    Returns
    -------
    float
        Percent a mm. NaN where no voxel counts or the mean intensity is not positive.
    """
    progress = progress or Progress()
    region, data = selection.region, volume.data[selection.region.slices]
    size = np.array(volume.grid.voxel_size)
    planes = max(1, _SLAB_VOXELS // max(1, region.shape[1] * region.shape[2]))
    sums = np.zeros(3)
    progress.begin("measuring sharpness", math.ceil(region.shape[0] / planes))
    for start in range(0, region.shape[0], planes):
        # One plane more on either side, for the differences.
        around = slice(max(0, start - 1), start + planes + 1)
        add_gradients(np.ascontiguousarray(data[around]), selection.mask[around], size, sums)
        progress.advance()
    count, magnitudes, values = sums.tolist()
    return 100.0 * magnitudes / values if count and values > 0.0 else math.nan


def _read(readers: Sequence[Reader], region: Region, start: int, stop: int) -> FloatArray:
    x = region.start[0]
    part = Region((x + start, *region.start[1:]), (x + stop, *region.stop[1:]))
    slab = np.empty((len(readers), *part.shape), np.float32)
    for place, entry in enumerate(readers):
        slab[place] = entry.read(part)
    return slab


def _numbers(sums: list[float], shift: float, inside: int) -> Numbers:
    n = int(sums[COUNT])
    if n == 0:
        return Numbers(0, inside)
    mean = sums[SUM] / n
    constant = sums[LOWEST] == sums[HIGHEST]
    spread = 0.0 if constant else max(0.0, sums[SQUARES] - n * mean * mean)
    return Numbers(
        n,
        inside - n,
        mean + shift,
        math.sqrt(spread / (n - 1)) if n > 1 else math.nan,
        math.sqrt(sums[SQUARED_ERRORS] / n),
        sums[ABSOLUTE_ERRORS] / n,
        sums[ERRORS] / n,
        constant=constant,
    )
