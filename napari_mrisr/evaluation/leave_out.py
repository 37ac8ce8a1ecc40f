"""Leave out every second slice of a scan, to predict it from the others.

A scan with thick slices has no truth along its thick axis, but a slice that a method did not see
is one. Slices 0, 2, 4 ... are kept. They are twice as far apart as before and as thick as
before, so gaps lie between them. A method at factor 2 divides each kept slice into two voxels
over the same field of view; their centers are a quarter of the kept slices' distance away from
that slice's center, and the center of a left-out slice is the midpoint between two of
them. :func:`at_left_out` interpolates there by a cubic B-spline, for every method alike. For the
method nearest this means half of each neighboring slice.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_mrisr.core.volume import Grid, Volume
from napari_mrisr.operators.interpolate import prefilter_operator, sample_operator


def split_slices(volume: Volume, axis: int) -> tuple[Volume, Volume]:
    """Return the kept slices and the left-out ones between them.

    Parameters
    ----------
    volume : Volume
        Scan of at least three slices.
    axis : int
        Axis across the slices.

    Returns
    -------
    kept, left_out : Volume
        Slices 0, 2, 4 ..., and 1, 3, 5 ... up to the last that lies between two kept ones.
    """
    kept = -(-volume.grid.shape[axis] // 2)
    return _every_second(volume, axis, 0, kept), _every_second(volume, axis, 1, kept - 1)


def _every_second(volume: Volume, axis: int, start: int, count: int) -> Volume:
    index = [slice(None)] * 3
    index[axis] = slice(start, start + 2 * count - 1, 2)
    data = volume.data[tuple(index)]
    affine = volume.grid.affine.copy()
    affine[:3, 3] += start * affine[:3, axis]
    affine[:3, axis] *= 2.0
    x, y, z = data.shape
    return replace(volume, data=data, grid=Grid((x, y, z), affine, volume.grid.units))


def at_left_out(result: Volume, axis: int, left_out: Grid) -> Volume:
    """Interpolate a result at factor 2 at the centers of the left-out slices.

    Parameters
    ----------
    result : Volume
        Kept slices, super-resolved by 2 along ``axis``.
    axis : int
        Axis across the slices.
    left_out : Grid
        Grid of the left-out slices of :func:`split_slices`.
    """
    n = result.grid.shape[axis]
    # Voxel j of the result lies at slice j - 1/2 of the scan.
    position = 2.0 * np.arange(left_out.shape[axis], dtype=np.float64) + 1.5
    coefficients = prefilter_operator(n).apply(result.data, axis)
    return replace(
        result, data=sample_operator(n, position).apply(coefficients, axis), grid=left_out
    )
