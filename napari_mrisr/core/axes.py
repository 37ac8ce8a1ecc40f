"""Permute the axes of volumes and regions, so that a filter bank fits another slice direction."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np

from napari_mrisr.core.complex_volume import Part
from napari_mrisr.core.scale import RealScale, Scale
from napari_mrisr.core.volume import BoxArray, Number, Region, Volume

Axes = tuple[int, int, int]
"""``axes[i]`` is the axis of the volume that becomes axis ``i``."""

IN_ORDER: Axes = (0, 1, 2)


def axes_between(wanted: RealScale, made_for: Scale) -> Axes | None:
    """Return the permutation that brings a scale into the order of another one.

    Parameters
    ----------
    wanted : tuple of int
        Factors along the volume's axes.
    made_for : tuple of int
        Factors of a filter bank.

    Returns
    -------
    tuple of int or None
        ``wanted[axes[i]] == made_for[i]`` for each ``i``. Of several permutations the
        one that moves fewest axes, then the first in lexical order. None if the
        factors differ.
    """
    orders = ((a, b, c) for a, b, c in itertools.permutations(range(3)))
    fitting = [axes for axes in orders if permute_shape(wanted, axes) == tuple(made_for)]
    return min(fitting, key=lambda axes: sum(a != i for i, a in enumerate(axes)), default=None)


def inverse(axes: Axes) -> Axes:
    """Return the permutation that undoes another one."""
    a, b, c = (axes.index(i) for i in range(3))
    return a, b, c


def permute_shape(
    shape: tuple[Number, Number, Number], axes: Axes
) -> tuple[Number, Number, Number]:
    """Reorder three numbers."""
    return shape[axes[0]], shape[axes[1]], shape[axes[2]]


def permute_region(region: Region, axes: Axes) -> Region:
    """Return the region of the permuted volume."""
    return Region(permute_shape(region.start, axes), permute_shape(region.stop, axes))


def permute_data(data: Any, axes: Axes) -> Any:
    """Permute an ndarray, or the box that a :class:`BoxArray` holds; the result is contiguous."""
    if not isinstance(data, BoxArray):
        return np.ascontiguousarray(data.transpose(axes))
    missing, back = data.missing, inverse(axes)

    def read(region: Region) -> Any:
        assert missing is not None
        return permute_data(missing(permute_region(region, back)), axes)

    return BoxArray(
        permute_data(data.box, axes),
        permute_shape(data.corner, axes),
        permute_shape(data.shape, axes),
        None if missing is None else read,
    )


def permute_volume(volume: Volume, axes: Axes) -> Volume:
    """Return a volume whose axis ``i`` is axis ``axes[i]`` of another one.

    The axes then no longer point to RAS, so only methods may use the result.
    """
    affine = volume.grid.affine[:, [*axes, 3]]
    grid = replace(volume.grid, shape=permute_shape(volume.grid.shape, axes), affine=affine)
    turned = replace(volume, data=permute_data(volume.data, axes), grid=grid)
    if isinstance(turned, Part):
        other = None if turned.other is None else permute_data(turned.other, axes)
        turned = replace(turned, guide=permute_volume(turned.guide, axes), other=other)
    if "extrema" in volume.__dict__:  # of the whole volume, for one that is a crop
        turned.__dict__["extrema"] = volume.extrema
    return turned
