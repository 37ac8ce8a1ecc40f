"""Compute one block: read its input, run the method in small pieces on several threads.

Every voxel equals that of ``method.compute``. A cascade of stages is computed stage by stage,
each on a box that includes the halo of the next stages. So pieces can be small (a cancel waits
for one piece) without computing their halos twice.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from napari_mrisr.core.scale import RealScale
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import BoxArray, FloatArray, Grid, Region, Shape, Volume
from napari_mrisr.methods import Method, MultiPass, pass_regions
from napari_mrisr.streaming.source import Source
from napari_mrisr.streaming.survey import Statistics

# About a tenth of a second's work; the halo of a cube this large doubles the voxels read.
PIECE_VOXELS = 160_000

Ended = Callable[[int], object]


@dataclass(frozen=True, eq=False)
class LazyVolume(Volume):
    """A volume in engine units whose data is a :class:`~napari_mrisr.core.volume.BoxArray`.

    Attributes
    ----------
    bounds : tuple of float32
        Lowest and highest value of the whole volume.
    """

    bounds: tuple[np.float32, np.float32] = (np.float32(0), np.float32(1))

    def __post_init__(self) -> None:
        # The base class would make an array of the data and search it for its extrema.
        self.__dict__["extrema"] = self.bounds


@dataclass(frozen=True, eq=False)
class BlockRun:
    """A method applied to a source, block by block.

    Attributes
    ----------
    method : Method
        A method with a halo.
    source : Source
        The low-resolution volume.
    statistics : Statistics
        Intensities of the whole volume.
    """

    method: Method
    source: Source
    statistics: Statistics

    @property
    def grid(self) -> Grid:
        """Grid of the output."""
        return self.source.grid.upsampled(self.method.scale)

    def compute(self, block: Region, pool: ThreadPool, ended: Ended | None) -> FloatArray:
        """Compute a block of the output, in the scan's intensities.

        Parameters
        ----------
        block : Region
            Part of the output.
        pool : ThreadPool
            Runs the pieces; checked between them.
        ended : callable or None
            Receives the number of pieces that ended since its last call, on this thread.
        """
        lr = self._volume(block, pool)
        boxes = pass_regions(self.method, block, self.grid.shape)
        last = len(boxes) - 1
        image = np.empty((0, 0, 0), np.float32)
        for number, box in enumerate(boxes):
            previous: FloatArray = BoxArray(  # type: ignore[assignment]
                image, boxes[max(0, number - 1)].start, self.grid.shape
            )
            image = np.empty(box.shape, np.float32)

            def work(
                piece: Region,
                number: int = number,
                box: Region = box,
                previous: FloatArray = previous,
                image: FloatArray = image,
            ) -> None:
                if isinstance(self.method, MultiPass):
                    part = self.method.compute_pass(number, lr, previous, piece)
                else:
                    part = self.method.compute(lr, piece)
                if number == last:
                    part = self.statistics.window.from_unit(part)
                image[within(piece, box.start)] = part

            pool.each(work, pieces(box, self.method.scale), ended)
        return image

    def steps(self, block: Region) -> int:
        """Count the pieces of :meth:`compute`."""
        boxes = pass_regions(self.method, block, self.grid.shape)
        return sum(len(pieces(box, self.method.scale)) for box in boxes)

    def _volume(self, block: Region, pool: ThreadPool) -> LazyVolume:
        """Return the low-resolution volume with the block's input in memory."""
        grid, window = self.source.grid, self.statistics.window
        box = self._needed(block)
        part = self.source.read(box, pool.check)
        for plane in part:  # one at a time, for the temporaries
            plane[...] = window.to_unit(plane)
        low, high = window.to_unit(
            np.array([self.statistics.low, self.statistics.high], np.float32)
        )

        def missing(region: Region) -> FloatArray:
            return window.to_unit(self.source.read(region))

        data: FloatArray = BoxArray(part, box.start, grid.shape, missing)  # type: ignore[assignment]
        return LazyVolume(data, grid, window, self.source.origin, bounds=(low, high))

    def _needed(self, block: Region) -> Region:
        """Return the region of low-resolution voxels that the block depends on."""
        halo = self.method.halo
        assert halo is not None, "checked before the run"
        shape, whole = self.source.grid.shape, self.grid.shape
        low = [
            max(0, a * n // m - h)
            for n, m, a, h in zip(shape, whole, block.start, halo, strict=True)
        ]
        high = [
            min(n, -(-b * n // m) + h)
            for n, m, b, h in zip(shape, whole, block.stop, halo, strict=True)
        ]
        return Region((low[0], low[1], low[2]), (high[0], high[1], high[2]))


def within(region: Region, corner: Shape) -> tuple[slice, slice, slice]:
    """Return a region as an index into a box that begins at ``corner``."""
    x, y, z = (
        slice(a - c, b - c) for a, b, c in zip(region.start, region.stop, corner, strict=True)
    )
    return x, y, z


def pieces(box: Region, scale: RealScale) -> list[Region]:
    """Cut a box into nearly cubic pieces, at whole low-resolution voxels."""
    spans: list[tuple[int, list[tuple[int, int]]]] = []
    # Short axes first, so that the others can be longer.
    room = PIECE_VOXELS
    for axis in sorted(range(3), key=lambda a: box.shape[a]):
        edge = room ** (1 / (3 - len(spans)))
        count = max(1, math.ceil(box.shape[axis] / max(edge, math.ceil(scale[axis]))))
        cuts = _cuts(box.start[axis], box.stop[axis], count, math.ceil(scale[axis]))
        spans.append((axis, cuts))
        room = max(1, room // -(-box.shape[axis] // count))
    (_, xs), (_, ys), (_, zs) = sorted(spans)
    return [Region((a, b, c), (d, e, f)) for a, d in xs for b, e in ys for c, f in zs]


def _cuts(start: int, stop: int, count: int, step: int) -> list[tuple[int, int]]:
    """Return about ``count`` equal spans whose inner ends are multiples of ``step``."""
    ends = [start + (stop - start) * i // count // step * step for i in range(1, count)]
    ends = [start, *sorted({e for e in ends if start < e < stop}), stop]
    return list(itertools.pairwise(ends))
