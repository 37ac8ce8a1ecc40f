"""Survey of a volume that may not fit into memory: intensities, and the kind of scan."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.percentiles import between
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import (
    CLIP_PERCENTILE,
    FloatArray,
    Grid,
    IntensityWindow,
    Region,
    Shape,
    Volume,
)
from napari_mrisr.scan.traits import Traits, measure_traits
from napari_mrisr.streaming.source import Source

_BINS = 1 << 16

# Bytes per voxel, read, normalized and measured; see tests/streaming/test_survey.py.
_MEASURED = 24
# A little more than 320³, some seconds of work. More voxels do not change the result.
_MOST_MEASURED = 1 << 25

Pieces = Callable[[], Iterator[FloatArray]]
"""Returns all pieces of the data, once for each pass."""


@dataclass(frozen=True)
class Statistics:
    """Intensities of a whole volume.

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


@dataclass(frozen=True)
class SampledTraits:
    """Traits of a volume, measured on a part of it if it is large.

    Attributes
    ----------
    traits : Traits
        Of the volume.
    part : str
        The measured part, for the user; empty for the whole volume.
    """

    traits: Traits
    part: str = ""


def survey(source: Source, progress: Progress) -> Statistics:
    """Read a volume twice, in planes, and judge its voxels.

    Raises
    ------
    VolumeError
        As :func:`~napari_mrisr.io.read_volume` for unusable voxels.
    Cancelled
        Between planes.
    """
    boxes = list(source.layers())
    progress.begin("measuring the intensities", 2 * len(boxes))
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


def finite_mean(source: Source, progress: Progress) -> float:
    """Return the mean of the finite voxels of a source opened with ``fill="mean"``.

    Raises
    ------
    VolumeError
        For unusable voxels.
    Cancelled
        Between planes.
    """
    boxes = list(source.layers())
    progress.begin("measuring the mean", len(boxes))
    for box in boxes:
        source.read(box, progress.token.check)
        progress.advance()
    source.intake.check()
    return source.intake.mean


def sample_traits(
    source: Source, window: IntensityWindow, memory: int, progress: Progress
) -> SampledTraits:
    """Measure the traits of a volume within a memory budget.

    A volume that fits is measured as in memory. Otherwise two parts represent it: a box in the
    middle for noise and spectrum, which need neighboring voxels, and voxels at equal steps
    through the whole volume for contrast, which needs all of the head.

    Parameters
    ----------
    source : Source
        The volume.
    window : IntensityWindow
        Of the whole volume.
    memory : int
        Bytes for arrays.
    progress : Progress
        Reports, and cancels.

    Raises
    ------
    MrisrError
        When the input can no longer be read.
    Cancelled
        When cancelled.
    """
    shape, most = source.grid.shape, min(_MOST_MEASURED, memory // _MEASURED)
    box = _middle(shape, most)
    traits = measure_traits(_read(source, box, window, progress), progress)
    if box == Region.whole(shape):
        return SampledTraits(traits)
    steps = _steps(shape, most)
    sparse = measure_traits(_sparse(source, steps, window, progress), progress)
    # In the file's axis order, as other messages.
    axes = source.origin.ras_axis
    size, step = (" × ".join(str(n[axis]) for axis in axes) for n in (box.shape, steps))
    text = f"its middle {size} voxels, and for the contrast voxels at steps of {step} voxels"
    return SampledTraits(replace(traits, contrast=sparse.contrast), text)


def window_from(low: float, high: float, percentile: float) -> IntensityWindow:
    """Return the window that :meth:`IntensityWindow.of` finds, from three numbers."""
    bottom = min(0.0, low)
    for top in (percentile, high):
        if top > bottom:
            return IntensityWindow(bottom, top)
    return IntensityWindow(bottom, bottom + 1.0)


def exact_percentile(pieces: Pieces, count: int, percent: float = CLIP_PERCENTILE) -> float:
    """Return ``numpy.percentile`` of all pieces together.

    Read as integers, the bits of float32 sort as the numbers do (with the sign folded). So two
    counts of 65 536 bins find any order statistic: the first by the upper sixteen bits, the
    second by the lower sixteen within the bins of the wanted ranks.

    Parameters
    ----------
    pieces : callable
        Returns all pieces, float32 without NaN; called twice.
    count : int
        Number of values.
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
    """Return integers that sort as the numbers do, flat."""
    bits = np.ascontiguousarray(values).reshape(-1).view(np.uint32)
    # Negative numbers: all bits inverted; others: the sign bit set.
    return bits ^ np.where(bits >> 31, np.uint32(0xFFFFFFFF), np.uint32(0x80000000))


def _number(key: int) -> np.float32:
    """Return the number of a key of :func:`_sortable`."""
    bits = key ^ (0x80000000 if key >> 31 else 0xFFFFFFFF)
    return np.float32(np.array([bits], np.uint32).view(np.float32)[0])


def _middle(shape: Shape, most: int) -> Region:
    """Return the largest box in the middle with at most ``most`` voxels, nearly a cube."""
    edge = max(shape)
    while math.prod(min(n, edge) for n in shape) > most:
        edge -= 1
    x, y, z = ((n - min(n, edge)) // 2 for n in shape)
    a, b, c = (min(n, edge) for n in shape)
    return Region((x, y, z), (x + a, y + b, z + c))


def _steps(shape: Shape, most: int) -> Shape:
    """Return steps that leave at most ``most`` voxels, the longest axis first."""
    steps = [1, 1, 1]

    def left() -> list[int]:
        return [-(-n // step) for n, step in zip(shape, steps, strict=True)]

    while math.prod(left()) > most:
        steps[int(np.argmax(left()))] += 1
    return steps[0], steps[1], steps[2]


def _read(source: Source, box: Region, window: IntensityWindow, progress: Progress) -> Volume:
    data = window.to_unit(source.read(box, progress.token.check))
    return Volume(data, source.grid.cropped(box.start, box.shape), window)


def _sparse(source: Source, steps: Shape, window: IntensityWindow, progress: Progress) -> Volume:
    """Read voxels at equal steps, in the order in which the file stores them."""
    shape = source.grid.shape
    x, y, z = (-(-n // step) for n, step in zip(shape, steps, strict=True))
    out: FloatArray = np.empty((x, y, z), np.float32)
    boxes = list(source.layers())
    progress.begin("measuring the scan", len(boxes))
    for box in boxes:
        progress.token.check()
        # The first voxel along each axis that a step falls on.
        first = [-(-a // s) * s for a, s in zip(box.start, steps, strict=True)]
        if all(a < b for a, b in zip(first, box.stop, strict=True)):
            values = source.read(box, progress.token.check)
            inner = [slice(f - a, None, s) for f, a, s in zip(first, box.start, steps, strict=True)]
            outer = [
                slice(f // s, -(-b // s)) for f, b, s in zip(first, box.stop, steps, strict=True)
            ]
            out[tuple(outer)] = window.to_unit(values[tuple(inner)])
        progress.advance()
    affine = source.grid.affine @ np.diag([*steps, 1.0])
    return Volume(out, Grid((x, y, z), affine), window)
