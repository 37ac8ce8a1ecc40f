"""Voxels around one voxel, as the engine sees them: mirrored at the volume's edges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.bank.hashing import ELEMENTS, patch_offsets
from napari_mrisr.core.volume import FloatArray, Region, Shape
from napari_mrisr.operators.gradients import Window, mirrored_box
from napari_mrisr.operators.interpolate import mirror_index


@dataclass(frozen=True, eq=False)
class Gradients:
    """Gradients in a window.

    Attributes
    ----------
    vectors : (3, n, n, n) ndarray of float64
        Components along x, y, z by central differences, engine units a voxel.
    weights : (n, n, n) ndarray of float64
        How much each counts; their sum is 1.
    """

    vectors: NDArray[np.float64]
    weights: NDArray[np.float64]

    def tensor(self) -> NDArray[np.float64]:
        """The weighted sum of the vectors' outer products, shape (3, 3)."""
        products = np.einsum("xyz,axyz,bxyz->ab", self.weights, self.vectors, self.vectors)
        return np.asarray(products)


def window_of(
    source: FloatArray, corner: Shape, shape: Shape, voxel: Shape, window: Window
) -> FloatArray:
    """The voxels of a window, shape (n, n, n); parameters as ``tensor_box``."""
    r = window.radius
    return mirrored_box(source, corner, shape, [(n - r, n + r + 1) for n in voxel])


def gradients_at(
    source: FloatArray, corner: Shape, shape: Shape, voxel: Shape, window: Window
) -> Gradients:
    """The gradients whose products the structure tensor averages.

    Beyond the volume's edges the engine takes the *products* of the mirrored
    voxels as they are, so the vectors are those of the mirrored voxels too.
    """
    r = window.radius
    spans = [(max(0, n - r), min(m, n + r + 1)) for n, m in zip(voxel, shape, strict=True)]
    bordered = mirrored_box(source, corner, shape, [(a - 1, b + 1) for a, b in spans])
    bordered = bordered.astype(np.float64)
    vectors = np.stack(
        [
            (np.roll(bordered, -1, axis) - np.roll(bordered, 1, axis))[1:-1, 1:-1, 1:-1] / 2.0
            for axis in range(3)
        ]
    )
    index = [
        np.clip(mirror_index(np.arange(n - r, n + r + 1), m) - a, 0, b - a - 1)
        for n, m, (a, b) in zip(voxel, shape, spans, strict=True)
    ]
    taps = window.taps().astype(np.float64)
    weights = np.einsum("x,y,z->xyz", taps, taps, taps)
    x, y, z = np.ix_(*index)
    return Gradients(vectors[:, x, y, z], weights)


def turned_filter(weights: FloatArray, width: int, element: int) -> FloatArray:
    """A filter for canonical patches, turned to lie over a patch of the volume.

    Parameters
    ----------
    weights : (width**3,) ndarray of float32
        By canonical tap, z fastest.
    width : int
        Of the patch.
    element : int
        The symmetry that makes the patch canonical.

    Returns
    -------
    (width, width, width) ndarray of float32
    """
    permutation, signs = ELEMENTS[element]
    canonical = patch_offsets(width)
    offsets = np.empty_like(canonical)
    offsets[:, list(permutation)] = canonical * signs
    turned = np.empty((width,) * 3, np.float32)
    turned[tuple((offsets + width // 2).T)] = weights
    return turned


def blank_outside(
    read: Callable[[Region], FloatArray], start: Shape, stop: Shape, shape: Shape
) -> FloatArray:
    """The voxels from ``start`` to ``stop`` of a volume; NaN where it does not reach.

    Parameters
    ----------
    read : callable
        Gives any region within the volume.
    start, stop : tuple of int
        Possibly outside.
    shape : tuple of int
        Of the volume.
    """
    x, y, z = (b - a for a, b in zip(start, stop, strict=True))
    found = np.full((x, y, z), np.nan, np.float32)
    low = [max(0, n) for n in start]
    high = [min(n, m) for n, m in zip(stop, shape, strict=True)]
    box = Region((low[0], low[1], low[2]), (high[0], high[1], high[2]))
    inner = tuple(slice(a - o, b - o) for a, b, o in zip(low, high, start, strict=True))
    found[inner] = read(box)
    return found
