"""What kind of scan a volume is that may not fit into memory.

Where it fits, it is looked at whole, as in memory. Otherwise two parts stand for
it. Noise and filled spectrum need neighboring voxels: a box in the middle, as
large as fits. Contrast needs all of the head and no fine detail: voxels at equal
steps through the whole volume.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.volume import FloatArray, Grid, IntensityWindow, Region, Shape, Volume
from napari_mrisr.scan.traits import Traits, measure_traits
from napari_mrisr.streaming.memory import voxels_to_look_at
from napari_mrisr.streaming.plan import StreamPlan
from napari_mrisr.streaming.source import Source


@dataclass(frozen=True)
class Glance:
    """What was seen, and of how much.

    Attributes
    ----------
    traits : Traits
        Of the volume.
    part : str
        What was looked at, for people; empty for the whole volume.
    """

    traits: Traits
    part: str = ""


def look_at(plan: StreamPlan, progress: Progress | None = None) -> Glance:
    """Measure the input of a plan within its memory.

    Parameters
    ----------
    plan : StreamPlan
        Prepared, so that the intensities of the whole are known.
    progress : Progress, optional
        Reports, and cancels.

    Raises
    ------
    MrisrError
        When the input can no longer be read.
    Cancelled
        When asked to stop.
    """
    progress = progress or Progress()
    with plan.opened() as run:
        source, window = run.source, run.statistics.window
        shape, most = source.grid.shape, voxels_to_look_at(plan.request.memory)
        box = _middle(shape, most)
        traits = measure_traits(_read(source, box, window, progress), progress)
        if box == Region.whole(shape):
            return Glance(traits)
        steps = _steps(shape, most)
        sparse = measure_traits(_sparse(source, steps, window, progress), progress)
        # Along the file's own axes, as other lines about it count.
        axes = source.origin.ras_axis
        size, step = (" x ".join(str(n[axis]) for axis in axes) for n in (box.shape, steps))
        text = f"its middle {size} voxels; for the contrast, steps of {step} voxels through all"
        return Glance(replace(traits, contrast=sparse.contrast), text)


def _middle(shape: Shape, most: int) -> Region:
    """The largest box in the middle of at most so many voxels, a cube where it can be."""
    edge = max(shape)
    while math.prod(min(n, edge) for n in shape) > most:
        edge -= 1
    x, y, z = ((n - min(n, edge)) // 2 for n in shape)
    a, b, c = (min(n, edge) for n in shape)
    return Region((x, y, z), (x + a, y + b, z + c))


def _steps(shape: Shape, most: int) -> Shape:
    """Steps that leave at most so many voxels, the longest axis first."""
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
    """Voxels at equal steps, in the order in which the file stores them."""
    shape = source.grid.shape
    x, y, z = (-(-n // step) for n, step in zip(shape, steps, strict=True))
    out: FloatArray = np.empty((x, y, z), np.float32)
    boxes = list(source.layers())
    progress.begin("looking through the scan", len(boxes))
    for box in boxes:
        progress.token.check()
        # The first voxel of each axis that a step falls on.
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
