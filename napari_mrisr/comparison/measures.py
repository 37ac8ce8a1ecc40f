"""Numbers of a region of interest: errors, moments, sharpness, consistency.

A volume on another grid is sampled at the reference's voxels. Protocols and texts of
the numbers are in readouts.py.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.comparison.roi import LabelRoi, Selection
from napari_mrisr.comparison.scene import same_grid
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.scale import Scale, scale_label
from napari_mrisr.core.slices import slices_of
from napari_mrisr.core.volume import FloatArray, Grid, IntensityWindow, Region, Volume
from napari_mrisr.errors import ParameterError
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
from napari_mrisr.kernels.pixels import sample_pixels
from napari_mrisr.operators.degrade import degrade, get_degradation
from napari_mrisr.operators.slices import slice_operator
from napari_mrisr.scan.masks import head_mask
from napari_mrisr.scan.traits import noise_sd

# Voxels between two checks for cancel: 50 ms.
_SLAB_VOXELS = 1_000_000

SAME_VOXELS = "the same voxels"
TRILINEAR = "trilinear at the reference's voxel centers"

LARGEST_FACTOR = 8
# Allowed distance of field-of-view corners, in low-resolution voxels.
_CORNER_VOXELS = 0.01

HEAD = "head"
_HEAD_TEXT = "head (automatic mask of the reference, or of the first volume without one)"


@dataclass(frozen=True, eq=False)
class Sampler:
    """Values of a volume at a reference's voxels.

    Attributes
    ----------
    read : callable
        From a region of the reference's grid to (x, y, z) values, float32; NaN
        outside the volume's field of view.
    method : str
        Interpolation, in words.
    """

    read: Callable[[Region], FloatArray]
    method: str


def sampler_of(volume: Volume, reference: Volume) -> Sampler:
    """Return the values of a volume at the voxel centers of a reference.

    They are the voxels themselves if both grids are the same; otherwise trilinear
    interpolation, as :func:`~napari_mrisr.comparison.slices.values_at` of order 1.
    """
    if same_grid(volume, reference):
        return Sampler(lambda region: volume.data[region.slices], SAME_VOXELS)
    to_index = np.linalg.inv(volume.grid.affine) @ reference.grid.affine
    return Sampler(lambda region: _sampled(volume.data, to_index, region), TRILINEAR)


def _sampled(data: FloatArray, to_index: NDArray[np.float64], region: Region) -> FloatArray:
    values = np.empty(region.shape, np.float32)
    first = to_index[:3, :3] @ region.start + to_index[:3, 3]
    x, y, z = to_index[:3, :3].T
    for number, plane in enumerate(values):
        plane[:] = sample_pixels(
            data, first + number * x, z.copy(), y.copy(), (plane.shape[0], plane.shape[1]), order=1
        )
    return values


@dataclass(frozen=True)
class Numbers:
    """Numbers of one volume in a region; NaN if no voxel counts.

    Attributes
    ----------
    voxels : int
        Voxels inside with a finite value in this volume and in the reference.
    missing : int
        Other voxels inside.
    mean, sd : float
        Of the volume; sd with n − 1.
    rmse, mae, bias : float
        Of volume minus reference.
    ssim : float
        Mean over ``windows`` voxels.
    windows : int
        Voxels whose SSIM window lies inside the region's box and is finite.
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
    samplers: Sequence[Sampler],
    selection: Selection,
    data_range: float | None,
    progress: Progress | None = None,
) -> list[Numbers]:
    """Measure volumes in a region.

    Parameters
    ----------
    samplers : sequence of Sampler
        All at the voxels of one grid, the reference first.
    selection : Selection
        At least one voxel.
    data_range : float or None
        Range of the SSIM; None omits the SSIM.
    progress : Progress, optional
        Checked for cancel about every 50 ms.

    Returns
    -------
    list of Numbers
        One per sampler.

    Raises
    ------
    Cancelled
        If the user cancels.
    """
    progress = progress or Progress()
    shape = selection.region.shape
    planes = max(1, _SLAB_VOXELS // (shape[1] * shape[2]))
    sums = empty_moments(len(samplers))
    shift: NDArray[np.float64] | None = None
    similar = None
    if data_range is not None and len(samplers) > 1 and min(shape) >= WINDOW:
        similar = SimilaritySum(selection.mask, len(samplers) - 1, data_range)
    progress.begin("measuring", math.ceil(shape[0] / planes))
    for start in range(0, shape[0], planes):
        stop = min(shape[0], start + planes)
        slab, mask = _read(samplers, selection.region, start, stop), selection.mask[start:stop]
        if shift is None:
            first = slab.reshape(len(samplers), -1)[:, int(mask.argmax())]
            shift = np.nan_to_num(first.astype(np.float64), posinf=0.0, neginf=0.0)
        add_moments(slab, mask, shift, sums)
        if similar is not None:
            similar.add(slab)
        progress.advance()
    assert shift is not None, "a selection without voxels"
    found = [
        _numbers(row, offset, selection.count)
        for row, offset in zip(sums.tolist(), shift, strict=True)
    ]
    if similar is not None:
        pairs = zip(similar.sums.tolist(), similar.counts.tolist(), strict=True)
        for place, (total, windows) in enumerate(pairs, start=1):
            mean = total / windows if windows else math.nan
            found[place] = replace(found[place], ssim=mean, windows=windows)
    return found


def sharpness(volume: Volume, selection: Selection, progress: Progress | None = None) -> float:
    """Return the mean gradient magnitude of a region relative to its mean intensity.

    A gradient-based focus measure (Pertuz 2013, doi 10.1016/j.patcog.2012.11.011):
    central differences per mm, over voxels whose neighbors are in the region's box.

    Parameters
    ----------
    volume : Volume
        In the scan's intensities.
    selection : Selection
        On the volume's own grid.
    progress : Progress, optional
        Checked for cancel about every 50 ms.

    Returns
    -------
    float
        In % per mm. NaN if no voxel counts or the mean intensity is not positive.
    """
    progress = progress or Progress()
    region, data = selection.region, volume.data[selection.region.slices]
    size = np.array(volume.grid.voxel_size)
    planes = max(1, _SLAB_VOXELS // max(1, region.shape[1] * region.shape[2]))
    sums = np.zeros(3)
    progress.begin("measuring sharpness", math.ceil(region.shape[0] / planes))
    for start in range(0, region.shape[0], planes):
        # One more plane on either side, for the differences.
        around = slice(max(0, start - 1), start + planes + 1)
        add_gradients(np.ascontiguousarray(data[around]), selection.mask[around], size, sums)
        progress.advance()
    count, magnitudes, values = sums.tolist()
    return 100.0 * magnitudes / values if count and values > 0.0 else math.nan


def noise(
    volume: Volume,
    selection: Selection,
    axes: tuple[int, ...] = (0, 1, 2),
    progress: Progress | None = None,
) -> float:
    """Return the standard deviation of the finest detail in a region, in intensities.

    See :func:`napari_mrisr.scan.traits.noise_sd`. Over voxels whose neighbors are in the
    region's box; NaN if there is none.

    Parameters
    ----------
    volume : Volume
        In the scan's intensities.
    selection : Selection
        On the volume's own grid.
    axes : tuple of int
        Axes of the differences. Interpolated axes have next to no finest detail.
    progress : Progress, optional
        Checked for cancel.
    """
    inner = np.zeros_like(selection.mask)
    box = tuple(slice(1, -1) if axis in axes else slice(None) for axis in range(3))
    inner[box] = selection.mask[box]
    if not inner.any():
        return math.nan
    return noise_sd(volume.data[selection.region.slices], inner, progress or Progress(), axes)


def in_plane_axes(volume: Volume) -> tuple[int, ...]:
    """Return the axes within the slices of a scan of thick slices; all axes of any other."""
    slices = slices_of(volume.grid, volume.origin)
    return tuple(axis for axis in range(3) if slices is None or axis != slices.axis)


def _read(samplers: Sequence[Sampler], region: Region, start: int, stop: int) -> FloatArray:
    x = region.start[0]
    part = Region((x + start, *region.start[1:]), (x + stop, *region.stop[1:]))
    slab = np.empty((len(samplers), *part.shape), np.float32)
    for number, sampler in enumerate(samplers):
        slab[number] = sampler.read(part)
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


def is_map(volume: Volume) -> bool:
    """Return whether a volume is a trust map: no image, so it has no errors of one."""
    return "map" in volume.history


def nesting(fine: Grid, coarse: Grid) -> Scale | None:
    """Return the scale that degrades a grid to another, or None.

    A coarse voxel must hold a whole number of fine voxels along each axis, and both
    grids must begin at one corner. At the other end the fine grid may have a remainder.
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
    distance = np.abs(whole.corners() - coarse.corners()).max()
    return scale if distance <= _CORNER_VOXELS * min(coarse.voxel_size) else None


@dataclass(frozen=True)
class SamplingModel:
    """Degradation of a volume to the grid of the measured scan.

    Attributes
    ----------
    words : str
        Name for protocols, such as ``standard, 2×`` or ``slices 4 mm thick``.
    degrade : callable
        From a volume and a progress to the degraded volume.
    """

    words: str
    degrade: Callable[[Volume, Progress | None], Volume]


def forward_model(
    fine: Grid, measured: Volume, degradation: str | None = None
) -> SamplingModel | None:
    """Return how a scan samples a finer grid, or None if the grids do not fit.

    A simulated scan has its own degradation. A measured scan of thick slices is the mean over
    the slice thickness, at any real factor. Any other has the ``standard`` degradation.

    Parameters
    ----------
    fine : Grid
        Grid of the volume to degrade.
    measured : Volume
        The measured scan.
    degradation : str, optional
        Name of a degradation for whole factors, used instead.
    """
    chosen = degradation or _simulated_by(measured)
    slices = slices_of(measured.grid, measured.origin) if chosen is None else None
    if slices is not None and _finer_only_along(slices.axis, fine, measured.grid):
        axis, voxels = slices.axis, fine.shape[slices.axis]
        width = slices.thickness / slices.distance
        operator = slice_operator(voxels, measured.grid.shape[axis], "boxcar", width)

        def average(volume: Volume, progress: Progress | None) -> Volume:
            data = operator.apply(np.ascontiguousarray(volume.data), axis)
            return Volume(data, measured.grid)

        return SamplingModel(str(slices), average)
    scale = nesting(fine, measured.grid)
    if scale is None:
        return None
    name = chosen or "standard"

    def shrink(volume: Volume, progress: Progress | None) -> Volume:
        return degrade(volume, scale, name, progress=progress)

    return SamplingModel(f"{name}, {scale_label(scale)}", shrink)


def _simulated_by(measured: Volume) -> str | None:
    """Return the degradation that a scan was simulated by; None for a real scan."""
    name = measured.history.get("degradation") if "degraded_by" in measured.history else None
    try:
        return None if name is None else str(get_degradation(name))
    except ParameterError:  # of a later version
        return None


def _finer_only_along(axis: int, fine: Grid, coarse: Grid) -> bool:
    """Return whether two grids share the field of view, and one is finer along one axis."""
    same = all(fine.shape[a] == coarse.shape[a] for a in range(3) if a != axis)
    if not same or fine.shape[axis] <= coarse.shape[axis]:
        return False
    distance = np.abs(fine.corners() - coarse.corners()).max()
    return bool(distance <= _CORNER_VOXELS * min(coarse.voxel_size))


def consistency(
    volume: Volume,
    measured: Volume,
    model: SamplingModel,
    selection: Selection,
    progress: Progress | None = None,
) -> float:
    """Return the RMSE of the degraded volume against the measured one, in intensities.

    Parameters
    ----------
    volume, measured : Volume
        In the scan's intensities.
    model : SamplingModel
        Result of :func:`forward_model`.
    selection : Selection
        Low-resolution voxels to count.
    progress : Progress, optional
        Reports and cancels.
    """
    low = model.degrade(volume, progress)
    samplers = [sampler_of(measured, measured), sampler_of(low, measured)]
    return measure_region(samplers, selection, None, progress)[1].rmse


class VolumeCache:
    """Cache of the intensity windows and heads of volumes, for several threads.

    Two threads that need the same entry at once both compute it; neither waits.
    """

    def __init__(self) -> None:
        self._windows: WeakKeyDictionary[Volume, IntensityWindow | None] = WeakKeyDictionary()
        self._heads: WeakKeyDictionary[Volume, LabelRoi] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def has_window(self, volume: Volume) -> bool:
        """Return whether the intensity window of a volume is in the cache."""
        with self._lock:
            return volume in self._windows

    def window(self, volume: Volume) -> IntensityWindow | None:
        """Return 0 to the 99.9th percentile of the finite values; None for a constant volume."""
        with self._lock:
            if volume in self._windows:
                return self._windows[volume]
        low, high = volume.extrema
        if np.isfinite(low) and np.isfinite(high):
            window = IntensityWindow.of(volume.data) if low < high else None
        else:
            finite = volume.data[np.isfinite(volume.data)]
            varies = finite.size and finite.min() < finite.max()
            window = IntensityWindow.of(finite) if varies else None
        with self._lock:
            self._windows[volume] = window
        return window

    def head(self, volume: Volume, progress: Progress | None = None) -> LabelRoi:
        """Return the head of a volume as a region of interest; ``progress`` cancels."""
        with self._lock:
            if volume in self._heads:
                return self._heads[volume]
        data = volume.data
        if not all(map(np.isfinite, volume.extrema)):
            data = np.nan_to_num(data, nan=0.0, posinf=0.0, neginf=0.0)
        head = LabelRoi(HEAD, head_mask(data, progress), volume.grid, _HEAD_TEXT)
        with self._lock:
            self._heads[volume] = head
        return head
