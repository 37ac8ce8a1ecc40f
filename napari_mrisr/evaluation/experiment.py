"""Evaluate methods against a truth under a protocol.

The truth is prepared as in the 2021 paper (section 3.1): cropped to a multiple
of the scale, clipped at the 99.9th percentile, normalized to [0, 1].
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from napari_mrisr.bank.model import bundled_banks, bundled_name, load_bank
from napari_mrisr.core.progress import InnerProgress, Progress
from napari_mrisr.core.scale import RealScale, Scale, format_scale, whole_scale
from napari_mrisr.core.slices import relative_width
from napari_mrisr.core.threads import call_in_thread
from napari_mrisr.core.volume import Grid, IntensityWindow, Origin, Volume
from napari_mrisr.errors import (
    Cancelled,
    GeometryError,
    ParameterError,
    describe_failure,
    explain,
)
from napari_mrisr.evaluation.further import ImagePair, chosen_metrics, measure_further
from napari_mrisr.evaluation.leave_out import at_left_out, split_slices
from napari_mrisr.evaluation.metrics import Measurement, measure, measure_slices
from napari_mrisr.evaluation.protocol import DIRECTIONS, PROTOCOLS, Protocol, axis_text
from napari_mrisr.evaluation.simulate import clipped, simulate, with_width
from napari_mrisr.evaluation.tables import GAIN_OVER, EvaluationReport, EvaluationRow, Failure
from napari_mrisr.io import read_header, read_volume
from napari_mrisr.methods import base_name
from napari_mrisr.run.timing import timed_run
from napari_mrisr.run.upscale import UpscaleParameters, check_memory, check_parameters
from napari_mrisr.scan.masks import BoolArray, head_mask


@dataclass(frozen=True)
class EvaluateParameters:
    """Parameters of an evaluation.

    Attributes
    ----------
    scales : tuple of Scale
        Factors along the files' own axes; not used by a protocol with its own factor.
    methods : tuple of str
        Methods to compare.
    protocol : Protocol
        Degradation, metrics and other settings.
    bank : str or None
        Filter bank of the methods hashed and anchored; None for the bundled ones.
    model : str or None
        File of the method network, which options may follow; None for the bundled one.
    device : str
        ``auto``, ``cpu`` or ``gpu``.
    threads : int or None
        Threads; None for one per CPU.
    frame : int or None
        Volume of a 4D file, from 0.
    fill_nonfinite : float or None
        Replacement of NaN and infinite voxels.
    metrics : tuple of str
        Metrics to measure besides PSNR and SSIM, or ``all``; see
        :mod:`napari_mrisr.evaluation.further`.
    """

    scales: tuple[Scale, ...] = ((2, 2, 2),)
    methods: tuple[str, ...] = ("nearest", "tricubic", "hashed")
    protocol: Protocol = PROTOCOLS["standard"]
    bank: str | None = None
    model: str | None = None
    device: str = "auto"
    threads: int | None = None
    frame: int | None = None
    fill_nonfinite: float | None = None
    metrics: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for option, values in (("--scales", self.scales), ("--methods", self.methods)):
            if not values:
                raise ParameterError(explain(option, "empty", "give at least one"))
        for scale in self.scales:
            whole_scale(scale, "an evaluation")
        # Twice the same would count a volume twice in the mean.
        object.__setattr__(self, "scales", tuple(dict.fromkeys(self.scales)))
        object.__setattr__(self, "methods", tuple(dict.fromkeys(self.methods)))
        object.__setattr__(self, "metrics", chosen_metrics(self.metrics))
        if self.metrics and self.protocol.left_out:
            found, mend = "has no effect on left-out slices", "drop it: they have PSNR and SSIM"
            raise ParameterError(explain("--metrics", found, mend))

    def upscaling(self, method: str, scale: RealScale) -> UpscaleParameters:
        """Return the parameters of one run; ``scale`` in RAS order."""
        name = self.protocol.tricubic if method == GAIN_OVER else method
        return UpscaleParameters(scale, name, self._file(name, scale), self.device, self.threads)

    def _file(self, name: str, scale: RealScale) -> str | None:
        """Return the bank or network of a method; None for the default."""
        if name == "network":
            return self.model
        base = base_name(name)
        if base not in ("hashed", "anchored"):
            return None
        if self.bank is not None and load_bank(self.bank).anchored == (base == "anchored"):
            return self.bank
        return self._bundled_bank(scale) if base == "hashed" else None

    def _bundled_bank(self, scale: RealScale) -> str | None:
        """Return the bundled bank of the protocol's degradation; None for the default."""
        name = bundled_name(scale, degradation=str(self.protocol.degradation))
        return name if name in bundled_banks() else None


@dataclass(frozen=True, eq=False)
class Comparison:
    """Results of all methods for one truth.

    Attributes
    ----------
    truth, low : Volume
        Clipped truth and low-resolution volume, in the scan's intensities. For slices
        left out: these slices, and the kept ones.
    results : dict of str to Volume
        By method, in the scan's intensities, on the truth's grid.
    window : IntensityWindow
        Intensities that count as 0 and 1.
    found : dict of str to dict of str to Measurement
        By method, then mask.
    seconds : dict of str to float
        By method.
    fwhm : float
        Width of the low-resolution slices as a multiple of their distance; only for thick
        and left-out slices.
    """

    truth: Volume
    low: Volume
    window: IntensityWindow
    results: dict[str, Volume]
    found: dict[str, dict[str, Measurement]]
    seconds: dict[str, float]
    fwhm: float = 1.0

    def gain_db(self, method: str, mask: str) -> float:
        """Return the PSNR of a method minus that of tricubic; NaN if either is not finite."""
        psnr, base = self.found[method][mask].psnr_db, self.found[GAIN_OVER][mask].psnr_db
        return psnr - base if math.isfinite(psnr) and math.isfinite(base) else math.nan


def compare(
    truth: Volume,
    parameters: EvaluateParameters,
    scale: Scale,
    *,
    progress: Progress | None = None,
    inner: Progress | None = None,
) -> Comparison:
    """Degrade a truth, super-resolve it by each method, and measure.

    Parameters
    ----------
    truth : Volume
        High resolution, in the scan's intensities.
    parameters : EvaluateParameters
        Methods and protocol; ``scales`` is not used.
    scale : tuple of int
        Factor of each axis, in RAS order.
    progress : Progress, optional
        Counts one step per method, on a task that the caller began.
    inner : Progress, optional
        Shows the steps within each method; by default only their messages are shown.

    Returns
    -------
    Comparison
        With tricubic among the methods in any case, for the gain.
    """
    progress = progress or Progress()
    inner, protocol = inner or InnerProgress(progress), parameters.protocol
    axis = int(np.argmax(scale)) if protocol.left_out else None
    truth, window = clipped(truth, scale if axis is None else (1, 1, 1))
    head = head_mask(window.to_unit(truth.data), inner)
    fwhm = protocol.degradation.fwhm
    if axis is None:
        low = simulate(truth, scale, protocol, inner)
    else:
        fwhm *= relative_width(truth, axis) or 1.0
        low, left_out = split_slices(truth, axis)
        low = with_width(low, axis, fwhm)
        head = split_slices(replace(truth, data=head.astype(np.float32)), axis)[1].data > 0
        truth = left_out
    unit = window.to_unit(truth.data)
    comparison = Comparison(truth, low, window, {}, {}, {}, fwhm)
    for name in dict.fromkeys([GAIN_OVER, *parameters.methods]):
        result, seconds = timed_run(parameters.upscaling(name, scale), low, inner)
        if axis is not None:
            result = at_left_out(result, axis, truth.grid)
        if protocol.leak:
            result = replace(result, data=np.where(truth.data == 0, np.float32(0), result.data))
        image = window.to_unit(result.data)
        images = replace(truth, data=unit), replace(truth, data=image)
        measuring = functools.partial(_measured, *images, low, head, scale, parameters)
        comparison.found[name] = call_in_thread(measuring, inner.token.check)
        comparison.results[name] = result
        comparison.seconds[name] = seconds
        if name in parameters.methods:
            progress.advance()
    return comparison


def _measured(
    truth: Volume,
    result: Volume,
    low: Volume,
    head: BoolArray,
    scale: Scale,
    parameters: EvaluateParameters,
) -> dict[str, Measurement]:
    """Return the numbers of a result, in engine units, by mask."""
    metrics, unit, image = parameters.protocol.metrics, truth.data, result.data
    if parameters.protocol.left_out:
        return {"head": measure_slices(unit, image, head, int(np.argmax(scale)), metrics)}
    found = measure(unit, image, {"full": None, "head": head}, metrics)
    if parameters.metrics:
        pair = ImagePair(truth, result, head, *_thick(scale, low))
        further = measure_further(parameters.metrics, pair)
        found["head"] = replace(found["head"], further=further)
    return found


def _thick(scale: Scale, low: Volume) -> tuple[int, int]:
    """Return the one axis that was degraded and its slices; no slices for several axes."""
    axes = [axis for axis, factor in enumerate(scale) if factor > 1]
    return (axes[0], low.grid.shape[axes[0]]) if len(axes) == 1 else (0, 0)


@dataclass(frozen=True)
class EvaluationCase:
    """Factors to evaluate a file at.

    Attributes
    ----------
    text : str
        Factors along the file's own axes, such as ``1x1x4``.
    scale : Scale
        Factors in RAS order.
    axis : str
        Thick axis, such as ``S–I`` or ``axis 2``; empty for a protocol without one.
    """

    text: str
    scale: Scale
    axis: str = ""


@dataclass(frozen=True)
class FileJob:
    """File to evaluate, with a checked header."""

    path: Path
    cases: tuple[EvaluationCase, ...]


@dataclass(frozen=True)
class FileOutcome:
    """Rows of a file, or its error.

    Attributes
    ----------
    rows : tuple of EvaluationRow
        Rows of the scales before an error.
    error : str
        Empty if all scales succeeded.
    """

    rows: tuple[EvaluationRow, ...]
    error: str = ""
    unexpected: bool = False


def evaluate(
    paths: Sequence[str | os.PathLike[str]],
    parameters: EvaluateParameters,
    *,
    progress: Progress | None = None,
    on_comparison: Callable[[Path, str, Comparison], None] | None = None,
) -> EvaluationReport:
    """Evaluate methods on files that serve as the truth.

    Parameters
    ----------
    paths : sequence of path
        High-resolution images (see :func:`~napari_mrisr.io.find_volumes`).
    parameters : EvaluateParameters
        Scales, methods, protocol.
    progress : Progress, optional
        Counts one step per file, scale and method.
    on_comparison : callable, optional
        Called with file, scale and volumes of each comparison; the volumes are not
        kept.

    Returns
    -------
    EvaluationReport
        Files that failed are listed in it and do not stop the others.

    Raises
    ------
    ParameterError, ScaleError, BankError
        If the parameters fit no file.
    Cancelled
        If the user cancels.

    Examples
    --------
    >>> import napari_mrisr as sr
    >>> parameters = sr.EvaluateParameters(methods=("nearest", "tricubic"))
    >>> report = sr.evaluate(["scan.nii.gz"], parameters)
    >>> sorted({row.method for row in report.rows})
    ['nearest', 'tricubic']
    """
    progress = progress or Progress()
    report, jobs = plan_evaluation(paths, parameters)
    steps = sum(len(job.cases) for job in jobs) * len(parameters.methods)
    progress.begin("evaluating", steps)
    for job in jobs:
        add_outcome(report, job, evaluate_file(job, parameters, progress, on_comparison))
    return report


def plan_evaluation(
    paths: Sequence[str | os.PathLike[str]], parameters: EvaluateParameters
) -> tuple[EvaluationReport, list[FileJob]]:
    """Check every header and method before any voxel is loaded.

    Returns
    -------
    EvaluationReport, list of FileJob
        A report without rows, files that failed listed in it, and what is to be done.

    Raises
    ------
    ParameterError, ScaleError, BankError
        As :func:`evaluate` does.
    """
    files = {"bank": parameters.bank, "model": parameters.model}
    report = EvaluationReport({**parameters.protocol.as_dict(), **files})
    jobs = []
    for path in map(Path, paths):
        try:
            jobs.append(_check_file(path, parameters))
        except Exception as error:
            report.failures.append(Failure(str(path), *describe_failure(path, error)))
    for scale in dict.fromkeys(case.scale for job in jobs for case in job.cases):
        for method in dict.fromkeys([GAIN_OVER, *parameters.methods]):
            check_parameters(parameters.upscaling(method, scale))
    return report, jobs


def add_outcome(report: EvaluationReport, job: FileJob, outcome: FileOutcome) -> None:
    """Add a file's rows, and its error if there was one."""
    report.rows.extend(outcome.rows)
    if outcome.error:
        report.failures.append(Failure(str(job.path), outcome.error, outcome.unexpected))


def _check_file(path: Path, parameters: EvaluateParameters) -> FileJob:
    grid, origin = read_header(path, frame=parameters.frame)
    cases = _cases(grid, origin, parameters)
    for case in cases:
        scale = case.scale
        if any(n // factor < 2 for n, factor in zip(grid.shape, scale, strict=True)):
            found = f"shape {origin.from_ras(grid.shape)} is too small for scale {case.text}"
            raise GeometryError(explain(path, found, "use a smaller scale"))
        shape = tuple(n - n % factor for n, factor in zip(grid.shape, scale, strict=True))
        low = grid.cropped((0, 0, 0), (shape[0], shape[1], shape[2])).degraded(scale)
        check_memory(low, parameters.upscaling(GAIN_OVER, scale))
    return FileJob(path, tuple(cases))


def _cases(grid: Grid, origin: Origin, parameters: EvaluateParameters) -> list[EvaluationCase]:
    """Return the cases of a file: the scales, or the protocol's factor along each axis."""
    factor = parameters.protocol.factor
    if factor is None:
        return [EvaluationCase(format_scale(s), origin.to_ras(s)) for s in parameters.scales]
    cases = []
    for name in parameters.protocol.axes:
        if name == "thickest":
            axis = int(np.argmax(np.round(grid.voxel_size, 3)))
        else:
            axis = DIRECTIONS.index(name) if name in DIRECTIONS else origin.ras_axis[int(name)]
        x, y, z = (factor if a == axis else 1 for a in range(3))
        shown = axis_text(name if name.isdecimal() else DIRECTIONS[axis])
        cases.append(EvaluationCase(format_scale(origin.from_ras((x, y, z))), (x, y, z), shown))
    return cases


def evaluate_file(
    job: FileJob,
    parameters: EvaluateParameters,
    progress: Progress,
    on_comparison: Callable[[Path, str, Comparison], None] | None = None,
) -> FileOutcome:
    """Evaluate one file at all its scales; parameters as for :func:`evaluate`."""
    rows: list[EvaluationRow] = []
    try:
        truth = read_volume(
            job.path, frame=parameters.frame, fill_nonfinite=parameters.fill_nonfinite
        )
        for case in job.cases:
            comparison = compare(truth, parameters, case.scale, progress=progress)
            rows.extend(rows_of(comparison, str(job.path), case, parameters))
            if on_comparison is not None:
                on_comparison(job.path, case.text, comparison)
    except Cancelled:
        raise
    except Exception as error:
        return FileOutcome(tuple(rows), *describe_failure(job.path, error))
    return FileOutcome(tuple(rows))


def rows_of(
    comparison: Comparison, file: str, case: EvaluationCase, parameters: EvaluateParameters
) -> list[EvaluationRow]:
    """Return the numbers of a comparison, one row per method and mask."""
    protocol = parameters.protocol
    if case.axis:
        degradation = replace(protocol.degradation, fwhm=comparison.fwhm)
        protocol = replace(protocol, axes=(case.axis,), degradation=degradation)
    return [
        EvaluationRow(
            file=file,
            scale=case.text,
            axis=case.axis,
            method=name,
            protocol=protocol.name,
            mask=mask,
            psnr_db=found.psnr_db,
            ssim=found.ssim,
            gain_db=comparison.gain_db(name, mask),
            seconds=comparison.seconds[name],
            settings=_settings(protocol, comparison.results[name]),
            note=found.note,
            further=found.further,
        )
        for name in parameters.methods
        for mask, found in comparison.found[name].items()
    ]


def _settings(protocol: Protocol, result: Volume) -> str:
    """Return the settings behind a result's numbers: protocol and filter bank."""
    bank = result.history.get("bank")
    return f"{protocol.describe()}; bank {bank}" if bank else protocol.describe()
