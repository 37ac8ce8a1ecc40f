"""What the expected error is read off: the last stage's bucket, strength and detail."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.bank.model import FilterBank
from napari_mrisr.core.scale import Scale
from napari_mrisr.core.volume import FloatArray, Region, Shape
from napari_mrisr.kernels import cpu_hash
from napari_mrisr.operators.gradients import tensor_box


@dataclass(frozen=True, eq=False)
class Predictors:
    """At every voxel of a region.

    Attributes
    ----------
    bucket : ndarray of int32
        Of the last stage.
    strength : ndarray of float32
        Root of the trace of the last stage's structure tensor, engine units a voxel.
    detail : ndarray of float32
        See :func:`napari_mrisr.bank.calibration.detail_of`.
    """

    bucket: NDArray[np.int32]
    strength: FloatArray
    detail: FloatArray


def before_last(bank: FilterBank) -> FilterBank:
    """The bank without its last stage, whose result the last stage hashes."""
    return replace(bank, stages=bank.stages[:-1], calibration=None)


def predict_from(
    bank: FilterBank,
    image: FloatArray,
    corner: Shape,
    shape: Shape,
    detail: FloatArray,
    box: Region,
) -> Predictors:
    """Predictors of a box.

    Parameters
    ----------
    bank : FilterBank
        Its last stage works on voxels.
    image : ndarray of float32
        What the stages before make of the volume, of ``box`` and the last
        hash's reach around it; it begins at ``corner`` of the output, whose
        shape is ``shape``.
    corner, shape : tuple of int
    detail : (x, y, z) ndarray of float32
        Of the whole low-resolution volume.
    box : Region
        Output voxels.
    """
    spec = bank.stages[-1].spec.hash
    tensor, smooth = tensor_box(image, corner, shape, box, spec.window)
    bucket, _ = cpu_hash.hash_voxels(tensor, smooth, box.start, spec.code)
    trace = (tensor[0] + tensor[3] + tensor[5])[1:-1, 1:-1, 1:-1]
    strength = np.sqrt(np.maximum(trace, 0.0))
    return Predictors(bucket, strength, at_cells(detail, bank.scale, box))


def at_cells(lr: FloatArray, scale: Scale, box: Region) -> FloatArray:
    """The value of its low-resolution voxel at each output voxel of a box."""
    index = [np.arange(a, b) // s for a, b, s in zip(box.start, box.stop, scale, strict=True)]
    return lr[np.ix_(*index)]
