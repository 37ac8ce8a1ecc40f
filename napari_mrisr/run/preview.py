"""Planes of a result before the result: one voxel thick, bit for bit those of the whole run.

A method with passes (:class:`~napari_mrisr.methods.MultiPass`) needs, for a few
planes of its last pass, some more of the pass before, and so on. A :class:`Band`
computes just these, pass by pass, each shared out to threads in strips, and
keeps them: the next plane then costs one new plane a pass. So nothing is
computed twice, neither by neighboring strips nor by neighboring planes, and the
fill of a whole volume (:mod:`napari_mrisr.run.outward`) is a band that moves.

While nobody waits, the groundwork can be laid: the image before the last pass,
of the whole volume. Any plane then costs its last pass only.

A method whose voxels depend on the whole volume (``halo`` None) is run on a
crop around the plane; what comes out is marked approximate.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, cast

import numpy as np

from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import FloatArray, Region, Shape, Volume
from napari_mrisr.methods import Method, MultiPass, pass_regions, passes_of

# Around a plane, for methods that depend on the whole volume.
CROP_MARGIN = 16

# Strips a thread, so that none waits long for another; smaller ones where a cancel would wait.
_STRIPS = 2
_STRIP_VOXELS = 250_000

# Of groundwork laid in a piece: its borders, computed twice a strip, cost little.
_PIECE_VOXELS = 2**21

Slices = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class ResultPlane:
    """One plane of a result.

    Attributes
    ----------
    axis, index : int
        Which: output voxels with ``index`` along ``axis`` (0 = x).
    values : ndarray of float32
        In the scan's intensities, indexed by the other two axes in order.
    approximate : bool
        Whether the whole run may give other values.
    """

    axis: int
    index: int
    values: FloatArray
    approximate: bool = False


class Stack(Protocol):
    """Gives neighboring planes across one axis."""

    def planes(self, start: int, stop: int, pool: ThreadPool) -> FloatArray:
        """The planes from ``start`` to before ``stop``, in the scan's intensities.

        Parameters
        ----------
        start, stop : int
            Counted along the axis.
        pool : ThreadPool
            Computes the strips; its ``check`` is asked between them.

        Returns
        -------
        ndarray of float32
            ``stop - start`` voxels thick, whole along the other axes.
        """
        ...

    def copy(self) -> Stack:
        """Another stack that starts with what this one has."""
        ...


class Planes:
    """Any planes of one method's result on one volume.

    Parameters
    ----------
    method : Method
        What computes.
    lr : Volume
        Low resolution, normalized.

    Notes
    -----
    For one thread at a time, which may share out the work; another may meanwhile
    lay groundwork, or take stacks of its own.
    """

    def __init__(self, method: Method, lr: Volume) -> None:
        self.method, self.lr = method, lr
        self.shape = lr.grid.upsampled(method.scale).shape
        self._bands: dict[int, Band] = {}
        self._laying: _Laying | None = None
        self._ground: FloatArray | None = None

    def plane(self, axis: int, index: int, pool: ThreadPool) -> ResultPlane:
        """One plane.

        Parameters
        ----------
        axis, index : int
            As in :class:`ResultPlane`.
        pool : ThreadPool
            Computes the strips; its ``check`` is asked between them.
        """
        if self.method.halo is None:
            pool.check()
            box = plane_region(self.shape, axis, index)
            values, approximate = cropped_compute(self.method, self.lr, box), True
        else:
            values, approximate = self._stack(axis).planes(index, index + 1, pool), False
        return ResultPlane(axis, index, np.moveaxis(values, axis, 0)[0], approximate)

    def through(self, voxel: Shape, axes: Sequence[int], pool: ThreadPool) -> Iterator[ResultPlane]:
        """The planes through an output voxel, in the order of ``axes``."""
        for axis in axes:
            yield self.plane(axis, voxel[axis], pool)

    def stack(self, axis: int) -> Stack:
        """Planes across an axis, for a thread of its own; not where ``halo`` is None."""
        if self._ground is not None:
            return _LastPass(self.method, self.lr, axis, self._ground)
        return Band(self.method, self.lr, axis)

    def _stack(self, axis: int) -> Stack:
        if self._ground is not None:
            self._bands = {}
            return self.stack(axis)
        if axis not in self._bands:
            self._bands[axis] = Band(self.method, self.lr, axis)
        return self._bands[axis]

    @property
    def laid(self) -> bool:
        """Whether the groundwork is there, or there is none to lay."""
        nothing = self.method.halo is None or passes_of(self.method) == 1
        return nothing or self._ground is not None

    def lay(self, pool: ThreadPool) -> None:
        """Lay another piece of the groundwork; goes on where it was interrupted.

        It takes as much memory as the result.
        """
        if self.laid:
            return
        self._laying = self._laying or _Laying(self.method, self.lr, self.shape)
        if self._laying.go_on(pool):
            self._ground, self._laying = self._laying.image, None


class Band:
    """Neighboring planes of every pass, across one axis; moves to where planes are asked for.

    Parameters
    ----------
    method : Method
        With a halo.
    lr : Volume
        Low resolution, normalized.
    axis : int
        Along which planes are counted.
    """

    def __init__(self, method: Method, lr: Volume, axis: int) -> None:
        self.method, self.lr, self.axis = method, lr, axis
        self.shape = lr.grid.upsampled(method.scale).shape
        self._passes = passes_of(method)
        self._kept: list[_Box | None] = [None] * self._passes  # after each

    def copy(self) -> Band:
        """See :class:`Stack`."""
        twin = Band(self.method, self.lr, self.axis)
        twin._kept = list(self._kept)
        return twin

    def planes(self, start: int, stop: int, pool: ThreadPool) -> FloatArray:
        """See :class:`Stack`."""
        return self.lr.window.from_unit(self.after(self._passes, start, stop, pool))

    def after(self, passes: int, start: int, stop: int, pool: ThreadPool) -> FloatArray:
        """The planes after so many passes, in engine units; parameters as of :meth:`planes`."""
        region = self._region((start, stop))
        regions = pass_regions(self.method, region, self.shape, passes)
        before: _Box | None = None
        for number, each in enumerate(regions):
            span = (each.start[self.axis], each.stop[self.axis])
            before = self._kept[number] = self._filled(number, span, before, pool)
        assert before is not None, "a method has a pass at least"
        return before.array

    def _filled(
        self, number: int, span: tuple[int, int], before: _Box | None, pool: ThreadPool
    ) -> _Box:
        """The planes of a span after a pass: those that are kept, and the others computed."""
        old = self._kept[number]
        if old is not None and old.span(self.axis) == span:
            return old
        box = _Box.empty(self._region(span))
        missing = [span]
        if old is not None:
            low, high = old.span(self.axis)
            low, high = max(low, span[0]), min(high, span[1])
            if low < high:
                common = self._region((low, high)).slices
                box[common] = old[common]
                missing = [(a, b) for a, b in ((span[0], low), (high, span[1])) if a < b]
        pieces = [p for part in missing for p in _shared_out(self._region(part), self.axis, pool)]

        def compute(region: Region) -> None:
            box[region.slices] = compute_pass(self.method, number, self.lr, before, region)

        pool.each(compute, pieces)
        return box

    def _region(self, span: tuple[int, int]) -> Region:
        return _across(self.shape, self.axis, *span)


class _LastPass:
    """Planes from groundwork that is laid."""

    def __init__(self, method: Method, lr: Volume, axis: int, ground: FloatArray) -> None:
        self._method, self._lr, self._axis, self._ground = method, lr, axis, ground

    def copy(self) -> _LastPass:
        return self

    def planes(self, start: int, stop: int, pool: ThreadPool) -> FloatArray:
        method, ground = self._method, self._ground
        whole = _across(_shape(ground), self._axis, start, stop)
        box = _Box.empty(whole)

        def compute(region: Region) -> None:
            box[region.slices] = compute_pass(
                method, passes_of(method) - 1, self._lr, ground, region
            )

        pool.each(compute, _shared_out(whole, self._axis, pool))
        return self._lr.window.from_unit(box.array)


class _Laying:
    """Groundwork being laid, across x, along which rows are whole."""

    def __init__(self, method: Method, lr: Volume, shape: Shape) -> None:
        self.image = np.empty(shape, np.float32)
        self._band, self._passes, self._laid = Band(method, lr, 0), passes_of(method) - 1, 0

    def go_on(self, pool: ThreadPool) -> bool:
        """Lay another piece; whether that was the last."""
        x, y, z = self.image.shape
        stop = min(x, self._laid + max(1, _PIECE_VOXELS // (y * z)))
        self.image[self._laid : stop] = self._band.after(self._passes, self._laid, stop, pool)
        self._laid = stop
        return stop == x


class _Box:
    """A box of a volume, read and written by the volume's own indices."""

    def __init__(self, array: FloatArray, corner: Shape) -> None:
        self.array, self.corner = array, corner

    @classmethod
    def empty(cls, region: Region) -> _Box:
        return cls(np.empty(region.shape, np.float32), region.start)

    def span(self, axis: int) -> tuple[int, int]:
        start = self.corner[axis]
        return start, start + self.array.shape[axis]

    def _inner(self, slices: Slices) -> Slices:
        ends = [c + n for c, n in zip(self.corner, self.array.shape, strict=True)]
        if any(
            s.start < c or s.stop > e for s, c, e in zip(slices, self.corner, ends, strict=True)
        ):
            # Numpy would wrap around, and a kernel read beyond the end.
            raise IndexError(f"{slices} of a box from {self.corner} to {tuple(ends)}")
        x, y, z = (slice(s.start - c, s.stop - c) for s, c in zip(slices, self.corner, strict=True))
        return x, y, z

    def __getitem__(self, slices: Slices) -> FloatArray:
        return self.array[self._inner(slices)]

    def __setitem__(self, slices: Slices, values: FloatArray) -> None:
        self.array[self._inner(slices)] = values


def compute_pass(
    method: Method, number: int, lr: Volume, before: _Box | FloatArray | None, region: Region
) -> FloatArray:
    """A region after a pass; a method without passes has one."""
    if isinstance(method, MultiPass):
        # Passes read the image before by boxes, and nothing else of it.
        return method.compute_pass(number, lr, cast(FloatArray, before), region)
    return method.compute(lr, region)


def cropped_compute(method: Method, lr: Volume, region: Region) -> FloatArray:
    """A region of what the method makes of a crop around it; in the scan's intensities."""
    scale, shape = method.scale, lr.grid.shape
    start = [max(0, a // s - CROP_MARGIN) for a, s in zip(region.start, scale, strict=True)]
    stop = [
        min(n, -(-b // s) + CROP_MARGIN) for b, s, n in zip(region.stop, scale, shape, strict=True)
    ]
    corner = (start[0], start[1], start[2])
    inside = (stop[0] - start[0], stop[1] - start[1], stop[2] - start[2])
    crop = lr.cropped(corner, inside)
    # Of the whole volume: the crop must not be brighter or darker than it.
    crop.__dict__["extrema"] = lr.extrema
    moved = [c * s for c, s in zip(corner, scale, strict=True)]
    a, b, c = (n - m for n, m in zip(region.start, moved, strict=True))
    d, e, f = (n - m for n, m in zip(region.stop, moved, strict=True))
    return lr.window.from_unit(method.compute(crop, Region((a, b, c), (d, e, f))))


def plane_region(shape: Shape, axis: int, index: int) -> Region:
    """One plane as a region."""
    return _across(shape, axis, index, index + 1)


def strips(region: Region, axis: int, count: int) -> list[Region]:
    """A stack of planes cut along its other axis with the largest stride, about equal in size.

    Parameters
    ----------
    region : Region
        What to cut.
    axis : int
        Along which planes are counted.
    count : int
        Strips, as far as there are voxels.
    """
    other = 1 if axis == 0 else 0
    start, stop = region.start[other], region.stop[other]
    count = max(1, min(count, stop - start))
    cuts = [start + (stop - start) * i // count for i in range(count + 1)]
    return [
        replace(region, start=_put(region.start, other, a), stop=_put(region.stop, other, b))
        for a, b in itertools.pairwise(cuts)
    ]


def _shared_out(region: Region, axis: int, pool: ThreadPool) -> list[Region]:
    """Strips for a pool."""
    voxels = int(np.prod(region.shape))
    return strips(region, axis, max(_STRIPS * pool.threads, -(-voxels // _STRIP_VOXELS)))


def _shape(array: FloatArray) -> Shape:
    x, y, z = array.shape
    return x, y, z


def _across(shape: Shape, axis: int, start: int, stop: int) -> Region:
    return Region(_put((0, 0, 0), axis, start), _put(shape, axis, stop))


def _put(values: Shape, axis: int, value: int) -> Shape:
    x, y, z = (value if i == axis else n for i, n in enumerate(values))
    return x, y, z
