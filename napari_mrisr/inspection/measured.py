"""The gain over tricubic in each bucket, where the truth of a volume is at hand.

A bank keeps the error before and after each of its stages, which for later
stages is no gain over tricubic. On a volume with a truth it can be measured:
the whole bank beside tricubic, over the voxels of each bucket.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.core.progress import Progress
from napari_mrisr.core.threads import processors
from napari_mrisr.core.volume import FloatArray, Volume
from napari_mrisr.errors import GeometryError, explain
from napari_mrisr.inspection.source import StageInput
from napari_mrisr.methods import Method, get_method
from napari_mrisr.methods.hashed import Hashed
from napari_mrisr.run.upscale import UpscaleParameters, check_memory, run_method


@dataclass(frozen=True, eq=False)
class MeasuredGain:
    """Errors against a truth, a row a bucket; upsampled voxels inside the head.

    Attributes
    ----------
    voxels : (n,) ndarray of int64
        How many there are.
    tricubic, hashed : (n,) ndarray of float64
        Root mean squared error of tricubic and of the whole bank, engine units;
        NaN where there are no voxels.
    """

    voxels: NDArray[np.int64]
    tricubic: NDArray[np.float64]
    hashed: NDArray[np.float64]

    @property
    def gain(self) -> NDArray[np.float64]:
        """Of the whole bank over tricubic, dB; NaN where not known."""
        with np.errstate(divide="ignore", invalid="ignore"):
            gain = 20.0 * np.log10(self.tricubic / self.hashed)
        return np.where(np.isfinite(gain), gain, np.nan)


def measure_gain(
    source: StageInput,
    buckets: NDArray[Any],
    truth: Volume,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> MeasuredGain:
    """Measure the whole bank and tricubic in each bucket of one of its stages.

    Parameters
    ----------
    source : StageInput
    buckets : ndarray of int
        Bucket ids on the stage's grid.
    truth : Volume
        On the upsampled grid, in the intensities of the scan.
    threads, progress
        As :func:`napari_mrisr.inspection.source.stage_input`.

    Raises
    ------
    GeometryError
        When the truth is on another grid.
    MemoryEstimateError
        When the results would not fit into memory.
    """
    lr, scale = source.lr, source.bank.scale
    grid = lr.grid.upsampled(scale)
    if truth.grid.shape != grid.shape or not np.allclose(
        truth.grid.affine, grid.affine, rtol=1e-4, atol=1e-2
    ):
        found = f"its grid of {truth.grid.shape} voxels is not the upsampled one, {grid.shape}"
        mend = "choose the layer that the low-resolution volume was made of"
        raise GeometryError(explain("truth", found, mend))
    check_memory(lr.grid, UpscaleParameters(scale))
    wanted = lr.window.to_unit(truth.restored().data)
    head = _on(grid.shape, source.head(progress))
    where = _on(grid.shape, buckets)
    count = source.stage.spec.hash.bucket_count
    voxels = np.zeros(count, np.int64)
    methods: tuple[Method, ...] = (get_method("tricubic", scale), Hashed(source.bank))
    squares = np.zeros((2, count))
    for row, method in zip(squares, methods, strict=True):
        made = run_method(method, lr, threads=threads or processors(), progress=progress)
        rest = _squares(lr.window.to_unit(made.data), wanted)
        for x in range(grid.shape[0]):
            chosen, inside = where(x), head(x)
            row += np.bincount(chosen[inside], rest[x][inside], minlength=count)
    for x in range(grid.shape[0]):
        voxels += np.bincount(where(x)[head(x)], minlength=count)
    with np.errstate(invalid="ignore"):
        tricubic, hashed = np.sqrt(squares / np.where(voxels > 0, voxels, np.nan))
    return MeasuredGain(voxels, tricubic, hashed)


def _squares(made: FloatArray, wanted: FloatArray) -> FloatArray:
    """Squared differences, in the place of the first."""
    made -= wanted
    made *= made
    return made


def _on(shape: tuple[int, ...], array: NDArray[Any]) -> Any:
    """A function that gives plane x of an array repeated to a finer shape."""
    factor = [n // m for n, m in zip(shape, array.shape, strict=True)]

    def plane(x: int) -> NDArray[Any]:
        return np.repeat(np.repeat(array[x // factor[0]], factor[1], axis=0), factor[2], axis=1)

    return plane
