"""The filter of a bucket: weights, planes, frequency response, and output at one voxel."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.bank.model import Stage
from napari_mrisr.bank.symmetries import ELEMENTS, element_offsets, phase_offsets, phase_table
from napari_mrisr.core.scale import Scale
from napari_mrisr.core.volume import FloatArray, Region, Shape
from napari_mrisr.errors import ParameterError, explain
from napari_mrisr.inspection.maps import feature_values
from napari_mrisr.inspection.source import StageInput
from napari_mrisr.kernels import cpu_hash
from napari_mrisr.methods.hashed import padded
from napari_mrisr.operators.gradients import tensor_box

Planes = tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.floating]]

FREQUENCIES = np.linspace(-0.5, 0.5, 33)
"""Frequencies of the drawn responses, cycles per voxel of the stage's grid."""


def canonical_filter(stage: Stage, bucket: int, output: int = 0) -> FloatArray | None:
    """Return a bucket's filter in canonical orientation, for the raw values of a patch.

    A residual filter is applied to the patch minus its center. The returned weights
    include that: for a residual filter they sum to zero, and the filter's output is
    added to the voxel.

    Parameters
    ----------
    stage : Stage
    bucket : int
    output : int
        Canonical sub-voxel phase, for a cell stage.

    Returns
    -------
    ndarray of float32, of the patch's shape, or None
        None for the flat bucket, which has no filter.

    Raises
    ------
    ParameterError
        If there is no such bucket or output.
    """
    _check(stage, bucket, output)
    if bucket == stage.spec.hash.filter_count:
        return None
    weights = stage.weights[bucket, :, output].astype(np.float64)
    if stage.spec.residual:
        weights[weights.size // 2] -= weights.sum()
    return weights.reshape(stage.spec.shape).astype(np.float32)


def _check(stage: Stage, bucket: int, output: int) -> None:
    counts = {"bucket": stage.spec.hash.bucket_count, "output": stage.weights.shape[2]}
    for (name, count), number in zip(counts.items(), (bucket, output), strict=True):
        if not 0 <= number < count:
            raise ParameterError(explain(name, str(number), f"give 0 to {count - 1}"))


def reorient(cube: FloatArray, element: int) -> FloatArray:
    """Turn a canonical patch to the volume's axes for a voxel with that symmetry.

    Parameters
    ----------
    cube : (x, y, z) ndarray
        Canonical patch of odd widths; equal ones along axes that the symmetry swaps.
    element : int
        Index into :data:`napari_mrisr.bank.symmetries.ELEMENTS`.
    """
    out = np.empty(cube.size, cube.dtype)
    x, y, z = cube.shape
    out[_tap_indices((x, y, z))[element]] = cube.reshape(-1)
    return out.reshape(cube.shape)


@functools.lru_cache(maxsize=8)
def _tap_indices(shape: Shape) -> NDArray[np.int64]:
    """Return the flat index of each canonical tap in a patch along the volume's axes."""
    x, y, z = shape
    return element_offsets(shape, (y * z, z, 1)) + x * y * z // 2


def output_at(scale: Scale, element: int, position: Shape) -> int:
    """Return the canonical output of a cell stage for a sub-voxel position.

    Parameters
    ----------
    scale : tuple of int
    element : int
        Symmetry of the low-resolution voxel.
    position : tuple of int
        Steps from the cell's first voxel, 0 to scale − 1 per axis.
    """
    return int(phase_table(scale)[element, np.ravel_multi_index(position, scale)])


def central_planes(cube: FloatArray) -> Planes:
    """Return the central planes perpendicular to the last, second and first axis."""
    a, b, c = (n // 2 for n in cube.shape)
    return cube[:, :, c], cube[:, b, :], cube[a, :, :]


def response_planes(cube: FloatArray, at: NDArray[np.float64] = FREQUENCIES) -> Planes:
    """Return central planes of a filter's frequency response (magnitude).

    |Σ w(u) exp(−2πi f·u)|, with f zero along the last, second or first axis.

    Parameters
    ----------
    cube : (n, n, n) ndarray
        Weights.
    at : (m,) ndarray
        Frequencies along both axes, cycles per voxel.

    Returns
    -------
    tuple of three (m, m) ndarray
    """
    steps = np.arange(cube.shape[0]) - cube.shape[0] // 2
    wave = np.exp(-2j * np.pi * np.outer(at, steps))
    xy, xz, yz = (
        np.abs(wave @ cube.sum(axis=axis, dtype=np.float64) @ wave.T) for axis in (2, 1, 0)
    )
    return xy, xz, yz


@dataclass(frozen=True, eq=False)
class FilterView:
    """A filter to draw.

    Attributes
    ----------
    bucket, output : int
        See :func:`canonical_filter`.
    element : int or None
        Symmetry of the voxel whose axes the filter has; None for canonical orientation.
    cube : (n, n, n) ndarray of float32 or None
        Weights; None for the flat bucket.
    """

    bucket: int
    output: int
    element: int | None
    cube: FloatArray | None

    @classmethod
    def of(
        cls, stage: Stage, bucket: int, output: int = 0, element: int | None = None
    ) -> FilterView:
        """Return a bucket's filter, canonical or along the axes of a voxel."""
        cube = canonical_filter(stage, bucket, output)
        if cube is not None and element is not None:
            cube = reorient(cube, element)
        return cls(bucket, output, element, cube)

    @functools.cached_property
    def planes(self) -> Planes:
        """Weights in the three central planes."""
        assert self.cube is not None
        return central_planes(self.cube)

    @functools.cached_property
    def response(self) -> Planes:
        """Magnitude of the frequency response in its three central planes."""
        assert self.cube is not None
        return response_planes(self.cube)


def element_text(element: int) -> str:
    """Return the volume axis of each canonical axis, such as ``1 → −y, 2 → +x, 3 → +z``."""
    permutation, signs = ELEMENTS[element]
    pairs = zip(permutation, signs, strict=True)
    axes = [f"{'+' if sign > 0 else '−'}{'xyz'[axis]}" for axis, sign in pairs]
    return ", ".join(f"{number} → {axis}" for number, axis in enumerate(axes, 1))


@dataclass(frozen=True, eq=False)
class VoxelView:
    """Input and output of a stage at one voxel.

    Attributes
    ----------
    index : tuple of int
        x, y, z in the stage's grid.
    intensity : float
        Voxel before the stage, engine units.
    bucket, element : int
        Bucket, and index of the symmetry that makes the patch canonical.
    flat : bool
        True if the voxel has no filter.
    ranges : dict of str to (low, high)
        Ranges of the bucket, as :meth:`napari_mrisr.bank.hashing.HashSpec.decode`.
    values : dict of str to float
        The six features, units as :func:`feature_values`.
    eigenvalues : (3,) ndarray of float32
        λ1 ≥ λ2 ≥ λ3 of the structure tensor, engine units² per voxel².
    direction : (3,) ndarray of float32
        Eigenvector v1, RAS, toward growing gradient energy.
    patch : (width, width, width) ndarray of float32
        Patch around the voxel, along the volume's axes.
    results : ndarray of float32
        Output of the filter, engine units. A cell stage adds it to each sub-voxel,
        shape ``scale``. A voxel stage, shape (1, 1, 1), adds it to the voxel or,
        without residual, replaces the voxel.
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


def inspect_voxel(source: StageInput, index: Shape) -> VoxelView:
    """Inspect one voxel; values equal those of the maps bit for bit.

    Parameters
    ----------
    source : StageInput
    index : tuple of int
        x, y, z in the stage's grid.

    Raises
    ------
    ParameterError
        If the index lies outside the grid.
    """
    if not all(0 <= i < n for i, n in zip(index, source.shape, strict=True)):
        found = f"index {tuple(index)} lies outside the grid"
        last = tuple(n - 1 for n in source.shape)
        raise ParameterError(explain("voxel", found, f"give indices from (0, 0, 0) to {last}"))
    x, y, z = index
    region = Region((x, y, z), (x + 1, y + 1, z + 1))
    spec = source.stage.spec
    box, corner = source.crop_for(region)
    tensor, smooth = tensor_box(box, corner, source.shape, region, spec.hash.window)
    analysis = cpu_hash.voxel_features(tensor, smooth)
    bucket, element = spec.hash.hash_box(box, corner, source.shape, region)
    features = feature_values(analysis[0, 0, 0], spec.hash.symmetry)
    number, symmetry = int(bucket[0, 0, 0]), int(element[0, 0, 0])
    patch = padded(source.image, (0, 0, 0), source.shape, region, spec.shape)
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
    """Return the filter's outputs at their sub-voxel positions."""
    stage = source.stage
    scale = source.bank.scale if stage.spec.grid == "cell" else (1, 1, 1)
    out = np.zeros(scale, np.float32)
    values = patch.astype(np.float64)
    for output, position in enumerate(phase_offsets(scale)[element]):
        cube = canonical_filter(stage, bucket, output)
        if cube is not None:
            out[tuple(position)] = np.vdot(reorient(cube, element), values)
    return out
