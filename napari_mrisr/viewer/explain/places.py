"""From a place in napari's world to an output voxel, and back. No Qt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.scale import Scale
from napari_mrisr.core.volume import Shape
from napari_mrisr.viewer.layers.convert import LayerSnapshot

# Brings (inferior, posterior, left) to RAS+, as our own layers need it.
_OURS = np.array([[2.0, -1.0], [1.0, -1.0], [0.0, -1.0]])


@dataclass(frozen=True, eq=False)
class Places:
    """Where the output voxels of a low-resolution layer lie.

    Attributes
    ----------
    shape : tuple of int
        Of the output, x, y, z.
    orientation : (3, 2) ndarray
        nibabel's; from the layer's axes to x, y, z.
    affine : (4, 4) ndarray
        Index of an output voxel along the layer's axes to napari's world.
    """

    shape: Shape
    orientation: NDArray[np.float64]
    affine: NDArray[np.float64]

    @classmethod
    def of(cls, layer: Any, source: LayerSnapshot, scale: Scale) -> Places:
        """Of the layer and its snapshot, super-resolved by ``scale``."""
        orientation = _OURS if source.orientation is None else source.orientation
        inverse = np.array([scale[int(axis)] for axis in orientation[:, 0]], dtype=float)
        inner = np.diag([*(1.0 / inverse), 1.0])
        # Output index i lies at index (i + 0.5) / s - 0.5 of the layer.
        inner[:3, 3] = 0.5 / inverse - 0.5
        return cls(source.grid.upsampled(scale).shape, orientation, _to_world(layer) @ inner)

    def voxel_at(self, position: Sequence[float]) -> Shape | None:
        """The voxel at a place in the world; None outside. Axes before the last three are left."""
        world = np.array([*position[-3:], 1.0])
        index = np.floor((np.linalg.inv(self.affine) @ world)[:3] + 0.5 + 1e-6).astype(int)
        x, y, z = self._turned(index)
        inside = all(0 <= n < m for n, m in zip((x, y, z), self.shape, strict=True))
        return (x, y, z) if inside else None

    def index_of(self, voxel: Shape) -> NDArray[np.int64]:
        """Index along the layer's axes."""
        own = np.array([self.shape[int(axis)] for axis in self.orientation[:, 0]])
        index = np.array([voxel[int(axis)] for axis in self.orientation[:, 0]])
        return np.where(self.orientation[:, 1] < 0, own - 1 - index, index)

    def world_of(self, voxel: Shape) -> tuple[float, float, float]:
        """The voxel's middle in napari's world."""
        a, b, c = (self.affine @ [*self.index_of(voxel), 1.0])[:3]
        return float(a), float(b), float(c)

    def _turned(self, index: NDArray[np.int64]) -> Shape:
        found = [0, 0, 0]
        for n, (axis, flip) in zip(index, self.orientation, strict=True):
            size = self.shape[int(axis)]
            found[int(axis)] = int(n if flip > 0 else size - 1 - n)
        return found[0], found[1], found[2]


def _to_world(layer: Any) -> NDArray[np.float64]:
    """Index along the layer's last three axes to napari's world, in its own units."""
    zero = np.zeros(layer.ndim)
    origin = np.array(layer.data_to_world(zero), dtype=float)[-3:]
    matrix = np.eye(4)
    for column, axis in enumerate(range(layer.ndim - 3, layer.ndim)):
        step = zero.copy()
        step[axis] = 1.0
        matrix[:3, column] = np.array(layer.data_to_world(step), dtype=float)[-3:] - origin
    matrix[:3, 3] = origin
    return matrix
