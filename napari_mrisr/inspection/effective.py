"""Effective filter of a network at one voxel: the weights of its neighborhood.

The result of the method ``network`` at a voxel is cubic interpolation, plus the network's
correction, plus data consistency. Each part is a sum over the scan's voxels: interpolation and
consistency by fixed weights, the correction by weights that the surroundings choose (a row of
the network's Jacobian, :mod:`napari_mrisr.networks.effective`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.axes import IN_ORDER, inverse, permute_data, permute_shape
from napari_mrisr.core.slices import relative_width
from napari_mrisr.core.volume import FloatArray, Region, Shape, Volume
from napari_mrisr.errors import ParameterError, explain
from napari_mrisr.methods.network import ThickSlices
from napari_mrisr.methods.permuted import Permuted
from napari_mrisr.methods.registry import Method
from napari_mrisr.networks.effective import gradient_of
from napari_mrisr.networks.tiles import TileInputs
from napari_mrisr.operators.interpolate import prefilter_operator, resample_operator
from napari_mrisr.operators.slices import consistency_operators, correction_operator

Matrix = NDArray[np.float64]

# A crop of a tile must give the tile's own coefficients to this accuracy.
_SAME = 1e-4


@dataclass(frozen=True, eq=False)
class EffectiveFilter:
    """Weights with which a scan's voxels enter one voxel of a network's result.

    Attributes
    ----------
    voxel : tuple of int
        Index in the output grid, x, y, z.
    corner : tuple of int
        Index in the scan of the first weight.
    weights : (a, b, c) ndarray of float64
        Weights along the scan's axes x, y, z. The sum of weights × voxels is the result,
        before it is raised to the scan's minimum.
    interpolation, correction, consistency : float
        The three terms of the result, engine units.
    floor : float
        Value that the result is raised to, engine units.
    """

    voxel: Shape
    corner: Shape
    weights: Matrix
    interpolation: float
    correction: float
    consistency: float
    floor: float

    @property
    def box(self) -> Region:
        """Voxels of the scan that have weights."""
        x, y, z = (c + n for c, n in zip(self.corner, self.weights.shape, strict=True))
        return Region(self.corner, (x, y, z))

    @property
    def result(self) -> float:
        """The voxel of the result, engine units."""
        total = self.interpolation + self.correction + self.consistency
        return max(total, self.floor)

    def products(self, lr: Volume) -> Matrix:
        """Return weights × voxels of the normalized scan."""
        return self.weights * lr.data[self.box.slices]

    def around(self, center: Shape, reach: int) -> Matrix:
        """Return the weights within ``reach`` voxels of a voxel of the scan; 0 elsewhere."""
        return around(self.weights, self.corner, center, reach)


def around(array: Matrix, corner: Shape, center: Shape, reach: int) -> Matrix:
    """Return a cube of an array that starts at ``corner``, around a voxel; 0 elsewhere."""
    found = np.zeros((2 * reach + 1,) * 3)
    into, out = [], []
    for c, m, n in zip(corner, center, array.shape, strict=True):
        low, high = max(c, m - reach), min(c + n, m + reach + 1)
        into.append(slice(low - m + reach, high - m + reach))
        out.append(slice(low - c, high - c))
    found[tuple(into)] = array[tuple(out)]
    return found


def effective_filter(method: Method, lr: Volume, voxel: Shape) -> EffectiveFilter:
    """Return the effective filter of a voxel.

    Parameters
    ----------
    method : Method
        ``network``, for thick slices along any axis.
    lr : Volume
        Low resolution, normalized.
    voxel : tuple of int
        Index in the output grid, x, y, z.

    Raises
    ------
    ParameterError
        For another method, or a voxel outside the output.
    BankError
        If the network has an operator without a backward pass.
    """
    axes = IN_ORDER
    if isinstance(method, Permuted):
        axes, lr, method = method.axes, method.permuted(lr), method.method
    if not isinstance(method, ThickSlices):
        found = f"method {method.name} has none"
        raise ParameterError(explain("effective filter", found, "use method network"))
    shape = lr.grid.upsampled(method.scale).shape
    turned = permute_shape(voxel, axes)
    if any(not 0 <= n < m for n, m in zip(turned, shape, strict=True)):
        last = tuple(m - 1 for m in permute_shape(shape, inverse(axes)))
        found = f"{voxel} lies outside the output"
        raise ParameterError(explain("voxel", found, f"give indices from (0, 0, 0) to {last}"))
    corner, weights, terms = _along_z(method, lr, turned)
    back = inverse(axes)
    interpolation, correction, consistency = terms
    return EffectiveFilter(
        voxel,
        permute_shape(corner, back),
        np.asarray(permute_data(weights, back)),
        interpolation,
        correction,
        consistency,
        min(0.0, float(lr.extrema[0])),
    )


def _along_z(
    method: ThickSlices, lr: Volume, voxel: Shape
) -> tuple[Shape, Matrix, tuple[float, float, float]]:
    """Return corner, weights and terms for slices along z."""
    (x, y, z), n, order = voxel, lr.grid.shape[2], method.network.order
    n_out = lr.grid.upsampled(method.scale).shape[2]
    cubic = resample_operator(n, n_out).dense(n) @ prefilter_operator(n).dense(n)
    series = correction_operator(n, n_out, order).dense(n * order)
    row, consistent = np.zeros(n_out), np.zeros(n)
    row[z] = 1.0
    if method.consistent:
        degrade, spread = consistency_operators(n, n_out, "boxcar", relative_width(lr, 2) or 1.0)
        consistent = spread.rows(z, z + 1).dense(n)[0]
        row -= consistent @ degrade.dense(n_out)
    wanted = (row @ series).reshape(n, order)
    weights, corrections = _of_network(method, lr, (x, y), wanted)
    halo = method.network.halo
    corner = (max(0, x - halo), max(0, y - halo), 0)
    weights[x - corner[0], y - corner[1]] += row @ cubic + consistent
    slices = lr.data[x, y].astype(np.float64)
    change = series @ corrections.reshape(-1)
    start = cubic @ slices
    again = (row @ (start + change)) + consistent @ slices - start[z] - change[z]
    return corner, weights, (float(start[z]), float(change[z]), float(again))


def _of_network(
    method: ThickSlices, lr: Volume, column: tuple[int, int], wanted: Matrix
) -> tuple[Matrix, Matrix]:
    """Carry the weights of a column's coefficients back to the scan.

    Returns
    -------
    weights : (a, b, slices) ndarray of float64
        Of the voxels within the halo of the column.
    coefficients : (slices, order) ndarray of float64
        Of the column.
    """
    (x, y), halo, (nx, ny, n) = column, method.network.halo, lr.grid.shape
    weights, coefficients = np.zeros((nx, ny, n)), np.zeros(wanted.shape)
    for box, known in method.tiles.covering(lr, Region((x, y, 0), (x + 1, y + 1, n))):
        values = known[x - box.start[0], y - box.start[1]].astype(np.float64)
        coefficients[box.start[2] : box.stop[2]] = values
        given = method.tiles.inputs(lr, box)
        (a, b, c), (d, e, f) = given.box.start, given.box.stop
        seen = Region((x, y, box.start[2]), (x + 1, y + 1, box.stop[2])).intersection(given.box)
        if 0 in seen.shape:
            continue  # background of zeros
        first, last = seen.start[2], seen.stop[2]
        place = (slice(first - c, last - c), x - a, y - b)
        expected = values[first - box.start[2] : last - box.start[2]]
        gradient = _backward(method, given, place, wanted[first:last], expected)
        weights[a:d, b:e, c:f] += gradient.transpose(1, 2, 0)
    near = weights[max(0, x - halo) : x + halo + 1, max(0, y - halo) : y + halo + 1]
    return near, coefficients


def _backward(
    method: ThickSlices,
    given: TileInputs,
    place: tuple[slice, int, int],
    wanted: Matrix,
    expected: Matrix,
) -> FloatArray:
    """Return the weights of a tile's input, from a crop around the column if that suffices."""
    gradient, halo = gradient_of(method.network), method.network.halo
    slices, rows, columns = place
    step, shape = gradient.stride, given.image.shape[3:]
    found = np.zeros(given.image.shape[2:], np.float32)
    for reach in (halo, max(shape)):
        starts = [max(0, p - reach) // step * step for p in (rows, columns)]
        ends = [
            min(n, a + -(-(p + reach + 1 - a) // step) * step)
            for n, a, p in zip(shape, starts, (rows, columns), strict=True)
        ]
        box = (slice(None), slice(starts[0], ends[0]), slice(starts[1], ends[1]))
        at = (slices, rows - starts[0], columns - starts[1])

        def weigh(output: FloatArray, at: tuple[slice, int, int] = at) -> FloatArray:
            weights = np.zeros_like(output)
            weights[(0, slice(None), *at)] = wanted.T
            return weights

        image = np.ascontiguousarray(given.image[0, 0][box])[None, None]
        output, weights = gradient(image, given.told, weigh)
        column = output[(0, slice(None), *at)].T
        if np.abs(column - expected).max() <= _SAME * max(1.0, np.abs(expected).max()):
            break
    found[box] = weights[0, 0]
    return found
