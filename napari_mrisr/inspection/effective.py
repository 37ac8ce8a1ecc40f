"""Effective filter of a network at one voxel: the weights of its neighborhood.

The result of the method ``network`` at a voxel is cubic interpolation, plus the network's
correction, plus data consistency. Each part is a sum over the scan's voxels:
interpolation and consistency by fixed weights, the correction by weights that the surroundings
choose (a row of the network's Jacobian, :mod:`napari_mrisr.networks.effective`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.axes import IN_ORDER, inverse, permute_data, permute_shape
from napari_mrisr.core.slices import relative_width
from napari_mrisr.core.volume import FloatArray, Region, Shape, Volume
from napari_mrisr.errors import ParameterError, explain
from napari_mrisr.methods.consistent import Consistent
from napari_mrisr.methods.isotropic import IsotropicNetwork
from napari_mrisr.methods.network import ThickSlices
from napari_mrisr.methods.permuted import Permuted, innermost
from napari_mrisr.methods.registry import Method
from napari_mrisr.networks.effective import gradient_of
from napari_mrisr.networks.file import NetworkFile
from napari_mrisr.networks.tiles import TileInputs, Tiles
from napari_mrisr.operators.interpolate import (
    TRICUBIC_HALO,
    prefilter_operator,
    resample_operator,
    spline_operator,
)
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
        ``network``, for thick slices along any axis or for one factor of all axes.
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
    if not isinstance(innermost(method), ThickSlices | IsotropicNetwork):
        found = f"method {method.name} has none"
        raise ParameterError(explain("effective filter", found, "use method network"))
    shape = lr.grid.upsampled(method.scale).shape
    turned = permute_shape(voxel, axes)
    if any(not 0 <= n < m for n, m in zip(turned, shape, strict=True)):
        last = tuple(m - 1 for m in permute_shape(shape, inverse(axes)))
        found = f"{voxel} lies outside the output"
        raise ParameterError(explain("voxel", found, f"give indices from (0, 0, 0) to {last}"))
    if isinstance(method, ThickSlices):
        corner, weights, terms = _along_z(method, lr, turned)
        floor = min(0.0, float(lr.extrema[0]))
    else:
        assert isinstance(method, Consistent)
        corner, weights, terms = _of_isotropic(method, lr, turned)
        floor = float(lr.extrema[0])
    back = inverse(axes)
    interpolation, correction, consistency = terms
    return EffectiveFilter(
        voxel,
        permute_shape(corner, back),
        np.asarray(permute_data(weights, back)),
        interpolation,
        correction,
        consistency,
        floor,
    )


_Found = tuple[Shape, Matrix, tuple[float, float, float]]
"""Corner, weights and terms."""


def _along_z(method: ThickSlices, lr: Volume, voxel: Shape) -> _Found:
    """Return the filter for slices along z."""
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
    region = Region((x, y, 0), (x + 1, y + 1, n))
    wanted = (row @ series).reshape(1, 1, n, order)
    corner, weights, coefficients = _of_network(method.tiles, lr, region, wanted)
    weights[x - corner[0], y - corner[1], :] += (row @ cubic + consistent)[corner[2] :]
    slices = lr.data[x, y].astype(np.float64)
    change = series @ coefficients.reshape(-1)
    start = cubic @ slices
    again = (row @ (start + change)) + consistent @ slices - start[z] - change[z]
    return corner, weights, (float(start[z]), float(change[z]), float(again))


def _of_isotropic(method: Consistent, lr: Volume, voxel: Shape) -> _Found:
    """Return the filter for one factor of all axes.

    All operators are products of lines: e of the voxel, p = e U D and e U of consistency, which
    is the correction's and the interpolation's p subtracted, and e U of the scan added.
    """
    network = method.method
    assert isinstance(network, IsotropicNetwork)
    r, lines = network.factor, [_Line.of(method, lr, axis, voxel[axis]) for axis in range(3)]
    first, last = ([line.span[end] for line in lines] for end in (0, 1))
    region = Region((first[0], first[1], first[2]), (last[0], last[1], last[2]))
    own, again = (_outer(part) for part in zip(*((i.own, i.again) for i in lines), strict=True))
    x, y, z = region.shape
    by_block = (own - again).reshape(x, r, y, r, z, r).transpose(0, 2, 4, 1, 3, 5)
    wanted = by_block.reshape(x, y, z, r**3)
    corner, weights, values = _of_network(network.tiles, lr, region, wanted)
    # Interpolation reaches farther than a small network.
    halo = TRICUBIC_HALO + 1
    spans = [
        slice(min(c, max(0, a - halo)), max(c + k, min(n, b + halo)))
        for c, a, b, k, n in zip(corner, first, last, weights.shape, lr.grid.shape, strict=True)
    ]
    start, hidden, measured = (
        _outer([part[span] for part, span in zip(parts, spans, strict=True)])
        for parts in zip(*((i.start, i.hidden, i.measured) for i in lines), strict=True)
    )
    total = start - hidden + measured
    inner = tuple(
        slice(at - span.start, at - span.start + k)
        for at, span, k in zip(corner, spans, weights.shape, strict=True)
    )
    total[inner] += weights
    data = lr.data[tuple(spans)].astype(np.float64)
    interpolated, consistency = ((w * data).sum() for w in (start, measured - hidden))
    blocks = values.reshape(x, y, z, r, r, r).transpose(0, 3, 1, 4, 2, 5).reshape(own.shape)
    change = float((own * blocks).sum())
    consistency -= float((again * blocks).sum())
    i, j, k = (span.start for span in spans)
    return (i, j, k), total, (float(interpolated), change, float(consistency))


@dataclass(frozen=True, eq=False)
class _Line:
    """Weights along one axis for a voxel of the output.

    Attributes
    ----------
    span : (first, stop)
        Low-resolution voxels whose blocks ``own`` and ``again`` hold.
    own, again : ndarray of float64
        Of the output's voxels: the voxel itself, and what consistency subtracts.
    start, hidden, measured : (n,) ndarray of float64
        Of the scan's voxels: interpolation, its part that consistency subtracts, and what
        consistency adds.
    """

    span: tuple[int, int]
    own: Matrix
    again: Matrix
    start: Matrix
    hidden: Matrix
    measured: Matrix

    @classmethod
    def of(cls, method: Consistent, lr: Volume, axis: int, voxel: int) -> _Line:
        """Return the weights of a voxel along an axis."""
        n, r = lr.grid.shape[axis], round(method.scale[axis])
        degrade, spread = method.operators(lr, axis)
        spline = spline_operator(n, r).dense(n) @ prefilter_operator(n).dense(n)
        measured = spread.rows(voxel, voxel + 1).dense(n)[0].astype(np.float64)
        again = measured @ degrade.dense(n * r)
        own = np.zeros(n * r)
        own[voxel] = 1.0
        used = np.flatnonzero(own + np.abs(again))
        low, high = int(used[0]) // r, int(used[-1]) // r + 1
        part = slice(low * r, high * r)
        return cls((low, high), own[part], again[part], spline[voxel], again @ spline, measured)


def _outer(lines: Sequence[Matrix]) -> Matrix:
    """Return the products of weights along x, y and z."""
    x, y, z = lines
    return x[:, None, None] * y[:, None] * z


def _of_network(
    tiles: Tiles, lr: Volume, region: Region, wanted: Matrix
) -> tuple[Shape, Matrix, Matrix]:
    """Carry the weights of a region's coefficients back to the scan.

    Parameters
    ----------
    tiles : Tiles
    lr : Volume
    region : Region
        Low-resolution voxels.
    wanted : (*region.shape, order) ndarray of float64
        Weights of their coefficients.

    Returns
    -------
    corner : tuple of int
        First voxel of the weights.
    weights : (a, b, c) ndarray of float64
        Of the voxels within the halo of the region.
    coefficients : (*region.shape, order) ndarray of float64
    """
    halo = tiles.network.halo
    weights, coefficients = np.zeros(lr.grid.shape), np.zeros(wanted.shape)
    for box, known in tiles.covering(lr, region):
        common = box.intersection(region)
        coefficients[common.within(region).slices] = known[common.within(box).slices]
        given = tiles.inputs(lr, box)
        seen = common.intersection(given.box)
        if 0 in seen.shape:
            continue  # background of zeros
        expected = known[seen.within(box).slices].astype(np.float64)
        asked = wanted[seen.within(region).slices]
        found = _backward(tiles.network, given, seen.within(given.box), asked, expected)
        weights[given.box.slices] += found.transpose(1, 2, 0)
    starts = [max(0, n - halo) for n in region.start]
    near = tuple(slice(a, b + halo) for a, b in zip(starts, region.stop, strict=True))
    return (starts[0], starts[1], starts[2]), weights[near], coefficients


def _backward(
    network: NetworkFile, given: TileInputs, place: Region, wanted: Matrix, expected: Matrix
) -> FloatArray:
    """Return the weights of a tile's input, from a crop around the place if that suffices."""
    gradient, sizes = gradient_of(network), given.image.shape[2:]
    step, found = gradient.stride, np.zeros(sizes, np.float32)
    # In the order of the network: slices, rows, columns.
    firsts, lasts = ([ends[2], ends[0], ends[1]] for ends in (place.start, place.stop))
    for reach in (network.halo, max(sizes)):
        starts = [max(0, first - reach) // step * step for first in firsts]
        ends = [
            min(n, a + -(-(last + reach - a) // step) * step)
            for n, a, last in zip(sizes, starts, lasts, strict=True)
        ]
        box = tuple(slice(a, b) for a, b in zip(starts, ends, strict=True))
        at = (0, slice(None)) + tuple(
            slice(first - a, last - a) for first, last, a in zip(firsts, lasts, starts, strict=True)
        )

        def weigh(output: FloatArray, at: tuple[int | slice, ...] = at) -> FloatArray:
            weights = np.zeros_like(output)
            weights[at] = wanted.transpose(3, 2, 0, 1)
            return weights

        image = np.ascontiguousarray(given.image[0, 0][box])[None, None]
        output, weights = gradient(image, given.told, weigh)
        same = output[at].transpose(2, 3, 1, 0)
        if np.abs(same - expected).max() <= _SAME * max(1.0, np.abs(expected).max()):
            break
    found[box] = weights[0, 0]
    return found
