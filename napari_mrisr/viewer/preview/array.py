"""What napari slices of a result that is not there yet. No Qt, no napari.

A preview is not an array of zeros that fills up: such an array of the output's
size would come into being with the first slice across its memory. It keeps the
few planes that were computed, and where there is none, the measured voxels
stand in, each repeated. Before they do, it waits a little for the plane: most
come so soon that painting anything else would only delay them. Only a run
allocates the whole, and the reading room, which cuts where it likes.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.scale import Scale
from napari_mrisr.core.volume import FloatArray, Region, Volume
from napari_mrisr.errors import VolumeError, explain
from napari_mrisr.run.preview import ResultPlane
from napari_mrisr.viewer.layers.geometry import to_display

# Planes kept: enough to go back and forth over some slices.
KEPT = 24

# Below what is felt as a stall.
PATIENCE_S = 0.05

PlaneName = tuple[int, int]
"""Axis (0 = x) and index of an output plane."""

Asked = Callable[[list[PlaneName]], bool]
"""Told which planes are asked for; says whether those that are missing may come soon."""


class LiveArray:
    """The result of a volume, indexed (inferior, posterior, left) as napari's layers are.

    Planes are put in by the working thread and taken by the GUI's.

    Parameters
    ----------
    name : str
        Of the layer, for errors.
    source : Volume
        Low resolution, in the scan's intensities.
    scale : tuple of int
        Factor of each axis (x, y, z).
    asked : callable
        Told which planes were asked for, at the time; says whether to wait a little.
    whole : bool
        Allocate the whole at once, and keep it.

    Attributes
    ----------
    shown : (axis, index)
        The plane asked for last; the middle one, if several were.
    volume : Volume or None
        The whole, once it is begun: finished voxels, and repeated ones elsewhere.
    """

    dtype = np.dtype(np.float32)
    ndim = 3

    def __init__(
        self, name: str, source: Volume, scale: Scale, asked: Asked, whole: bool = False
    ) -> None:
        self.name = name
        self.grid = source.grid.upsampled(scale)
        x, y, z = self.grid.shape
        self.shape = (z, y, x)
        self.size = x * y * z
        self.shown: PlaneName = (2, z // 2)
        self._stood_in_for: set[PlaneName] = set()
        self.volume: Volume | None = None
        self._source, self._scale, self._asked = source, scale, asked
        self._planes: OrderedDict[PlaneName, ResultPlane] = OrderedDict()
        self._finished: set[PlaneName] = set()
        self._changed = threading.Condition()
        self.keeps_whole = whole
        if whole:
            self.begin()

    # What is known.

    def put(self, plane: ResultPlane) -> None:
        """Take a plane that was computed."""
        name = (plane.axis, plane.index)
        with self._changed:
            self._planes[name] = plane
            self._planes.move_to_end(name)
            self._changed.notify_all()
        while len(self._planes) > KEPT:
            self._planes.popitem(last=False)
        if self.volume is not None and not plane.approximate:
            self._write(self.volume.data, plane)
            self._finished.add(name)

    def holds(self, name: PlaneName) -> bool:
        """Whether a plane is computed."""
        return name in self._planes or name in self._finished

    def awaits(self, name: PlaneName) -> bool:
        """Whether measured voxels stood in for that plane when planes were asked for last."""
        return name in self._stood_in_for

    @property
    def share(self) -> float:
        """How much of the whole is finished, 0 to 1."""
        counts = [0, 0, 0]
        for axis, _ in tuple(self._finished):
            counts[axis] += 1
        return max(count / n for count, n in zip(counts, self.grid.shape, strict=True))

    def approximate(self) -> bool:
        """Whether the plane asked for last is not exactly that of the whole run."""
        plane = self._planes.get(self.shown)
        return plane is not None and plane.approximate

    @property
    def is_begun(self) -> bool:
        """Whether a run is filling the whole, or the whole is kept."""
        return self.volume is not None

    def begin(self) -> FloatArray:
        """Allocate the whole; finished voxels are to be written into what is returned."""
        whole = np.empty(self.grid.shape, np.float32)
        factor_x = self._scale[0]
        for x, plane in enumerate(self._source.data):
            whole[x * factor_x : (x + 1) * factor_x] = _repeated(plane, self._scale[1:])
        for name, plane in tuple(self._planes.items()):
            if not plane.approximate:  # not to be taken for the run's
                self._write(whole, plane)
                self._finished.add(name)
        self.volume = Volume(whole, self.grid, history={"note": f"{self.name}: not finished"})
        return self.volume.data

    def finished(self, region: Region) -> None:
        """Some voxels of the whole are final."""
        for axis, (start, stop) in enumerate(zip(region.start, region.stop, strict=True)):
            others = [i for i in range(3) if i != axis]
            if all(region.shape[i] == self.grid.shape[i] for i in others):
                self._finished |= {(axis, index) for index in range(start, stop)}

    def drop(self) -> None:
        """Let go of the whole, unless it is to be kept; planes that were looked at stay."""
        if self.keeps_whole:
            return
        self.volume = None
        self._finished = set()

    @staticmethod
    def _write(whole: FloatArray, plane: ResultPlane) -> None:
        where: list[Any] = [slice(None)] * 3
        where[plane.axis] = plane.index
        whole[tuple(where)] = plane.values

    # What napari asks for.

    def __getitem__(self, key: Any) -> NDArray[np.float32]:
        """Any basic index; one plane, or a few, are what a preview is for."""
        keys = _full(key)
        wanted = [_indices(k, n) for k, n in zip(keys, self.shape, strict=True)]
        axis = min(range(3), key=lambda i: len(wanted[i]) / self.shape[i])
        if len(wanted[axis]) < min(self.shape[axis], KEPT):
            # napari's axes are ours reversed in order and sign.
            last = self.shape[axis] - 1
            planes = self._shown_planes([(2 - axis, last - index) for index in wanted[axis]])
            inside: list[Any] = list(keys)
            inside[axis] = slice(None) if isinstance(keys[axis], slice) else 0
            return np.stack(planes, axis)[tuple(inside)]
        if self.volume is not None:
            return to_display(self.volume.data)[keys]
        # 3D: nothing to see before a run, and nothing is allocated.
        return np.broadcast_to(np.float32(0.0), self.shape)[keys]

    def _shown_planes(self, names: list[PlaneName]) -> list[FloatArray]:
        self.shown = names[len(names) // 2]
        missing = self._missing(names)
        self._stood_in_for = missing
        if self._asked(names) and missing:
            with self._changed:
                self._changed.wait_for(lambda: not self._missing(names), PATIENCE_S)
            self._stood_in_for = self._missing(names)
        return [self._plane(name) for name in names]

    def _missing(self, names: list[PlaneName]) -> set[PlaneName]:
        return {name for name in names if not self.holds(name)}

    def _plane(self, name: PlaneName) -> FloatArray:
        """A plane as napari shows it; where there is none, the measured voxels."""
        axis, index = name
        plane = self._planes.get(name)
        if plane is not None:
            values = plane.values
        elif self.volume is not None:
            values = np.moveaxis(self.volume.data, axis, 0)[index]
        else:
            measured = np.moveaxis(self._source.data, axis, 0)[index // self._scale[axis]]
            a, b = (s for i, s in enumerate(self._scale) if i != axis)
            values = _repeated(measured, (a, b))
        return values.T[::-1, ::-1]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Refused: what is not finished must not be saved, measured or trained on."""
        mend = "press Run in Super-resolve first, or wait until it is finished"
        raise VolumeError(explain(self.name, "only the slices looked at are computed", mend))


def _repeated(plane: FloatArray, factors: tuple[int, int]) -> FloatArray:
    return plane.repeat(factors[0], axis=0).repeat(factors[1], axis=1)


def _full(key: Any) -> tuple[Any, Any, Any]:
    """An index with one entry an axis."""
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
