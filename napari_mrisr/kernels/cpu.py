"""Filter and gradient kernels in numba; documented in :mod:`napari_mrisr.kernels.reference`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.kernels.hash_tables import LANES
from napari_mrisr.kernels.jit import jit
from napari_mrisr.kernels.vector import weigh_cell, weigh_patch

FloatArray = NDArray[np.float32]
IndexArray = NDArray[np.int64]

COMPONENTS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
"""Axes of the structure tensor's six components."""

_weigh_cell: Any = weigh_cell  # mypy takes an intrinsic for what builds it

# Axes from slowest to fastest, with z, y and x contiguous.
_LAYOUTS = ((0, 1, 2), (0, 2, 1), (1, 2, 0))

_weigh_patch: Any = weigh_patch  # mypy takes an intrinsic for what builds it


@jit
def _product(array, first, second, out):  # type: ignore[no-untyped-def]
    quarter, zero = np.float32(0.25), np.float32(0.0)
    # Far below any intensity, and squared: sums of less would be denormal, which is slow.
    least = np.float32(1e-30)
    nz = out.shape[2]
    x1, y1, z1 = int(first == 0), int(first == 1), int(first == 2)
    x2, y2, z2 = int(second == 0), int(second == 1), int(second == 2)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            # Slices, since an index that might be negative stops the vectorizer.
            ahead1 = array[i + 1 + x1, j + 1 + y1][1 + z1 : 1 + z1 + nz]
            behind1 = array[i + 1 - x1, j + 1 - y1][1 - z1 : 1 - z1 + nz]
            ahead2 = array[i + 1 + x2, j + 1 + y2][1 + z2 : 1 + z2 + nz]
            behind2 = array[i + 1 - x2, j + 1 - y2][1 - z2 : 1 - z2 + nz]
            row = out[i, j]
            for k in range(nz):
                value = quarter * (ahead1[k] - behind1[k]) * (ahead2[k] - behind2[k])
                row[k] = value if abs(value) > least else zero


def gradient_products(
    array: FloatArray, components: Sequence[int] = range(6), swapped: bool = False
) -> FloatArray:
    """Compute some of :func:`napari_mrisr.kernels.reference.gradient_products`.

    ``swapped``: both arrays lie as (x, z, y).
    """
    lies_at = (0, 2, 1) if swapped else (0, 1, 2)
    a, b, c = array.shape
    out = np.empty((len(components), a - 2, b - 2, c - 2), np.float32)
    for target, component in zip(out, components, strict=True):
        first, second = COMPONENTS[component]
        _product(array, lies_at[first], lies_at[second], target)
    return out


@jit
def _take(source, x, y, z, start, stop, out):  # type: ignore[no-untyped-def]
    # Unsigned, since an index that might be negative stops the vectorizer; no slices,
    # since one costs as much as a short row.
    ahead = np.uint64(z[start] - start)
    for i in range(x.size):
        for j in range(y.size):
            row, target = source[x[i], y[j]], out[i, j]
            for k in range(np.uint64(start), np.uint64(stop)):
                target[k] = row[ahead + k]
            for k in range(start):
                target[k] = row[z[k]]
            for k in range(stop, z.size):
                target[k] = row[z[k]]


def take(source: FloatArray, index: Sequence[IndexArray]) -> FloatArray:
    """Return ``source[np.ix_(*index)]``, fast if the last index counts up by one.

    Parameters
    ----------
    source : (nx, ny, nz) ndarray of float32
        Any strides.
    index : sequence of three ndarray of int64
        Of each axis, none empty, all within ``source``.
    """
    x, y, z = index
    out = np.empty((x.size, y.size, z.size), np.float32)
    breaks = np.flatnonzero(np.concatenate(([True], np.diff(z) != 1, [True])))
    longest = int(np.argmax(np.diff(breaks)))
    _take(source, x, y, z, int(breaks[longest]), int(breaks[longest + 1]), out)
    return out


@jit
def _filter_cells(  # type: ignore[no-untyped-def]
    source, center, bucket, element, steps, places, weights, scale, widths, total, out
):
    flat_source = source.reshape(-1)
    flat_out = out.reshape(-1)
    sy, sz = source.shape[1], source.shape[2]
    oy, oz = out.shape[1], out.shape[2]
    for i in range(bucket.shape[0]):
        for j in range(bucket.shape[1]):
            for k in range(bucket.shape[2]):
                b = bucket[i, j, k]
                if b >= weights.shape[0]:
                    continue
                e = element[i, j, k]
                place = center + (i * sy + j) * sz + k
                middle = flat_source[np.uint64(place)]
                step = (steps[e, 1], steps[e, 2], steps[e, 3])
                for q in range(0, total.size, LANES):
                    _weigh_cell(
                        flat_source, place + steps[e, 0], step, middle, weights, b, q, widths, total
                    )
                corner = (i * scale[0] * oy + j * scale[1]) * oz + k * scale[2]
                spots = places[e]
                for q in range(spots.size):
                    flat_out[corner + spots[q]] += total[q]


def filter_cells(
    source: FloatArray,
    bucket: NDArray[np.int32],
    element: NDArray[np.uint8],
    offsets: IndexArray,
    places: IndexArray,
    weights: FloatArray,
    scale: tuple[int, int, int],
    out: FloatArray,
) -> None:
    """Filter voxels; see :func:`napari_mrisr.kernels.reference.filter_cells`."""
    shape = [n - m + 1 for n, m in zip(source.shape, bucket.shape, strict=True)]
    rx, ry, rz = (width // 2 for width in shape)
    if weights.shape[2] % LANES:
        raise ValueError(f"weights have {weights.shape[2]} outputs; pad them to a multiple of 8")
    # From a patch's center to its first tap, and from tap to tap along its axes.
    steps = np.zeros((len(offsets), 4), np.int64)
    steps[:, 0] = offsets[:, 0]
    for axis, tap in enumerate((shape[1] * shape[2], shape[2], 1)):
        if shape[axis] > 1:
            steps[:, axis + 1] = offsets[:, tap] - offsets[:, 0]
    _filter_cells(
        source,
        (rx * source.shape[1] + ry) * source.shape[2] + rz,
        bucket,
        element,
        steps,
        places,
        weights,
        np.array(scale, np.int64),
        tuple((0,) * width for width in shape),
        np.empty(weights.shape[2], np.float32),
        out,
    )


def filter_rows(weights: FloatArray, shape: tuple[int, int, int]) -> FloatArray:
    """Return filters in the layout of :func:`filter_voxels`.

    Parameters
    ----------
    weights : (filters, taps) ndarray of float32
        Taps in the order of a canonical patch.
    shape : tuple of int
        Canonical patch.

    Returns
    -------
    (2 filters, rows, lanes) ndarray of float32
        Each filter, followed by its copy with reversed rows; rows padded by zeros.
    """
    taps = weights.reshape(-1, 1, shape[0] * shape[1], shape[2])
    rows = _aligned((taps.shape[0], 2, taps.shape[2], -(-shape[2] // LANES) * LANES))
    rows[:] = 0.0
    rows[..., : shape[2]] = np.concatenate((taps, taps[..., ::-1]), axis=1)
    return rows.reshape(-1, *rows.shape[2:])


def _aligned(shape: tuple[int, ...]) -> FloatArray:
    """Return memory in which no row of eight crosses a cache line."""
    size = int(np.prod(shape))
    memory = np.empty(size + 15, np.float32)
    first = -memory.ctypes.data % 64 // 4
    return memory[first : first + size].reshape(shape)


@jit
def _filter_voxels(  # type: ignore[no-untyped-def]
    flat, middle_of_first, strides, layout, steps, bucket, element, rows, centered, widths, out
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
                    widths,
                )


def filter_voxels(
    source: FloatArray,
    bucket: NDArray[np.int32],
    element: NDArray[np.uint8],
    elements: NDArray[np.int64],
    rows: FloatArray,
    centered: bool,
) -> FloatArray:
    """Filter voxels, one value per voxel, with the rows of a patch as vectors.

    A canonical patch is the volume's patch turned by one of the cube's 48 symmetries.
    Gathering its taps one by one would cost a load per tap. Here the volume is in memory
    three times, with x, y and z contiguous in turn: the rows along the patch's last axis
    are contiguous in one of them, and the other two axes are steps of any size and sign.
    Rows that the symmetry reverses are read forward, with filters whose rows are reversed.

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
    shape = [n - m + 1 for n, m in zip(source.shape, bucket.shape, strict=True)]
    radius = np.array(shape) // 2
    nx, ny, nz = source.shape
    # With z, y and x contiguous: steps along x, y, z.
    strides = np.array([(ny * nz, nz, 1), (ny * nz, 1, ny), (1, nz * nx, nx)])
    layouts = 3 if element.any() else 1
    flat = np.zeros(layouts * source.size + LANES, np.float32)
    for number, order in enumerate(_LAYOUTS[:layouts]):
        turned = source.transpose(order)
        flat[number * source.size :][: source.size].reshape(turned.shape)[:] = turned
    begin = np.arange(3) * source.size + strides @ radius
    axes, signs = elements[:, 0], elements[:, 1]
    layout = 2 - axes[:, 2]
    first, second = (signs[:, a] * strides[layout, axes[:, a]] for a in (0, 1))
    # The symmetries swap only axes along which the patch has the same width.
    corner = -(radius[0] * first + radius[1] * second + radius[2])
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
        tuple((0,) * width for width in shape),
        out,
    )
    return out
