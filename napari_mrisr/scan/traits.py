"""Traits of a low-resolution volume: contrast, noise, filled spectrum, modality.

contrast
    Position of the inner head's median intensity between dark and bright:
    (q95 + q5 − 2 q50) / (q95 − q5), −1 to 1. Below or near 0 for
    T1-weighted brains (bright white matter), well above for T2-weighted ones
    (bright fluid).
noise
    Standard deviation of the finest detail inside the head, as a part of the intensity
    window, from the median of third mixed differences, so that edges hardly count. It is
    noise and fine texture.
band
    Filled part of the spectrum along each axis: the highest frequency, as a part of the
    Nyquist frequency, at which the power is above 1 % of that at 5 to 10 % of the sampling
    rate. Interpolated and zero-filled axes fill about half. With 256 or more voxels along
    another axis, every second (third ...) line is used.
alternation
    Difference in brightness between odd and even slices along the axis with the largest
    voxels; see :mod:`napari_mrisr.scan.interleaving`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_mrisr.core.percentiles import median
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import FloatArray, Volume
from napari_mrisr.scan.interleaving import RIM_VOXELS, find_alternation, slice_axis
from napari_mrisr.scan.masks import box_around, eroded, head_mask

Triple = tuple[float, float, float]

# Inner head: its deepest voxels, without scalp and skull.
_INNER_PART = 0.4
_FLOOR_DB = -20.0
# Shorter axes have too few frequencies.
_FEWEST_VOXELS = 16
_PLANES = 8

# Hounsfield units: range of the lowest value, and the part of voxels that are air.
_CT_LOWEST = (-3100.0, -900.0)
_CT_AIR = -200.0
_CT_PART = 0.05
# Fewest lines along each axis over which the power is averaged.
_LINES = 128


@dataclass(frozen=True)
class Traits:
    """Traits of one volume.

    Attributes
    ----------
    voxel_size : tuple of float
        mm along x, y, z.
    contrast : float
        −1 to 1; NaN without a head.
    noise : float
        Part of the intensity window (engine units); NaN without a head.
    band : tuple of float
        Filled part of the spectrum along x, y, z, 0 to 1; NaN for an axis of
        fewer than 16 voxels.
    ct : bool
        True if the intensities are Hounsfield units of a CT.
    alternation : float
        Relative difference in brightness between odd and even slices, 0 to 1; 0 if it is
        not beyond the noise.
    """

    voxel_size: Triple
    contrast: float
    noise: float
    band: Triple
    ct: bool = False
    alternation: float = 0.0


@dataclass(frozen=True)
class TraitRanges:
    """Lowest and highest values of a bank's training volumes, after degradation.

    Attributes
    ----------
    voxel_size : tuple of float
        Smallest and largest edge of a voxel, mm.
    contrast, noise : tuple of float
        See :class:`Traits`.
    """

    voxel_size: tuple[float, float]
    contrast: tuple[float, float]
    noise: tuple[float, float]

    @classmethod
    def of(cls, volumes: Iterable[Traits]) -> TraitRanges | None:
        """Return the ranges of volumes; None if none has a head."""
        known = [v for v in volumes if np.isfinite(v.contrast) and np.isfinite(v.noise)]
        if not known:
            return None
        sizes = [size for v in known for size in v.voxel_size]
        contrasts, noises = [v.contrast for v in known], [v.noise for v in known]
        return cls(
            (min(sizes), max(sizes)),
            (min(contrasts), max(contrasts)),
            (min(noises), max(noises)),
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON; inverse of :meth:`from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> TraitRanges | None:
        """Read what :meth:`to_json` wrote; None for anything else."""
        try:
            low_high = [(float(a), float(b)) for a, b in map(data.__getitem__, _RANGES)]
        except (AttributeError, KeyError, TypeError, ValueError):
            return None
        return cls(*low_high)


_RANGES = ("voxel_size", "contrast", "noise")


def measure_traits(volume: Volume, progress: Progress | None = None) -> Traits:
    """Measure what kind of scan a volume is.

    Parameters
    ----------
    volume : Volume
        Volume in any intensity unit.
    progress : Progress, optional
        Its token is checked about every tenth of a second.

    Raises
    ------
    Cancelled
        If the token was set.

    Examples
    --------
    >>> import napari_mrisr as sr
    >>> traits = sr.measure_traits(sr.read_volume("scan.nii.gz"))
    >>> traits.voxel_size
    (2.0, 2.0, 2.0)
    """
    progress = progress or Progress()
    progress.begin("measuring the scan", 5)
    unit = volume.normalized(check=progress.token.check)
    data = unit.data
    mask = eroded(head_mask(data, progress), RIM_VOXELS, progress)
    mask &= data != 0
    progress.advance()
    contrast, noise = np.nan, np.nan
    if mask.any():
        contrast = _contrast(data, mask, progress)
        noise = noise_sd(data, mask, progress)
    progress.advance()
    band = []
    for axis in range(3):
        band.append(filled_band(data, axis, progress))
        progress.advance()
    size = volume.grid.voxel_size
    slices = find_alternation(data, mask, slice_axis(size), progress.token.check)
    return Traits(size, contrast, noise, (band[0], band[1], band[2]), _is_ct(unit), slices.part)


def _is_ct(unit: Volume) -> bool:
    """Return True for Hounsfield units: air at −1000, padding from −1024 to −3024.

    Phase images also have negative values, but reach to −π, −180 or −4096.
    """
    low, high = unit.window.from_unit(np.array(unit.extrema, np.float32))
    if not (_CT_LOWEST[0] <= low <= _CT_LOWEST[1] and high > 0):
        return False
    below = (_CT_AIR - unit.window.low) / (unit.window.high - unit.window.low)
    return bool(np.count_nonzero(unit.data < below) >= _CT_PART * unit.data.size)


def filled_band(data: FloatArray, axis: int, progress: Progress | None = None) -> float:
    """Measure the part of the spectrum along an axis that holds detail, 0 to 1.

    The power is averaged over lines along the axis and over a twentieth of the frequencies.
    A Hann window tapers the lines, because the head rarely ends at zero.
    """
    n = data.shape[axis]
    if n < _FEWEST_VOXELS:
        return float("nan")
    progress = progress or Progress()
    lines = np.moveaxis(data, axis, -1)
    lines = lines[:: max(1, lines.shape[0] // _LINES), :: max(1, lines.shape[1] // _LINES)]
    mean, window = data.mean(dtype=np.float64), np.hanning(n + 2)[1:-1].astype(np.float32)
    power = np.zeros(n // 2 + 1)
    for start in range(0, lines.shape[0], _PLANES):
        progress.token.check()
        part = (lines[start : start + _PLANES] - np.float32(mean)) * window
        # NumPy's FFT: importing SciPy's takes a quarter of a second.
        spectrum = np.fft.rfft(part, axis=-1)
        power += (spectrum.real**2 + spectrum.imag**2).sum(axis=(0, 1), dtype=np.float64)
    frequency = np.arange(power.size) / n
    reference = _mean_power(power, frequency, 0.075)
    if not reference > 0.0:
        return float("nan")
    centers = np.arange(0.10, 0.50, 0.01)
    level = np.array([_mean_power(power, frequency, center) for center in centers]) / reference
    filled = np.flatnonzero(level > 10.0 ** (_FLOOR_DB / 10.0))
    if filled.size == 0:
        return 0.2
    # The last window reaches to the highest frequency.
    return 1.0 if filled[-1] == centers.size - 1 else round(2.0 * float(centers[filled[-1]]), 2)


def _mean_power(power: NDArray[np.float64], frequency: NDArray[np.float64], center: float) -> float:
    half = max(0.025, 0.75 * float(frequency[1]))  # two frequencies at least
    near = np.abs(frequency - center) <= half
    return float(power[near].mean())


def _contrast(data: FloatArray, mask: NDArray[np.bool_], progress: Progress) -> float:
    # Every second voxel is enough for the depth.
    small, values = mask[::2, ::2, ::2], data[::2, ::2, ::2]
    if not small.any():
        small, values = mask, data
    inner = values[_deepest(small, progress)]
    progress.token.check()
    low, middle, high = np.quantile(inner, (0.05, 0.5, 0.95))
    return float((high + low - 2.0 * middle) / (high - low)) if high > low else 0.0


def _deepest(mask: NDArray[np.bool_], progress: Progress) -> NDArray[np.bool_]:
    """Return the deepest voxels of a mask, ``_INNER_PART`` of all.

    Squared distances to the outside, computed axis by axis, are exact up to the distance
    beyond which all voxels are deep; the city-block distance is never shorter.
    """
    box = box_around(mask)
    inside = np.pad(mask[box], 1)
    progress.token.check()
    steps = ndimage.distance_transform_cdt(inside, "taxicab")[inside]
    far = int(np.quantile(steps, 1.0 - _INNER_PART, method="higher"))
    squared = np.where(inside, far * far + 1, 0).astype(np.min_scalar_type(2 * far * far + 1))
    for axis in range(3):
        before, after = np.moveaxis(squared, axis, 0), np.moveaxis(squared.copy(), axis, 0)
        for k in range(1, min(far + 1, len(before))):
            progress.token.check()
            more = squared.dtype.type(k * k)
            np.minimum(after[k:], before[:-k] + more, out=after[k:])
            np.minimum(after[:-k], before[k:] + more, out=after[:-k])
        squared = np.moveaxis(after, 0, axis)
    depth = np.sqrt(squared, dtype=np.float64)
    progress.token.check()
    deep = np.zeros_like(mask)
    deep[box] = (depth >= np.quantile(depth[inside], 1.0 - _INNER_PART))[1:-1, 1:-1, 1:-1]
    return deep


def noise_sd(
    data: FloatArray,
    mask: NDArray[np.bool_],
    progress: Progress,
    axes: tuple[int, ...] = (0, 1, 2),
) -> float:
    """Return the standard deviation of the finest detail inside a mask; see :attr:`Traits.noise`.

    Edges hardly count: it is 1.4826 times the median magnitude of the second differences along
    some axes, all by default. ``progress`` is checked for cancel.
    """
    box = box_around(mask, 1)
    data, mask = data[box], mask[box]
    taps, found = np.array([-1.0, 2.0, -1.0]) / np.sqrt(6.0), []
    for start in range(0, data.shape[0], _PLANES):
        progress.token.check()
        inside = mask[start : start + _PLANES]
        # With the neighboring planes, for the difference along x.
        first = max(start - 1, 0)
        fine = data[first : start + _PLANES + 1]
        if 0 in axes:
            fine = ndimage.correlate1d(fine, taps, axis=0, mode="mirror")
        fine = fine[start - first :][: len(inside)]
        for axis in (1, 2):
            if axis in axes:
                fine = ndimage.correlate1d(fine, taps, axis=axis, mode="mirror")
        found.append(np.abs(fine[inside]))
    return float(1.4826 * median(np.concatenate(found), progress.token.check))
