"""Interpolation and blurring as banded one-axis operators, any region.

Every linear and separable operation on a volume (cubic B-spline interpolation, nearest
neighbor, the degradations) is one :class:`AxisOperator` per axis: a banded matrix whose
rows are output voxels. A region of the output is a range of rows. Edges are exact because
mirrored taps are folded into the rows near them.

The cubic B-spline needs its coefficients first. The recursive prefilter is
global; here it is the finite filter √3 · z^|k| with z = √3 − 2 (Unser 1999,
doi 10.1109/79.799930, box 2), cut at ten taps a side, where its tail is below
3e-6 of the data range.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.scale import RealScale, Scale, upsampled_size
from napari_mrisr.core.volume import FloatArray, Region, Shape
from napari_mrisr.kernels import cpu_rows

PREFILTER_RADIUS = 10
SPLINE_RADIUS = 2
TRICUBIC_HALO = PREFILTER_RADIUS + SPLINE_RADIUS

RowsKernel = Callable[[Any, NDArray[np.int64], FloatArray, int], Any]
"""Applies a banded matrix: array, first, taps, axis; see ``kernels.reference.apply_rows``."""


@dataclass(frozen=True, eq=False)
class AxisOperator:
    """A banded matrix along one axis.

    Attributes
    ----------
    first : (m,) ndarray of int64
        First input index read by each of the ``m`` output voxels.
    taps : (m, width) ndarray of float32
        Weights.
    """

    first: NDArray[np.int64]
    taps: FloatArray

    def rows(self, start: int, stop: int) -> AxisOperator:
        """Return the operator for the outputs ``start`` to ``stop``."""
        return AxisOperator(self.first[start:stop], self.taps[start:stop])

    @property
    def reads(self) -> tuple[int, int]:
        """Range of input indices that the rows read."""
        return int(self.first.min()), int(self.first.max()) + self.taps.shape[1]

    def dense(self, n: int) -> NDArray[np.float64]:
        """Return the whole matrix, shape (m, n), for ``n`` input voxels."""
        matrix = np.zeros((self.first.size, n))
        columns = self.first[:, None] + np.arange(self.taps.shape[1])
        np.put_along_axis(matrix, columns, self.taps.astype(np.float64), axis=1)
        return matrix

    def transposed(self, n: int) -> AxisOperator:
        """Return the transpose, from ``m`` to the ``n`` input voxels."""
        matrix = self.dense(n).T
        used = matrix != 0
        # Input voxels that no output reads get rows of zeros.
        first = np.where(used.any(axis=1), used.argmax(axis=1), 0)
        last = matrix.shape[1] - 1 - used[:, ::-1].argmax(axis=1)
        band = int(np.where(used.any(axis=1), last - first + 1, 1).max())
        first = np.minimum(first, matrix.shape[1] - band)
        taps = np.take_along_axis(matrix, first[:, None] + np.arange(band), axis=1)
        return AxisOperator(first.astype(np.int64), np.ascontiguousarray(taps, np.float32))

    def apply(self, array: FloatArray, axis: int, offset: int = 0) -> FloatArray:
        """Apply along ``axis`` of an array whose first entry has index ``offset``."""
        return cpu_rows.apply_rows(array, self.first - offset, self.taps, axis)


def mirror_index(index: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Reflect indices outside 0..n-1 about the outer voxels' centers."""
    if n == 1:
        return np.zeros_like(index)
    period = 2 * (n - 1)
    index = np.abs(index) % period
    return np.where(index < n, index, period - index)


def operator_from_taps(
    first: NDArray[np.int64], taps: NDArray[np.float64], n_in: int
) -> AxisOperator:
    """Fold taps that read beyond the edges back into the volume (mirror).

    Parameters
    ----------
    first : (m,) ndarray of int
        First index each row reads, possibly negative.
    taps : (m, width) ndarray of float64
        Weights of each row.
    n_in : int
        Voxels along the input axis.
    """
    m, width = taps.shape
    band = min(width, n_in)
    start = np.clip(first, 0, n_in - band)
    out = np.zeros((m, band))
    index = mirror_index(first[:, None] + np.arange(width), n_in) - start[:, None]
    # A short axis folds taps to anywhere on it; then the band is the whole axis.
    # On a longer one a mirrored index stays within the band, as tested.
    np.add.at(out, (np.arange(m)[:, None], index), taps)
    return AxisOperator(start.astype(np.int64), out.astype(np.float32))


def cubic_weights(offset: NDArray[np.float64]) -> NDArray[np.float64]:
    """Evaluate the cubic B-spline at distances (Unser 1999, equation 10)."""
    t = np.abs(offset)
    near = 2.0 / 3.0 - t**2 + t**3 / 2.0
    far = np.clip(2.0 - t, 0.0, None) ** 3 / 6.0
    return np.where(t < 1.0, near, far)


def prefilter_taps(radius: int = PREFILTER_RADIUS) -> NDArray[np.float64]:
    """Return the finite cubic B-spline prefilter; its sum is 1."""
    taps = np.sqrt(3.0) * (np.sqrt(3.0) - 2.0) ** np.abs(np.arange(-radius, radius + 1))
    return np.asarray(taps / taps.sum())


@functools.lru_cache(maxsize=64)
def prefilter_operator(n: int) -> AxisOperator:
    """Return the operator from samples to cubic B-spline coefficients, mirrored edges."""
    taps = np.tile(prefilter_taps(), (n, 1))
    return operator_from_taps(np.arange(n) - PREFILTER_RADIUS, taps, n)


@functools.lru_cache(maxsize=64)
def spline_operator(n: int, factor: int) -> AxisOperator:
    """Return the operator from coefficients of ``n`` voxels to ``n * factor`` voxels.

    Output i lies at input (i + 0.5) / factor − 0.5: same field of view.
    """
    position = (np.arange(n * factor) + 0.5) / factor - 0.5
    first = np.floor(position).astype(np.int64) - 1
    taps = cubic_weights(position[:, None] - first[:, None] - np.arange(4))
    return operator_from_taps(first, taps, n)


def positions(n: int, n_out: int) -> NDArray[np.float64]:
    """Return the output voxel centers in input voxel indices, the field of view kept."""
    return np.asarray((np.arange(n_out) + 0.5) * (n / n_out) - 0.5, np.float64)


@functools.lru_cache(maxsize=64)
def resample_operator(n: int, n_out: int) -> AxisOperator:
    """Return the operator from B-spline coefficients of ``n`` voxels to ``n_out`` samples."""
    return sample_operator(n, positions(n, n_out))


def sample_operator(n: int, position: NDArray[np.float64]) -> AxisOperator:
    """Return the operator from B-spline coefficients of ``n`` voxels to samples at positions.

    Positions are voxel indices: 0 is the first voxel's center.
    """
    first = np.floor(position).astype(np.int64) - 1
    taps = cubic_weights(position[:, None] - first[:, None] - np.arange(4))
    return operator_from_taps(first, taps, n)


@functools.lru_cache(maxsize=64)
def nearest_operator(n: int, n_out: int) -> AxisOperator:
    """Return the operator that copies the nearest of ``n`` voxels; of two, the later one."""
    first = (2 * np.arange(n_out) + 1) * n // (2 * n_out)
    return AxisOperator(first, np.ones((n_out, 1), np.float32))


@functools.lru_cache(maxsize=64)
def quadratic_operator(n: int, n_out: int) -> AxisOperator:
    """Return the operator of ``scipy.ndimage.zoom(order=2, prefilter=False)`` along an axis.

    The interpolation behind the figures of the 2021 paper: a quadratic
    B-spline without its prefilter, end voxels' centers on end voxels' centers.
    The matrix is SciPy's response to unit impulses.
    """
    from scipy import ndimage

    columns = [ndimage.zoom(unit, n_out / n, order=2, prefilter=False) for unit in np.eye(n)]
    matrix = np.stack(columns, axis=1)
    used = np.abs(matrix) > 1e-12
    # For some sizes SciPy places the last position beyond the array: a row of zeros.
    empty = ~used.any(axis=1)
    first = np.where(empty, n - 1, used.argmax(axis=1))
    last = n - 1 - used[:, ::-1].argmax(axis=1)
    band = int((last - first).max()) + 1
    first = np.minimum(first, n - band)
    taps = np.stack([row[a : a + band] for row, a in zip(matrix, first, strict=True)])
    return AxisOperator(first.astype(np.int64), taps.astype(np.float32))


def apply_chain(
    array: FloatArray,
    chains: list[list[AxisOperator]],
    region: Region,
    kernel: RowsKernel = cpu_rows.apply_rows,
    corner: Shape = (0, 0, 0),
) -> FloatArray:
    """Apply a chain of operators along each axis and return a region.

    Parameters
    ----------
    array : (nx, ny, nz) ndarray of float32
        The whole input, or a box of it that holds what the region needs.
    chains : list of three lists of AxisOperator
        For each axis the operators in order of application; empty for none.
    region : Region
        Output voxels to compute.
    kernel : callable
        Applies an operator; for an ``array`` on another device.
    corner : tuple of int
        Index of the array's first voxel.

    Returns
    -------
    ndarray of float32, shape ``region.shape``
        The same bits as that box of the whole result.
    """
    plans = [_plan(tuple(c), region.start[a], region.stop[a]) for a, c in enumerate(chains)]
    array = array[
        tuple(slice(low - c, high - c) for (_, (low, high)), c in zip(plans, corner, strict=True))
    ]
    # x first: then a slab of x does not carry its halo through the other axes.
    for axis, (steps, _) in enumerate(plans):
        for operator, offset in steps:
            array = kernel(array, operator.first - offset, operator.taps, axis)
    return array if array.flags.c_contiguous else array.copy()


@functools.lru_cache(maxsize=256)
def _plan(
    chain: tuple[AxisOperator, ...], start: int, stop: int
) -> tuple[tuple[tuple[AxisOperator, int], ...], tuple[int, int]]:
    """Return the rows of each operator that the outputs need, and the input range.

    Cached, because the blocks of a run share their ranges along an axis.
    """
    steps: list[tuple[AxisOperator, int]] = []
    for operator in reversed(chain):
        rows = operator.rows(start, stop)
        start, stop = rows.reads
        steps.append((rows, start))
    return tuple(steps[::-1]), (start, stop)


def tricubic(
    array: FloatArray,
    scale: RealScale,
    region: Region | None = None,
    kernel: RowsKernel = cpu_rows.apply_rows,
) -> FloatArray:
    """Interpolate by a cubic B-spline over the same field of view.

    Equals ``skimage.transform.resize(order=3)`` (mirrored edges) to 1e-5 of
    the data range.

    Parameters
    ----------
    array : (nx, ny, nz) ndarray of float32
        Input.
    scale : tuple of float
        Factor of each axis; 1 leaves an axis as it is.
    region : Region, optional
        Output voxels to compute; all by default.
    kernel : callable
        As :func:`apply_chain`.
    """
    region = region or Region.whole(upsampled_shape(array, scale))
    sizes = list(zip(array.shape, scale, strict=True))
    prefilters = [[prefilter_operator(n)] if s > 1 else [] for n, s in sizes]
    splines = [[_upsampling(n, s)] if s > 1 else [] for n, s in sizes]
    # All coefficients before the first spline, while there are fewest.
    reads = [_plan(tuple(c), region.start[a], region.stop[a])[1] for a, c in enumerate(splines)]
    (a, d), (b, e), (c, f) = reads
    needed = Region((a, b, c), (d, e, f))
    coefficients = apply_chain(array, prefilters, needed, kernel)
    return apply_chain(coefficients, splines, region, kernel, needed.start)


def nearest(
    array: FloatArray,
    scale: RealScale,
    region: Region | None = None,
    kernel: RowsKernel = cpu_rows.apply_rows,
) -> FloatArray:
    """Repeat every voxel; parameters as for :func:`tricubic`."""
    shape = upsampled_shape(array, scale)
    chains = [[nearest_operator(n, m)] for n, m in zip(array.shape, shape, strict=True)]
    return apply_chain(array, chains, region or Region.whole(shape), kernel)


def quadratic(
    array: FloatArray,
    scale: Scale,
    region: Region | None = None,
    kernel: RowsKernel = cpu_rows.apply_rows,
) -> FloatArray:
    """Interpolate as in the 2021 paper (:func:`quadratic_operator`); see :func:`tricubic`."""
    chains = [
        [quadratic_operator(n, n * s)] if s > 1 else []
        for n, s in zip(array.shape, scale, strict=True)
    ]
    return apply_chain(array, chains, region or Region.whole(upsampled_shape(array, scale)), kernel)


def resample(
    array: FloatArray, corner: Shape, shape: Shape, out: Shape, region: Region
) -> FloatArray:
    """Resample a volume by a cubic B-spline over the same field of view.

    Parameters
    ----------
    array : ndarray of float32
        A box of the volume that holds :func:`resample_reads` of the region.
    corner : tuple of int
        Index of its first voxel.
    shape, out : tuple of int
        Shapes of the whole volume and of the whole result.
    region : Region
        Voxels of the result to compute.
    """
    return apply_chain(array, _resampling(shape, out), region, corner=corner)


def resample_reads(shape: Shape, out: Shape, region: Region) -> Region:
    """Return the box that :func:`resample` reads for a region."""
    chains = _resampling(shape, out)
    reads = [_plan(tuple(c), region.start[a], region.stop[a])[1] for a, c in enumerate(chains)]
    (a, d), (b, e), (c, f) = reads
    return Region((a, b, c), (d, e, f))


def _resampling(shape: Shape, out: Shape) -> list[list[AxisOperator]]:
    sizes = list(zip(shape, out, strict=True))
    return [[] if n == m else [prefilter_operator(n), resample_operator(n, m)] for n, m in sizes]


def _upsampling(n: int, factor: float) -> AxisOperator:
    # Whole factors keep the positions, and so the bits, of spline_operator.
    if float(factor).is_integer():
        return spline_operator(n, int(factor))
    return resample_operator(n, upsampled_size(n, factor))


def upsampled_shape(array: FloatArray, scale: RealScale) -> Shape:
    """Return the shape after upsampling by ``scale``."""
    x, y, z = (upsampled_size(n, s) for n, s in zip(array.shape, scale, strict=True))
    return x, y, z
