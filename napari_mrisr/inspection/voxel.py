"""One voxel of a stage's grid: features, bucket, patch, and what the filter makes of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_mrisr.bank.hashing import phase_offsets
from napari_mrisr.core.volume import FloatArray, Region, Shape
from napari_mrisr.errors import ParameterError, explain
from napari_mrisr.inspection.features import feature_values
from napari_mrisr.inspection.filters import canonical_filter, turned
from napari_mrisr.inspection.source import StageInput
from napari_mrisr.kernels import cpu_hash
from napari_mrisr.methods.hashed import padded
from napari_mrisr.operators.gradients import tensor_box


@dataclass(frozen=True, eq=False)
class VoxelView:
    """What a stage sees at a voxel, and what it does there.

    Attributes
    ----------
    index : tuple of int
        x, y, z in the stage's grid.
    intensity : float
        The voxel before the stage, engine units.
    bucket, element : int
        Bucket id, and index of the symmetry that makes the patch canonical.
    flat : bool
        Whether the voxel has no filter.
    ranges : dict of str to (low, high)
        The bucket's, as :meth:`napari_mrisr.bank.hashing.HashSpec.decode`.
    values : dict of str to float
        All six features, units as :func:`feature_values`.
    eigenvalues : (3,) ndarray of float32
        λ1 ≥ λ2 ≥ λ3 of the structure tensor, squared engine units a squared voxel.
    direction : (3,) ndarray of float32
        v1, RAS, pointed to growing gradient energy.
    patch : (width, width, width) ndarray of float32
        Around the voxel, along the volume's axes.
    results : ndarray of float32
        What the filter gives, engine units: for a stage of cells what is added at
        each sub-voxel position, shape ``scale``; for one of voxels, shape
        (1, 1, 1), what is added to the voxel or, without residual, replaces it.
    """

    index: Shape
    intensity: float
    bucket: int
    element: int
    flat: bool
    ranges: dict[str, tuple[float, float]]
    values: dict[str, float]
    eigenvalues: FloatArray
    direction: FloatArray
    patch: FloatArray
    results: FloatArray


def look(source: StageInput, index: Shape) -> VoxelView:
    """Everything about one voxel; the same bits as in the whole map.

    Parameters
    ----------
    source : StageInput
    index : tuple of int
        x, y, z in the stage's grid.

    Raises
    ------
    ParameterError
        When there is no such voxel.
    """
    if not all(0 <= i < n for i, n in zip(index, source.shape, strict=True)):
        found = f"index {tuple(index)}"
        raise ParameterError(explain("voxel", found, f"stay within {source.shape}"))
    x, y, z = index
    region = Region((x, y, z), (x + 1, y + 1, z + 1))
    spec = source.stage.spec
    box, corner = source.around(region)
    tensor, smooth = tensor_box(box, corner, source.shape, region, spec.hash.window)
    analysis = cpu_hash.voxel_features(tensor, smooth)
    bucket, element = cpu_hash.hash_voxels(tensor, smooth, region.start, spec.hash.code)
    features = feature_values(analysis[0, 0, 0], spec.hash.symmetry)
    number, symmetry = int(bucket[0, 0, 0]), int(element[0, 0, 0])
    patch = padded(source.image, (0, 0, 0), source.shape, region, spec.width)
    return VoxelView(
        index=(x, y, z),
        intensity=float(source.image[x, y, z]),
        bucket=number,
        element=symmetry,
        flat=number == spec.hash.filter_count,
        ranges=spec.hash.decode(number),
        values={name: float(value) for name, value in features.items()},
        eigenvalues=analysis[0, 0, 0, :3],
        direction=analysis[0, 0, 0, 3:6],
        patch=patch,
        results=_results(source, number, symmetry, patch),
    )


def _results(source: StageInput, bucket: int, element: int, patch: FloatArray) -> FloatArray:
    """The filter's outputs where they go, from the weights as they are drawn."""
    stage = source.stage
    scale = source.bank.scale if stage.spec.grid == "cell" else (1, 1, 1)
    out = np.zeros(scale, np.float32)
    values = patch.astype(np.float64)
    for output, position in enumerate(phase_offsets(scale)[element]):
        cube = canonical_filter(stage, bucket, output)
        if cube is not None:
            out[tuple(position)] = np.vdot(turned(cube, element), values)
    return out
