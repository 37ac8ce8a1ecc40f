"""Evaluate a network on a fixed grid of tiles.

A tile is always computed from the same low-resolution box, so its coefficients have the same
bits whatever region is asked for, and every region equals the whole run. Beyond the volume's
edges the network sees zeros, as in training.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from napari_mrisr.core.complex_volume import Part
from napari_mrisr.core.slices import relative_width
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import FloatArray, Region, Shape, Volume
from napari_mrisr.networks.file import NetworkFile
from napari_mrisr.networks.gated import gated
from napari_mrisr.networks.sessions import evaluate

ACROSS = 48
"""Largest number of low-resolution voxels of a tile along the two axes of a slice.

A smaller tile computes more halo, a larger one falls out of the processor's caches and needs more
memory: 32 channels of a tile with its halo and 48 slices are 22 MB, and six such arrays live at
the peak. Of 32, 40, 48, 64 and 96, 48 was the fastest (``benchmarks/thick_slices.py``).
"""
ALONG = 64
"""Largest number of slices of a tile."""
_HALO = 6
"""Largest number of voxels read around a tile.

The outermost voxels of the receptive field hardly matter; a test holds how little.
"""
# Coefficients of 512 × 512 × 60 voxels: each transverse slice of a preview needs all tiles.
_KEPT_BYTES = 512_000_000

Tile = tuple[int, int, int]


def conditions(factor: float, fwhm: float) -> list[float]:
    """Return what the network is told of the slices.

    Parameters
    ----------
    factor : float
        Slice distance divided by the pixel size.
    fwhm : float
        Slice thickness divided by the slice distance.
    """
    return [1.0 / factor, factor / 8.0, fwhm - 1.0]


class TileCache:
    """Results per tile of each volume; two threads do not compute one tile."""

    def __init__(self) -> None:
        self._kept: weakref.WeakKeyDictionary[Volume, OrderedDict[Tile, FloatArray]] = (
            weakref.WeakKeyDictionary()
        )
        self._locks: dict[Tile, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(
        self, lr: Volume, box: Region, compute: Callable[[Volume, Region], FloatArray]
    ) -> FloatArray:
        """Return the result of the tile ``box``, computed unless it is kept."""
        with self._lock:
            kept = self._kept.setdefault(lr, OrderedDict())
            lock = self._locks.setdefault(box.start, threading.Lock())
        with lock:
            with self._lock:
                if box.start in kept:
                    kept.move_to_end(box.start)
                    return kept[box.start]
            found = compute(lr, box)
            with self._lock:
                kept[box.start] = found
                while sum(part.nbytes for part in kept.values()) > _KEPT_BYTES:
                    kept.popitem(last=False)
            return found


@dataclass(frozen=True, eq=False)
class TileInputs:
    """Inputs of a network for one tile.

    Attributes
    ----------
    image : (1 or 2, 1, slices, rows, columns) ndarray of float32
        The tile with its halo; rows are x and columns y of the volume. For a part of a complex
        scan the magnitude first; see :func:`~napari_mrisr.networks.gated.gated`.
    told : (1, conditions) ndarray of float32
    box : Region
        Voxels of the volume in ``image``. It may leave out background of zeros, where the
        coefficients are zeros.
    """

    image: FloatArray
    told: FloatArray
    box: Region


class Tiles:
    """Coefficients of a network over low-resolution volumes, tile by tile; axis z is thick.

    Parameters
    ----------
    network : NetworkFile
    factor : float, optional
        Isotropic factor to tell the network; by default it is told of the slices.
    on_gpu : bool
    """

    def __init__(
        self, network: NetworkFile, factor: float | None = None, on_gpu: bool = False
    ) -> None:
        self.network, self._factor, self._on_gpu = network, factor, on_gpu
        self._cache = TileCache()

    def covering(self, lr: Volume, region: Region) -> Iterator[tuple[Region, FloatArray]]:
        """Yield the tiles that meet a low-resolution region, each with its coefficients.

        Coefficients have the shape ``(*box.shape, order)``.
        """
        for box in tile_boxes(lr.grid.shape, region):
            yield box, self._cache.get(lr, box, self._compute)

    def _compute(self, lr: Volume, box: Region) -> FloatArray:
        given = self.inputs(lr, box)
        if not given.image.any():
            return np.zeros((*box.shape, self.network.order), np.float32)
        network = gated(self.network) if isinstance(lr, Part) else self.network
        found = evaluate(network, {"image": given.image, "told": given.told}, self._on_gpu)[-1]
        common = box.intersection(given.box)
        coefficients = np.zeros((*box.shape, self.network.order), np.float32)
        coefficients[common.within(box).slices] = found.transpose(2, 3, 1, 0)[
            common.within(given.box).slices
        ]
        return coefficients

    def inputs(self, lr: Volume, box: Region) -> TileInputs:
        """Return what the network is given for a tile of :meth:`covering`."""
        halo = min(_HALO, self.network.halo)
        sources = [lr.guide.data, lr.data] if isinstance(lr, Part) else [lr.data]
        seen = _occupied(sources[0], _with_halo(box, halo, lr.grid.shape), halo)
        told = np.array([self._conditions(lr)], np.float32)
        image = np.stack([data[seen.slices].transpose(2, 0, 1)[None] for data in sources])
        return TileInputs(image, told, seen)

    def _conditions(self, lr: Volume) -> list[float]:
        if self._factor is not None:
            return conditions(self._factor, 1.0)
        return slice_conditions(self.network, lr)


def slice_conditions(network: NetworkFile, lr: Volume) -> list[float]:
    """Return what a network is told of the slices of a volume, along z."""
    dx, dy, dz = lr.grid.voxel_size
    # Outside the ranges of training the network is told the nearest value.
    factor = float(np.clip(dz / (dx * dy) ** 0.5, *network.factors))
    width = float(np.clip(relative_width(lr, 2) or 1.0, *network.widths))
    return conditions(factor, width)


def over_tiles(
    network: NetworkFile,
    image: FloatArray,
    told: list[float],
    pool: ThreadPool,
    ended: Callable[[int], object] | None = None,
) -> FloatArray:
    """Return a network's output for a whole image, whose bits do not depend on the threads.

    Parameters
    ----------
    network : NetworkFile
    image : (channels, x, y, z) ndarray of float32
    told : list of float
    pool : ThreadPool
    ended : callable, optional
        Receives the number of tiles that ended since its last call.

    Returns
    -------
    (x, y, z, order) ndarray of float32
    """
    x, y, z = image.shape[1:]
    found = np.zeros((x, y, z, network.order), np.float32)
    halo = min(_HALO, network.halo)

    def compute(box: Region) -> None:
        seen = _with_halo(box, halo, (x, y, z))
        part = image[(slice(None), *seen.slices)]
        if part.any():
            turned = np.ascontiguousarray(part.transpose(0, 3, 1, 2))[None]
            given = {"image": turned, "told": np.array([told], np.float32)}
            values = evaluate(network, given)[0].transpose(2, 3, 1, 0)
            found[box.slices] = values[box.within(seen).slices]

    pool.each(compute, tile_boxes((x, y, z)), ended)
    return found


def tile_boxes(shape: Shape, region: Region | None = None) -> list[Region]:
    """Return the boxes of the tiles of a volume, or of those that meet a region."""
    region = region or Region.whole(shape)
    most = (ACROSS, ACROSS, ALONG)
    spans = [
        _pieces(n, m, a, b)
        for n, m, a, b in zip(shape, most, region.start, region.stop, strict=True)
    ]
    return [Region((a, b, c), (d, e, f)) for (a, d), (b, e), (c, f) in itertools.product(*spans)]


def _with_halo(box: Region, halo: int, shape: Shape) -> Region:
    x, y, z = (max(0, a - halo) for a in box.start)
    x_end, y_end, z_end = (min(n, b + halo) for b, n in zip(box.stop, shape, strict=True))
    return Region((x, y, z), (x_end, y_end, z_end))


def _pieces(size: int, most: int, start: int, stop: int) -> list[tuple[int, int]]:
    """Return those of about equal pieces of an axis that meet an interval."""
    count = -(-size // most)
    edges = [size * n // count for n in range(count + 1)]
    return [(a, b) for a, b in itertools.pairwise(edges) if a < stop and b > start]


def _occupied(data: FloatArray, box: Region, halo: int) -> Region:
    """Return the part of a box outside which a network without biases gives zeros."""
    used = data[box.slices] != 0
    start, stop = list(box.start), list(box.stop)
    for axis in range(3):
        others = tuple(i for i in range(3) if i != axis)
        found = np.flatnonzero(used.any(others))
        if not len(found):
            return Region(box.start, box.start)
        start[axis] = max(box.start[axis], box.start[axis] + int(found[0]) - halo)
        stop[axis] = min(box.stop[axis], box.start[axis] + int(found[-1]) + 1 + halo)
    return Region((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))
