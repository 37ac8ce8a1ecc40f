"""Predictors of the expected error.

Of a bank: the last stage's bucket, strength and detail. Of a network: change and detail.
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


def predict_from(
    bank: FilterBank,
    image: FloatArray,
    corner: Shape,
    shape: Shape,
    detail: FloatArray,
    box: Region,
) -> Predictors:
    """Compute the predictors of a box.

    Parameters
    ----------
    bank : FilterBank
        Its last stage works on voxels.
    image : ndarray of float32
        Result of the stages before, on ``box`` and the reach of the last hash around it;
        it starts at ``corner`` of the output, whose shape is ``shape``.
    corner, shape : tuple of int
    detail : (x, y, z) ndarray of float32
        Of the whole low-resolution volume.
    box : Region
        Output voxels.
    """
    spec = bank.stages[-1].spec.hash
    tensor, smooth = tensor_box(image, corner, shape, box, spec.window)
    if spec.anchors is None:
        bucket, _ = cpu_hash.hash_voxels(tensor, smooth, box.start, spec.code)
    else:
        bucket, _ = spec.hash_box(image, corner, shape, box)
    trace = (tensor[0] + tensor[3] + tensor[5])[1:-1, 1:-1, 1:-1]
    strength = np.sqrt(np.maximum(trace, 0.0))
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
