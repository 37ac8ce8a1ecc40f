"""Interpolation of textbooks and scanners: linear, windowed sinc, zero filling of k-space.

Each is one :class:`~napari_mrisr.operators.interpolate.AxisOperator` per axis, from ``n`` voxels
to ``n_out`` over the same field of view. :func:`truncation_operator` is the degradation that
zero filling undoes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.scale import RealScale
from napari_mrisr.core.volume import FloatArray, Region
from napari_mrisr.kernels import cpu_rows
from napari_mrisr.operators.interpolate import (
    AxisOperator,
    RowsKernel,
    apply_chain,
    operator_from_taps,
    positions,
    upsampled_shape,
)

WINDOWS = ("none", "hann", "hamming", "tukey")
"""Windows over k-space, and over the sinc."""

LOBES = 3
"""Voxels on each side that :func:`lanczos_operator` reads."""


@functools.lru_cache(maxsize=64)
def linear_operator(n: int, n_out: int) -> AxisOperator:
    """Return the operator of linear interpolation; beyond the outer centers values are mirrored."""
    position = positions(n, n_out)
    first = np.floor(position).astype(np.int64)
    far = position - first
    return operator_from_taps(first, np.stack([1.0 - far, far], axis=1), n)


@functools.lru_cache(maxsize=64)
def lanczos_operator(n: int, n_out: int) -> AxisOperator:
    """Return the operator of a sinc under a window of three lobes (Duchon 1979).

    Rows are normalized to a sum of 1, so that a constant stays.
    """
    position = positions(n, n_out)
    first = np.floor(position).astype(np.int64) - LOBES + 1
    offset = position[:, None] - first[:, None] - np.arange(2 * LOBES)
    taps = np.where(np.abs(offset) < LOBES, np.sinc(offset) * np.sinc(offset / LOBES), 0.0)
    return operator_from_taps(first, taps / taps.sum(axis=1, keepdims=True), n)


@functools.lru_cache(maxsize=64)
def zero_fill_operator(n: int, n_out: int, window: str = "none") -> AxisOperator:
    """Return the operator that pads the spectrum of ``n`` voxels with zeros.

    What scanners call ZIP. The volume counts as periodic, as in a scanner.

    Parameters
    ----------
    n, n_out : int
    window : str
        One of :data:`WINDOWS`, over the ``n`` frequencies: less ringing, more blur.
    """
    matrix = _fourier_series(n, positions(n, n_out), n, window)
    return AxisOperator(np.zeros(n_out, np.int64), matrix.astype(np.float32))


@functools.lru_cache(maxsize=64)
def truncation_operator(n: int, n_out: int, window: str = "none") -> AxisOperator:
    """Return the operator that keeps the ``n_out`` lowest of ``n`` frequencies.

    The degradation ``kspace`` for any number of voxels, over the same field of view.
    """
    matrix = _fourier_series(n, positions(n, n_out), n_out, window)
    return AxisOperator(np.zeros(n_out, np.int64), matrix.astype(np.float32))


def _fourier_series(
    n: int, position: NDArray[np.float64], kept: int, window: str
) -> NDArray[np.float64]:
    """Return the matrix from ``n`` voxels to their Fourier series at positions.

    Of the series the ``kept`` lowest frequencies are used. The unpaired Nyquist frequency of an
    even ``kept`` is the cosine.
    """
    frequency = np.arange(kept // 2 + 1)
    weight = np.full(frequency.size, 2.0)
    weight[0] = 1.0
    if kept % 2 == 0:
        weight[-1] = 1.0
    weight *= _window(kept, window)
    # Modulo the field of view, so that float64 keeps the phase of high frequencies.
    phase = ((position[:, None] - np.arange(n)) / n % 1.0)[..., None] * frequency
    return np.asarray((np.cos(2.0 * np.pi * phase) * weight).sum(axis=-1) / n)


def _window(kept: int, name: str) -> NDArray[np.float64]:
    """Return a window at the frequencies from 0, of which ``kept`` / 2 is the first left out."""
    from scipy import signal

    # Twice as fine, so that frequency 0 is the window's middle for an odd number too.
    fine = 2 * kept
    values = {
        "none": np.ones(fine),
        "hann": signal.windows.hann(fine, sym=False),
        "hamming": signal.windows.hamming(fine, sym=False),
        "tukey": signal.windows.tukey(fine, 0.5, sym=False),
    }[name]
    return np.asarray(np.fft.ifftshift(values)[::2][: kept // 2 + 1], np.float64)


def interpolated(
    operator: Callable[[int, int], AxisOperator],
    array: FloatArray,
    scale: RealScale,
    region: Region | None = None,
    kernel: RowsKernel = cpu_rows.apply_rows,
) -> FloatArray:
    """Interpolate by one operator per axis.

    Parameters
    ----------
    operator : callable
        Returns the operator of an axis for numbers of voxels before and after.
    array, scale, region, kernel
        As for :func:`~napari_mrisr.operators.interpolate.tricubic`.
    """
    shape = upsampled_shape(array, scale)
    chains = [[] if n == m else [operator(n, m)] for n, m in zip(array.shape, shape, strict=True)]
    return apply_chain(array, chains, region or Region.whole(shape), kernel)
