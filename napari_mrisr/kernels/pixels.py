"""Sample a volume at the pixels of an oblique plane."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.kernels.cpu import FloatArray
from napari_mrisr.kernels.jit import jit

# A position computed from an affine may miss a voxel's border by rounding.
BORDER_TOLERANCE = 5e-7


@jit
def _nearest(data, start, across, upward, out):  # type: ignore[no-untyped-def]
    nx, ny, nz = data.shape
    middle = 0.5 + BORDER_TOLERANCE
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            i = math.floor(start[0] + column * across[0] + row * upward[0] + middle)
            j = math.floor(start[1] + column * across[1] + row * upward[1] + middle)
            k = math.floor(start[2] + column * across[2] + row * upward[2] + middle)
            if 0 <= i < nx and 0 <= j < ny and 0 <= k < nz:
                out[row, column] = data[i, j, k]
            else:
                out[row, column] = np.nan


@jit
def _below(index, size):  # type: ignore[no-untyped-def]
    """Return the voxel below a position and the weight of the one above; borders repeat."""
    index = min(max(index, 0.0), size - 1.0)
    lower = min(int(index), max(size - 2, 0))
    return lower, index - lower


@jit
def _linear(data, start, across, upward, out):  # type: ignore[no-untyped-def]
    nx, ny, nz = data.shape
    low = -0.5 - BORDER_TOLERANCE
    high = -0.5 - BORDER_TOLERANCE
    dx, dy, dz = min(nx - 1, 1), min(ny - 1, 1), min(nz - 1, 1)
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            x = start[0] + column * across[0] + row * upward[0]
            y = start[1] + column * across[1] + row * upward[1]
            z = start[2] + column * across[2] + row * upward[2]
            inside = low <= x < nx + high and low <= y < ny + high and low <= z < nz + high
            if not inside:
                out[row, column] = np.nan
                continue
            i, u = _below(x, nx)
            j, v = _below(y, ny)
            k, w = _below(z, nz)
            near = (1.0 - v) * ((1.0 - w) * data[i, j, k] + w * data[i, j, k + dz]) + v * (
                (1.0 - w) * data[i, j + dy, k] + w * data[i, j + dy, k + dz]
            )
            i += dx
            far = (1.0 - v) * ((1.0 - w) * data[i, j, k] + w * data[i, j, k + dz]) + v * (
                (1.0 - w) * data[i, j + dy, k] + w * data[i, j + dy, k + dz]
            )
            out[row, column] = (1.0 - u) * near + u * far


def sample_pixels(
    data: FloatArray,
    start: NDArray[np.float64],
    across: NDArray[np.float64],
    upward: NDArray[np.float64],
    shape: tuple[int, int],
    order: int,
) -> FloatArray:
    """Sample a volume at pixels in rows and columns.

    Parameters
    ----------
    data : (x, y, z) ndarray of float32
        The volume.
    start, across, upward : (3,) ndarray of float64
        Voxel position of pixel (0, 0), and the steps from column to column and
        from row to row.
    shape : tuple of int
        Rows and columns.
    order : int
        0 for the nearest voxel (its lower border belongs to it), 1 for trilinear.

    Returns
    -------
    ndarray of float32
        NaN beyond half a voxel outside the outer centers.
    """
    out = np.empty(shape, np.float32)
    (_linear if order else _nearest)(data, start, across, upward, out)
    return out
