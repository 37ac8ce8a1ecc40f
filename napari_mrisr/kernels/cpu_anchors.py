"""Nearest anchor in numba; documented in :mod:`napari_mrisr.kernels.reference`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.kernels.cpu import FloatArray
from napari_mrisr.kernels.jit import jit


@jit
def _nearest(rows, projection, points, offsets, mirrored, found):  # type: ignore[no-untyped-def]
    values = np.empty(projection.shape[1], np.float32)
    scores = np.empty(points.shape[1], np.float32)
    for row in range(rows.shape[0]):
        # No sum crosses lanes, so the loops are vectorized and keep their order.
        values[:] = 0.0
        for t in range(projection.shape[0]):
            number, weights = rows[row, t], projection[t]
            for j in range(values.size):
                values[j] += number * weights[j]
        scores[:] = offsets
        for j in range(values.size):
            number, along = values[j], points[j]
            for k in range(scores.size):
                scores[k] += number * along[k]
        best, largest = 0, np.float32(-np.inf)
        for k in range(scores.size):
            score = abs(scores[k]) if mirrored else scores[k]
            if score > largest:
                best, largest = k, score
        found[row] = best


def nearest_anchor(
    rows: FloatArray,
    projection: FloatArray,
    points: FloatArray,
    offsets: FloatArray,
    mirrored: bool,
) -> NDArray[np.int32]:
    """Find the nearest anchor; see :func:`napari_mrisr.kernels.reference.nearest_anchor`."""
    found = np.empty(rows.shape[0], np.int32)
    _nearest(rows, projection, points, offsets, mirrored, found)
    return found
