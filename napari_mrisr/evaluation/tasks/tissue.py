"""Tissue: volumes of fluid, gray and white matter, as a simple segmentation finds them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import ndimage

from napari_mrisr.core.progress import InnerProgress, Progress
from napari_mrisr.core.scale import Scale
from napari_mrisr.core.volume import Volume
from napari_mrisr.errors import VolumeError, explain
from napari_mrisr.evaluation.experiment import EvaluateParameters
from napari_mrisr.evaluation.simulate import clipped, simulate
from napari_mrisr.evaluation.tables import GAIN_OVER, aligned
from napari_mrisr.evaluation.tasks.base import Task, TaskRow, Values
from napari_mrisr.figures.curves import Curve, curve_figure
from napari_mrisr.run.timing import timed_run
from napari_mrisr.scan.masks import box_around
from napari_mrisr.scan.tissue import TISSUES, brain_mask, segment, white_is_bright

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class TissueRow(TaskRow):
    """One tissue in one method's result.

    Attributes
    ----------
    tissue : str
        From :data:`~napari_mrisr.scan.tissue.TISSUES`.
    dice : float
        Overlap with the truth's segmentation, 0 to 1.
    volume_error_percent : float
        Volume minus the truth's, relative to the truth's.
    truth_ml : float
        The truth's volume.
    surface_mm : float
        Mean distance of the white matter's surfaces; NaN for other tissues.
    """

    tissue: str
    dice: float
    volume_error_percent: float
    truth_ml: float
    surface_mm: float


@dataclass(frozen=True)
class TissueTask(Task[TissueRow]):
    """Task ``tissue``."""

    name: ClassVar[str] = "tissue"

    def describe(self) -> str:
        """Return one line with every setting."""
        return (
            "fluid, gray and white matter of T1w and T2w brains by k-means of the intensities, "
            "fitted to each image inside the truth's brain mask"
        )

    def measure(
        self, truth: Volume, parameters: EvaluateParameters, scale: Scale, progress: Progress
    ) -> list[TissueRow]:
        """Segment the truth and the results; see :meth:`Task.measure`."""
        inner = InnerProgress(progress)
        truth, window = clipped(truth, scale)
        unit = window.to_unit(truth.data)
        brain = brain_mask(unit, truth.grid.voxel_size, inner)
        if not brain.any():
            name = truth.origin.name if truth.origin else "volume"
            raise VolumeError(explain(name, "no brain was found", "use an image of a brain"))
        bright = white_is_bright(unit, brain)
        expected = segment(unit, brain, bright_white=bright)
        low = simulate(truth, scale, parameters.protocol, inner)
        rows: list[TissueRow] = []
        for method in parameters.methods:
            result, _ = timed_run(parameters.upscaling(method, scale), low, inner)
            found = segment(window.to_unit(result.data), brain, bright_white=bright)
            rows += tissue_rows(method, expected, found, truth.grid.voxel_size)
            progress.advance()
        return rows

    def values(self, rows: Sequence[TissueRow]) -> Values:
        """Return Dice, volume error and surface distance per tissue."""
        found: Values = {}
        for tissue, part in _by_tissue(rows).items():
            found[f"Dice, {tissue}"] = _mean([row.dice for row in part])
            found[f"volume error (%), {tissue}"] = _mean([r.volume_error_percent for r in part])
        return {**found, "white surface (mm)": _surface(rows)}

    def table(self, rows: Sequence[TissueRow]) -> str:
        """Return a block of lines per method, a column per tissue, and who passes."""
        lines = [["method", "mean over images", *TISSUES]]
        for method, own in _by_method(rows).items():
            parts = _by_tissue(own).values()
            dice = [f"{_mean([row.dice for row in part]):.4f}" for part in parts]
            signed = [f"{_mean([r.volume_error_percent for r in part]):+.2f}" for part in parts]
            absolute = [f"{_off(part):.2f}" for part in parts]
            lines += [
                [method, "Dice", *dice],
                ["", "volume error, %", *signed],
                ["", "absolute volume error, %", *absolute],
                ["", "distance of surfaces, mm", "", "", f"{_surface(own):.3f}"],
            ]
        return "\n".join([*aligned(lines), "", *_verdicts(rows)])

    def figure(self, rows: Sequence[TissueRow], notes: Sequence[str]) -> Figure:
        """Draw Dice and volume error per tissue, a curve per method, bands over the images."""
        dice, error = {}, {}
        for method, own in _by_method(rows).items():
            parts = list(_by_tissue(own).values())
            dice[method] = _curve([[row.dice for row in part] for part in parts])
            error[method] = _curve([[r.volume_error_percent for r in part] for part in parts])
        panels = {"Dice": dice, "volume error, %": error}
        count = len({(row.file, row.scale, row.axis) for row in rows})
        title = f"Tissue in {count} images; mean, lowest and highest"
        return curve_figure(panels, "", title, notes, labels=TISSUES)


def tissue_rows(
    method: str,
    truth: NDArray[np.uint8],
    result: NDArray[np.uint8],
    voxel_size: tuple[float, float, float],
) -> list[TissueRow]:
    """Compare two segmentations.

    Parameters
    ----------
    method : str
    truth, result : (x, y, z) ndarray of uint8
        Labels as of :func:`~napari_mrisr.scan.tissue.segment`.
    voxel_size : tuple of float
        mm.

    Returns
    -------
    list of TissueRow
        One per tissue.
    """
    rows = []
    for label, tissue in enumerate(TISSUES, start=1):
        a, b = truth == label, result == label
        expected, found = int(np.count_nonzero(a)), int(np.count_nonzero(b))
        rows.append(
            TissueRow(
                method,
                tissue=tissue,
                dice=2.0 * int(np.count_nonzero(a & b)) / max(expected + found, 1),
                volume_error_percent=100.0 * (found / expected - 1.0) if expected else math.nan,
                truth_ml=expected * math.prod(voxel_size) / 1000.0,
                surface_mm=surface_distance(a, b, voxel_size) if tissue == "white" else math.nan,
            )
        )
    return rows


def surface_distance(a: BoolArray, b: BoolArray, voxel_size: tuple[float, float, float]) -> float:
    """Return the mean distance of two surfaces in mm, symmetric.

    The mean over all surface voxels of both masks of the distance to the nearest surface voxel
    of the other. Surface voxels have a face in common with a voxel outside the mask.

    Parameters
    ----------
    a, b : (x, y, z) ndarray of bool
    voxel_size : tuple of float
        mm.

    Returns
    -------
    float
        NaN if a mask is empty.
    """
    if not (a.any() and b.any()):
        return math.nan
    box = box_around(a | b)
    surfaces = [mask[box] & ~ndimage.binary_erosion(mask[box]) for mask in (a, b)]
    total, count = 0.0, 0
    for own, other in (surfaces, surfaces[::-1]):
        distance = ndimage.distance_transform_edt(~other, sampling=voxel_size)
        total += float(distance[own].sum())
        count += int(np.count_nonzero(own))
    return total / count


def losses(rows: Sequence[TissueRow], method: str) -> list[str]:
    """Return the tissues whose volume is off by more than tricubic's, one line each.

    By the mean of the absolute volume error over images.
    """
    methods, found = _by_method(rows), []
    base = _by_tissue(methods[GAIN_OVER])
    for tissue, own in _by_tissue(methods[method]).items():
        off, allowed = _off(own), _off(base[tissue])
        if off > allowed:
            found.append(f"{tissue}: {off:.2f} % (tricubic {allowed:.2f} %)")
    return found


def _verdicts(rows: Sequence[TissueRow]) -> Iterator[str]:
    methods = _by_method(rows)
    for method in methods if GAIN_OVER in methods else ():
        if method == GAIN_OVER:
            continue
        if lost := losses(rows, method):
            yield f"{method}: volumes are off by more than {GAIN_OVER}'s for {'; '.join(lost)}"
        else:
            yield f"{method}: no volume is off by more than {GAIN_OVER}'s"


def _by_method(rows: Sequence[TissueRow]) -> dict[str, list[TissueRow]]:
    return {
        m: [row for row in rows if row.method == m] for m in dict.fromkeys(r.method for r in rows)
    }


def _by_tissue(rows: Sequence[TissueRow]) -> dict[str, list[TissueRow]]:
    return {tissue: [row for row in rows if row.tissue == tissue] for tissue in TISSUES}


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _off(rows: Sequence[TissueRow]) -> float:
    return _mean([abs(row.volume_error_percent) for row in rows])


def _surface(rows: Sequence[TissueRow]) -> float:
    return _mean([row.surface_mm for row in rows if row.tissue == "white"])


def _curve(values: Sequence[Sequence[float]]) -> Curve:
    middle, low, high = ([float(f(part)) for part in values] for f in (np.mean, np.min, np.max))
    return Curve(list(map(float, range(len(values)))), middle, low, high)
