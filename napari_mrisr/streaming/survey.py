"""Survey of a volume that may not fit into memory: intensities, and the kind of scan."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from napari_mrisr.core.percentiles import percentile_of_pieces
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

# Bytes per voxel, read, normalized and measured; see tests/streaming/test_survey.py.
_MEASURED = 24
# A little more than 320³, some seconds of work. More voxels do not change the result.
_MOST_MEASURED = 1 << 25

# Voxels that show if a volume holds labels.
_QUICK_LOOK = 1 << 20


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
    top = percentile_of_pieces(lambda: next(passes)(), math.prod(source.shape), CLIP_PERCENTILE)
    return Statistics(IntensityWindow.between(low, high, top), low, high)


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


def middle_of(source: Source, progress: Progress) -> Volume:
    """Read the middle of a volume, which represents it for a quick look."""
    box = _middle(source.grid.shape, _QUICK_LOOK)
    data = source.read(box, progress.token.check)
    return Volume(data, source.grid.cropped(box.start, box.shape), origin=source.origin)


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
