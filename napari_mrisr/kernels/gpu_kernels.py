"""Calls of the kernels of the folder ``cuda`` with arrays of a machine.

Documented in :mod:`napari_mrisr.kernels.reference`. Arrays have fewer than 2³¹ values per
component, because kernels count in 32 bits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.kernels.hash_tables import HashTables
from napari_mrisr.kernels.machine import Array, Machine, int32

Shape = tuple[int, int, int]
Rows = tuple[NDArray[np.int64], NDArray[np.float32]]

_EIGHT = 8
_FOUR = 4


def take_box(machine: Machine, source: Array, index: Sequence[NDArray[np.int64]]) -> Array:
    """Return ``source[np.ix_(*index)]``.

    Parameters
    ----------
    machine : Machine
    source : (sx, sy, sz) array of float32
    index : sequence of three (n,) ndarray of int
        Voxels along each axis, on the host.
    """
    shape = tuple(i.size for i in index)
    out = machine.xp.empty(shape, np.float32)
    arguments = [
        machine.xp.ascontiguousarray(source),
        *int32(*source.shape[1:]),
        *(machine.xp.asarray(i.astype(np.int32)) for i in index),
        *int32(*shape),
        out,
    ]
    machine.launch("rows.take_box", out.size, arguments)
    return out


def apply_rows(
    machine: Machine,
    array: Array,
    first: NDArray[np.int64],
    taps: NDArray[np.float32],
    axis: int,
) -> Array:
    """Apply a banded matrix; see :func:`napari_mrisr.kernels.reference.apply_rows`.

    ``array`` may have more axes in front, which ``axis`` counts; they are computed one by
    one. ``first`` and ``taps`` are on the host.
    """
    array = machine.xp.ascontiguousarray(array)
    x, y, z = array.shape[-3:]
    parts = array.size // (x * y * z)
    lines = int(np.prod(array.shape[array.ndim - 3 : axis], dtype=np.int64))
    inner = int(np.prod(array.shape[axis + 1 :], dtype=np.int64))
    shape = (*array.shape[:axis], first.size, *array.shape[axis + 1 :])
    out = machine.xp.empty(shape, np.float32)
    arguments = [
        array,
        machine.xp.asarray(first.astype(np.int32)),
        machine.xp.asarray(np.ascontiguousarray(taps.T)),
        *int32(lines, array.shape[axis], inner, *taps.shape),
        out,
    ]
    machine.launch("rows.apply_rows", out.size // parts, arguments, parts=parts)
    return out


def gradient_products(machine: Machine, array: Array) -> Array:
    """Compute :func:`napari_mrisr.kernels.reference.gradient_products`, then the voxels.

    Returns
    -------
    (7, nx - 2, ny - 2, nz - 2) array of float32
    """
    shape = tuple(n - 2 for n in array.shape)
    out = machine.xp.empty((7, *shape), np.float32)
    machine.launch("rows.gradient_products", out[0].size, [array, *int32(*shape), out])
    return out


def voxel_features(machine: Machine, tensor: Array, smooth: Array) -> Array:
    """Compute features; see :func:`napari_mrisr.kernels.reference.voxel_features`."""
    shape = tuple(n - 2 for n in smooth.shape)
    out = machine.xp.empty((*shape, 8), np.float32)
    machine.launch("hash.voxel_features", out[..., 0].size, [tensor, smooth, *int32(*shape), out])
    return out


def put_code(machine: Machine, code: HashTables) -> HashTables:
    """Return the hash tables on the machine."""
    return code._replace(
        cuts=machine.xp.asarray(code.cuts),
        counts=machine.xp.asarray(code.counts.astype(np.int32)),
        phase=machine.xp.asarray(code.phase.astype(np.int32)),
    )


def hash_voxels(
    machine: Machine, tensor: Array, smooth: Array, origin: Shape, code: HashTables
) -> tuple[Array, Array]:
    """Hash voxels with tables by :func:`put_code`; see ``kernels.reference.hash_voxels``."""
    shape = tuple(n - 2 for n in smooth.shape)
    bucket = machine.xp.empty(shape, np.int32)
    element = machine.xp.empty(shape, np.uint8)
    arguments = [
        tensor,
        smooth,
        *int32(*shape, *origin),
        code.cuts,
        np.int32(code.cuts.shape[1]),
        code.counts,
        np.int32(code.symmetry),
        np.float32(code.flat),
        *int32(*code.scale),
        code.phase,
        bucket,
        element,
    ]
    machine.launch("hash.hash_voxels", bucket.size, arguments)
    return bucket, element


def put_voxel_weights(machine: Machine, weights: NDArray[np.float32], width: int) -> Array:
    """Return filters (filters, taps) in the layout of :func:`filter_voxels`: planes of fours."""
    planes = weights.reshape(-1, width, width**2)
    return machine.xp.asarray(np.pad(planes, ((0, 0), (0, 0), (0, -(width**2) % _FOUR))))


def filter_voxels(
    machine: Machine,
    source: Array,
    bucket: Array,
    element: Array,
    weights: Array,
    *,
    centered: bool,
    add: bool = False,
    low: float = -np.inf,
) -> Array:
    """Filter voxels; see :func:`napari_mrisr.kernels.reference.filter_voxels`.

    Parameters
    ----------
    machine : Machine
    source, bucket, element
        As in the reference.
    weights : array
        By :func:`put_voxel_weights`.
    centered : bool
        As in the reference.
    add : bool
        Add the voxels themselves.
    low : float
        Lower limit of the result.
    """
    out = machine.xp.empty(bucket.shape, np.float32)
    filters, width, _ = weights.shape
    arguments = [
        source,
        bucket,
        element,
        *int32(*bucket.shape),
        weights,
        *int32(filters, centered, add),
        np.float32(low),
        out,
    ]
    machine.launch("filter.filter_voxels", out.size, arguments, width=width)
    return out


def filter_cells(
    machine: Machine,
    source: Array,
    bucket: Array,
    element: Array,
    places: NDArray[np.int64],
    weights: Array,
    width: int,
    scale: Shape,
    out: Array,
    *,
    low: float = -np.inf,
) -> None:
    """Filter voxels; see :func:`napari_mrisr.kernels.reference.filter_cells`.

    Parameters
    ----------
    machine : Machine
    source, bucket, element
        As in the reference.
    places : (48, outputs) ndarray of int
        As in the reference, on the host.
    weights : (filters, taps, outputs padded to a multiple of eight) array of float32
    width : int
        Patch width.
    scale, out
        As in the reference.
    low : float
        Lower limit of changed voxels.
    """
    arguments = [
        source,
        bucket,
        element,
        *int32(*bucket.shape),
        machine.xp.asarray(places.astype(np.int32)),
        np.int32(places.shape[1]),
        weights,
        np.int32(weights.shape[0]),
        *int32(*scale),
        np.float32(low),
        out,
    ]
    groups = weights.shape[2] // _EIGHT
    machine.launch("filter.filter_cells", bucket.size, arguments, parts=groups, width=width)


def gather(
    machine: Machine, source: Array, base: Array, element: Array, offsets: Array, centered: bool
) -> Array:
    """Gather patches; see :func:`napari_mrisr.kernels.reference.gather`; int32 offsets."""
    taps = offsets.shape[1]
    out = machine.xp.empty((base.size, taps), np.float32)
    arguments = [
        source,
        base,
        element,
        np.int32(base.size),
        offsets,
        *int32(taps, centered),
        out,
    ]
    machine.launch("filter.gather", out.size, arguments)
    return out
