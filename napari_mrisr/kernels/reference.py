"""The oracle: each kernel of :mod:`napari_mrisr.kernels.cpu`, written to be read."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
IndexArray = NDArray[np.int64]


def apply_rows(array: FloatArray, first: IndexArray, taps: FloatArray, axis: int) -> FloatArray:
    """Apply a banded matrix along one axis.

    Parameters
    ----------
    array : (nx, ny, nz) ndarray of float32
        Input.
    first : (m,) ndarray of int
        Index of the first input that each output row reads.
    taps : (m, width) ndarray of float32
        Weights of each output row.
    axis : int
        Axis to work along.

    Returns
    -------
    ndarray of float32
        As ``array``, with ``m`` entries along ``axis``.
    """
    moved = np.moveaxis(array.astype(np.float64), axis, 0)
    rows = [
        np.tensordot(weights.astype(np.float64), moved[start : start + weights.size], axes=1)
        for start, weights in zip(first, taps, strict=True)
    ]
    return np.ascontiguousarray(np.moveaxis(np.stack(rows), 0, axis), dtype=np.float32)
