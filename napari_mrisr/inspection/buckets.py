"""Statistics per bucket: voxels, training samples, gain; comparison of two banks.

A bank stores the error before and after each stage on its training samples. The
gain over tricubic of the whole bank is measured on a volume with a reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.bank.model import FilterBank, Stage, patch_text
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.threads import processors
from napari_mrisr.core.volume import FloatArray, Volume
from napari_mrisr.errors import BankError, ParameterError, explain
from napari_mrisr.inspection.source import StageInput, check_reference, check_stage
from napari_mrisr.methods import Method, get_method
from napari_mrisr.methods.hashed import Hashed
from napari_mrisr.run.upscale import UpscaleParameters, check_memory, run_method

Column = NDArray[Any]


def count_buckets(
    buckets: NDArray[Any], bucket_count: int, inside: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """Count the voxels per bucket of a map, optionally inside a mask.

    Returns
    -------
    (bucket_count,) ndarray of int64
    """
    total = np.zeros(bucket_count, np.int64)
    # Slice by slice, because bincount converts its input to 64 bits.
    for number, slab in enumerate(buckets):
        chosen = slab.reshape(-1) if inside is None else slab[inside[number]]
        total += np.bincount(chosen, minlength=bucket_count)
    return total


def gain_db(stage: Stage) -> NDArray[np.float64]:
    """Return the gain of a stage over its input per bucket, on the training samples, dB.

    NaN for buckets without samples, and for a stage without residual, because the
    bank does not store the error before it.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = stage.start_error.astype(np.float64) / stage.error
        return np.asarray(20.0 * np.log10(np.where(stage.error > 0, ratio, np.nan)))


def gain_baseline(bank: FilterBank, number: int) -> str | None:
    """Return the baseline of :func:`gain_db`; None if the bank does not store it.

    The baseline is the bank's interpolation for the first stage, and the previous
    stage for later stages.
    """
    if not check_stage(bank, number).spec.residual:
        return None
    return bank.start if number == 0 else f"stage {number}"


@dataclass(frozen=True, eq=False)
class BucketTable:
    """Statistics of a stage, one row per bucket.

    Attributes
    ----------
    bucket : (n,) ndarray of int64
    voxels : (n,) ndarray of int64
        Voxels of the volume, or of its mask.
    training : (n,) ndarray of int64
        Training samples.
    error, start_error : (n,) ndarray of float32
        Root mean squared error over the training samples after and before the
        stage, engine units; NaN if unknown.
    gain : (n,) ndarray of float64
        dB; see :func:`gain_db`.
    filter_count : int
        Number of buckets with a filter, which come first.
    """

    bucket: NDArray[np.int64]
    voxels: NDArray[np.int64]
    training: NDArray[np.int64]
    error: NDArray[np.float32]
    start_error: NDArray[np.float32]
    gain: NDArray[np.float64]
    filter_count: int

    def column(self, name: str) -> Column:
        """Return a column by name."""
        if name not in self.__dataclass_fields__:
            remedy = f"choose from {', '.join(self.__dataclass_fields__)}"
            raise ParameterError(explain("column", repr(name), remedy))
        return np.asarray(getattr(self, name))

    def order(self, name: str, descending: bool = True) -> NDArray[np.int64]:
        """Return the rows sorted by a column; equal values by bucket, NaN last."""
        return sort_rows(self.column(name), descending)

    def share(self, name: str) -> NDArray[np.float64]:
        """Return ``voxels`` or ``training`` as a fraction of all with a filter, 0 to 1.

        NaN for flat voxels, which have no training samples.
        """
        counts = self.column(name).astype(np.float64)
        counts[self.filter_count :] = np.nan
        total = np.nansum(counts)
        return counts / total if total > 0 else counts


def sort_rows(column: Column, descending: bool) -> NDArray[np.int64]:
    """Return row numbers in a column's order; stable, NaN last."""
    values = column.astype(np.float64)
    key = -values if descending else values
    return np.argsort(np.where(np.isnan(values), np.inf, key), kind="stable")


def bucket_table(
    buckets: NDArray[Any], stage: Stage, inside: NDArray[np.bool_] | None = None
) -> BucketTable:
    """Combine the counts of a bucket map with the bank's training statistics.

    Parameters
    ----------
    buckets : ndarray of int
        Output of :func:`napari_mrisr.inspection.maps.bucket_map`.
    stage : Stage
        Stage of that map.
    inside : ndarray of bool, optional
        Voxels to count; training samples come from inside the head.
    """
    count = stage.spec.hash.bucket_count
    return BucketTable(
        bucket=np.arange(count),
        voxels=count_buckets(buckets, count, inside),
        training=stage.support,
        error=stage.error,
        start_error=stage.start_error,
        gain=gain_db(stage),
        filter_count=stage.spec.hash.filter_count,
    )


@dataclass(frozen=True, eq=False)
class BankComparison:
    """Comparison of a stage of two banks, one row per bucket.

    Attributes
    ----------
    first, second : Stage
    difference : (n,) ndarray of float64
        Relative difference ‖b − a‖ / ‖a‖ of the filters over all outputs; NaN for a
        bucket without filter.
    support_ratio, error_ratio : (n,) ndarray of float64
        Value of the second bank divided by that of the first; NaN if unknown.
    """

    first: Stage
    second: Stage
    difference: NDArray[np.float64]
    support_ratio: NDArray[np.float64]
    error_ratio: NDArray[np.float64]


def compare_banks(first: FilterBank, second: FilterBank, number: int) -> BankComparison:
    """Compare a stage of two banks bucket by bucket.

    Parameters
    ----------
    first, second : FilterBank
    number : int
        Stage, from 0.

    Raises
    ------
    BankError
        If the buckets of the two banks differ.
    ParameterError
        If one bank has no such stage.
    """
    a, b = check_stage(first, number), check_stage(second, number)
    reason = _mismatch(first, a, second, b)
    if reason is not None:
        remedy = "choose a bank of the same preset and scale"
        raise BankError(explain(f"{second.name} compared with {first.name}", reason, remedy))
    one, two = (s.weights.astype(np.float64) for s in (a, b))
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = np.linalg.norm(two - one, axis=(1, 2)) / np.linalg.norm(one, axis=(1, 2))
        support = b.support / a.support.astype(np.float64)
        error = b.error.astype(np.float64) / a.error
    flat = a.spec.hash.bucket_count - a.spec.hash.filter_count
    difference = np.pad(difference, (0, flat), constant_values=np.nan)
    difference, support, error = (
        np.where(np.isfinite(column), column, np.nan) for column in (difference, support, error)
    )
    return BankComparison(a, b, difference, support, error)


def _mismatch(first: FilterBank, a: Stage, second: FilterBank, b: Stage) -> str | None:
    """Return the reason why the buckets of two stages differ; None if they are equal."""
    if first.scale != second.scale:
        return f"scale {_scale_text(second.scale)}, not {_scale_text(first.scale)}"
    if a.spec.grid != b.spec.grid:
        return f"its stage works on {b.spec.grid}s, not {a.spec.grid}s"
    if a.spec.shape != b.spec.shape:
        return f"patches of {patch_text(b.spec)}, not {patch_text(a.spec)}"
    if a.spec.residual != b.spec.residual:
        return "only one of the banks filters differences from the center voxel"
    one, two = a.spec.hash, b.spec.hash
    for name in ("window", "symmetry", "phases", "flat"):
        if getattr(one, name) != getattr(two, name):
            return f"{name} {getattr(two, name)}, not {getattr(one, name)}"
    for name in sorted({*one.cuts, *two.cuts}):
        if one.cuts.get(name, ()) != two.cuts.get(name, ()):
            return f"{name} is cut at {two.cuts.get(name, ())}, not at {one.cuts.get(name, ())}"
    if one.anchors != two.anchors:
        return "other anchors"
    return None


def _scale_text(scale: tuple[int, ...]) -> str:
    return " × ".join(map(str, scale))


@dataclass(frozen=True, eq=False)
class MeasuredGain:
    """Errors against a reference, one row per bucket; upsampled voxels inside the head.

    Attributes
    ----------
    voxels : (n,) ndarray of int64
        Number of voxels.
    tricubic, hashed : (n,) ndarray of float64
        Root mean squared error of tricubic and of the whole bank, engine units;
        NaN for buckets without voxels.
    """

    voxels: NDArray[np.int64]
    tricubic: NDArray[np.float64]
    hashed: NDArray[np.float64]

    @property
    def gain(self) -> NDArray[np.float64]:
        """Gain of the whole bank over tricubic, dB; NaN if unknown."""
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
    """Measure the whole bank and tricubic per bucket of one stage.

    Parameters
    ----------
    source : StageInput
    buckets : ndarray of int
        Bucket numbers on the stage's grid.
    truth : Volume
        Reference on the upsampled grid, in the intensities of the scan.
    threads, progress
        As :func:`napari_mrisr.inspection.source.stage_input`.

    Raises
    ------
    GeometryError
        If the reference lies on another grid.
    MemoryEstimateError
        If the results do not fit into memory.
    """
    lr, scale = source.lr, source.bank.scale
    grid = lr.grid.upsampled(scale)
    check_reference(truth.grid, lr.grid, scale)
    check_memory(lr.grid, UpscaleParameters(scale))
    wanted = lr.window.to_unit(truth.restored().data)
    head = _planes_on(grid.shape, source.head(progress))
    bucket_of = _planes_on(grid.shape, buckets)
    count = source.stage.spec.hash.bucket_count
    voxels = np.zeros(count, np.int64)
    methods: tuple[Method, ...] = (get_method("tricubic", scale), Hashed(source.bank))
    squares = np.zeros((2, count))
    for row, method in zip(squares, methods, strict=True):
        made = run_method(method, lr, threads=threads or processors(), progress=progress)
        rest = _squares(lr.window.to_unit(made.data), wanted)
        for x in range(grid.shape[0]):
            chosen, inside = bucket_of(x), head(x)
            row += np.bincount(chosen[inside], rest[x][inside], minlength=count)
    for x in range(grid.shape[0]):
        voxels += np.bincount(bucket_of(x)[head(x)], minlength=count)
    with np.errstate(invalid="ignore"):
        tricubic, hashed = np.sqrt(squares / np.where(voxels > 0, voxels, np.nan))
    return MeasuredGain(voxels, tricubic, hashed)


def _squares(made: FloatArray, wanted: FloatArray) -> FloatArray:
    """Replace the first array by the squared differences."""
    made -= wanted
    made *= made
    return made


def _planes_on(shape: tuple[int, ...], array: NDArray[Any]) -> Any:
    """Return a function that returns plane x of an array repeated to a finer shape."""
    factor = [n // m for n, m in zip(shape, array.shape, strict=True)]

    def plane(x: int) -> NDArray[Any]:
        return np.repeat(np.repeat(array[x // factor[0]], factor[1], axis=0), factor[2], axis=1)

    return plane
