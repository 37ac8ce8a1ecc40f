"""Measures of an image without a truth: width of edges, and stripes between slices.

Noise is a trait of every scan already (:attr:`napari_mrisr.scan.traits.Traits.noise`).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_mrisr.core.volume import Volume
from napari_mrisr.errors import ParameterError, explain

BoolArray = NDArray[np.bool_]

EDGES = 2000
"""Largest number of edges that are measured."""

# Part of all voxels that are the steepest; profile in steps of a voxel's smallest edge.
_STEEPEST = 0.02
_HALF_MM = 8.0
_STEPS_PER_VOXEL = 4
# Frequencies on each side that stand for the spectrum without stripes.
_NEIGHBORS = (2, 3, 4)


def edge_width(volume: Volume, mask: BoolArray | None = None) -> float:
    """Return the median width of edges from 10 to 90 % of their height, in mm.

    Profiles run along the gradient through the steepest 2 % of the voxels, at most 2,000 of
    them, up to 8 mm on both sides. The ends of an edge are the nearest extrema of its profile.
    Noise and ringing make edges look narrower.

    Parameters
    ----------
    volume : Volume
    mask : (x, y, z) ndarray of bool, optional
        Voxels to choose edges from; all by default.

    Returns
    -------
    float
        NaN without edges.
    """
    data, size = volume.data.astype(np.float64), np.array(volume.grid.voxel_size)
    smooth = ndimage.gaussian_filter(data, 0.5)
    gradient = np.stack(np.gradient(smooth, *size))
    steep = np.sqrt((gradient**2).sum(axis=0))
    inside = np.ones(data.shape, bool) if mask is None else mask
    if not (inside & (steep > 0)).any():
        return math.nan
    limit = np.quantile(steep[inside], 1.0 - _STEEPEST)
    found = np.argwhere(inside & (steep >= limit) & (steep > 0))
    if len(found) > EDGES:
        found = found[np.random.default_rng(0).permutation(len(found))[:EDGES]]
    direction = gradient[:, found[:, 0], found[:, 1], found[:, 2]]
    direction /= np.linalg.norm(direction, axis=0)
    step = float(size.min()) / _STEPS_PER_VOXEL
    count = int(_HALF_MM / step)
    offsets = np.arange(-count, count + 1) * step
    places = found.T[:, :, None] + (direction / size[:, None])[:, :, None] * offsets
    profiles = ndimage.map_coordinates(data, places, order=1, mode="nearest")
    widths = [_width(profile, count) * step for profile in profiles]
    return float(np.nanmedian(widths)) if np.isfinite(widths).any() else math.nan


def _width(profile: NDArray[np.float64], middle: int) -> float:
    """Return the 10–90 % width of a rising edge in steps; NaN for none."""
    rises = np.diff(profile) > 0
    below = np.flatnonzero(~rises[:middle])
    above = np.flatnonzero(~rises[middle:])
    first = int(below[-1]) + 1 if below.size else 0
    last = middle + int(above[0]) if above.size else profile.size - 1
    edge = profile[first : last + 1]
    if edge.size < 3 or not edge[-1] > edge[0]:
        return math.nan
    levels = edge[0] + np.array([0.1, 0.9]) * (edge[-1] - edge[0])
    low, high = np.interp(levels, edge, np.arange(edge.size))
    return float(high - low)


def stripes(volume: Volume, axis: int, slices: int) -> float:
    """Return the amplitude of stripes at the slice frequency, in % of the intensity window.

    The root mean square over lines along the axis of the component with one period per slice,
    beyond the mean of its neighbors in the spectrum. Anatomy has a smooth spectrum; slices that
    show in the result make a peak.

    Parameters
    ----------
    volume : Volume
        A result.
    axis : int
        Axis across the slices.
    slices : int
        Measured slices along it, fewer than half of the volume's voxels.

    Raises
    ------
    ParameterError
        If there are too many slices, or fewer than 6.
    """
    n = volume.grid.shape[axis]
    reach = max(_NEIGHBORS)
    if not reach + 1 < slices <= n // 2 - reach:
        found = f"{slices} slices in {n} voxels"
        mend = f"give {reach + 2} to {n // 2 - reach}"
        raise ParameterError(explain("stripes", found, mend))
    unit = volume.normalized().data
    lines = np.moveaxis(unit, axis, -1).reshape(-1, n)
    lines = lines[lines.any(axis=1)]
    if not len(lines):
        return 0.0
    spectrum = np.fft.rfft(lines * np.hanning(n + 2)[1:-1], axis=-1)
    power = np.mean(np.abs(spectrum) ** 2, axis=0)
    around = [slices + sign * k for k in _NEIGHBORS for sign in (-1, 1)]
    excess = max(float(power[slices] - power[around].mean()), 0.0)
    # A Hann window halves the amplitude of a sine, whose peak is n / 2.
    return 100.0 * 4.0 / (n + 1) * math.sqrt(excess)
