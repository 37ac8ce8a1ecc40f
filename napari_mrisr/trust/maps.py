"""Trust maps: expected error, support and consistency of a super-resolved volume."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.bank.calibration import Calibration, detail_of
from napari_mrisr.bank.model import FilterBank
from napari_mrisr.bank.predictors import Predictors, before_last, predict_from
from napari_mrisr.core.axes import IN_ORDER, Axes, axes_between, inverse, permute_volume
from napari_mrisr.core.notice import RESEARCH_USE
from napari_mrisr.core.progress import Progress
from napari_mrisr.core.threads import ThreadPool, processors
from napari_mrisr.core.volume import FloatArray, Grid, Region, Volume
from napari_mrisr.errors import GeometryError, explain
from napari_mrisr.operators.degrade import degrade
from napari_mrisr.scan.traits import Traits, measure_traits
from napari_mrisr.training.sampling import run_stages, slabs_of

SUPPORTED, FEW_SAMPLES, OUTSIDE = 0, 1, 2
"""Values of the support map; a voxel with both has their sum."""

SAMPLES_PER_TAP = 10
"""A bucket with fewer samples per filter weight has few samples: the squared error of
least squares is then more than a tenth above that of many samples."""

SAMPLES_PER_CELL = 100
"""A cell of strength and detail with fewer held-out voxels lies outside training."""

NO_CALIBRATION = "no calibration: train the bank again (the preset paper has none)"


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
    bank: FilterBank,
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
        Result of ``bank`` for ``lr``.
    bank : FilterBank
        Filter bank of the result.
    traits : Traits, optional
        Traits of ``lr``, if already measured.
    threads : int, optional
        One per CPU by default.
    progress : Progress, optional
        Reports slabs; cancels within a fraction of a second.

    Raises
    ------
    GeometryError
        If the result is not on the low-resolution grid times the bank's scale.
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
    grid = lr.grid.upsampled(bank.scale)
    if grid.shape != result.grid.shape:
        found = f"a result of {result.grid.shape}, not {grid.shape} voxels"
        raise GeometryError(explain("trust maps", found, "give the volume and its result"))
    unit = lr.normalized(check=progress.token.check)
    traits = traits or measure_traits(unit, Progress(progress.token))
    pool = ThreadPool(threads or processors(), progress.token)
    error, support = _error_and_support(unit, bank, grid, traits.noise, pool, progress)
    measured = lr.restored()
    low = degrade(result.restored(), bank.scale, bank.degradation, progress=progress)
    residual = low.data - measured.data
    rmse = float(np.sqrt(np.mean(np.square(residual), dtype=np.float64)))
    history = {"bank": bank.name, "note": RESEARCH_USE}
    expected = None
    if error is not None:
        np.multiply(error, np.float32(unit.window.high - unit.window.low), out=error)
        notes = {**history, "map": "expected RMSE, scan's intensities"}
        expected = Volume(error, grid, origin=lr.origin, history=notes)
    notes = {**history, "map": "support: 0 enough, 1 few samples, 2 outside training, 3 both"}
    of_residual = {
        **history,
        "map": "result degraded again minus measured, scan's intensities",
        "degradation": bank.degradation,
    }
    return TrustMaps(
        expected,
        Volume(support, grid, origin=lr.origin, history=notes),
        Volume(residual, measured.grid, origin=lr.origin, history=of_residual),
        100.0 * rmse / (unit.window.high - unit.window.low),
        traits,
    )


def _axes_for(lr: Volume, result: Volume, bank: FilterBank) -> Axes:
    """Return the order of axes in which the bank made the result; see ``hashed_with``."""
    x, y, z = (n // m for n, m in zip(result.grid.shape, lr.grid.shape, strict=True))
    return axes_between((x, y, z), bank.scale) or IN_ORDER


def _permuted(maps: TrustMaps, axes: Axes) -> TrustMaps:
    error = maps.expected_error
    return replace(
        maps,
        expected_error=None if error is None else permute_volume(error, axes),
        support=permute_volume(maps.support, axes),
        consistency=permute_volume(maps.consistency, axes),
    )


def _error_and_support(
    lr: Volume, bank: FilterBank, grid: Grid, noise: float, pool: ThreadPool, progress: Progress
) -> tuple[FloatArray | None, FloatArray]:
    """Return expected error (engine units) and support, computed in slabs."""
    slabs = slabs_of(grid.shape, bank.scale[0])
    progress.begin("trust maps", len(bank.stages) * len(slabs) + len(slabs))
    if bank.stages[-1].spec.grid != "voxel":
        # No preset ends with a stage of cells, and such a bank has no calibration.
        return None, np.zeros(grid.shape, np.float32)
    image = run_stages(lr, before_last(bank), pool)
    progress.advance(len(bank.stages) * len(slabs))
    detail, calibration = detail_of(lr.data), bank.calibration
    error = np.empty(grid.shape, np.float32) if calibration is not None else None
    support = np.empty(grid.shape, np.float32)
    few = few_samples(bank)

    def slab(box: Region) -> None:
        found = predict_from(bank, image, (0, 0, 0), grid.shape, detail, box)
        support[box.slices] = FEW_SAMPLES * few[found.bucket]
        if calibration is not None and error is not None:
            error[box.slices] = calibration.expected_error(
                found.bucket, found.strength, found.detail, noise
            )
            support[box.slices] += OUTSIDE * _outside(calibration, found)

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


def _outside(calibration: Calibration, found: Predictors) -> NDArray[np.bool_]:
    samples = calibration.samples.reshape(-1)[calibration.cells(found.strength, found.detail)]
    return np.asarray(samples < SAMPLES_PER_CELL)
