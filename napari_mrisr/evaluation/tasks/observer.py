"""A channelized Hotelling observer: how well lesions at known places can be told from none.

The observer sees a patch through Laguerre–Gauss channels (Gallas and Barrett 2003, here in
three dimensions) and weighs them by Hotelling's linear discriminant. The area under its ROC
curve is the chance that it ranks a patch with a lesion above a patch without.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import eval_genlaguerre

from napari_mrisr.core.volume import FloatArray

CHANNELS = 5
Array = NDArray[np.float64]


class Area(NamedTuple):
    """Area under the ROC curve and its 95 % confidence interval."""

    area: float
    low: float
    high: float


@functools.lru_cache(maxsize=8)
def channels(radius: int) -> Array:
    """Return the channels for lesions of a radius in voxels, as (channel, x, y, z).

    Channel p is ``exp(−π r² / a²) L_p(2π r² / a²)`` with ``a = 2 (radius + 1)`` and the
    Laguerre polynomials of index 1/2, which make the channels orthogonal in three dimensions.
    """
    width = 2.0 * (radius + 1)
    half = math.ceil(1.5 * width)
    axes = np.meshgrid(*[np.arange(-half, half + 1.0)] * 3, indexing="ij", sparse=True)
    square = math.pi * (axes[0] ** 2 + axes[1] ** 2 + axes[2] ** 2) / width**2
    found = np.stack(
        [np.exp(-square) * eval_genlaguerre(p, 0.5, 2.0 * square) for p in range(CHANNELS)]
    )
    return np.asarray(found / np.sqrt((found**2).sum(axis=(1, 2, 3), keepdims=True)))


def responses(image: FloatArray, center: Array, radius: int) -> Array:
    """Return the responses of the channels at a place; the border's voxels continue outward."""
    masks = channels(radius)
    half = masks.shape[1] // 2
    index = [
        np.clip(np.arange(-half, half + 1) + round(float(middle)), 0, n - 1)
        for middle, n in zip(center, image.shape, strict=True)
    ]
    return np.asarray(np.tensordot(masks, image[np.ix_(*index)].astype(np.float64), 3))


def scores(present: Array, absent: Array) -> tuple[Array, Array]:
    """Return the observer's scores of patches with and without a lesion.

    The weights for a place come from all other places, so that no patch is judged by an
    observer that learned from it.

    Parameters
    ----------
    present, absent : (n, channels) ndarray of float64
        Responses; row i of both is the same place.
    """
    n = len(present)
    if n < 3:
        return np.full(n, np.nan), np.full(n, np.nan)
    found = np.empty((2, n))
    for i in range(n):
        others = [np.delete(rows, i, axis=0) for rows in (present, absent)]
        difference = others[0].mean(axis=0) - others[1].mean(axis=0)
        covariance = (np.cov(others[0].T) + np.cov(others[1].T)) / 2
        weights = np.linalg.lstsq(covariance, difference, rcond=None)[0]
        found[:, i] = present[i] @ weights, absent[i] @ weights
    return found[0], found[1]


def roc_area(present: Array, absent: Array) -> Area:
    """Return the area under the ROC curve of scores.

    The interval is that of DeLong et al. 1988, with the two patches of a place as one sample
    (Obuchowski 1997), since they share their background.
    """
    n = len(present)
    if n < 3 or not np.isfinite(present).all():
        return Area(math.nan, math.nan, math.nan)
    above = np.sign(present[:, None] - absent[None, :]) / 2 + 0.5
    area = float(above.mean())
    error = 1.96 * float(np.std(above.mean(axis=1) + above.mean(axis=0), ddof=1)) / math.sqrt(n)
    return Area(area, max(0.0, area - error), min(1.0, area + error))
