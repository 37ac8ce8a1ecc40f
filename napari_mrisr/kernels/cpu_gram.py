"""Sums of products of patches, gathered by blocks that fit into the cache.

A block's patches never see main memory: gathered, multiplied (half of A'A) and
overwritten by the next, whose voxels are asked for while this one is multiplied.
Products add up in float32 over some thousand samples, then in the type of the sums.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.volume import FloatArray
from napari_mrisr.kernels.jit import jit
from napari_mrisr.kernels.tile import COLUMNS, LANES, TALL, tile_of, turn

BLOCK = 64
"""Samples that are gathered at once."""
FLUSH = 2048
"""Samples whose products are summed in float32, blocks first."""

IndexArray = NDArray[np.int64]

_one, _two, _three = (tile_of(tall) for tall in range(1, TALL + 1))


class Located(NamedTuple):
    """Where samples find their patch and their targets; made by :func:`locate`.

    Attributes
    ----------
    source, target : (voxels,) ndarray of float32
    corner : (n,) ndarray of uint64
        Place in ``source`` of the lowest voxel of a sample's patch.
    goal : (n,) ndarray of uint64
        Place in ``target`` that a sample's targets are counted from.
    element : (n,) ndarray of uint8
        Symmetry that turns a sample.
    steps : (48, taps rounded up to whole vectors) ndarray of uint32
        From the corner to each tap, for each symmetry.
    places : (48, outputs) ndarray of uint32
        From ``goal`` to each target.
    rows : (rows,) ndarray of int64
        From the corner to the first voxel of each of the patch's rows, in bytes.
    middle : uint64
        From the corner to the patch's center.
    centered : bool
        Whether the center is taken off the patch.
    """

    source: FloatArray
    target: FloatArray
    corner: NDArray[np.uint64]
    goal: NDArray[np.uint64]
    element: NDArray[np.uint8]
    steps: NDArray[np.uint32]
    places: NDArray[np.uint32]
    rows: IndexArray
    middle: np.uint64
    centered: bool


class Workspace(NamedTuple):
    """A thread's memory.

    Attributes
    ----------
    panels : (panels, BLOCK, LANES) ndarray of float32
        A block of patches, targets behind them.
    sums : (columns, values) ndarray of float32
        Products so far; zero between calls.
    ahead : ndarray of int64
        Addresses of the next block's voxels.
    """

    panels: FloatArray
    sums: FloatArray
    ahead: IndexArray

    @classmethod
    def of(cls, taps: int, outputs: int) -> Workspace:
        """For samples of that size."""
        panels, columns = -(-(taps + outputs) // LANES), -(-taps // COLUMNS) * COLUMNS
        rows = round(taps ** (2 / 3))
        return cls(
            np.zeros((panels, BLOCK, LANES), np.float32),
            np.zeros((columns, panels * LANES), np.float32),
            np.zeros(BLOCK * (rows + 1), np.int64),
        )


def locate(
    source: FloatArray,
    target: FloatArray,
    base: IndexArray,
    goal: IndexArray,
    element: NDArray[np.uint8],
    offsets: IndexArray,
    places: IndexArray,
    centered: bool,
) -> Located:
    """Put samples as the kernel wants them: unsigned, so that no index is tested for its sign.

    Parameters
    ----------
    source, target : (x, y, z) ndarray of float32
        What patches and targets are taken from; C contiguous.
    base, goal : (n,) ndarray of int64
        Flat indices of the patches' centers, and of what ``places`` counts from.
    element : (n,) ndarray of uint8
    offsets : (48, taps) ndarray of int64
        From the center to each tap, for each symmetry.
    places : (48, outputs) ndarray of int64
        From ``goal`` to each target; not negative.
    centered : bool
        Whether the center is taken off the patch.
    """
    middle = -int(offsets.min())
    # Lanes after the last tap hold what no sum uses, or targets.
    steps = np.pad(offsets + middle, ((0, 0), (0, -offsets.shape[1] % LANES)), mode="edge")
    width = round(offsets.shape[1] ** (1 / 3))
    rows = np.sort(offsets[0])[::width] + middle
    return Located(
        source.reshape(-1),
        target.reshape(-1),
        (base - middle).astype(np.uint64),
        goal.astype(np.uint64),
        element,
        steps.astype(np.uint32),
        places.astype(np.uint32),
        4 * rows,
        np.uint64(middle),
        centered,
    )


@jit
def _gather(samples, start, count, taps, panels):  # type: ignore[no-untyped-def]
    """A block's patches and targets into the panels; the targets' sum of squares."""
    outputs, energy = samples.places.shape[1], 0.0
    for s in range(count):
        corner, element = samples.corner[start + s], samples.element[start + s]
        less = samples.source[corner + samples.middle] if samples.centered else np.float32(0.0)
        turn(samples.source, corner, samples.steps[element], less, panels, s)
        goal, places = samples.goal[start + s], samples.places[element]
        for output in range(outputs):
            value = samples.target[goal + places[output]]
            panels[(taps + output) // LANES, s, (taps + output) % LANES] = value
            energy += np.float64(value) * np.float64(value)
    return energy


@jit
def _look_ahead(samples, start, stop, ahead):  # type: ignore[no-untyped-def]
    """Addresses of the rows and the first target of samples start to stop."""
    source, target = samples.source.ctypes.data, samples.target.ctypes.data
    rows, place = samples.rows, 0
    for s in range(start, stop):
        corner = source + 4 * np.int64(samples.corner[s])
        for r in range(rows.size):
            ahead[place + r] = corner + rows[r]
        ahead[place + rows.size] = target + 4 * np.int64(samples.goal[s])
        place += rows.size + 1


@jit
def _multiply(panels, count, taps, sums, ahead):  # type: ignore[no-untyped-def]
    """Add a block's products to the upper half of the sums."""
    high, place, last = panels.shape[0], 0, ahead.size - BLOCK
    while high > 0:
        # Tiles of two and two are faster than of three and one.
        low = max(high - (2 if high == 4 else TALL), 0)
        for column in range(0, min(high * LANES, taps), COLUMNS):
            panel = max(low, column // LANES)
            if high - panel == 3:
                _three(panels, panel, column, count, sums, ahead, place)
            elif high - panel == 2:
                _two(panels, panel, column, count, sums, ahead, place)
            else:
                _one(panels, panel, column, count, sums, ahead, place)
            place = min(place + count, last)
        high = low


@jit
def _flush(sums, gram, cross):  # type: ignore[no-untyped-def]
    """Move the products to the upper half of a bucket's sums."""
    taps, outputs = cross.shape
    for i in range(taps):
        for j in range(i, taps):
            gram[i, j] += sums[i, j]
        for j in range(outputs):
            cross[i, j] += sums[i, taps + j]
    sums[:] = np.float32(0.0)


@jit
def _mirror(gram):  # type: ignore[no-untyped-def]
    """Copy the upper half into the lower, square by square."""
    taps, side = gram.shape[0], 8
    for a in range(0, taps, side):
        for b in range(a, taps, side):
            for i in range(a, min(a + side, taps)):
                for j in range(max(b, i + 1), min(b + side, taps)):
                    gram[j, i] = gram[i, j]


@jit
def _add(samples, start, stop, gram, cross, panels, sums, ahead):  # type: ignore[no-untyped-def]
    """Add samples of one bucket to its sums; the targets' sum of squares."""
    taps, energy, waiting = gram.shape[0], 0.0, 0
    for begin in range(start, stop, BLOCK):
        count = min(BLOCK, stop - begin)
        energy += _gather(samples, begin, count, taps, panels)
        end = begin + count
        _look_ahead(samples, end, min(end + BLOCK, samples.corner.size), ahead)
        _multiply(panels, count, taps, sums, ahead)
        waiting += count
        if waiting >= FLUSH or end == stop:
            _flush(sums, gram, cross)
            waiting = 0
    _mirror(gram)
    return energy


@jit
def _add_all(samples, ends, first, last, start, stop, gram, cross, energy, count, space):  # type: ignore[no-untyped-def]
    for bucket in range(first, last):
        begin, end = max(start, ends[bucket]), min(stop, ends[bucket + 1])
        if end > begin:
            sums = (gram[bucket], cross[bucket])
            energy[bucket] += _add(
                samples, begin, end, *sums, space.panels, space.sums, space.ahead
            )
            count[bucket] += end - begin


def add_samples(
    samples: Located,
    ends: IndexArray,
    buckets: tuple[int, int],
    part: tuple[int, int],
    sums: tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.float64], IndexArray],
    space: Workspace,
) -> None:
    """Add samples to the sums of their buckets.

    Parameters
    ----------
    samples : Located
        Sorted by bucket.
    ends : (buckets + 1,) ndarray of int64
        Samples of bucket b are ``ends[b]`` to ``ends[b + 1]``.
    buckets : tuple of int
        First bucket to add to, and the one after the last.
    part : tuple of int
        First sample to add, and the one after the last.
    sums : tuple of ndarray
        Gram matrices, cross products, energy and count of all buckets, as in
        :class:`napari_mrisr.training.normal_equations.NormalEquations`. No other thread
        may add to these buckets meanwhile.
    space : Workspace
        The thread's own.
    """
    _add_all(samples, ends, *buckets, *part, *sums, space)


@jit
def _sort(buckets, places, order):  # type: ignore[no-untyped-def]
    for n in range(buckets.size):
        bucket = buckets[n]
        if bucket < places.size:
            order[places[bucket]] = n
            places[bucket] += 1


def sort_by_bucket(buckets: NDArray[np.int32], count: int) -> tuple[IndexArray, IndexArray]:
    """Sort samples by bucket, keeping their order within one.

    Parameters
    ----------
    buckets : (n,) ndarray of int32
        Not negative; those from ``count`` on are left out.
    count : int

    Returns
    -------
    order : (m,) ndarray of int64
        Indices of the samples in their new order.
    ends : (count + 1,) ndarray of int64
        Those of bucket b are ``order[ends[b]:ends[b + 1]]``.
    """
    ends = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(buckets, minlength=count)[:count], out=ends[1:])
    order = np.empty(ends[-1], np.int64)
    _sort(buckets, ends[:-1].copy(), order)
    return order, ends
