"""Trust maps: expected error, support and consistency of a super-resolved volume."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.bank.calibration import Calibration, CalibrationSeries, detail_of
from napari_mrisr.bank.model import FilterBank
from napari_mrisr.bank.predictors import (
    CHANGE_REACH,
    at_cells,
    before_last,
    change_of,
    hashes_cells,
    predict_from,
)
from napari_mrisr.core.axes import IN_ORDER, Axes, axes_between, inverse, permute_volume
from napari_mrisr.core.notice import RESEARCH_USE
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.scale import thick_axis
from napari_mrisr.core.slices import relative_width
from napari_mrisr.core.threads import ThreadPool, processors
from napari_mrisr.core.volume import FloatArray, Grid, Region, Shape, Volume
from napari_mrisr.errors import BankError, GeometryError, explain
from napari_mrisr.methods import get_method
from napari_mrisr.methods.resampled import scale_of_bank
from napari_mrisr.networks.file import ISOTROPIC, THICK, UNROLLED, NetworkFile
from napari_mrisr.operators import interpolate
from napari_mrisr.operators.degrade import Degradation, degrade, get_degradation
from napari_mrisr.operators.interpolate import AxisOperator
from napari_mrisr.operators.slices import slice_operator
from napari_mrisr.scan.traits import Traits, measure_traits
from napari_mrisr.training.sampling import run_stages, slabs_of

SUPPORTED, FEW_SAMPLES, OUTSIDE = 0, 1, 2
"""Values of the support map; a voxel with both has their sum."""

SAMPLES_PER_TAP = 10
"""A bucket with fewer samples per filter weight has few samples: the squared error of
least squares is then more than a tenth above that of many samples."""

SAMPLES_PER_CELL = 100
"""A cell of strength and detail with fewer held-out voxels lies outside training."""

NO_CALIBRATION = "no calibration: train the bank again, or calibrate the network"


@dataclass(frozen=True, eq=False)
class TrustMaps:
    """Trust maps of one result.

    Attributes
    ----------
    expected_error : Volume or None
        Expected RMSE at each voxel of the result, in the scan's intensities;
        None for a bank without calibration.
    support : Volume
        On the result's grid: 0 for enough training samples, 1 for few samples in the
        bucket of the last stage, 2 for strength and detail outside the training
        set, 3 for both.
    consistency : Volume
        On the low-resolution grid: the result degraded as the bank assumes, minus the
        measured volume; in the scan's intensities.
    consistency_percent : float
        Root mean square of the consistency map, in % of the intensity window.
    traits : Traits
        Traits of the low-resolution volume.
    """

    expected_error: Volume | None
    support: Volume
    consistency: Volume
    consistency_percent: float
    traits: Traits


def trust_maps(
    lr: Volume,
    result: Volume,
    bank: FilterBank | NetworkFile,
    *,
    traits: Traits | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> TrustMaps:
    """Compute the trust maps of a result; they need no reference.

    Parameters
    ----------
    lr : Volume
        Low-resolution volume, in the scan's intensities.
    result : Volume
        Result of ``bank`` for ``lr``, at any of its scales.
    bank : FilterBank or NetworkFile
        Filter bank or network of the result.
    traits : Traits, optional
        Traits of ``lr``, if already measured.
    threads : int, optional
        One per CPU by default.
    progress : Progress, optional
        Reports slabs; cancels within a fraction of a second.

    Raises
    ------
    GeometryError
        If the bank or network makes no result of that size.
    BankError
        If the calibration of a network cannot be understood.
    Cancelled
        If the user cancels.

    Examples
    --------
    >>> import napari_mrisr as sr
    >>> scan = sr.read_volume("scan.nii.gz")
    >>> maps = sr.trust_maps(scan, sr.upscale(scan, 2), sr.load_bank("default-2x"))
    >>> maps.expected_error.grid.shape
    (48, 56, 52)
    """
    progress = progress or Progress()
    axes = _axes_for(lr, result, bank)
    if axes != IN_ORDER:
        traits = traits or measure_traits(lr, Progress(progress.token))
        turned = (permute_volume(lr, axes), permute_volume(result, axes))
        maps = trust_maps(*turned, bank, traits=traits, threads=threads, progress=progress)
        return _permuted(maps, inverse(axes))
    unit = lr.normalized(check=progress.token.check)
    traits = traits or measure_traits(unit, Progress(progress.token))
    pool = ThreadPool(threads or processors(), progress.token)
    if isinstance(bank, NetworkFile):
        error, support = _of_network(unit, result, bank, traits.noise, pool, progress)
    else:
        grid = lr.grid.upsampled(bank.scale)
        found, support = _error_and_support(unit, bank, grid, traits.noise, pool, progress)
        error = None if found is None else _resampled(found, result.grid.shape, linear_operator)
        support = _resampled(support, result.grid.shape, interpolate.nearest_operator)
    measured = lr.restored()
    low, degradation = _degraded(lr, result.restored(), bank, progress)
    residual = low - measured.data
    rmse = float(np.sqrt(np.mean(np.square(residual), dtype=np.float64)))
    history = {"bank": bank.name, "note": RESEARCH_USE}
    expected = None
    if error is not None:
        np.multiply(error, np.float32(unit.window.high - unit.window.low), out=error)
        notes = {**history, "map": "expected RMSE, scan's intensities"}
        expected = Volume(error, result.grid, origin=lr.origin, history=notes)
    notes = {**history, "map": "support: 0 enough, 1 few samples, 2 outside training, 3 both"}
    of_residual = {
        **history,
        "map": "result degraded again minus measured, scan's intensities",
        "degradation": degradation,
    }
    return TrustMaps(
        expected,
        Volume(support, result.grid, origin=lr.origin, history=notes),
        Volume(residual, measured.grid, origin=lr.origin, history=of_residual),
        100.0 * rmse / (unit.window.high - unit.window.low),
        traits,
    )


def _axes_for(lr: Volume, result: Volume, bank: FilterBank | NetworkFile) -> Axes:
    """Return the order of axes in which the bank or network made the result."""
    x, y, z = (n / m for n, m in zip(result.grid.shape, lr.grid.shape, strict=True))
    axes: Axes | None = None
    thick = thick_axis((x, y, z))
    if isinstance(bank, FilterBank):
        whole = scale_of_bank((x, y, z), [bank.scale]) if min(x, y, z) >= 1 else None
        axes = None if whole is None else axes_between(whole, bank.scale)
    elif bank.kind in (THICK, UNROLLED) and thick is not None:
        first, second = (axis for axis in range(3) if axis != thick)
        axes = (first, second, thick)
    elif bank.kind == ISOTROPIC and x == y == z > 1:
        axes = IN_ORDER
    if axes is None:
        found = f"a result of {result.grid.shape} from {lr.grid.shape} voxels by {bank.name}"
        raise GeometryError(explain("trust maps", found, "give the volume and its result"))
    return axes


def _degraded(
    lr: Volume, result: Volume, bank: FilterBank | NetworkFile, progress: Progress
) -> tuple[FloatArray, str]:
    """Return the result degraded as the bank or network assumes, and the name of that."""
    sizes = zip(result.grid.shape, lr.grid.shape, strict=True)
    thick = [axis for axis, (n, m) in enumerate(sizes) if n != m]
    x, y, z = (n // m for n, m in zip(result.grid.shape, lr.grid.shape, strict=True))
    scale = (x, y, z)
    if isinstance(bank, FilterBank):
        scale, profile = bank.scale, get_degradation(bank.degradation)
    else:
        profile = Degradation("standard" if bank.kind == ISOTROPIC else "slice-profile")
    if len(thick) == 1 and profile.name == "slice-profile":
        profile = replace(profile, fwhm=relative_width(lr, thick[0]) or profile.fwhm)
        n, count = result.grid.shape[thick[0]], lr.grid.shape[thick[0]]
        operator = slice_operator(n, count, profile.profile, profile.fwhm)
        return operator.apply(np.ascontiguousarray(result.data), thick[0]), str(profile)
    whole = lr.grid.upsampled(scale)
    data = result.data
    if whole.shape != result.grid.shape:
        # Such a result was resampled from the bank's whole factors.
        data = interpolate.resample(
            data, (0, 0, 0), result.grid.shape, whole.shape, Region.whole(whole.shape)
        )
    low = degrade(Volume(data, whole), scale, profile, progress=progress)
    return low.data, str(profile)


def _permuted(maps: TrustMaps, axes: Axes) -> TrustMaps:
    error = maps.expected_error
    return replace(
        maps,
        expected_error=None if error is None else permute_volume(error, axes),
        support=permute_volume(maps.support, axes),
        consistency=permute_volume(maps.consistency, axes),
    )


def _resampled(
    array: FloatArray, shape: Shape, operator: Callable[[int, int], AxisOperator]
) -> FloatArray:
    """Resample a map over the same field of view, along the axes that differ."""
    for axis, (n, m) in enumerate(zip(array.shape, shape, strict=True)):
        if n != m:
            array = operator(n, m).apply(np.ascontiguousarray(array), axis)
    return array


def linear_operator(n: int, n_out: int) -> AxisOperator:
    """Return linear interpolation from ``n`` to ``n_out`` voxels over the same field of view."""
    place = np.clip(interpolate.positions(n, n_out), 0, n - 1)
    first = np.minimum(place.astype(np.int64), max(0, n - 2))
    taps = np.stack([1.0 - (place - first), place - first], axis=1)[:, : min(2, n)]
    return AxisOperator(first, taps.astype(np.float32))


def _of_network(
    lr: Volume,
    result: Volume,
    network: NetworkFile,
    noise: float,
    pool: ThreadPool,
    progress: Progress,
) -> tuple[FloatArray | None, FloatArray]:
    """Return expected error (engine units) and support of a network's result, in slabs."""
    shape = result.grid.shape
    support = np.zeros(shape, np.float32)
    series = series_of(network)
    if series is None:
        return None, support
    x, y, z = (n / m for n, m in zip(shape, lr.grid.shape, strict=True))
    calibration, start = series.at(z), get_method("tricubic", (x, y, z))
    slabs, error = slabs_of(shape, 1), np.empty(shape, np.float32)
    progress.begin("trust maps", len(slabs))
    detail = detail_of(lr.data)
    bucket = np.zeros(1, np.int32)

    def slab(box: Region) -> None:
        # With what the local average of the change reads.
        low = max(0, box.start[0] - CHANGE_REACH)
        high = min(shape[0], box.stop[0] + CHANGE_REACH)
        wide = Region((low, *box.start[1:]), (high, *box.stop[1:]))
        part = lr.window.to_unit(result.data[wide.slices])
        change = change_of(part, start.compute(lr, wide), (x, y, z))
        change = change[box.start[0] - low :][: box.shape[0]]
        fine = at_cells(detail, (x, y, z), box)
        error[box.slices] = calibration.expected_error(bucket, change, fine, noise)
        support[box.slices] = OUTSIDE * _unseen(calibration, change, fine)

    pool.each(slab, slabs, progress.advance)
    return error, support


def series_of(network: NetworkFile) -> CalibrationSeries | None:
    """Return the calibration of a network; None if it has none.

    Raises
    ------
    BankError
        If it cannot be understood.
    """
    try:
        return CalibrationSeries.from_json(network.calibration)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        found = f"its calibration cannot be understood ({error})"
        raise BankError(explain(network.name, found, "calibrate it again")) from error


def calibration_of(bank: FilterBank | NetworkFile) -> Calibration | None:
    """Return the calibration of a bank, or that of a network's lowest factor; None without."""
    if isinstance(bank, FilterBank):
        return bank.calibration
    series = series_of(bank)
    return None if series is None else series.calibrations[0]


def _error_and_support(
    lr: Volume, bank: FilterBank, grid: Grid, noise: float, pool: ThreadPool, progress: Progress
) -> tuple[FloatArray | None, FloatArray]:
    """Return expected error (engine units) and support, computed in slabs."""
    slabs = slabs_of(grid.shape, bank.scale[0])
    progress.begin("trust maps", len(bank.stages) * len(slabs) + len(slabs))
    cells = hashes_cells(bank)
    source = lr.data if cells else run_stages(lr, before_last(bank), pool)
    progress.advance(len(bank.stages) * len(slabs))
    detail, calibration = detail_of(lr.data), bank.calibration
    error = np.empty(grid.shape, np.float32) if calibration is not None else None
    support = np.empty(grid.shape, np.float32)
    few, whole = few_samples(bank), lr.grid.shape if cells else grid.shape

    def slab(box: Region) -> None:
        found = predict_from(bank, source, (0, 0, 0), whole, detail, box)
        support[box.slices] = FEW_SAMPLES * few[found.bucket]
        if calibration is not None and error is not None:
            error[box.slices] = calibration.expected_error(
                found.bucket, found.strength, found.detail, noise
            )
            unseen = _unseen(calibration, found.strength, found.detail)
            support[box.slices] += OUTSIDE * unseen

    pool.each(slab, slabs, progress.advance)
    return error, support


def few_samples(bank: FilterBank) -> NDArray[np.bool_]:
    """Return whether a bucket of the last stage has few samples; shape (buckets,).

    The flat bucket has no filter, so it needs no samples.
    """
    stage = bank.stages[-1]
    few = stage.support < SAMPLES_PER_TAP * stage.spec.taps
    few[stage.spec.hash.filter_count :] = False
    return np.asarray(few)


def _unseen(
    calibration: Calibration, strength: FloatArray, detail: FloatArray
) -> NDArray[np.bool_]:
    samples = calibration.samples.reshape(-1)[calibration.cells(strength, detail)]
    return np.asarray(samples < SAMPLES_PER_CELL)
