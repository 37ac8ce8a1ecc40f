"""What a run must know of the whole volume, found in two passes over its file.

The intensity window needs the 99.9th percentile, exactly as ``numpy.percentile``
gives it for an array in memory. Read as integers, the bits of float32 sort as
the numbers do (with the sign folded), so two counts of 65 536 bins find any order
statistic: the first by the upper sixteen bits, the second by the lower
sixteen within the bins that the first pointed at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.percentiles import between
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import CLIP_PERCENTILE, FloatArray, IntensityWindow
from napari_mrisr.streaming.source import Source

_BINS = 1 << 16

Pieces = Callable[[], Iterator[FloatArray]]
"""Gives all pieces of the data, once for each pass."""


@dataclass(frozen=True)
class Statistics:
    """Of a whole volume.

    Attributes
    ----------
    window : IntensityWindow
        Bit for bit that of the volume in memory.
    low, high : float
        Lowest and highest intensity.
    """

    window: IntensityWindow
    low: float
    high: float


def survey(source: Source, progress: Progress) -> Statistics:
    """Read a volume twice, in planes, and judge its voxels.

    Raises
    ------
    VolumeError
        As :func:`~napari_mrisr.io.read_volume` for what the voxels tell.
    Cancelled
        Between planes.
    """
    boxes = list(source.layers())
    progress.begin("looking at the intensities", 2 * len(boxes))
    low, high = np.inf, -np.inf

    def pieces() -> Iterator[FloatArray]:
        for box in boxes:
            yield source.read(box, progress.token.check)
            progress.advance()

    def first() -> Iterator[FloatArray]:
        nonlocal low, high
        for piece in pieces():
            low, high = min(low, float(piece.min())), max(high, float(piece.max()))
            yield piece
        source.intake.check()

    passes = iter((first, pieces))
    top = exact_percentile(lambda: next(passes)(), math.prod(source.shape))
    return Statistics(window_from(low, high, top), low, high)


def window_from(low: float, high: float, percentile: float) -> IntensityWindow:
    """:meth:`IntensityWindow.of`, from what it asks of the data."""
    bottom = min(0.0, low)
    for top in (percentile, high):
        if top > bottom:
            return IntensityWindow(bottom, top)
    return IntensityWindow(bottom, bottom + 1.0)


def exact_percentile(pieces: Pieces, count: int, percent: float = CLIP_PERCENTILE) -> float:
    """What ``numpy.percentile`` would give for all pieces together.

    Parameters
    ----------
    pieces : callable
        Gives all pieces, float32 without NaN; called twice.
    count : int
        Values in all.
    percent : float
        0 to 100.
    """
    position = (count - 1) * (percent / 100)
    rank = math.floor(position)
    ranks = (rank, min(rank + 1, count - 1))
    coarse = np.zeros(_BINS, np.int64)
    for piece in pieces():
        coarse += np.bincount((_sortable(piece) >> 16).astype(np.int64), minlength=_BINS)
    ends = np.cumsum(coarse)
    chosen = [int(np.searchsorted(ends, r, side="right")) for r in ranks]
    fine = {number: np.zeros(_BINS, np.int64) for number in chosen}
    for piece in pieces():
        keys = _sortable(piece)
        for number, counts in fine.items():
            inside = keys[keys >> 16 == number] & 0xFFFF
            counts += np.bincount(inside.astype(np.int64), minlength=_BINS)
    values = []
    for r, number in zip(ranks, chosen, strict=True):
        within = r - int(ends[number] - coarse[number])
        low = int(np.searchsorted(np.cumsum(fine[number]), within, side="right"))
        values.append(_number(number << 16 | low))
    return between(values[0], values[1], position - rank)


def _sortable(values: FloatArray) -> NDArray[np.uint32]:
    """Integers that sort as the numbers do, flat."""
    bits = np.ascontiguousarray(values).reshape(-1).view(np.uint32)
    # Negative numbers: all bits turned; others: the sign set.
    return bits ^ np.where(bits >> 31, np.uint32(0xFFFFFFFF), np.uint32(0x80000000))


def _number(key: int) -> np.float32:
    bits = key ^ (0x80000000 if key >> 31 else 0xFFFFFFFF)
    return np.float32(np.array([bits], np.uint32).view(np.float32)[0])
