"""Brain mask and a simple segmentation into cerebrospinal fluid, gray and white matter.

Meant for comparing two images of one brain, not for volumes that are reported: there is no bias
field, no atlas and no partial volume.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_multiotsu, threshold_otsu

from napari_mrisr.core.progress import Progress
from napari_mrisr.errors import VolumeError, explain
from napari_mrisr.scan.masks import eroded, head_mask

BoolArray = NDArray[np.bool_]

TISSUES = ("CSF", "gray", "white")
"""Names of the labels 1, 2 and 3."""

# Part of the voxels outside the head that are exactly zero in a skull-stripped image.
_STRIPPED = 0.9
_SMOOTHING_VOXELS = 0.5
# Part of Otsu's threshold in the head that parts gray matter from skull and fluid.
_BRIGHT = 0.6
# mm: bridges to the scalp that are cut, what the core is grown back by, and sulci that are closed.
_BRIDGE, _REGROWN, _CLOSED = 4.0, 5.0, 6.0
# Skewness of the brain's intensities above which fluid is bright; T1w −0.4 to 0, T2w 0.6.
_T2W_SKEWNESS = 0.25
_BINS = 256
_ITERATIONS = 200


def brain_mask(
    unit: NDArray[np.floating], voxel_size: tuple[float, float, float], progress: Progress
) -> BoolArray:
    """Mask the brain, by thresholds and distances.

    A skull-stripped image is masked where it is not zero. Otherwise the bright part of the head
    is eroded by 4 mm, which cuts it off the scalp; its largest piece is grown back by 5 mm,
    closed and filled.

    Parameters
    ----------
    unit : (x, y, z) ndarray of float
        Image in engine units.
    voxel_size : tuple of float
        mm.
    progress : Progress
        Its token is checked regularly.

    Returns
    -------
    (x, y, z) ndarray of bool
        All False without a brain.
    """
    head = head_mask(unit, progress)
    outside = unit[~head]
    if outside.size and np.mean(outside == 0) > _STRIPPED:
        return np.asarray(ndimage.binary_fill_holes(head & (unit != 0)), np.bool_)
    if not head.any():
        return head
    bridge, regrown, closed = (
        max(1, round(mm / float(np.mean(voxel_size)))) for mm in (_BRIDGE, _REGROWN, _CLOSED)
    )
    smooth = ndimage.gaussian_filter(unit, _SMOOTHING_VOXELS)
    inside = np.clip(smooth[head], 0.0, 1.0)
    bright = smooth > _BRIGHT * threshold_otsu(inside)  # type: ignore[no-untyped-call]
    core = _largest(eroded(bright & head, bridge, progress))
    mask = _grown(core, regrown, progress) & head
    mask = eroded(_grown(mask, closed, progress), closed, progress) & head
    return np.asarray(ndimage.binary_fill_holes(mask), np.bool_)


def white_is_bright(unit: NDArray[np.floating], brain: BoolArray) -> bool:
    """Return True for a brain with dark fluid (T1w), False for one with bright fluid (T2w).

    By the position of the median between dark and bright: (q95 + q5 − 2 q50) / (q95 − q5).
    """
    low, middle, high = np.quantile(unit[brain], (0.05, 0.5, 0.95))
    return bool(high + low - 2.0 * middle <= _T2W_SKEWNESS * (high - low))


def segment(
    unit: NDArray[np.floating], brain: BoolArray, *, bright_white: bool
) -> NDArray[np.uint8]:
    """Segment a brain into three classes, by k-means of its own intensities.

    Lloyd's iterations, begun at Otsu's two thresholds of a histogram.

    Parameters
    ----------
    unit : (x, y, z) ndarray of float
        Image in engine units.
    brain : (x, y, z) ndarray of bool
        Voxels to segment; the classes are fitted to them.
    bright_white : bool
        Order of the classes: fluid, gray, white from dark to bright, or the reverse.

    Returns
    -------
    (x, y, z) ndarray of uint8
        0 outside; 1, 2 and 3 for :data:`TISSUES`.

    Raises
    ------
    VolumeError
        If the brain has fewer than three intensities.

    References
    ----------
    P.-S. Liao, T.-S. Chen, P.-C. Chung. A fast algorithm for multilevel thresholding. J. Inf.
    Sci. Eng. 17, 713 (2001).

    Examples
    --------
    >>> import numpy as np
    >>> image = np.repeat([[[0.1, 0.5, 0.9]]], 4, axis=0)
    >>> segment(image, image > 0, bright_white=True)[0, 0]
    array([1, 2, 3], dtype=uint8)
    """
    values = np.clip(unit[brain], 0.0, 1.0)
    counts, edges = np.histogram(values, _BINS, (0.0, 1.0))
    if np.count_nonzero(counts) < len(TISSUES):
        found = f"{np.count_nonzero(counts)} different intensities inside the brain"
        raise VolumeError(explain("tissue", found, "use an image of a brain"))
    centers = (edges[1:] + edges[:-1]) / 2.0
    start = threshold_multiotsu(hist=(counts, centers))  # type: ignore[no-untyped-call]
    # Its bins belong to the class below.
    upper = np.asarray(start, np.float64) + 0.5 / _BINS
    limits = _refined(np.sort(values.astype(np.float64)), upper)
    found = np.digitize(values, limits) + 1
    labels = np.zeros(unit.shape, np.uint8)
    labels[brain] = found if bright_white else len(TISSUES) + 1 - found
    return labels


def _refined(ordered: NDArray[np.float64], limits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Move limits between classes to the middle of the classes' means, until they stay."""
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    for _ in range(_ITERATIONS):
        ends = np.concatenate([[0], np.searchsorted(ordered, limits), [ordered.size]])
        means = np.diff(sums[ends]) / np.maximum(np.diff(ends), 1)
        moved = (means[1:] + means[:-1]) / 2.0
        if np.array_equal(moved, limits):
            break
        limits = moved
    return limits


def _largest(mask: BoolArray) -> BoolArray:
    pieces, count = ndimage.label(mask)
    if count < 2:
        return mask
    return np.asarray(pieces == int(np.bincount(pieces.ravel())[1:].argmax()) + 1, np.bool_)


def _grown(mask: BoolArray, voxels: int, progress: Progress) -> BoolArray:
    return ~eroded(~mask, voxels, progress)
