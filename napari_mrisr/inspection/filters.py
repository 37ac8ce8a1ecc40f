"""A bucket's filter as a cube of weights: turned, in planes, its frequency response."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.bank.hashing import ELEMENTS, element_offsets, phase_table
from napari_mrisr.bank.model import Stage
from napari_mrisr.core.scale import Scale
from napari_mrisr.core.volume import FloatArray, Shape
from napari_mrisr.errors import ParameterError, explain

Planes = tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.floating]]

FREQUENCIES = np.linspace(-0.5, 0.5, 33)
"""Where responses are drawn, cycles a voxel of the stage's grid."""


def canonical_filter(stage: Stage, bucket: int, output: int = 0) -> FloatArray | None:
    """A bucket's weights in canonical orientation, as the patch's raw values meet them.

    A residual filter sees the patch less its center, and so takes the sum of its
    weights from the center's. Here that is done: the weights of a residual filter
    sum to zero, and it is what is added to the voxel.

    Parameters
    ----------
    stage : Stage
    bucket : int
    output : int
        Canonical sub-voxel phase, for a stage of cells.

    Returns
    -------
    (width, width, width) ndarray of float32 or None
        None for the flat bucket, which has no filter.

    Raises
    ------
    ParameterError
        When there is no such bucket or output.
    """
    _check(stage, bucket, output)
    if bucket == stage.spec.hash.filter_count:
        return None
    weights = stage.weights[bucket, :, output].astype(np.float64)
    if stage.spec.residual:
        weights[weights.size // 2] -= weights.sum()
    width = stage.spec.width
    return weights.reshape(width, width, width).astype(np.float32)


def _check(stage: Stage, bucket: int, output: int) -> None:
    counts = {"bucket": stage.spec.hash.bucket_count, "output": stage.weights.shape[2]}
    for (name, count), number in zip(counts.items(), (bucket, output), strict=True):
        if not 0 <= number < count:
            raise ParameterError(explain(name, str(number), f"give 0 to {count - 1}"))


def turned(cube: FloatArray, element: int) -> FloatArray:
    """A canonical cube along the volume's axes, as a voxel of that symmetry meets it.

    Parameters
    ----------
    cube : (n, n, n) ndarray
        Canonical, n odd.
    element : int
        Index into :data:`napari_mrisr.bank.hashing.ELEMENTS`.
    """
    out = np.empty(cube.size, cube.dtype)
    out[_places(cube.shape[0])[element]] = cube.reshape(-1)
    return out.reshape(cube.shape)


@functools.lru_cache(maxsize=8)
def _places(width: int) -> NDArray[np.int64]:
    """Flat index, in a cube along the volume's axes, of each canonical tap."""
    return element_offsets(width, (width**2, width, 1)) + width**3 // 2


def output_at(scale: Scale, element: int, position: Shape) -> int:
    """The canonical output of a cell stage that goes to a sub-voxel position.

    Parameters
    ----------
    scale : tuple of int
    element : int
        The low-resolution voxel's symmetry.
    position : tuple of int
        Steps from the cell's first voxel, 0 to scale − 1 an axis.
    """
    return int(phase_table(scale)[element, np.ravel_multi_index(position, scale)])


def central_planes(cube: FloatArray) -> Planes:
    """The planes through the middle across the last, second and first axis."""
    c = cube.shape[0] // 2
    return cube[:, :, c], cube[:, c, :], cube[c, :, :]


def response_planes(cube: FloatArray, at: NDArray[np.float64] = FREQUENCIES) -> Planes:
    """Central planes of a filter's frequency response, magnitudes.

    |Σ w(u) exp(−2πi f·u)| with f zero along one axis (the last, second, first).

    Parameters
    ----------
    cube : (n, n, n) ndarray
        Weights.
    at : (m,) ndarray
        Frequencies along both axes, cycles a voxel.

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
    """A filter ready to be drawn.

    Attributes
    ----------
    bucket, output : int
        Whose; see :func:`canonical_filter`.
    element : int or None
        Symmetry of the voxel it is turned to; None for canonical orientation.
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
        """A bucket's filter, canonical or turned to a voxel's symmetry."""
        cube = canonical_filter(stage, bucket, output)
        if cube is not None and element is not None:
            cube = turned(cube, element)
        return cls(bucket, output, element, cube)

    @functools.cached_property
    def planes(self) -> Planes:
        """Weights in the three central planes."""
        assert self.cube is not None
        return central_planes(self.cube)

    @functools.cached_property
    def response(self) -> Planes:
        """Magnitudes of the frequency response in its three central planes."""
        assert self.cube is not None
        return response_planes(self.cube)


def element_text(element: int) -> str:
    """Where the canonical axes lie: ``1 → −y, 2 → +x, 3 → +z``."""
    permutation, signs = ELEMENTS[element]
    pairs = zip(permutation, signs, strict=True)
    axes = [f"{'+' if sign > 0 else '−'}{'xyz'[axis]}" for axis, sign in pairs]
    return ", ".join(f"{number} → {axis}" for number, axis in enumerate(axes, 1))
