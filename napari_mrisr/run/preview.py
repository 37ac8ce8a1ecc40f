"""Planes and slabs of a result before the whole, bit for bit those of the whole run.

A method with passes (:class:`~napari_mrisr.methods.MultiPass`) needs more planes of one
pass than of the next. A :class:`Band` computes only these, pass by pass, and keeps them:
a neighboring plane then costs one new plane per pass. :class:`OutwardFill` computes the
whole result with two bands that move away from the plane on screen.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import cast

import numpy as np

from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import BoxArray, FloatArray, Region, Shape, Volume
from napari_mrisr.methods import Method, MultiPass, pass_regions, passes_of

# Voxels of a slab: thick enough that its short rows and its borders cost little.
SLAB_VOXELS = 2**21

# Strips per thread, so that no thread waits long for another, and the largest strip, so that a
# cancel does not wait long.
_STRIPS = 2
_STRIP_VOXELS = 250_000


class Band:
    """Neighboring planes after every pass, across one axis.

    Parameters
    ----------
    method : Method
        With a halo, or the whole volume is computed for every strip.
    lr : Volume
        Low resolution, normalized.
    axis : int
        Axis along which planes are counted (0 = x).
    """

    def __init__(self, method: Method, lr: Volume, axis: int) -> None:
        self.method, self.lr, self.axis = method, lr, axis
        self.shape = lr.grid.upsampled(method.scale).shape
        self._kept: list[BoxArray | None] = [None] * passes_of(method)

    def copy(self) -> Band:
        """Return another band that starts with the planes of this one."""
        twin = Band(self.method, self.lr, self.axis)
        twin._kept = list(self._kept)
        return twin

    def planes(self, start: int, stop: int, pool: ThreadPool) -> FloatArray:
        """Compute the planes from ``start`` to before ``stop``.

        Parameters
        ----------
        start, stop : int
            Output voxels along the axis.
        pool : ThreadPool
            Computes the strips, and cancels between them. The passes that were
            finished before a cancel are kept.

        Returns
        -------
        ndarray of float32
            In the scan's intensities, ``stop - start`` voxels thick, whole along the other
            axes.
        """
        region = slab(self.shape, self.axis, start, stop)
        before: BoxArray | None = None
        for number, needed in enumerate(pass_regions(self.method, region, self.shape)):
            before = self._kept[number] = self._after_pass(number, needed, before, pool)
        assert before is not None, "a method has at least one pass"
        return self.lr.window.from_unit(before.box)

    def _after_pass(
        self, number: int, region: Region, before: BoxArray | None, pool: ThreadPool
    ) -> BoxArray:
        """Return the planes of a region after a pass: kept ones, and the others computed."""
        span = (region.start[self.axis], region.stop[self.axis])
        old = self._kept[number]
        if old is not None and old.span(self.axis) == span:
            return old
        whole = slab(self.shape, self.axis, *span)
        box = BoxArray.empty(whole, self.shape)
        missing = [span]
        if old is not None:
            low, high = old.span(self.axis)
            low, high = max(low, span[0]), min(high, span[1])
            if low < high:
                common = slab(self.shape, self.axis, low, high).slices
                box[common] = old[common]
                missing = [(a, b) for a, b in ((span[0], low), (high, span[1])) if a < b]

        def compute(strip: Region) -> None:
            if isinstance(self.method, MultiPass):
                # Passes read boxes of the image before, and nothing else of it.
                image = cast(FloatArray, before)
                box[strip.slices] = self.method.compute_pass(number, self.lr, image, strip)
            else:
                box[strip.slices] = self.method.compute(self.lr, strip)

        pool.each(compute, [strip for part in missing for strip in self._strips(part, pool)])
        return box

    def _strips(self, span: tuple[int, int], pool: ThreadPool) -> list[Region]:
        region = slab(self.shape, self.axis, *span)
        if self.method.halo is None:
            return [region]
        voxels = int(np.prod(region.shape))
        return strips(region, self.axis, max(_STRIPS * pool.threads, -(-voxels // _STRIP_VOXELS)))


class OutwardFill:
    """A whole result in slabs, outward from a plane.

    Parameters
    ----------
    method : Method
        A method without a halo is computed in one slab.
    lr : Volume
        Low resolution, normalized.
    axis : int
        Axis across which the slabs lie (0 = x).

    Attributes
    ----------
    start, stop : int
        The planes from ``start`` to before ``stop`` are computed.
    """

    def __init__(self, method: Method, lr: Volume, axis: int) -> None:
        shape = lr.grid.upsampled(method.scale).shape
        self.axis, self.count = axis, shape[axis]
        thick = max(1, SLAB_VOXELS * self.count // int(np.prod(shape)))
        self.thick = self.count if method.halo is None else min(self.count, thick)
        self.start = self.stop = 0
        self._upward = Band(method, lr, axis)
        self._downward = self._upward

    @property
    def done(self) -> bool:
        """True if the whole is computed."""
        return self.start == 0 and self.stop == self.count

    def step(self, focus: int, pool: ThreadPool) -> tuple[int, FloatArray]:
        """Compute the next slab.

        Parameters
        ----------
        focus : int
            The plane on screen; the side that is nearer to it comes first.
        pool : ThreadPool
            Computes; after a cancel, the same step may be repeated.

        Returns
        -------
        start : int
            First plane of the slab.
        slab : ndarray of float32
            In the scan's intensities, whole along the other axes.
        """
        if self.start == self.stop:
            start = max(0, min(focus - self.thick // 2, self.count - self.thick))
            values = self._upward.planes(start, start + self.thick, pool)
            self._downward = self._upward.copy()
            self.start, self.stop = start, start + self.thick
        elif self.start > 0 and (
            self.stop == self.count or focus - self.start < self.stop - 1 - focus
        ):
            start = max(0, self.start - self.thick)
            values = self._downward.planes(start, self.start, pool)
            self.start = start
        else:
            start, stop = self.stop, min(self.count, self.stop + self.thick)
            values = self._upward.planes(start, stop, pool)
            self.stop = stop
        return start, values


def slab(shape: Shape, axis: int, start: int, stop: int) -> Region:
    """Return the region of the planes from ``start`` to before ``stop`` across an axis."""
    return Region(_with((0, 0, 0), axis, start), _with(shape, axis, stop))


def strips(region: Region, axis: int, count: int) -> list[Region]:
    """Cut a slab along its other axis with the largest stride into about equal strips.

    Parameters
    ----------
    region : Region
        The slab.
    axis : int
        Axis across which it lies.
    count : int
        Number of strips; fewer if there are fewer voxels.
    """
    other = 1 if axis == 0 else 0
    start, stop = region.start[other], region.stop[other]
    count = max(1, min(count, stop - start))
    cuts = [start + (stop - start) * i // count for i in range(count + 1)]
    return [
        replace(region, start=_with(region.start, other, a), stop=_with(region.stop, other, b))
        for a, b in itertools.pairwise(cuts)
    ]


def _with(values: Shape, axis: int, value: int) -> Shape:
    x, y, z = (value if i == axis else n for i, n in enumerate(values))
    return x, y, z
