"""Symmetries of the cube: how patches and sub-voxel phases turn."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.scale import Scale
from napari_mrisr.core.volume import Shape

PERMUTATIONS = tuple(itertools.permutations(range(3)))
SIGNS = tuple(itertools.product((1, -1), repeat=3))

ELEMENTS: tuple[tuple[tuple[int, int, int], tuple[int, int, int]], ...] = tuple(
    (permutation, signs)  # type: ignore[misc]
    for permutation in PERMUTATIONS
    for signs in SIGNS
)
"""The cube's 48 symmetries: canonical axis i lies along ``sign[i]`` times the volume's
axis ``permutation[i]``. The identity is element 0."""


def patch_offsets(shape: Shape) -> NDArray[np.int64]:
    """Return offsets of a patch's voxels from its center, ``(taps, 3)``, z fastest."""
    steps = [np.arange(width) - width // 2 for width in shape]
    return np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3)


def element_offsets(shape: Shape, strides: tuple[int, int, int]) -> NDArray[np.int64]:
    """Return the offset of each canonical tap in a flat array, for each symmetry.

    Parameters
    ----------
    shape : tuple of int
        Canonical patch.
    strides : tuple of int
        Elements from one voxel to the next along x, y, z.

    Returns
    -------
    (48, taps) ndarray of int64
    """
    canonical = patch_offsets(shape)
    table = np.empty((len(ELEMENTS), canonical.shape[0]), np.int64)
    for row, (permutation, signs) in zip(table, ELEMENTS, strict=True):
        row[:] = (canonical * signs) @ np.array([strides[axis] for axis in permutation])
    return table


def phase_offsets(scale: Scale) -> NDArray[np.int64]:
    """Return the phase (position in the low-resolution voxel) of each canonical phase.

    Returns
    -------
    (48, prod(scale), 3) ndarray of int64
        For each symmetry and canonical phase, steps from the voxel's corner
        along x, y, z. For factors that differ, symmetries that would swap such
        axes are unused; their rows hold the identity's permutation.
    """
    phases = np.stack(np.meshgrid(*[np.arange(s) for s in scale], indexing="ij"), -1)
    centered = 2 * phases.reshape(-1, 3) - (np.array(scale) - 1)
    table = np.empty((len(ELEMENTS), centered.shape[0], 3), np.int64)
    for row, (permutation, signs) in zip(table, ELEMENTS, strict=True):
        if [scale[axis] for axis in permutation] != list(scale):
            permutation = (0, 1, 2)
        for i, axis in enumerate(permutation):
            row[:, axis] = (centered[:, i] * signs[i] + scale[axis] - 1) // 2
    return table


def phase_table(scale: Scale) -> NDArray[np.int64]:
    """Return the canonical phase of each phase per symmetry, ``(48, prod(scale))``."""
    offsets = phase_offsets(scale) @ np.array([scale[1] * scale[2], scale[2], 1])
    return np.argsort(offsets, axis=1)
