"""The kernels in numba. Meaning and shapes: :mod:`napari_mrisr.kernels.reference`."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
IndexArray = NDArray[np.int64]

# Contraction (a * b + c in one rounding) is the same in a vector body and in
# its scalar rest, so it keeps results independent of the region; reordering
# sums ("reassoc") would not, and stays off.
_jit = numba.njit(nogil=True, cache=True, fastmath={"contract", "nsz"}, error_model="numpy")


@_jit
def _rows_x(array, first, taps, out):  # type: ignore[no-untyped-def]
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            row = out[i, j]
            w = taps[i, 0]
            source = array[first[i], j]
            for k in range(row.size):
                row[k] = w * source[k]
            for t in range(1, taps.shape[1]):
                w = taps[i, t]
                source = array[first[i] + t, j]
                for k in range(row.size):
                    row[k] += w * source[k]


@_jit
def _rows_y(array, first, taps, out):  # type: ignore[no-untyped-def]
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            row = out[i, j]
            w = taps[j, 0]
            source = array[i, first[j]]
            for k in range(row.size):
                row[k] = w * source[k]
            for t in range(1, taps.shape[1]):
                w = taps[j, t]
                source = array[i, first[j] + t]
                for k in range(row.size):
                    row[k] += w * source[k]


@_jit
def _rows_z(array, first, taps, out):  # type: ignore[no-untyped-def]
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            source = array[i, j]
            for k in range(out.shape[2]):
                total = taps[k, 0] * source[first[k]]
                for t in range(1, taps.shape[1]):
                    total += taps[k, t] * source[first[k] + t]
                out[i, j, k] = total


def apply_rows(array: FloatArray, first: IndexArray, taps: FloatArray, axis: int) -> FloatArray:
    """See :func:`napari_mrisr.kernels.reference.apply_rows`."""
    shape = list(array.shape)
    shape[axis] = first.size
    out = np.empty(shape, np.float32)
    (_rows_x, _rows_y, _rows_z)[axis](array, first, taps, out)
    return out
