"""Anchors: another way to choose a filter. A voxel belongs to the nearest of K anchors.

A voxel's patch is made canonical as for hashing, described
(:mod:`napari_mrisr.bank.descriptors`) and projected to a few dimensions, in which the anchors
are points. The nearest one has

- for ``gradients`` and ``phase`` the largest magnitude of the inner product. Anchors have
  length 1, so neither contrast nor swapping bright and dark changes the choice;
- for ``tensor`` the smallest Euclidean distance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.bank.descriptors import Descriptor
from napari_mrisr.core.volume import FloatArray, Region, Shape
from napari_mrisr.errors import BankError, explain
from napari_mrisr.kernels import cpu_anchors
from napari_mrisr.operators.gradients import Window

MOST_NUMBER = 1e6
"""Largest magnitude of a number in a file's anchors."""

_TENSORS = ("projection", "points")
# Voxels described at a time.
_BATCH = 8192


@dataclass(frozen=True, eq=False)
class Anchors:
    """Anchors and the description in which they are points.

    Attributes
    ----------
    descriptor : Descriptor
    projection : (inputs, dimensions) ndarray of float32
    points : (anchors, dimensions) ndarray of float32
    """

    descriptor: Descriptor
    projection: FloatArray
    points: FloatArray

    def __post_init__(self) -> None:
        dimensions = self.projection.shape[1:]
        if self.projection.shape[:1] != (self.descriptor.inputs,) or len(dimensions) != 1:
            found = f"projection {self.projection.shape} of {self.descriptor.inputs} numbers"
            raise BankError(explain("anchors", found, "train the bank again"))
        if self.points.shape[1:] != dimensions or self.points.shape[0] < 1:
            found = f"points {self.points.shape} in {dimensions[0]} dimensions"
            raise BankError(explain("anchors", found, "train the bank again"))
        for name in _TENSORS:
            tensor = getattr(self, name)
            if tensor.dtype != np.float32 or not (np.abs(tensor) <= MOST_NUMBER).all():
                found = f"{name} of {tensor.dtype} with numbers beyond {MOST_NUMBER:g}"
                raise BankError(explain("anchors", found, "train the bank again"))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Anchors)
            and self.descriptor == other.descriptor
            and all(np.array_equal(getattr(self, n), getattr(other, n)) for n in _TENSORS)
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def count(self) -> int:
        """Number of anchors."""
        return int(self.points.shape[0])

    @property
    def euclidean(self) -> bool:
        """True for the Euclidean distance, False for the inner product."""
        return self.descriptor.kind == "tensor"

    @cached_property
    def _columns(self) -> tuple[FloatArray, FloatArray]:
        """Points as columns, and the term that makes a score of them; see the kernel."""
        lengths = np.square(self.points.astype(np.float64)).sum(axis=1)
        offsets = -0.5 * lengths if self.euclidean else np.zeros(self.count)
        return np.ascontiguousarray(self.points.T), offsets.astype(np.float32)

    def nearest(self, rows: FloatArray) -> NDArray[np.int32]:
        """Return the nearest anchor of each description, ``(n, inputs)``."""
        points, offsets = self._columns
        projection = np.ascontiguousarray(self.projection)
        return cpu_anchors.nearest_anchor(rows, projection, points, offsets, not self.euclidean)

    def closeness(self, row: FloatArray) -> NDArray[np.float64]:
        """Return how close each anchor is to a description, ``(inputs,)``.

        Returns
        -------
        (anchors,) ndarray of float64
            The cosine's magnitude, 0 to 1, for the inner product; else the distance.
        """
        values = row.astype(np.float64) @ self.projection
        if self.euclidean:
            return np.asarray(np.linalg.norm(self.points - values, axis=1))
        length = np.linalg.norm(values)
        return np.asarray(np.abs(self.points @ values) / (length if length > 0.0 else 1.0))

    def assign(
        self,
        box: tuple[FloatArray, Shape, Shape],
        region: Region,
        window: Window,
        element: NDArray[np.uint8],
        chosen: NDArray[np.intp],
    ) -> NDArray[np.int32]:
        """Return the nearest anchor of chosen voxels of a region.

        Parameters
        ----------
        box : tuple
            ``source``, ``corner`` and ``shape`` of
            :func:`napari_mrisr.operators.gradients.tensor_box`.
        region, window
            As there.
        element : (x, y, z) ndarray of uint8
            Symmetry that makes each voxel of the region canonical.
        chosen : (n,) ndarray of int
            Flat indices into ``element``.
        """
        image = self.descriptor.prepare(*box, region, window)
        found = np.empty(chosen.size, np.int32)
        for start in range(0, chosen.size, _BATCH):
            part = slice(start, start + _BATCH)
            found[part] = self.nearest(self.descriptor.rows(image, element, chosen[part]))
        return found

    def neighbors(self, count: int) -> NDArray[np.intp]:
        """Return the ``count`` anchors nearest to each anchor, itself first."""
        points, offsets = (part.astype(np.float64) for part in self._columns)
        scores = points.T @ points + offsets
        order = np.argsort(-scores if self.euclidean else -np.abs(scores), axis=1, kind="stable")
        return order[:, :count]

    def tensors(self) -> dict[str, FloatArray]:
        """Return the tensors of a bank's file."""
        return {name: getattr(self, name) for name in _TENSORS}

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON; the tensors are stored apart."""
        return {"features": self.descriptor.kind, "patch": list(self.descriptor.shape)}

    @classmethod
    def read(cls, data: Mapping[str, Any], tensors: Mapping[str, Any], prefix: str) -> Anchors:
        """Read what :meth:`to_json` and :meth:`tensors` wrote, named with a prefix.

        Raises
        ------
        BankError
            If the anchors are impossible.
        """
        x, y, z = (int(width) for width in data["patch"])
        descriptor = Descriptor(str(data["features"]), (x, y, z))
        return cls(descriptor, *(tensors[f"{prefix}{name}"] for name in _TENSORS))
