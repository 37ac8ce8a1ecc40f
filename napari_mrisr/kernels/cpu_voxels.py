"""Filtering voxels in numba, a patch's rows as vectors; see :mod:`napari_mrisr.kernels.reference`.

A canonical patch is the volume's patch turned by one of the cube's 48
symmetries. Gathering its taps one by one would cost a load per tap. Here the volume is in
memory three times, with x, y and z contiguous in turn: the rows along the patch's last axis
are contiguous in one of them, and the other two axes are steps of any size and sign. Rows
that the symmetry reverses are read forward, with filters whose rows are reversed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.kernels.cpu import FloatArray
from napari_mrisr.kernels.hash_tables import LANES
from napari_mrisr.kernels.jit import jit
from napari_mrisr.kernels.vector import weigh_patch

# Axes from slowest to fastest, with z, y and x contiguous.
_LAYOUTS = ((0, 1, 2), (0, 2, 1), (1, 2, 0))

_weigh_patch: Any = weigh_patch  # mypy takes an intrinsic for what builds it


def filter_rows(weights: FloatArray, width: int) -> FloatArray:
    """Return filters in the layout of :func:`filter_voxels`.

    Parameters
    ----------
    weights : (filters, width³) ndarray of float32
        Taps in the order of a canonical patch.
    width : int
        Patch width.

    Returns
    -------
    (2 filters, width², lanes) ndarray of float32
        Each filter, followed by its copy with reversed rows; rows padded by zeros.
    """
    taps = weights.reshape(-1, 1, width * width, width)
    rows = _aligned((taps.shape[0], 2, width * width, -(-width // LANES) * LANES))
    rows[:] = 0.0
    rows[..., :width] = np.concatenate((taps, taps[..., ::-1]), axis=1)
    return rows.reshape(-1, *rows.shape[2:])


def _aligned(shape: tuple[int, ...]) -> FloatArray:
    """Return memory in which no row of eight crosses a cache line."""
    size = int(np.prod(shape))
    memory = np.empty(size + 15, np.float32)
    first = -memory.ctypes.data % 64 // 4
    return memory[first : first + size].reshape(shape)


@jit
def _filter_voxels(  # type: ignore[no-untyped-def]
    flat, middle_of_first, strides, layout, steps, bucket, element, rows, centered, width, out
):
    filters = rows.shape[0] // 2
    place, step = np.empty(3, np.int64), strides[:, 2].copy()
    for i in range(bucket.shape[0]):
        for j in range(bucket.shape[1]):
            for a in range(3):
                place[a] = middle_of_first[a] + i * strides[a, 0] + j * strides[a, 1]
            buckets, elements, target = bucket[i, j], element[i, j], out[i, j]
            for k in range(target.size):
                b = np.int64(buckets[k])
                if b >= filters:
                    target[k] = np.float32(0.0)
                    continue
                e = elements[k]
                where = layout[e]
                center = place[where] + k * step[where]
                middle = flat[np.uint64(center)] if centered else np.float32(0.0)
                target[k] = _weigh_patch(
                    flat,
                    center + steps[e, 0],
                    steps[e, 1],
                    steps[e, 2],
                    middle,
                    rows,
                    2 * b + steps[e, 3],
                    width,
                )


def filter_voxels(
    source: FloatArray,
    bucket: NDArray[np.int32],
    element: NDArray[np.uint8],
    elements: NDArray[np.int64],
    rows: FloatArray,
    centered: bool,
) -> FloatArray:
    """Filter voxels, one value per voxel.

    Parameters
    ----------
    source, bucket, element, centered
        As :func:`napari_mrisr.kernels.reference.filter_voxels`.
    elements : (48, 2, 3) ndarray of int64
        The cube's symmetries: axes, signs.
    rows : ndarray of float32
        Filters from :func:`filter_rows`.

    Returns
    -------
    (nx, ny, nz) ndarray of float32
        A voxel's sum has the same order in every region.
    """
    width = source.shape[0] - bucket.shape[0] + 1
    r = width // 2
    nx, ny, nz = source.shape
    # With z, y and x contiguous: steps along x, y, z.
    strides = np.array([(ny * nz, nz, 1), (ny * nz, 1, ny), (1, nz * nx, nx)])
    layouts = 3 if element.any() else 1
    flat = np.zeros(layouts * source.size + LANES, np.float32)
    for number, order in enumerate(_LAYOUTS[:layouts]):
        turned = source.transpose(order)
        flat[number * source.size :][: source.size].reshape(turned.shape)[:] = turned
    begin = np.arange(3) * source.size + r * strides.sum(axis=1)
    axes, signs = elements[:, 0], elements[:, 1]
    layout = 2 - axes[:, 2]
    first, second = (signs[:, a] * strides[layout, axes[:, a]] for a in (0, 1))
    corner = -r * (first + second + 1)
    steps = np.stack((corner, first, second, signs[:, 2] < 0), axis=1)
    out = np.empty(bucket.shape, np.float32)
    _filter_voxels(
        flat,
        begin,
        strides,
        layout.astype(np.uint8),
        steps,
        bucket,
        element,
        rows,
        centered,
        (0,) * width,
        out,
    )
    return out
