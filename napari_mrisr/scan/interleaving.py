"""Interleaved slices: find and balance odd and even slices of different brightness.

A 2D scan often measures slices 1, 3, 5 ... before 2, 4, 6 ... The two groups may differ in
brightness, and sharpening makes stripes of the difference.

Each slice is compared with the mean of its two neighbors, over the voxels that are in the head
in all three. Anatomy changes these ratios in either direction; an alternation raises every
second one and lowers the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_mrisr.core.frames import AXIS_NAMES
from napari_mrisr.core.percentiles import go_on
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import FloatArray, IntensityWindow, Volume
from napari_mrisr.scan.masks import BoolArray, box_around, eroded, head_mask

ALTERNATES = 0.01
"""Slices alternate in brightness from this relative difference on."""

RIM_VOXELS = 2
"""The rim of the head is left out: there slices differ by anatomy."""

# Standard errors that an alternation must exceed.
_CERTAIN = 4.0
_FEWEST_SLICES = 6
# Standard deviation of the smoothing along the slices, in slices.
_SMOOTH = 4.0
_PLANES = 8


@dataclass(frozen=True, eq=False)
class Alternation:
    """Difference in brightness between odd and even slices.

    Attributes
    ----------
    part : float
        Relative difference, 0 to 1; 0 if it is not beyond the noise.
    steps : (n - 2,) ndarray of float64
        Per inner slice the logarithm of its brightness over that of its neighbors, with
        the sign turned for every second slice.
    weights : (n - 2,) ndarray of float64
        Voxels behind each.
    """

    part: float
    steps: NDArray[np.float64]
    weights: NDArray[np.float64]


def slice_axis(voxel_size: tuple[float, float, float]) -> int:
    """Return the axis with the largest voxels, the last one of equal ones."""
    return 2 - int(np.argmax(np.round(voxel_size[::-1], 3)))


def find_alternation(
    data: FloatArray, mask: BoolArray, axis: int, check: Callable[[], None] = go_on
) -> Alternation:
    """Measure how much odd and even slices differ in brightness.

    Parameters
    ----------
    data : (x, y, z) ndarray of float32
        Intensities from 0 on.
    mask : (x, y, z) ndarray of bool
        Head without its rim.
    axis : int
        Axis across the slices.
    check : callable
        Called regularly; raises to stop.
    """
    n = data.shape[axis]
    own, others, weights = np.zeros((3, max(n - 2, 0)))
    if n > 2 and mask.any():
        box = list(box_around(mask))
        box[axis] = slice(None)
        data, mask = data[tuple(box)], mask[tuple(box)]
        along, across = (slice(None),) * axis, 1 if axis == 0 else 0
        before, inner, after = ((*along, slice(k, n - 2 + k)) for k in range(3))
        rest = tuple(a for a in range(3) if a != axis)
        for start in range(0, data.shape[across], _PLANES):
            check()
            slab = (*(slice(None),) * across, slice(start, start + _PLANES))
            part, inside = data[slab], mask[slab]
            common = inside[before] & inside[inner] & inside[after]
            own += np.where(common, part[inner], 0).sum(axis=rest, dtype=np.float64)
            pair = part[before] + part[after]
            others += 0.5 * np.where(common, pair, 0).sum(axis=rest, dtype=np.float64)
            weights += common.sum(axis=rest)
    weights *= (own > 0) & (others > 0)
    ratio = np.divide(own, others, out=np.ones_like(own), where=weights > 0)
    steps = np.log(ratio) * (-1.0) ** np.arange(1, n - 1)
    return Alternation(_certain_part(steps, weights), steps, weights)


def _certain_part(steps: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    total = weights.sum()
    if np.count_nonzero(weights) < _FEWEST_SLICES:
        return 0.0
    mean = float((weights * steps).sum() / total)
    error = float(np.sqrt((weights**2 * (steps - mean) ** 2).sum()) / total)
    return float(np.expm1(abs(mean))) if abs(mean) > _CERTAIN * error else 0.0


def balance_slices(
    volume: Volume, axis: int | None = None, *, progress: Progress | None = None
) -> Volume:
    """Remove a difference in brightness between odd and even slices.

    Parameters
    ----------
    volume : Volume
        Scan.
    axis : int, optional
        Axis across the slices, in RAS order; by default the one with the largest voxels.
    progress : Progress, optional
        Its token is checked regularly.

    Returns
    -------
    Volume
        Each slice multiplied by one factor. The factors alternate around 1 and their size
        changes smoothly along the axis, so other differences between slices stay. The same
        volume if its slices do not alternate by at least 1 %.

    Raises
    ------
    Cancelled
        If the token was set.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_mrisr as sr
    >>> scan = sr.read_volume("scan.nii.gz")
    >>> stripes = scan.data * np.where(np.arange(scan.grid.shape[2]) % 2, 1.05, 1.0)
    >>> balanced = sr.balance_slices(sr.Volume(stripes, scan.grid), axis=2)
    >>> float(abs(balanced.data / scan.data.clip(1e-6) - 1.025)[scan.data > 0].max()) < 0.01
    True
    """
    progress = progress or Progress()
    axis = slice_axis(volume.grid.voxel_size) if axis is None else axis
    scan = volume.restored()
    unit = IntensityWindow.of(scan.data).to_unit(scan.data)
    mask = eroded(head_mask(unit, progress), RIM_VOXELS, progress) & (unit > 0)
    found = find_alternation(unit, mask, axis, progress.token.check)
    if found.part < ALTERNATES:
        return volume
    smooth = ndimage.gaussian_filter1d(found.weights * found.steps, _SMOOTH)
    smooth /= np.maximum(ndimage.gaussian_filter1d(found.weights, _SMOOTH), 1e-9)
    size = np.pad(smooth, 1, mode="edge")
    factor = np.exp(-0.5 * size * (-1.0) ** np.arange(size.size)).astype(np.float32)
    factor = np.expand_dims(factor, tuple(a for a in range(3) if a != axis))
    note = f"slices along {AXIS_NAMES[axis]}, {100 * found.part:.1f} %"
    history = {**volume.history, "balanced": note}
    return replace(scan, data=scan.data * factor, history=history)
