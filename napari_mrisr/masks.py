"""Where the head is, and which voxels lie safely inside it.

A head fills a third to a half of its field of view. Metrics over everything
count the empty rest as well reconstructed, so they are also given inside the
head. The mask comes from the truth alone and from nothing random: the same
volume gives the same mask, on every machine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from napari_mrisr.errors import ParameterError, explain
from napari_mrisr.progress import CancelToken, Progress

BoolArray = NDArray[np.bool_]

_CLIP_PERCENTILE = 99.0
_HISTOGRAM_BINS = 256
# Otsu's cut may lie between dark and bright tissue; below half of it is air,
# apart from some skull and cerebrospinal fluid that the median does not feel.
_OTSU_FRACTION = 0.5
_FLOOR_FRACTION = 0.08
_NOISE_FACTOR = 6.0
_SMOOTHING_VOXELS = 0.5
_CLOSING_VOXELS = 3
_LARGE_AXIS = 96


def head_mask(data: NDArray[np.floating], progress: Progress | None = None) -> BoolArray:
    """Mask the head: the largest bright object, closed and filled.

    Works for whole-head and skull-stripped volumes of any contrast, with an
    empty or a noisy background. The outline is accurate to about two voxels.

    Parameters
    ----------
    data : (x, y, z) ndarray of float
        Intensities in any unit, finite. Negative values count as background.
    progress : Progress, optional
        Asked whether to stop, every tenth of a second for 256³ voxels.

    Returns
    -------
    (x, y, z) ndarray of bool
        True inside the head. All False for a constant volume.

    Raises
    ------
    ParameterError
        When ``data`` is not three-dimensional.
    Cancelled
        When asked to stop.

    Notes
    -----
    Axes longer than 96 voxels are halved first: the threshold and the outline
    do not need the detail, and the time falls to an eighth.
    """
    if data.ndim != 3:
        found = f"{data.ndim} axes, shape {data.shape}"
        raise ParameterError(explain("head_mask", found, "give one three-dimensional volume"))
    if data.size == 0 or not float(data.max()) > float(data.min()):
        return np.zeros(data.shape, dtype=np.bool_)
    step = tuple(2 if n > _LARGE_AXIS else 1 for n in data.shape)
    token = (progress or Progress()).token
    small = _block_mean(data, step)
    token.check()
    mask = _mask_small(small, token)
    for axis, factor in enumerate(step):
        if factor > 1:
            mask = np.repeat(mask, factor, axis=axis)
    # Odd axes were padded to a multiple of the step.
    return np.ascontiguousarray(mask[tuple(slice(0, n) for n in data.shape)])


def interior_mask(data: NDArray[np.floating], margin_voxels: int) -> BoolArray:
    """Mask the voxels that are at least ``margin_voxels`` away from empty ones.

    Skull-stripped and defaced volumes are zero, exactly, where something was
    cut away. The cut is no anatomy, so nothing is to be learned at its rim.

    Parameters
    ----------
    data : (x, y, z) ndarray of float
        Intensities. Voxels equal to zero (or not finite) are empty.
    margin_voxels : int
        Width of the rim to leave out, counted in city-block steps; 0 leaves
        out the empty voxels alone. The border of the array is no rim.

    Returns
    -------
    (x, y, z) ndarray of bool
        True for voxels to use.

    Raises
    ------
    ParameterError
        When the margin is negative.
    """
    return eroded(np.isfinite(data) & (data != 0), margin_voxels)


def eroded(mask: BoolArray, margin_voxels: int) -> BoolArray:
    """Shrink a mask by a rim of ``margin_voxels``, in city-block steps.

    Parameters
    ----------
    mask : (x, y, z) ndarray of bool
        The mask. The border of the array is no rim.
    margin_voxels : int
        Width of the rim; 0 returns a copy.

    Returns
    -------
    (x, y, z) ndarray of bool
        The smaller mask.

    Raises
    ------
    ParameterError
        When the margin is negative.
    """
    if margin_voxels < 0:
        raise ParameterError(explain("margin", f"{margin_voxels} voxels", "give 0 or more"))
    if margin_voxels == 0:
        return mask.copy()
    # Zero iterations mean "until nothing changes" to scipy, hence the case above.
    return np.asarray(
        ndimage.binary_erosion(mask, iterations=margin_voxels, border_value=1), dtype=np.bool_
    )


def _mask_small(small: NDArray[np.float32], token: CancelToken) -> BoolArray:
    smooth = ndimage.gaussian_filter(small, _SMOOTHING_VOXELS)
    bright = smooth > _threshold(smooth)
    token.check()
    mask = _largest_component(_opened(bright))
    token.check()
    closed = _closed(mask, _CLOSING_VOXELS)
    token.check()
    return _filled(closed)


def _threshold(smooth: NDArray[np.float32]) -> float:
    """Intensity that parts air from tissue, in the unit of ``smooth``.

    Otsu's cut finds voxels that are surely dark; the median and spread of these
    are the air's. In a skull-stripped volume both are zero, and a small
    part of the brightest intensity stands in.
    """
    top = max(float(np.percentile(smooth, _CLIP_PERCENTILE)), _FLOOR_FRACTION * float(smooth.max()))
    values = np.clip(smooth, 0.0, top).ravel()  # 3 or 4 slices are no colors
    otsu = float(threshold_otsu(values, nbins=_HISTOGRAM_BINS))  # type: ignore[no-untyped-call]
    air = values[values < _OTSU_FRACTION * otsu]
    return min(otsu, max(_FLOOR_FRACTION * top, _noise_limit(air)))


def _noise_limit(air: NDArray[np.float32]) -> float:
    """Intensity that hardly any voxel of air exceeds; 0 without air."""
    if air.size == 0:
        return 0.0
    median = float(np.median(air))
    spread = 1.4826 * float(np.median(np.abs(air - median)))
    return median + _NOISE_FACTOR * spread


def _largest_component(mask: BoolArray) -> BoolArray:
    labels, count = ndimage.label(mask)
    if count <= 1:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == int(sizes.argmax()), dtype=np.bool_)


def _opened(mask: BoolArray) -> BoolArray:
    """Cut thin bridges, but not what goes on beyond the array."""
    return np.asarray(
        ndimage.binary_opening(np.pad(mask, 1, mode="edge"))[1:-1, 1:-1, 1:-1], dtype=np.bool_
    )


def _closed(mask: BoolArray, voxels: int) -> BoolArray:
    """Close gaps of up to ``2 * voxels``, with room to grow beyond the array."""
    room = np.pad(mask, voxels, mode="edge")
    inner = tuple(slice(voxels, -voxels) for _ in range(mask.ndim))
    return np.asarray(ndimage.binary_closing(room, iterations=voxels)[inner], dtype=np.bool_)


def _filled(mask: BoolArray) -> BoolArray:
    """Fill holes in 3D, then in each axial plane: sinuses open to the outside.

    Coronal and sagittal planes would fill the region a defaced face has left.
    """
    filled = np.asarray(ndimage.binary_fill_holes(mask), dtype=np.bool_)
    for z in range(mask.shape[2]):
        filled[:, :, z] = ndimage.binary_fill_holes(filled[:, :, z])
    return filled


def _block_mean(data: NDArray[np.floating], step: tuple[int, ...]) -> NDArray[np.float32]:
    """Mean of each block of ``step`` voxels; the far end is padded by its edge."""
    short = [(0, -n % s) for n, s in zip(data.shape, step, strict=True)]
    mean = np.pad(data, short, mode="edge") if any(s for _, s in short) else data
    for axis, factor in enumerate(step):
        if factor > 1:
            shape = [
                *mean.shape[:axis],
                mean.shape[axis] // factor,
                factor,
                *mean.shape[axis + 1 :],
            ]
            mean = mean.reshape(shape).mean(axis=axis + 1)
    return np.asarray(mean, dtype=np.float32)
