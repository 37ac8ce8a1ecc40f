"""Banded matrices along axes, in numba; see :mod:`napari_mrisr.kernels.reference`."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.kernels.jit import jit
from napari_mrisr.kernels.vector import weigh_rows

FloatArray = NDArray[np.float32]
IndexArray = NDArray[np.int64]
Rows = tuple[IndexArray, FloatArray]

_LINES = 8
_STRIP = 1000
_SHORT = 32

_weigh: Any = weigh_rows  # mypy takes an intrinsic for what builds it


@jit
def _along_z(source, begin, first, taps, run, scratch, target, place):  # type: ignore[no-untyped-def]
    """One line: ``target[place + k]`` from the line of ``source`` that begins at ``begin``."""
    start, stop, period = run
    # In the run, row k has the taps of row k - period, one voxel further.
    for phase in range(start, min(start + period, stop)):
        count = (stop - phase + period - 1) // period
        if period == 1:
            _weigh(source, begin + first[phase], 1, taps[phase], count, target, place + phase)
            continue
        _weigh(source, begin + first[phase], 1, taps[phase], count, scratch, 0)
        spots = target[place + phase : place + stop : period]
        for k in range(count):
            spots[k] = scratch[k]
    for k in range(first.size - (stop - start)):
        row = k if k < start else k + (stop - start)
        total = np.float32(0.0)
        for t in range(taps.shape[1]):
            total += taps[row, t] * source[begin + first[row] + t]
        target[place + row] = total


@jit
def _rows_x(array, first, taps, out):  # type: ignore[no-untyped-def]
    plane = array.shape[1] * array.shape[2]
    source, target = array.reshape(-1), out.reshape(-1)
    for i in range(first.size):
        _weigh(source, first[i] * plane, plane, taps[i], plane, target, i * plane)


@jit
def _rows_y(array, first, taps, out):  # type: ignore[no-untyped-def]
    nx, ny, nz = array.shape
    source, target = array.reshape(-1), out.reshape(-1)
    for i in range(nx):
        for j in range(first.size):
            begin, place = (i * ny + first[j]) * nz, (i * first.size + j) * nz
            _weigh(source, begin, nz, taps[j], nz, target, place)


@jit
def _rows_z(array, first, taps, run, scratch, out):  # type: ignore[no-untyped-def]
    source, target = array.reshape(-1), out.reshape(-1)
    for line in range(array.shape[0] * array.shape[1]):
        begin, place = line * array.shape[2], line * first.size
        _along_z(source, begin, first, taps, run, scratch, target, place)


def apply_rows(array: FloatArray, first: IndexArray, taps: FloatArray, axis: int) -> FloatArray:
    """See :func:`napari_mrisr.kernels.reference.apply_rows`."""
    if axis == 2 and first.size < _SHORT < array.shape[1]:
        # Lines too short for vectors: lie them along y meanwhile, to the same bits.
        turned = apply_rows(array.transpose(0, 2, 1), first, taps, 1)
        return np.ascontiguousarray(turned.transpose(0, 2, 1))
    shape = list(array.shape)
    shape[axis] = first.size
    out = np.empty(shape, np.float32)
    array = np.ascontiguousarray(array)
    taps = np.ascontiguousarray(taps)
    if axis == 2:
        _rows_z(array, first, taps, _same_rows(first, taps), np.empty(first.size, np.float32), out)
    else:
        (_rows_x, _rows_y)[axis](array, first, taps, out)
    return out


@jit
def _rows_xyz(array, x, y, z, run, plane, lines, scratch, out):  # type: ignore[no-untyped-def]
    ny, nz = array.shape[1], array.shape[2]
    source, target = array.reshape(-1), out.reshape(-1)
    # Strips of y, so that the planes that one of the output reads are still there for the next.
    for strip in range(0, y[0].size, _STRIP):
        end = min(strip + _STRIP, y[0].size)
        low, high = y[0][strip:end].min(), y[0][strip:end].max() + y[1].shape[1]
        size = (high - low) * nz
        for i in range(x[0].size):
            _weigh(source, (x[0][i] * ny + low) * nz, ny * nz, x[1][i], size, plane, 0)
            # Some lines at a time: one read as soon as it is written would wait for the stores.
            for first in range(strip, end, _LINES):
                some = min(_LINES, end - first)
                for j in range(some):
                    row = first + j
                    _weigh(plane, (y[0][row] - low) * nz, nz, y[1][row], nz, lines, j * nz)
                for j in range(some):
                    place = (i * y[0].size + first + j) * z[0].size
                    _along_z(lines, j * nz, z[0], z[1], run, scratch, target, place)


@jit
def _rows_of_short_z(array, x, y, z, run, plane, lines, scratch, out):  # type: ignore[no-untyped-def]
    nz, ny = array.shape[1], array.shape[2]
    source, target = array.reshape(-1), out.reshape(-1)
    size = y[0].size
    for i in range(x[0].size):
        _weigh(source, x[0][i] * nz * ny, nz * ny, x[1][i], nz * ny, plane, 0)
        for k in range(nz):
            _along_z(plane, k * ny, y[0], y[1], run, scratch, lines, k * size)
        for k in range(z[0].size):
            place = (i * z[0].size + k) * size
            _weigh(lines, z[0][k] * size, size, z[1][k], size, target, place)


class RowsXYZ:
    """:func:`apply_rows` along x, then y, then z, plane by plane, so that nothing leaves the cache.

    Parameters
    ----------
    rows : sequence of three (first, taps)
        Of x, y and z.
    swapped : bool
        Arrays lie as (x, z, y): faster where z is short.
    """

    def __init__(self, rows: Sequence[Rows], swapped: bool = False) -> None:
        x, y, z = ((first, np.ascontiguousarray(taps)) for first, taps in rows)
        self._rows, self._swapped = (x, y, z), swapped
        self._run = _same_rows(*(y if swapped else z))

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
        kernel(array, *self._rows, self._run, plane, lines.reshape(-1), scratch, out)


def _same_rows(first: IndexArray, taps: FloatArray) -> tuple[int, int, int]:
    """The longest run of rows that are copies of those a period before, one voxel further.

    Returns
    -------
    start, stop, period : int
        All 0 where no run is worth it.
    """
    # The blocks of a run ask for the same, over and over.
    return _run_among((first - first[:1]).tobytes(), taps.tobytes(), taps.shape)


@functools.lru_cache(maxsize=64)
def _run_among(steps: bytes, weights: bytes, shape: tuple[int, int]) -> tuple[int, int, int]:
    first, taps = np.frombuffer(steps, np.int64), np.frombuffer(weights, np.float32).reshape(shape)
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
