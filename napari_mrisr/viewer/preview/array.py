"""Array of a result that is being computed, as napari slices it. No Qt, no napari.

The array never waits and never calls anything: it returns the voxels that are computed, and
elsewhere the measured ones, each repeated. The worker thread puts planes in. At first it
keeps single planes only. :meth:`PreviewArray.allocate` makes room for the whole.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.scale import RealScale
from napari_mrisr.core.volume import FloatArray, Volume
from napari_mrisr.errors import VolumeError, explain
from napari_mrisr.operators.interpolate import nearest_operator
from napari_mrisr.run.preview import slab
from napari_mrisr.viewer.layers.geometry import to_display

# Single planes kept before the whole is allocated, or where it does not fit into memory.
PLANES_BYTES = 2**28

PlaneName = tuple[int, int]
"""Axis (0 = x) and index of an output plane."""


class PreviewArray:
    """Result of a volume, indexed (inferior, posterior, left) as napari's layers are.

    Parameters
    ----------
    name : str
        Name of the layer, for errors.
    source : Volume
        Low resolution, in the scan's intensities.
    scale : tuple of float
        Factor of each axis (x, y, z).

    Attributes
    ----------
    volume : Volume or None
        The whole, once it is allocated: computed voxels, and repeated ones elsewhere.
    missing : tuple of (axis, index)
        Planes of the latest slice that were not computed when it was taken.
    """

    dtype = np.dtype(np.float32)
    ndim = 3

    def __init__(self, name: str, source: Volume, scale: RealScale) -> None:
        self.name = name
        self.grid = source.grid.upsampled(scale)
        x, y, z = self.grid.shape
        self.shape = (z, y, x)
        self.size = x * y * z
        self.volume: Volume | None = None
        self.missing: tuple[PlaneName, ...] = ()
        self._source = source
        # Measured voxel to show for each one that is not computed, per axis.
        sizes = zip(source.grid.shape, self.grid.shape, strict=True)
        self._nearest = [nearest_operator(n, m).first for n, m in sizes]
        self._planes: dict[PlaneName, FloatArray] = {}
        self._computed = [np.zeros(n, bool) for n in self.grid.shape]

    # For the worker thread.

    def put(self, axis: int, start: int, values: FloatArray) -> None:
        """Take computed planes.

        Parameters
        ----------
        axis, start : int
            Axis across which they lie (0 = x), and the first one's index.
        values : (x, y, z) ndarray of float32
            In the scan's intensities, whole along the other axes.
        """
        stop = start + values.shape[axis]
        if self.volume is not None:
            self.volume.data[slab(self.grid.shape, axis, start, stop).slices] = values
            self._computed[axis][start:stop] = True
            return
        for index, plane in enumerate(np.moveaxis(values, axis, 0), start):
            self._planes[axis, index] = plane
        # The oldest ones go, but never those that were put in just now.
        while len(self._planes) > max(stop - start, PLANES_BYTES // plane.nbytes):
            self._planes.pop(next(iter(self._planes)))

    def allocate(self) -> None:
        """Make room for the whole result."""
        x, y, z = self._nearest
        whole = np.empty(self.grid.shape, np.float32)
        for index, plane in enumerate(self._source.data):
            start, stop = np.searchsorted(x, [index, index + 1])
            whole[start:stop] = _repeated(plane, y, z)
        history = {"note": f"{self.name}: not finished"}
        self.volume = Volume(whole, self.grid, history=history)
        planes, self._planes = self._planes, {}
        for (axis, index), plane in planes.items():
            self.put(axis, index, np.expand_dims(plane, axis))

    # For any thread.

    def holds(self, plane: PlaneName) -> bool:
        """Return True if a plane is computed."""
        axis, index = plane
        return bool(self._computed[axis][index]) or plane in self._planes

    @property
    def share(self) -> float:
        """Computed part of the whole, 0 to 1."""
        return max(float(computed.mean()) for computed in self._computed)

    @property
    def nbytes(self) -> int:
        """Memory of the voxels that are kept."""
        planes = sum(plane.nbytes for plane in tuple(self._planes.values()))
        return planes if self.volume is None else self.volume.data.nbytes

    def __getitem__(self, key: Any) -> NDArray[np.float32]:
        """Return what any basic index selects."""
        keys = _full(key)
        selected = [_indices(k, n) for k, n in zip(keys, self.shape, strict=True)]
        axis = min(range(3), key=lambda i: len(selected[i]) / self.shape[i])
        few = len(selected[axis]) < self.shape[axis]
        # napari's axes are ours reversed in order and sign.
        last = self.shape[axis] - 1
        names = [(2 - axis, last - index) for index in selected[axis]] if few else []
        self.missing = tuple(name for name in names if not self.holds(name))
        if self.volume is not None:
            return to_display(self.volume.data)[keys]
        if not few:  # 3D: nothing to see before the whole is allocated
            return np.broadcast_to(np.float32(0.0), self.shape)[keys]
        inside: list[Any] = list(keys)
        inside[axis] = slice(None) if isinstance(keys[axis], slice) else 0
        return np.stack([self._plane(name) for name in names], axis)[tuple(inside)]

    def _plane(self, name: PlaneName) -> FloatArray:
        """Return a plane as napari shows it, computed or measured."""
        axis, index = name
        values = self._planes.get(name)
        if values is None:
            measured = np.moveaxis(self._source.data, axis, 0)[self._nearest[axis][index]]
            values = _repeated(measured, *(n for i, n in enumerate(self._nearest) if i != axis))
        return values.T[::-1, ::-1]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Refuse: an unfinished result must not be saved, measured or trained on."""
        remedy = "press Run in Super-resolve first, or wait until it is finished"
        raise VolumeError(explain(self.name, "the preview is not a finished result", remedy))


def _repeated(plane: FloatArray, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> FloatArray:
    return plane.take(rows, axis=0).take(columns, axis=1)


def _full(key: Any) -> tuple[Any, Any, Any]:
    """Return an index with one entry per axis."""
    keys = list(key) if isinstance(key, tuple) else [key]
    if Ellipsis in keys:
        place = keys.index(Ellipsis)
        keys[place : place + 1] = [slice(None)] * (4 - len(keys))
    keys += [slice(None)] * (3 - len(keys))
    a, b, c = keys
    return a, b, c


def _indices(key: Any, n: int) -> range:
    if isinstance(key, slice):
        return range(n)[key]
    index = range(n)[int(key)]
    return range(index, index + 1)
