"""Banded matrices along axes in numba; see :mod:`napari_mrisr.kernels.reference`."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.kernels.hash_tables import LANES
from napari_mrisr.kernels.jit import jit
from napari_mrisr.kernels.vector import weigh_group, weigh_rows

FloatArray = NDArray[np.float32]
IndexArray = NDArray[np.int64]
Rows = tuple[IndexArray, FloatArray]

_LINES = 8
_STRIP = 1000
_SHORT = 32

_weigh: Any = weigh_rows  # mypy takes an intrinsic for what builds it
_weigh_group: Any = weigh_group


@jit
def _along_z(source, begin, first, taps, line, scratch, target, place):  # type: ignore[no-untyped-def]
    """Compute one line: ``target[place + k]`` from the ``source`` line at ``begin``."""
    runs, groups, weights = line
    period = runs.shape[0]
    for phase in range(period):
        row, column, count = runs[phase, 0], runs[phase, 1], runs[phase, 2]
        if period == 1:
            _weigh(source, begin + column, 1, taps, row, count, target, place + row)
            continue
        _weigh(source, begin + column, 1, taps, row, count, scratch, 0)
        spot = np.uint64(place + row)
        for k in range(np.uint64(count)):
            target[spot] = scratch[k]
            spot += np.uint64(period)
    for g in range(groups.shape[0]):
        row, column, count, at = groups[g, 0], groups[g, 1], groups[g, 2], groups[g, 3]
        _weigh_group(source, begin + column, weights, at, count, target, place + row)
    if first.size < LANES:
        for row in range(first.size):
            total = np.float32(0.0)
            for t in range(taps.shape[1]):
                total += taps[row, t] * source[begin + first[row] + t]
            target[place + row] = total


@jit
def _rows_x(array, first, taps, out):  # type: ignore[no-untyped-def]
    plane = array.shape[1] * array.shape[2]
    source, target = array.reshape(-1), out.reshape(-1)
    for i in range(first.size):
        _weigh(source, first[i] * plane, plane, taps, i, plane, target, i * plane)


@jit
def _rows_y(array, first, taps, out):  # type: ignore[no-untyped-def]
    nx, ny, nz = array.shape
    source, target = array.reshape(-1), out.reshape(-1)
    for i in range(nx):
        for j in range(first.size):
            begin, place = (i * ny + first[j]) * nz, (i * first.size + j) * nz
            _weigh(source, begin, nz, taps, j, nz, target, place)


@jit
def _rows_z(array, first, taps, line, scratch, out):  # type: ignore[no-untyped-def]
    source, target = array.reshape(-1), out.reshape(-1)
    for number in range(array.shape[0] * array.shape[1]):
        begin, place = number * array.shape[2], number * first.size
        _along_z(source, begin, first, taps, line, scratch, target, place)


def apply_rows(array: FloatArray, first: IndexArray, taps: FloatArray, axis: int) -> FloatArray:
    """Apply a banded matrix; see :func:`napari_mrisr.kernels.reference.apply_rows`."""
    if axis == 2 and first.size < _SHORT < array.shape[1]:
        # Lines too short for vectors are computed along y, with the same bits.
        turned = apply_rows(array.transpose(0, 2, 1), first, taps, 1)
        return np.ascontiguousarray(turned.transpose(0, 2, 1))
    if axis == 1 and array.shape[2] < LANES < array.shape[1]:
        turned = apply_rows(array.transpose(0, 2, 1), first, taps, 2)
        return np.ascontiguousarray(turned.transpose(0, 2, 1))
    shape = list(array.shape)
    shape[axis] = first.size
    out = np.empty(shape, np.float32)
    array = np.ascontiguousarray(array)
    taps = np.ascontiguousarray(taps)
    if axis == 2:
        _rows_z(array, first, taps, _line_of(first, taps), np.empty(first.size, np.float32), out)
    else:
        (_rows_x, _rows_y)[axis](array, first, taps, out)
    return out


@jit
def _rows_xyz(array, x, y, z, line, plane, lines, scratch, out):  # type: ignore[no-untyped-def]
    ny, nz = array.shape[1], array.shape[2]
    source, target = array.reshape(-1), out.reshape(-1)
    # Strips of y, so that the planes that an output plane reads stay in the cache for the next.
    for strip in range(0, y[0].size, _STRIP):
        end = min(strip + _STRIP, y[0].size)
        low, high = y[0][strip:end].min(), y[0][strip:end].max() + y[1].shape[1]
        size = (high - low) * nz
        for i in range(x[0].size):
            _weigh(source, (x[0][i] * ny + low) * nz, ny * nz, x[1], i, size, plane, 0)
            # Several lines per step: a line read right after writing would wait for the stores.
            for first in range(strip, end, _LINES):
                some = min(_LINES, end - first)
                for j in range(some):
                    row = first + j
                    _weigh(plane, (y[0][row] - low) * nz, nz, y[1], row, nz, lines, j * nz)
                for j in range(some):
                    place = (i * y[0].size + first + j) * z[0].size
                    _along_z(lines, j * nz, z[0], z[1], line, scratch, target, place)


@jit
def _rows_of_short_z(array, x, y, z, line, plane, lines, scratch, out):  # type: ignore[no-untyped-def]
    nz, ny = array.shape[1], array.shape[2]
    source, target = array.reshape(-1), out.reshape(-1)
    size = y[0].size
    for i in range(x[0].size):
        _weigh(source, x[0][i] * nz * ny, nz * ny, x[1], i, nz * ny, plane, 0)
        for k in range(nz):
            _along_z(plane, k * ny, y[0], y[1], line, scratch, lines, k * size)
        for k in range(z[0].size):
            place = (i * z[0].size + k) * size
            _weigh(lines, z[0][k] * size, size, z[1], k, size, target, place)


class RowsXYZ:
    """Apply :func:`apply_rows` along x, y and z, plane by plane, within the cache.

    Parameters
    ----------
    rows : sequence of three (first, taps)
        Operators of x, y and z.
    swapped : bool
        Arrays lie as (x, z, y), which is faster if z is short.
    """

    def __init__(self, rows: Sequence[Rows], swapped: bool = False) -> None:
        x, y, z = ((first, np.ascontiguousarray(taps)) for first, taps in rows)
        self._rows, self._swapped = (x, y, z), swapped
        self._line = _line_of(*(y if swapped else z))

    def apply(self, array: FloatArray, out: FloatArray) -> None:
        """Fill ``out``, C contiguous, with the same bits as three calls of :func:`apply_rows`."""
        array = np.ascontiguousarray(array)
        plane = np.empty(array.shape[1] * array.shape[2], np.float32)
        scratch = np.empty(out.shape[2], np.float32)
        lines = np.empty(
            (array.shape[1], out.shape[2]) if self._swapped else (_LINES, array.shape[2]),
            np.float32,
        )
        kernel = _rows_of_short_z if self._swapped else _rows_xyz
        kernel(array, *self._rows, self._line, plane, lines.reshape(-1), scratch, out)


Line = tuple[IndexArray, IndexArray, FloatArray]


def _line_of(first: IndexArray, taps: FloatArray) -> Line:
    """Plan a line of outputs along z: a run of equal rows, and groups of eight rows.

    Returns
    -------
    runs : (period, 3) ndarray of int64
        Longest run of rows that repeat those of a period before, one voxel further. Per
        phase: first row, its first voxel, and number of rows.
    groups : (n, 4) ndarray of int64
        Groups of eight rows that cover the rows outside the run: first row, its first
        voxel, number of voxels that they read, and start of their weights.
    weights : (m, 8) ndarray of float32
        Weight of each voxel in each of eight rows.
    """
    # Cached, because the blocks of a run repeat the same lines.
    return _line_among((first - first[:1]).tobytes(), taps.tobytes(), taps.shape, int(first[0]))


@functools.lru_cache(maxsize=64)
def _line_among(steps: bytes, weights: bytes, shape: tuple[int, int], begin: int) -> Line:
    first = np.frombuffer(steps, np.int64) + begin
    taps = np.frombuffer(weights, np.float32).reshape(shape)
    start, stop, period = _run_among(first, taps)
    runs = [(row, first[row], -(-(stop - row) // period)) for row in range(start, start + period)]
    groups, group_weights = _groups_beside(start, stop, first, taps)
    return np.array(runs, np.int64).reshape(-1, 3), groups, group_weights


def _run_among(first: IndexArray, taps: FloatArray) -> tuple[int, int, int]:
    """Return the longest run: start, stop, period; all 0 if none is long enough."""
    best = (0, 0, 0)
    for period in range(1, 9):
        same = (first[period:] - first[:-period] == 1) & (taps[period:] == taps[:-period]).all(1)
        breaks = np.flatnonzero(np.concatenate(([True], ~same, [True])))
        longest = int(np.argmax(np.diff(breaks)))
        start, stop = int(breaks[longest]), int(breaks[longest + 1]) + period - 1
        if stop - start > max(best[1] - best[0], 8 * period):
            best = (start, stop, period)
        if best[1] - best[0] > first.size // 2:
            break
    return best


def _groups_beside(
    start: int, stop: int, first: IndexArray, taps: FloatArray
) -> tuple[IndexArray, FloatArray]:
    size, width = taps.shape
    if size < LANES:
        return np.empty((0, 4), np.int64), np.empty((0, LANES), np.float32)
    # The last group at each end overlaps its neighbor, with the same bits.
    begins = [
        min(row, size - LANES)
        for begin, end in ((0, start), (stop, size))
        for row in range(begin, end, LANES)
    ]
    groups, weights, at = [], [], 0
    for row in begins:
        columns = first[row : row + LANES]
        low, count = int(columns.min()), int(columns.max() - columns.min()) + width
        block = np.zeros((count, LANES), np.float32)
        for k, column in enumerate(columns - low):
            block[column : column + width, k] = taps[row + k]
        groups.append((row, low, count, at))
        weights.append(block)
        at += count
    empty = np.zeros((0, LANES), np.float32)
    return np.array(groups, np.int64).reshape(-1, 4), np.concatenate([empty, *weights])
