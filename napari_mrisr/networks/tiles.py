"""Evaluate a network on a fixed grid of tiles.

A tile is always computed from the same low-resolution box, so its coefficients have the same
bits whatever region is asked for, and every region equals the whole run. Beyond the volume's
edges the scan is mirrored, as for cubic interpolation.
"""

from __future__ import annotations

import functools
import itertools
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.slices import slices_of
from napari_mrisr.core.volume import FloatArray, Region, Volume
from napari_mrisr.networks.file import NetworkFile
from napari_mrisr.operators.interpolate import mirror_index

ACROSS = 48
"""Low-resolution voxels of a tile along the two axes of a slice."""
_ALONG = 64
_KEPT_BYTES = 256_000_000

Tile = tuple[int, int, int]


@functools.lru_cache(maxsize=8)
def session_of(network: NetworkFile) -> Any:
    """Return ONNX Runtime's session, one thread per call: blocks run in threads already."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        network.content, options, providers=["CPUExecutionProvider"]
    )


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


def relative_width(lr: Volume) -> float:
    """Return the slice thickness divided by the slice distance; 1 if the thickness is unknown."""
    slices = slices_of(lr.grid, lr.origin)
    return slices.thickness / slices.distance if slices is not None and slices.axis == 2 else 1.0


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
    image : (1, 1, slices, rows, columns) ndarray of float32
        The tile with its halo; rows are x and columns y of the volume.
    told : (1, conditions) ndarray of float32
    index : tuple of three ndarray of int64
        Voxel along x, y, z of the volume at each place along columns, rows and slices;
        mirrored beyond the edges.
    """

    image: FloatArray
    told: FloatArray
    index: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


class Tiles:
    """Coefficients of a network over low-resolution volumes, tile by tile; axis z is thick.

    Parameters
    ----------
    network : NetworkFile
    """

    def __init__(self, network: NetworkFile) -> None:
        self.network = network
        self._cache = TileCache()

    def covering(self, lr: Volume, region: Region) -> Iterator[tuple[Region, FloatArray]]:
        """Yield the tiles that meet a low-resolution region, each with its coefficients.

        Coefficients have the shape ``(*box.shape, order)``.
        """
        shape = lr.grid.shape
        size = (ACROSS, ACROSS, shape[2] if shape[2] <= _ALONG else ACROSS)
        spans = [
            [(t * s, min(n, (t + 1) * s)) for t in range(a // s, -(-b // s))]
            for a, b, s, n in zip(region.start, region.stop, size, shape, strict=True)
        ]
        for (a, d), (b, e), (c, f) in itertools.product(*spans):
            box = Region((a, b, c), (d, e, f))
            yield box, self._cache.get(lr, box, self._compute)

    def _compute(self, lr: Volume, box: Region) -> FloatArray:
        given = self.inputs(lr, box)
        if not given.image.any():
            return np.zeros((*box.shape, self.network.order), np.float32)
        found: NDArray[np.float32] = session_of(self.network).run(
            None, {"image": given.image, "told": given.told}
        )[0][0]
        return np.ascontiguousarray(found.transpose(2, 3, 1, 0))

    def inputs(self, lr: Volume, box: Region) -> TileInputs:
        """Return what the network is given for a tile of :meth:`covering`."""
        halo, shape = self.network.halo, lr.grid.shape
        spans, index = [], []
        for a, b, n in zip(box.start, box.stop, shape, strict=True):
            wanted = mirror_index(np.arange(a - halo, b + halo), n)
            spans.append(slice(int(wanted.min()), int(wanted.max()) + 1))
            index.append(wanted)
        patch = lr.data[tuple(spans)]
        patch = patch[np.ix_(*(i - span.start for i, span in zip(index, spans, strict=True)))]
        x, y, z = lr.grid.voxel_size
        # Outside the ranges of training the network is told the nearest value.
        factor = float(np.clip(z / (x * y) ** 0.5, *self.network.factors))
        width = float(np.clip(relative_width(lr), *self.network.widths))
        told = np.array([conditions(factor, width)], np.float32)
        image = np.ascontiguousarray(patch.transpose(2, 0, 1))[None, None]
        return TileInputs(image, told, (index[0], index[1], index[2]))
