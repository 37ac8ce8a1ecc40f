"""Real lesions: what methods keep of lesions that a mask outlines in the truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import ndimage

from napari_mrisr.core.progress import InnerProgress, Progress
from napari_mrisr.core.scale import Scale
from napari_mrisr.core.volume import FloatArray, Volume
from napari_mrisr.errors import GeometryError, VolumeError, explain
from napari_mrisr.evaluation.experiment import EvaluateParameters
from napari_mrisr.evaluation.simulate import clipped, simulate
from napari_mrisr.evaluation.tables import GAIN_OVER, aligned
from napari_mrisr.evaluation.tasks.base import Task, TaskRow, Values
from napari_mrisr.figures.curves import Curve, curve_figure
from napari_mrisr.io import read_header, read_volume
from napari_mrisr.run.timing import timed_run
from napari_mrisr.scan.masks import box_around, head_mask

BoolArray = NDArray[np.bool_]

RIM_VOXELS = 2
"""Width of the rim that a lesion's contrast is measured against."""
LEAST_CONTRAST = 0.02
"""Contrast of a lesion in the truth, as part of the window, below which no share is given."""
SIZES = {"below 3 mm": 3.0, "3 to 4 mm": 4.0, "4 mm and more": math.inf}
"""Size classes and their upper end: diameter of the sphere of the lesion's volume."""

_SAME_MM = 0.01  # as far as two affines may lie apart, per voxel


@dataclass(frozen=True)
class RealLesionRow(TaskRow):
    """One method's result at one lesion.

    Attributes
    ----------
    lesion : int
        Number of the connected component, the same for all methods.
    size : str
        From :data:`SIZES`.
    volume_mm3 : float
        Of the component.
    contrast : float
        Mean of the lesion minus mean of its rim in the truth, as part of the window.
    kept : float
        Contrast in the result as a share of that; NaN for less than :data:`LEAST_CONTRAST`
        in the direction of all lesions.
    gain_db : float
        PSNR inside the component minus that of tricubic.
    squared_error, squared_error_tricubic : float
        Sums over the component, in engine units.
    found_mm3, found_truth_mm3 : float
        Volume of lesion and rim beyond the threshold, in the result and in the truth.
    threshold : float
        As part of the window.
    """

    lesion: int
    size: str
    volume_mm3: float
    contrast: float
    kept: float
    gain_db: float
    squared_error: float
    squared_error_tricubic: float
    found_mm3: float
    found_truth_mm3: float
    threshold: float


@dataclass(frozen=True, eq=False)
class RealLesionTask(Task[RealLesionRow]):
    """Task of ``evaluate --lesions``.

    Attributes
    ----------
    mask : Volume
        Not zero inside lesions, on the grid of the truth.
    """

    name: ClassVar[str] = "real lesions"
    mask: Volume

    @classmethod
    def on(cls, mask: Path, scan: Path) -> RealLesionTask:
        """Read a mask, after a check that it lies on the scan's grid.

        Raises
        ------
        GeometryError
            If shapes or positions differ.
        """
        (grid, origin), (own, own_origin) = read_header(scan), read_header(mask)
        wanted, found = origin.from_ras(grid.shape), own_origin.from_ras(own.shape)
        mend = "resample the mask to the scan's grid, by nearest neighbor"
        if grid.shape != own.shape:
            text = f"shape {found}, but {scan.name} has {wanted}"
            raise GeometryError(explain(mask, text, mend))
        apart = float(np.abs(own.corners() - grid.corners()).max())
        if apart > _SAME_MM * max(grid.shape):
            text = f"shape {found}, but lies {apart:.3g} mm away from {scan.name}"
            raise GeometryError(explain(mask, text, mend))
        return cls(read_volume(mask))

    def describe(self) -> str:
        """Return one line with every setting."""
        name = self.mask.origin.name if self.mask.origin else "in memory"
        return (
            f"connected parts of the mask {name}; rim of {RIM_VOXELS} voxels; contrast of lesions "
            f"that differ from it by at least {100 * LEAST_CONTRAST:g} % of the window in the "
            "truth; found: voxels of lesion and rim beyond one threshold, midway between the "
            "truth's means in all lesions and in all rims"
        )

    def measure(
        self, truth: Volume, parameters: EvaluateParameters, scale: Scale, progress: Progress
    ) -> list[RealLesionRow]:
        """Measure the methods at each lesion; see :meth:`Task.measure`."""
        inner = InnerProgress(progress)
        truth, window = clipped(truth, scale)
        unit = window.to_unit(truth.data)
        mask = self.mask.cropped_to_multiple(scale).data != 0
        if not mask.any():
            name = self.mask.origin.name if self.mask.origin else "mask"
            raise VolumeError(explain(name, "no voxel is marked", "mark the lesions by 1"))
        head = head_mask(unit, inner)
        low = simulate(truth, scale, parameters.protocol, inner)

        def result(method: str) -> FloatArray:
            return window.to_unit(
                timed_run(parameters.upscaling(method, scale), low, inner)[0].data
            )

        base = result(GAIN_OVER)
        rows: list[RealLesionRow] = []
        voxel = math.prod(truth.grid.voxel_size)
        for method in parameters.methods:
            image = base if method == GAIN_OVER else result(method)
            rows += real_lesion_rows(method, unit, image, base, mask, head, voxel)
            progress.advance()
        return rows

    def values(self, rows: Sequence[RealLesionRow]) -> Values:
        """Return gain, contrast kept and volume found over all lesions."""
        return {"gain in lesions (dB)": _gain(rows), "kept": _kept(rows, 50), "found": _found(rows)}

    def table(self, rows: Sequence[RealLesionRow]) -> str:
        """Return a block of lines per size class, a column per method."""
        methods = _by_method(rows)
        lines = [["lesions", "", *methods]]
        for size, first in _by_size(next(iter(methods.values()), [])):
            for title, text in _LINES.items():
                parts = [dict(_by_size(own))[size] for own in methods.values()]
                shown = f"{size} ({len(first)})" if title == next(iter(_LINES)) else ""
                lines.append([shown, title, *map(text, parts)])
        limits = ", ".join(f"{t:.3f}" for t in dict.fromkeys(row.threshold for row in rows))
        return "\n".join([f"Threshold {limits} of the window", *aligned(lines)])

    def figure(self, rows: Sequence[RealLesionRow], notes: Sequence[str]) -> Figure:
        """Draw contrast kept and gain over the size class, a curve per method."""
        kept, gain = {}, {}
        for method, own in _by_method(rows).items():
            parts = [part for _, part in _by_size(own)][1:]
            places = list(map(float, range(len(parts))))
            middle = [_kept(part, 50) for part in parts]
            kept[method] = Curve(places, middle, [_kept(p, 10) for p in parts], middle)
            gains = [_gain(part) for part in parts]
            gain[method] = Curve(places, gains, gains, gains)
        panels = {
            "contrast kept (band: to the 10th percentile)": kept,
            f"gain over {GAIN_OVER} inside lesions, dB": gain,
        }
        labels = [size for size, _ in _by_size(rows)][1:]
        count = len({row.lesion for row in rows})
        title = f"{count} lesions, by diameter"
        return curve_figure(panels, "", title, notes, labels=labels)


def real_lesion_rows(
    method: str,
    truth: FloatArray,
    image: FloatArray,
    base: FloatArray,
    mask: BoolArray,
    head: BoolArray,
    voxel_mm3: float,
) -> list[RealLesionRow]:
    """Measure all lesions of one result.

    Parameters
    ----------
    method : str
    truth, image, base : (x, y, z) ndarray of float32
        Truth, result and result of tricubic, in engine units.
    mask, head : (x, y, z) ndarray of bool
        Lesions, and voxels that a rim may have.
    voxel_mm3 : float
        Volume of a voxel.

    Returns
    -------
    list of RealLesionRow
        One per connected part of the mask; voxels are connected by corners too.
    """
    rims = _rim(mask, mask, head)
    inside, around = (float(truth[part].mean(dtype=np.float64)) for part in (mask, rims))
    threshold, sign = (inside + around) / 2.0, math.copysign(1.0, inside - around)
    rows = []
    labels, _ = ndimage.label(mask, np.ones((3, 3, 3)))
    for number in range(1, int(labels.max()) + 1):
        box = box_around(labels == number, RIM_VOXELS)
        own = labels[box] == number
        rim = _rim(own, mask[box], head[box])
        a, b, c = (x[box].astype(np.float64) for x in (truth, image, base))
        contrasts = [_contrast(x, own, rim) for x in (a, b)]
        errors = [float(((x - a)[own] ** 2).sum()) for x in (b, c)]
        volume, region = int(own.sum()) * voxel_mm3, own | rim
        found, expected = (
            int(np.count_nonzero(sign * (x - threshold)[region] > 0)) * voxel_mm3 for x in (b, a)
        )
        clear = sign * contrasts[0] >= LEAST_CONTRAST
        rows.append(
            RealLesionRow(
                method,
                lesion=number,
                size=_size(volume),
                volume_mm3=volume,
                contrast=contrasts[0],
                kept=contrasts[1] / contrasts[0] if clear else math.nan,
                gain_db=_ratio_db(errors[1], errors[0]),
                squared_error=errors[0],
                squared_error_tricubic=errors[1],
                found_mm3=found,
                found_truth_mm3=expected,
                threshold=threshold,
            )
        )
    return rows


def _rim(own: BoolArray, mask: BoolArray, head: BoolArray) -> BoolArray:
    return np.asarray(ndimage.binary_dilation(own, iterations=RIM_VOXELS) & ~mask & head, np.bool_)


def _contrast(image: NDArray[np.float64], own: BoolArray, rim: BoolArray) -> float:
    return float(image[own].mean() - image[rim].mean()) if rim.any() else math.nan


def _size(volume_mm3: float) -> str:
    diameter = 2.0 * (3.0 * volume_mm3 / (4.0 * math.pi)) ** (1.0 / 3.0)
    return next(name for name, end in SIZES.items() if diameter < end)


def _ratio_db(numerator: float, denominator: float) -> float:
    both = min(numerator, denominator)
    return 10.0 * math.log10(numerator / denominator) if both > 0.0 else math.nan


def _by_method(rows: Sequence[RealLesionRow]) -> dict[str, list[RealLesionRow]]:
    return {
        m: [row for row in rows if row.method == m] for m in dict.fromkeys(r.method for r in rows)
    }


def _by_size(rows: Sequence[RealLesionRow]) -> Iterator[tuple[str, list[RealLesionRow]]]:
    """Yield all rows, then those of each size class that has any."""
    yield "all", list(rows)
    for size in SIZES:
        if part := [row for row in rows if row.size == size]:
            yield size, part


def _gain(rows: Sequence[RealLesionRow]) -> float:
    """Return the gain of all voxels together."""
    sums = [math.fsum(getattr(r, n) for r in rows) for n in _ERRORS]
    return _ratio_db(sums[1], sums[0])


_ERRORS = ("squared_error", "squared_error_tricubic")


def _kept(rows: Sequence[RealLesionRow], percent: float) -> float:
    known = [row.kept for row in rows if not math.isnan(row.kept)]
    return float(np.percentile(known, percent)) if known else math.nan


def _found(rows: Sequence[RealLesionRow]) -> float:
    found, expected = (
        math.fsum(getattr(row, name) for row in rows) for name in ("found_mm3", "found_truth_mm3")
    )
    return found / expected if expected > 0.0 else math.nan


_LINES: dict[str, Callable[[Sequence[RealLesionRow]], str]] = {
    "gain over tricubic, dB": lambda rows: f"{_gain(rows):+.2f}",
    "contrast kept / 10th percentile": lambda rows: (
        f"{_kept(rows, 50):.2f} / {_kept(rows, 10):.2f}"
    ),
    "volume found / truth's": lambda rows: f"{_found(rows):.2f}",
}
