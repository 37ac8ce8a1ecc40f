"""Masks of the head and of its interior.

A head fills a third to a half of its field of view. Metrics over all voxels count the empty
rest as well reconstructed, so they are also given inside the head. The mask depends on the
truth alone: the same volume gives the same mask on every machine.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from napari_mrisr.core.percentiles import median, percentile
from napari_mrisr.core.progress import CancelToken, Progress
from napari_mrisr.errors import ParameterError, explain

BoolArray = NDArray[np.bool_]

_CLIP_PERCENTILE = 99.0
_HISTOGRAM_BINS = 256
# Otsu's cut may lie between dark and bright tissue. Below half of it is air and a little
# skull and cerebrospinal fluid, which do not change the median.
_OTSU_FRACTION = 0.5
_FLOOR_FRACTION = 0.08
_NOISE_FACTOR = 6.0
_SMOOTHING_VOXELS = 0.5
_CLOSING_VOXELS = 3
_LARGE_AXIS = 96

# Planes per step, few enough for the cache; even, because pairs are averaged.
_SLAB = 16
# Neighbors along x and y.
_IN_PLANE = ndimage.generate_binary_structure(3, 1) & np.array([False, True, False])


def head_mask(data: NDArray[np.floating], progress: Progress | None = None) -> BoolArray:
    """Mask the head: the largest bright object, closed and filled.

    Works for whole-head and skull-stripped volumes of any contrast, with an
    empty or a noisy background. The outline is accurate to about two voxels.

    Parameters
    ----------
    data : (x, y, z) ndarray of float
        Intensities in any unit, finite. Negative values count as background.
    progress : Progress, optional
        Its token is checked every tenth of a second for 320³ voxels.

    Returns
    -------
    (x, y, z) ndarray of bool
        True inside the head. All False for a constant volume.

    Raises
    ------
    ParameterError
        If ``data`` is not three-dimensional.
    Cancelled
        If the token was set.

    Notes
    -----
    Axes longer than 96 voxels are halved first, which takes an eighth of the time;
    threshold and outline do not need the detail.
    """
    if data.ndim != 3:
        found = f"{data.ndim} axes, shape {data.shape}"
        raise ParameterError(explain("head_mask", found, "give one three-dimensional volume"))
    if data.size == 0 or not float(data.max()) > float(data.min()):
        return np.zeros(data.shape, dtype=np.bool_)
    step = tuple(2 if n > _LARGE_AXIS else 1 for n in data.shape)
    token = (progress or Progress()).token
    mask = _mask_small(_block_mean(data, step, token), token)
    for axis, factor in enumerate(step):
        if factor > 1:
            mask = np.repeat(mask, factor, axis=axis)
    # Odd axes were padded to a multiple of the step.
    return np.ascontiguousarray(mask[tuple(slice(0, n) for n in data.shape)])


def interior_mask(
    data: NDArray[np.floating], margin_voxels: int, progress: Progress | None = None
) -> BoolArray:
    """Mask the voxels that are at least ``margin_voxels`` away from empty ones.

    Skull-stripped and defaced volumes are exactly zero in the removed parts. The border of
    these parts is no anatomy, so training excludes it.

    Parameters
    ----------
    data : (x, y, z) ndarray of float
        Intensities. Voxels equal to zero (or not finite) are empty.
    margin_voxels : int
        Width of the rim to exclude, in city-block steps; 0 excludes only the empty
        voxels. The border of the array is no rim.
    progress : Progress, optional
        Its token is checked regularly.

    Returns
    -------
    (x, y, z) ndarray of bool
        True for voxels to use.

    Raises
    ------
    ParameterError
        If the margin is negative.
    """
    return eroded(np.isfinite(data) & (data != 0), margin_voxels, progress)


def eroded(mask: BoolArray, margin_voxels: int, progress: Progress | None = None) -> BoolArray:
    """Shrink a mask by a rim of ``margin_voxels``, in city-block steps.

    Parameters
    ----------
    mask : (x, y, z) ndarray of bool
        Mask. The border of the array is no rim.
    margin_voxels : int
        Width of the rim; 0 returns a copy.
    progress : Progress, optional
        Its token is checked regularly.

    Returns
    -------
    (x, y, z) ndarray of bool
        The smaller mask.

    Raises
    ------
    ParameterError
        If the margin is negative.
    """
    if margin_voxels < 0:
        raise ParameterError(explain("margin", f"{margin_voxels} voxels", "give 0 or more"))
    token, out = (progress or Progress()).token, np.empty_like(mask)
    for start in range(0, len(mask), _SLAB):
        token.check()
        first = max(0, start - margin_voxels)
        slab = mask[first : start + _SLAB + margin_voxels]
        for _ in range(margin_voxels):
            slab = _eroded_once(slab)
        out[start : start + _SLAB] = slab[start - first :][:_SLAB]
    return out


def box_around(mask: BoolArray, margin: int = 0) -> tuple[slice, slice, slice]:
    """Return the smallest box that holds a mask and a margin within the volume.

    Parameters
    ----------
    mask : (x, y, z) ndarray of bool
        Not all False.
    margin : int
        Voxels.
    """
    x, y, z = (np.flatnonzero(mask.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1)))
    a, b, c = (slice(max(0, int(n[0]) - margin), int(n[-1]) + 1 + margin) for n in (x, y, z))
    return a, b, c


def _eroded_once(mask: BoolArray) -> BoolArray:
    out = mask.copy()
    for axis in range(mask.ndim):
        here, there = np.moveaxis(out, axis, 0), np.moveaxis(mask, axis, 0)
        here[1:] &= there[:-1]
        here[:-1] &= there[1:]
    return out


def _grown(mask: BoolArray, voxels: int) -> BoolArray:
    return ~eroded(~mask, voxels)


def _mask_small(small: NDArray[np.float32], token: CancelToken) -> BoolArray:
    smooth = _smoothed(small, token)
    bright = smooth > _threshold(smooth, token)
    token.check()
    # Cut thin bridges, but not what goes on beyond the array.
    opened = _grown(eroded(bright, 1), 1)
    token.check()
    mask = _largest_component(opened)
    token.check()
    closed = _closed(mask, _CLOSING_VOXELS)
    token.check()
    return _filled(closed, token)


def _smoothed(data: NDArray[np.float32], token: CancelToken) -> NDArray[np.float32]:
    out, reach = np.empty_like(data), math.ceil(4 * _SMOOTHING_VOXELS)
    for start in range(0, len(data), _SLAB):
        token.check()
        first = max(0, start - reach)
        slab = ndimage.gaussian_filter(data[first : start + _SLAB + reach], _SMOOTHING_VOXELS)
        out[start : start + _SLAB] = slab[start - first :][:_SLAB]
    return out


def _threshold(smooth: NDArray[np.float32], token: CancelToken) -> float:
    """Intensity that parts air from tissue, in the unit of ``smooth``.

    Otsu's cut finds voxels that are surely dark; the median and spread of these
    are the air's. In a skull-stripped volume both are zero, and a small
    part of the brightest intensity stands in.
    """
    bright = percentile(smooth, _CLIP_PERCENTILE, token.check)
    top = max(bright, _FLOOR_FRACTION * float(smooth.max()))
    values = np.clip(smooth, 0.0, top).ravel()  # 3 or 4 slices are no colors
    otsu = float(threshold_otsu(values, nbins=_HISTOGRAM_BINS))  # type: ignore[no-untyped-call]
    token.check()
    air = values[values < _OTSU_FRACTION * otsu]
    return min(otsu, max(_FLOOR_FRACTION * top, _noise_limit(air, token)))


def _noise_limit(air: NDArray[np.float32], token: CancelToken) -> float:
    """Intensity that hardly any voxel of air exceeds; 0 without air."""
    if air.size == 0:
        return 0.0
    middle = float(median(air, token.check))
    spread = 1.4826 * float(median(np.abs(air - middle), token.check))
    return middle + _NOISE_FACTOR * spread


def _largest_component(mask: BoolArray) -> BoolArray:
    labels, count = ndimage.label(mask)
    if count <= 1:
        return mask
    # Plane by plane, since each is made one of int64.
    sizes = np.zeros(count + 1, dtype=np.int64)
    for plane in labels:
        sizes += np.bincount(plane.ravel(), minlength=count + 1)
    sizes[0] = 0
    return np.asarray(labels == int(sizes.argmax()), dtype=np.bool_)


def _closed(mask: BoolArray, voxels: int) -> BoolArray:
    """Close gaps of up to ``2 * voxels``, with room to grow beyond the array."""
    room = np.pad(mask, voxels, mode="edge")
    inner = tuple(slice(voxels, -voxels) for _ in range(mask.ndim))
    return eroded(_grown(room, voxels), voxels)[inner]


def _filled(mask: BoolArray, token: CancelToken) -> BoolArray:
    """Fill holes of each axial plane, and so those of the volume: sinuses open to the outside.

    Coronal and sagittal planes would fill the region a defaced face has left.
    """
    filled = np.empty_like(mask)
    for start in range(0, mask.shape[2], _SLAB):
        token.check()
        planes = (..., slice(start, start + _SLAB))
        labels, count = ndimage.label(~mask[planes], _IN_PLANE)
        outside = np.zeros(count + 1, dtype=np.bool_)
        for rim in (labels[[0, -1]], labels[:, [0, -1]]):
            outside[rim.ravel()] = True
        outside[0] = False  # the mask itself
        filled[planes] = ~outside[labels]
    return filled


def _block_mean(
    data: NDArray[np.floating], step: tuple[int, ...], token: CancelToken
) -> NDArray[np.float32]:
    """Mean of each block of ``step`` voxels, 1 or 2 an axis; the far end is padded by its edge."""
    if max(step) == 1:
        return np.asarray(data, dtype=np.float32)
    short = [(0, -n % s) for n, s in zip(data.shape, step, strict=True)]
    padded = np.pad(data, short, mode="edge") if any(s for _, s in short) else data
    slabs = []
    for start in range(0, len(padded), _SLAB):
        token.check()
        mean = padded[start : start + _SLAB]
        for axis, factor in enumerate(step):
            if factor > 1:
                pairs = np.moveaxis(mean, axis, 0)
                half = (pairs[::2] + pairs[1::2]) / 2
                mean = np.moveaxis(half, 0, axis)
        slabs.append(mean.astype(np.float32, copy=False))
    return np.concatenate(slabs)
