"""Hashing in numba: features and buckets; documented in :mod:`napari_mrisr.kernels.reference`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.kernels.cpu import FloatArray
from napari_mrisr.kernels.cpu_eigen import analyze_row, trace_of
from napari_mrisr.kernels.hash_tables import HashTables
from napari_mrisr.kernels.jit import jit


@jit
def _features(tensor, smooth, out):  # type: ignore[no-untyped-def]
    nz = out.shape[2]
    trace = trace_of(tensor)
    values, direction, shape = np.empty((3, nz)), np.empty((4, nz)), np.empty((2, nz))
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            analyze_row(tensor, trace, smooth, i, j, 0, False, values, direction, shape)
            for k in range(nz):
                for f in range(3):
                    out[i, j, k, f] = values[f, k]
                    out[i, j, k, f + 3] = direction[f, k]
                out[i, j, k, 6] = shape[0, k]
                out[i, j, k, 7] = shape[1, k]


def voxel_features(tensor: FloatArray, smooth: FloatArray) -> FloatArray:
    """Compute features; see :func:`napari_mrisr.kernels.reference.voxel_features`."""
    nx, ny, nz = smooth.shape
    out = np.empty((nx - 2, ny - 2, nz - 2, 8), np.float32)
    _features(tensor, smooth, out)
    return out


@jit
def _turned_row(direction, elevation, azimuth, element):  # type: ignore[no-untyped-def]
    """Compute canonical angles of a row of directions, and their cube symmetries.

    The order of symmetries is that of itertools.permutations, times signs; ties
    go to the earlier axis. No branches, so that the loop is vectorized.
    """
    zero, one = np.float32(0.0), np.float32(1.0)
    dx, dy, dz = direction[0], direction[1], direction[2]
    for k in range(element.size):
        x, y, z = dx[k], dy[k], dz[k]
        ax, ay, az = abs(x), abs(y), abs(z)
        x_first = (ax >= ay) & (ax >= az)
        y_first = (not x_first) & (ay >= az)
        # The other two axes, in order, then swapped if the second is larger.
        a1, s1 = (ax, x) if x_first else ((ay, y) if y_first else (az, z))
        a2, s2 = (ay, y) if x_first else (ax, x)
        a3, s3 = (ay, y) if not (x_first | y_first) else (az, z)
        swap = a3 > a2
        p = np.int32(0) if x_first else (np.int32(16) if y_first else np.int32(32))
        p += np.int32(8) if swap else np.int32(0)
        a2, a3, s2, s3 = (a3, a2, s3, s2) if swap else (a2, a3, s2, s3)
        p += np.int32(4) if s1 < zero else np.int32(0)
        p += np.int32(2) if s2 < zero else np.int32(0)
        p += np.int32(1) if s3 < zero else np.int32(0)
        element[k] = p
        elevation[k] = -a1
        azimuth[k] = a3 / (a2 if a2 > zero else one) if a2 > zero else zero


@jit
def _flipped_row(direction, elevation, azimuth, element):  # type: ignore[no-untyped-def]
    """Compute as :func:`_turned_row`, without sorting the axes."""
    zero = np.float32(0.0)
    for k in range(element.size):
        x, y, z = direction[0, k], direction[1, k], direction[2, k]
        element[k] = 4 * int(x < zero) + 2 * int(y < zero) + int(z < zero)
        elevation[k] = -abs(z)
        azimuth[k] = abs(y) / abs(x) if x != zero else np.float32(1e30 if y != zero else 0.0)


@jit
def _swapped_row(direction, elevation, azimuth, element):  # type: ignore[no-untyped-def]
    """Compute as :func:`_turned_row`, sorting x and y only."""
    zero, one = np.float32(0.0), np.float32(1.0)
    for k in range(element.size):
        x, y, z = direction[0, k], direction[1, k], direction[2, k]
        swap = abs(y) > abs(x)
        a, b = (y, x) if swap else (x, y)
        flips = 4 * int(a < zero) + 2 * int(b < zero) + int(z < zero)
        element[k] = flips + (16 if swap else 0)
        elevation[k] = -abs(z)
        azimuth[k] = abs(b) / (abs(a) if a != zero else one)


@jit
def _plain_row(direction, elevation, azimuth, element):  # type: ignore[no-untyped-def]
    """Compute the negated cosine of the elevation, and the azimuth in radians, of a row."""
    zero = np.float32(0.0)
    for k in range(element.size):
        x, y, z = direction[0, k], direction[1, k], direction[2, k]
        if y < zero or (y == zero and (x < zero or (x == zero and z < zero))):
            x, y, z = -x, -y, -z
        element[k] = 0
        elevation[k] = -z
        azimuth[k] = np.arctan2(y, x) if x * x + y * y > np.float32(1e-12) else zero


@jit
def _strength_row(values, strength, coherence):  # type: ignore[no-untyped-def]
    """Compute strength √λ1 and coherence (paper, equation 5)."""
    zero, one = np.float32(0.0), np.float32(1.0)
    l1, l2, l3 = values[0], values[1], values[2]
    for k in range(strength.size):
        s1, s2, s3 = np.sqrt(l1[k]), np.sqrt(l2[k]), np.sqrt(l3[k])
        total = s1 + s2 + s3
        strength[k] = s1
        coherence[k] = (s1 - s2 - s3) / (total if total > zero else one)


@jit
def _add_digits(number, cuts, stride, bucket):  # type: ignore[no-untyped-def]
    """Add ``stride`` to the buckets of a row per cut that the feature reaches."""
    for c in range(cuts.size):
        cut = cuts[c]
        for k in range(bucket.size):
            bucket[k] += stride if number[k] >= cut else np.int32(0)


@jit
def _add_phases(bucket, element, phase, first, step, count, begin):  # type: ignore[no-untyped-def]
    """Add the canonical phases of a row of voxels, which starts at phase ``first``."""
    table = phase.reshape(-1)
    for z in range(count):
        # All voxels of one phase; unsigned, because an index must not be negative.
        place = np.uint64(first + (begin + z) % count * step)
        for k in range(np.uint64(z), np.uint64(bucket.size), np.uint64(count)):
            bucket[k] += table[np.uint64(element[k]) * np.uint64(phase.shape[1]) + place]


@jit
def _busy_range(energy, flat):  # type: ignore[no-untyped-def]
    """Return the range of a row in which the energy reaches ``flat``."""
    start, stop = 0, energy.size
    while start < stop and energy[start] < flat:
        start += 1
    while stop > start and energy[stop - 1] < flat:
        stop -= 1
    return start, stop


@jit
def _rows(work, first, count, size):  # type: ignore[no-untyped-def]
    """Return contiguous scratch rows."""
    return work[first * size : (first + count) * size].reshape(count, size)


@jit
def _hash(  # type: ignore[no-untyped-def]
    tensor, smooth, swapped, grid, cuts, strides, symmetric, flat, phase, last, bucket, element
):
    trace = trace_of(tensor)
    origin, scale, step = grid[0], grid[1], grid[2]  # of phases, in the order in which the axes lie
    nz = bucket.shape[2]
    work, ids = np.empty(13 * nz, np.float32), np.empty((2, nz), np.int32)
    for i in range(bucket.shape[0]):
        phase_i = (origin[0] + i) % scale[0] * step[0]
        for j in range(bucket.shape[1]):
            energy = trace[i + 1, j + 1, 1:-1]
            start, stop = _busy_range(energy, flat)
            bucket[i, j], element[i, j] = last, 0
            if start == stop:
                continue
            n = stop - start
            values, direction = _rows(work, 0, 3, n), _rows(work, 3, 4, n)
            numbers, shape = _rows(work, 7, 4, n), _rows(work, 11, 2, n)
            b, e = ids[0, :n], ids[1, :n]
            b[:] = 0
            analyze_row(tensor, trace, smooth, i, j, start, swapped, values, direction, shape)
            if symmetric == 2:
                _turned_row(direction, numbers[0], numbers[1], e)
            elif symmetric == 3:
                _swapped_row(direction, numbers[0], numbers[1], e)
            elif symmetric == 1:
                _flipped_row(direction, numbers[0], numbers[1], e)
            else:
                _plain_row(direction, numbers[0], numbers[1], e)
            _strength_row(values, numbers[2], numbers[3])
            for f in range(4):
                _add_digits(numbers[f], cuts[f], strides[f], b)
            for f in range(2):
                _add_digits(shape[f], cuts[f + 4], strides[f + 4], b)
            phase_ij = phase_i + (origin[1] + j) % scale[1] * step[1]
            _add_phases(b, e, phase, phase_ij, step[2], scale[2], (origin[2] + start) % scale[2])
            target, turn, busy = (
                bucket[i, j, start:stop],
                element[i, j, start:stop],
                energy[start:stop],
            )
            for k in range(n):
                target[k] = b[k] if busy[k] >= flat else last
                turn[k] = e[k] if busy[k] >= flat else 0


def hash_voxels(
    tensor: FloatArray,
    smooth: FloatArray,
    origin: tuple[int, int, int],
    code: HashTables,
    swapped: bool = False,
) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Hash voxels; see :func:`napari_mrisr.kernels.reference.hash_voxels`.

    ``swapped``: tensor, smooth and results lie as (x, z, y).
    """
    a, b, c = smooth.shape
    bucket = np.empty((a - 2, b - 2, c - 2), np.int32)
    element = np.empty(bucket.shape, np.uint8)
    _, sy, sz = code.scale
    grid = np.array([origin, code.scale, (sy * sz, sz, 1)])[:, [0, 2, 1] if swapped else [0, 1, 2]]
    # Value of a cut in the mixed-radix number.
    radices = np.append(code.counts + 1, code.phase.shape[1])
    strides = np.cumprod(radices[::-1])[-2::-1]
    cuts = tuple(
        row[:count].astype(np.float32) for row, count in zip(code.cuts, code.counts, strict=True)
    )
    _hash(
        tensor,
        smooth,
        swapped,
        np.ascontiguousarray(grid),
        cuts,
        strides.astype(np.int32),
        code.symmetry,
        np.float32(code.flat),
        code.phase,
        np.int32(np.prod(radices)),
        bucket,
        element,
    )
    return bucket, element
