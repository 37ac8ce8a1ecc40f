"""Predictors of the expected error.

Of a bank: the last stage's bucket, strength and detail; those of the low-resolution voxel if
the last stage is one of cells. Of a network: change and detail.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.bank.model import FilterBank
from napari_mrisr.core.scale import RealScale
from napari_mrisr.core.volume import FloatArray, Region, Shape
from napari_mrisr.kernels import cpu_hash
from napari_mrisr.operators.gradients import tensor_box


@dataclass(frozen=True, eq=False)
class Predictors:
    """Predictors of every voxel of a region.

    Attributes
    ----------
    bucket : ndarray of int32
        Bucket of the last stage.
    strength : ndarray of float32
        Root of the trace of the last stage's structure tensor, engine units per voxel.
    detail : ndarray of float32
        See :func:`napari_mrisr.bank.calibration.detail_of`.
    """

    bucket: NDArray[np.int32]
    strength: FloatArray
    detail: FloatArray


def before_last(bank: FilterBank) -> FilterBank:
    """Return the bank without its last stage; its result is what the last stage hashes."""
    return replace(bank, stages=bank.stages[:-1], calibration=None)


def hashes_cells(bank: FilterBank) -> bool:
    """Return True if the last stage hashes low-resolution voxels."""
    return bank.stages[-1].spec.grid == "cell"


def predict_from(
    bank: FilterBank,
    source: FloatArray,
    corner: Shape,
    shape: Shape,
    detail: FloatArray,
    box: Region,
) -> Predictors:
    """Compute the predictors of a box.

    Parameters
    ----------
    bank : FilterBank
    source : ndarray of float32
        What the last stage hashes: the result of the stages before, or the low-resolution
        volume for a stage of cells. On ``box`` and the reach of the last hash around it; it
        starts at ``corner`` of the whole, whose shape is ``shape``.
    corner, shape : tuple of int
    detail : (x, y, z) ndarray of float32
        Of the whole low-resolution volume.
    box : Region
        Output voxels.
    """
    spec, seen = bank.stages[-1].spec.hash, box
    if hashes_cells(bank):
        start = [a // s for a, s in zip(box.start, bank.scale, strict=True)]
        stop = [-(-b // s) for b, s in zip(box.stop, bank.scale, strict=True)]
        seen = Region((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))
    tensor, smooth = tensor_box(source, corner, shape, seen, spec.window)
    if spec.anchors is None:
        bucket, _ = cpu_hash.hash_voxels(tensor, smooth, seen.start, spec.code)
    else:
        bucket, _ = spec.hash_box(source, corner, shape, seen)
    trace = (tensor[0] + tensor[3] + tensor[5])[1:-1, 1:-1, 1:-1]
    strength = np.sqrt(np.maximum(trace, 0.0))
    if hashes_cells(bank):
        ranges = zip(box.start, box.stop, bank.scale, seen.start, strict=True)
        index = np.ix_(*(np.arange(a, b) // s - first for a, b, s, first in ranges))
        bucket, strength = bucket[index], strength[index]
    return Predictors(bucket, strength, at_cells(detail, bank.scale, box))


def at_cells(lr: FloatArray, scale: RealScale, box: Region) -> FloatArray:
    """Return the value of the low-resolution voxel of each output voxel of a box."""
    index = [
        np.minimum(((np.arange(a, b) + 0.5) / s).astype(np.intp), n - 1)
        for a, b, s, n in zip(box.start, box.stop, scale, lr.shape, strict=True)
    ]
    return lr[np.ix_(*index)]


CHANGE_SIGMA = 1.0
"""Standard deviation of the Gaussian that averages change, in voxels of a factor of 2 or less."""

CHANGE_REACH = 3
"""Voxels that the average reads on each side, along an axis of factor 1."""


def change_of(result: FloatArray, interpolated: FloatArray, scale: RealScale) -> FloatArray:
    """Compute the local root mean square of what a method adds to interpolation.

    Parameters
    ----------
    result, interpolated : (x, y, z) ndarray of float32
        Engine units.
    scale : tuple of float
        Factor of each axis. The average is over half a low-resolution voxel, and one voxel
        at least.

    Returns
    -------
    (x, y, z) ndarray of float32
    """
    from scipy import ndimage

    sigma = [max(CHANGE_SIGMA, factor / 2.0) for factor in scale]
    energy = ndimage.gaussian_filter(
        np.square(result - interpolated), sigma, mode="mirror", truncate=3.0
    )
    return np.asarray(np.sqrt(np.maximum(energy, 0.0)), dtype=np.float32)
